"""The fixed machines of the study: Thistle's Eyeriss, its readings of the SRAM constant, and stated bandwidths."""

from __future__ import annotations

import math
from collections.abc import Callable

from accelgym.costmodels.architecture.machine import Architecture
from accelgym.costmodels.timeloop.presets import preset

__all__ = ["MACHINES", "SRAM_UNITS", "eyeriss"]

SRAM_UNITS = {"words": 1, "bytes": 2, "bits": 16}
"""Units of the capacity under the root in Table III's SRAM energy, per 16-bit word; the paper does not say which."""

_SRAM_PJ = 17.88e-3
_WORDS = 65_536


def eyeriss(unit: str = "words", *, dram_words: float | None = None, sram_words: float | None = None) -> Architecture:
    """Returns Thistle's Eyeriss.

    Args:
        unit: One of :data:`SRAM_UNITS`.
        dram_words: Words per cycle that the DRAM reads, and writes; unlimited by default, as the paper gives none.
        sram_words: The same for the SRAM.
    """
    access = _SRAM_PJ * math.sqrt(_WORDS * SRAM_UNITS[unit])
    machine = preset("eyeriss_thistle").with_level("SRAM", read_pj=access, write_pj=access)
    return machine.with_level("DRAM", read_bw=dram_words, write_bw=dram_words).with_level(
        "SRAM", read_bw=sram_words, write_bw=sram_words
    )


MACHINES: dict[str, Callable[[], Architecture]] = {
    "eyeriss": eyeriss,
    "eyeriss, SRAM by bytes": lambda: eyeriss("bytes"),
    "eyeriss, SRAM by bits": lambda: eyeriss("bits"),
    "eyeriss, 4/16 words a cycle": lambda: eyeriss(dram_words=4.0, sram_words=16.0),
    "eyeriss, 16/64 words a cycle": lambda: eyeriss(dram_words=16.0, sram_words=64.0),
}
"""Machines by name. Bandwidths are those of DRAM and SRAM and an assumption: the paper states none."""

"""Machines by name; each is a Timeloop v0.3 file in ``presets/`` that states its source and its bandwidths.

Dataflow constraints of a preset name the dimensions of a convolution; they bind where a problem has them.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.architecture.machine import Architecture
from accelgym.costmodels.components.technologies import technology
from accelgym.costmodels.errors import unknown_name

__all__ = ["preset", "preset_names"]

_FOLDER = Path(__file__).parent / "presets"


def preset_names() -> list[str]:
    """Returns the names of all presets."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def preset(name: str, *, prices: str | None = None, sram_unit: Literal["words", "bits"] = "words") -> Architecture:
    """Builds a machine.

    Args:
        name: One of :func:`preset_names`.
        prices: Technology instead of the preset's own.
        sram_unit: Unit under the root in Thistle's SRAM energy (``eyeriss_thistle``).

    Raises:
        InputError: No such preset or technology.
    """
    # The reader lies above the descriptions it fills.
    from accelgym.costmodels.files.timeloop_yaml.document import parse_document
    from accelgym.costmodels.timeloop.reader import read_timeloop_data

    if name not in preset_names():
        raise unknown_name("architecture preset", name, preset_names())
    data = parse_document(_FOLDER / f"{name}.yaml")
    stated = data.pop("technology")
    priced = technology(prices or stated, sram_unit=sram_unit)
    shape = LoopNest.conv(name, K=1, C=1, P=1, Q=1, R=1, S=1)
    return replace(read_timeloop_data(data, problem=shape, prices=priced).architecture, name=name)

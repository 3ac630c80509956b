"""Area and access time of the buffers: laws, since memories are not synthesised.

The unit of area is the NAND2 equivalent. A buffer is the SRAM of :func:`accelgym.costmodels.components.laws.sram`
(CACTI 7, 45 nm) over the 0.798 um2 of a NAND2 of the same node (NAND2_X1 of the 45 nm open cell library). Input
and weight buffers are macros of one port, since loader and array never meet in a bank; a bank of the
accumulation buffer is read and written in one cycle, which takes bit cells of eight transistors instead of six.
The lanes of a word lie in macros of ``LANE_GROUP`` lanes, each with an address of its own.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.components import laws
from accelgym.costmodels.systolic.config import LANE_GROUP

__all__ = ["NAND2_UM2", "TWO_PORT_AREA", "access_fo4", "address_bits", "macro_widths", "memory_area_nand2"]

NAND2_UM2 = 0.798
"""Area of a NAND2 in the node of the SRAM law, um2."""
TWO_PORT_AREA = 8 / 6
"""Area of a memory that reads and writes in one cycle, over one that does either: transistors of a bit cell."""
_ACCESS_FO4_1KB = 8.0
"""At 1 Kb; an assumption, see :func:`access_fo4`."""


def address_bits(depth: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Returns the bits of an address into ``depth`` words, at least one; shape of ``depth``."""
    bits: npt.NDArray[np.int64] = np.maximum(np.frexp(np.asarray(depth) - 1)[1], 1).astype(np.int64)
    return bits


def macro_widths(lanes: int, lane_bits: int, tail_bits: int = 0) -> list[int]:
    """Returns the bits of the macros of a bank.

    Args:
        lanes: Elements of a word.
        lane_bits: Bits of an element.
        tail_bits: Bits of a word behind its last element (a block scale).
    """
    sizes = [min(LANE_GROUP, lanes - start) for start in range(0, lanes, LANE_GROUP)]
    widths = [size * lane_bits for size in sizes]
    return [*widths[:-1], widths[-1] + tail_bits]


def memory_area_nand2(words: int, width: int, *, two_ports: bool = False) -> float:
    """Returns the area of one macro in NAND2 equivalents.

    Args:
        words: Number of words.
        width: Bits of a word.
        two_ports: Whether one word is read and another written in the same cycle.
    """
    area: float = laws.sram(words, width).area_um2 / NAND2_UM2
    return area * TWO_PORT_AREA if two_ports else area


def access_fo4(words: int, width: int) -> float:
    """Returns the clock-to-data time of one macro in delays of an inverter with fan-out 4.

    One more for every doubling of the size (Amrutur and Horowitz, "Speed and power scaling of SRAMs", 2000, up to
    1 Mb); the 8 at 1 Kb are an assumption.
    """
    return _ACCESS_FO4_1KB + max(math.log2(words * width / 1024), 0.0)

"""Numbers that decide whether a rounding is right: every value of a format, every midpoint, and their neighbours."""

import numpy as np
import pytest

from accelgym.costmodels.datatypes import Datatype


def _probes(datatype: Datatype, neighbours: type = np.float64) -> np.ndarray:
    """Values and midpoints of a format and what lies beyond it, each with its two neighbours.

    Args:
        datatype: A format of at most 16 bits.
        neighbours: Floating-point type whose neighbours are added; the result is exact in it.
    """
    values = np.unique(datatype.values[np.isfinite(datatype.values)])
    largest = np.abs(values).max()
    step = np.diff(values)[-1]
    # Where rounding to a format with one more step at either end changes sides, and far beyond it.
    beyond = np.array([largest + step / 2, largest + step, largest + 3 * step, 4 * largest])
    smallest = np.abs(values[values != 0]).min()
    tiny = np.array([smallest / 2, smallest / 4, smallest / 3])
    points = np.concatenate([values, values[:-1] + np.diff(values) / 2, beyond, -beyond, tiny, -tiny])
    with np.errstate(over="ignore"):
        points = points.astype(neighbours)
        up, down = np.nextafter(points, neighbours(np.inf)), np.nextafter(points, neighbours(-np.inf))
    return np.unique(np.concatenate([points, up, down])).astype(np.float64)


@pytest.fixture(scope="session")
def probes():
    return _probes

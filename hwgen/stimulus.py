"""Operand tensors for verification: random and directed."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.datatypes import Datatype, Kind

__all__ = ["Stimulus", "draw_codes"]

Codes = npt.NDArray[np.int64]


class Stimulus(StrEnum):
    """A way to fill a tensor."""

    RANDOM = "random"
    """Integers and codebooks: all codes alike. Others: normally distributed values, which use most exponents."""
    EXTREMES = "extremes"
    """Largest, smallest, zero and unit values: sums overflow or cancel."""
    CODES = "codes"
    """All codes alike, infinities and NaNs rarely, so that they meet finite neighbours."""


_SPECIAL_SHARE = 1 / 256


def draw_codes(datatype: Datatype, shape: tuple[int, ...], stimulus: Stimulus, generator: np.random.Generator) -> Codes:
    """Returns codes of a format.

    Args:
        datatype: The format, of at most 16 bits.
        shape: Shape of the tensor.
        stimulus: What to fill it with.
        generator: Source of randomness.
    """
    exact = datatype.kind in (Kind.INTEGER, Kind.CODEBOOK)
    if stimulus is Stimulus.RANDOM and not exact:
        return datatype.encode(generator.normal(size=shape))
    values = datatype.values
    finite = np.flatnonzero(np.isfinite(values))
    if stimulus is Stimulus.EXTREMES:
        ends = [values[finite].argmax(), values[finite].argmin(), np.abs(values[finite] - 1).argmin()]
        choices = np.array([*finite[ends], datatype.zero()])
        return np.asarray(generator.choice(choices, size=shape))
    codes = np.asarray(generator.choice(finite, size=shape))
    special = np.flatnonzero(~np.isfinite(values))
    if stimulus is Stimulus.CODES and special.size:
        codes = np.where(generator.random(shape) < _SPECIAL_SHARE, generator.choice(special, size=shape), codes)
    return codes

"""Blocks of values that share a scale: the OCP microscaling formats and their relatives."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.datatypes.datatype import Codes, Datatype, Values
from accelgym.costmodels.datatypes.floats import FloatFormat
from accelgym.costmodels.datatypes.round_to_odd import divide_to_odd
from accelgym.costmodels.errors import InputError

__all__ = ["BlockFormat"]


@dataclass(frozen=True)
class BlockFormat:
    """Elements of one type, and one scale for every ``block_size`` of them along the last axis.

    A value is ``element * scale``. The scale of a block with largest magnitude ``a``, and elements up to
    ``m = element.full_scale``, is

    - for a scale type of powers of two (E8M0): ``2**(floor(log2(a)) - floor(log2(m)))``, limited to the exponents of
      the type (OCP Microscaling Formats v1.0, section 6.3);
    - for the others (E5M3, BF16): ``a / m``, rounded to nearest even, saturating.

    A block of zeros, and one whose scale rounds to zero, has scale 1. Elements are the values divided by the
    scale, rounded once to nearest even, saturating.

    Args:
        name: Name for messages and records.
        element: Type of the elements.
        scale: Type of the scales.
        block_size: Values a block; the last block of an axis may be shorter.
    """

    name: str
    element: Datatype
    scale: Datatype
    block_size: int = 32

    def __post_init__(self) -> None:
        if not isinstance(self.block_size, int) or self.block_size < 1:
            raise InputError(f"block format {self.name!r}: block_size is {self.block_size!r}, allowed: 1 and more")
        if not isinstance(self.scale, FloatFormat):
            raise InputError(f"block format {self.name!r}: scale type {self.scale.name!r}, allowed: float formats")
        if self.scale.significand_bits + self.element.significand_bits > 50:
            raise InputError(f"block format {self.name!r}: scale and element are too wide together")

    @property
    def bits_per_value(self) -> float:
        """Storage for one value, its share of the scale included."""
        return self.element.bits + self.scale.bits / self.block_size

    @property
    def scales_are_powers_of_two(self) -> bool:
        """Which of the two rules for scales holds."""
        return self.scale.significand_bits == 1

    @cached_property
    def _element_exponent(self) -> int:
        return math.frexp(self.element.full_scale)[1] - 1

    def scale_codes(self, magnitudes: npt.ArrayLike) -> Codes:
        """Returns the scale of blocks from the largest magnitude of each. Any shape.

        Raises:
            InputError: A magnitude that is negative, infinite or NaN.
        """
        largest = np.asarray(magnitudes, dtype=np.float64)
        if not np.all((largest >= 0) & np.isfinite(largest)):
            raise InputError(f"block format {self.name!r}: a block holds an infinity or NaN, allowed: finite values")
        if self.scales_are_powers_of_two:
            exponents = np.frexp(largest)[1].astype(np.int64) - 1 - self._element_exponent
            wanted = np.ldexp(1.0, np.clip(exponents, -1000, 1000))
        else:
            wanted = divide_to_odd(largest, np.asarray(self.element.full_scale))
        codes = self.scale.encode(wanted)
        unused = (largest == 0) | (self.scale.decode(codes) == 0)
        return np.where(unused, self.scale.encode(1.0), codes)

    def quantise(self, values: npt.ArrayLike) -> tuple[Codes, Codes]:
        """Encodes values in blocks along the last axis.

        Args:
            values: Shape ``(..., n)``, finite.

        Returns:
            Element codes of shape ``(..., n)`` and scale codes of shape ``(..., ceil(n / block_size))``.

        Raises:
            InputError: An empty shape, an infinity or NaN.
        """
        array = np.asarray(values, dtype=np.float64)
        if array.ndim == 0 or not array.shape[-1]:
            raise InputError(f"block format {self.name!r}: values of shape {array.shape}, allowed: (..., n), n > 0")
        starts = np.arange(0, array.shape[-1], self.block_size)
        scales = self.scale_codes(np.maximum.reduceat(np.abs(array), starts, axis=-1))
        spread = self._spread(self.scale.decode(scales), array.shape[-1])
        return self.element.encode(divide_to_odd(array, spread)), scales

    def dequantise(self, codes: npt.ArrayLike, scales: npt.ArrayLike) -> Values:
        """Returns the values, exactly: element times scale.

        Args:
            codes: Shape ``(..., n)``.
            scales: Shape ``(..., ceil(n / block_size))``.

        Raises:
            InputError: Shapes that do not fit, or codes outside their types.
        """
        elements, decoded = self.element.decode(codes), self.scale.decode(scales)
        blocks = -(-elements.shape[-1] // self.block_size) if elements.ndim else 0
        if decoded.shape != (*elements.shape[:-1], blocks):
            raise InputError(
                f"block format {self.name!r}: scales of shape {decoded.shape} for elements of shape {elements.shape}, "
                f"allowed: one for every {self.block_size}"
            )
        return np.asarray(elements * self._spread(decoded, elements.shape[-1]))

    def _spread(self, scales: Values, length: int) -> Values:
        """Repeats scales over the values of their blocks."""
        return np.asarray(np.repeat(scales, self.block_size, axis=-1)[..., :length])

"""How an operand travels through the array: as it is stored, or decoded at the array's edge.

Integers with integer sums and floats with float sums travel as they are stored. All other formats (posits, codebooks,
small floats with integer sums, integers with float sums) are decoded at the edge, once a row or column instead of once
a processing element: to a signed integer for integer sums, to sign, exponent and significand for float sums.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from accelgym.costmodels.datatypes import Datatype, FloatFormat, IntegerFormat, Kind, Special
from accelgym.costmodels.datatypes.floats import Specials, Underflow

__all__ = ["SPECIALS", "Operand", "float_fields", "operand"]


@dataclass(frozen=True)
class Operand:
    """An operand inside the array."""

    datatype: Datatype
    lane_bits: int
    """Bits that travel from one processing element to the next."""
    table: tuple[int, ...] | None
    """Lane word of every code, None where codes travel or arithmetic decodes."""
    exponent_bits: int = 0
    """Of a decoded number; 0 for integer sums."""
    significand_bits: int = 0
    offset: int = 0
    """A decoded number is ``significand * 2**(exponent + offset)``."""

    sign_magnitude: bool = False
    """The decoder takes the magnitude of a signed integer."""

    @property
    def is_code(self) -> bool:
        """Whether codes travel."""
        return self.table is None and not self.sign_magnitude


SPECIALS = {Specials.FINITE: 0, Specials.IEEE: 1, Specials.FN: 2}
"""The parameter of ``decode_float`` that says which codes are no finite numbers."""


def float_fields(datatype: Datatype) -> tuple[int, int, int] | None:
    """Returns (exponent bits, mantissa bits, specials) for ``decode_float``, None for formats it cannot decode."""
    if not isinstance(datatype, FloatFormat) or not datatype.signed or datatype.underflow is not Underflow.GRADUAL:
        return None
    if datatype.specials not in SPECIALS or not datatype.mantissa_bits or datatype.exponent_bits < 2:
        return None
    return datatype.exponent_bits, datatype.mantissa_bits, SPECIALS[datatype.specials]


def operand(datatype: Datatype, integer_sums: bool) -> Operand:
    """Decides how a format travels.

    Args:
        datatype: The format.
        integer_sums: Whether partial sums are integers.
    """
    if integer_sums:
        if isinstance(datatype, IntegerFormat) and datatype.signed:
            return Operand(datatype, datatype.bits, None)
        fields = datatype.field_table
        signs = np.where(fields[:, 0] == 1, -1, 1)
        values = signs * (fields[:, 1] << (fields[:, 2] - datatype.quantum_exponent))
        bits = 1 + max(int(v).bit_length() if v >= 0 else int(-v - 1).bit_length() for v in values)
        return Operand(datatype, bits, tuple(int(v) & ((1 << bits) - 1) for v in values))
    if (parts := float_fields(datatype)) is not None:
        exponent_bits, mantissa_bits, _ = parts
        assert isinstance(datatype, FloatFormat)
        offset = -datatype.exponent_bias - mantissa_bits
        return Operand(datatype, datatype.bits, None, exponent_bits, mantissa_bits + 1, offset)
    if isinstance(datatype, IntegerFormat) and datatype.signed:
        bits = datatype.bits
        return Operand(datatype, bits + 4, None, 1, bits, datatype.quantum_exponent, sign_magnitude=True)
    return _decoded(datatype)


def _decoded(datatype: Datatype) -> Operand:
    """Lane word, most significant first: infinite, NaN, negative, exponent, significand."""
    fields = datatype.field_table
    negative, significand, exponent, special = fields.T
    # Zeros and specials have no exponent of their own.
    numbers = (significand > 0) & (special == int(Special.FINITE))
    offset = int(exponent[numbers].min())
    span = np.where(numbers, exponent - offset, 0)
    width = datatype.significand_bits
    exponent_bits = max(int(span.max()).bit_length(), 1)
    signed_zero = datatype.kind is Kind.FLOAT
    sign = np.where(numbers | signed_zero | (special == int(Special.INFINITE)), negative, 0)
    words = significand | (span << width) | (sign << (width + exponent_bits))
    words |= (special == int(Special.NAN)).astype(np.int64) << (width + exponent_bits + 1)
    words |= (special == int(Special.INFINITE)).astype(np.int64) << (width + exponent_bits + 2)
    return Operand(datatype, width + exponent_bits + 3, tuple(int(w) for w in words), exponent_bits, width, offset)

"""How an operand travels through the array: as it is stored, or decoded at the array's edge.

Integers with integer sums and floats with float sums travel as they are stored. All other formats (posits, codebooks,
small floats with integer sums, integers with float sums) are decoded at the edge, once a row or column instead of once
a processing element: to a signed integer for integer sums, to sign, exponent and significand for float sums. So are
the formats of an operand that has several, to one lane word that holds the numbers of all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from accelgym.costmodels.datatypes import Datatype, FloatFormat, IntegerFormat, Kind, Special
from accelgym.costmodels.datatypes.floats import Specials, Underflow

__all__ = ["SPECIALS", "Decoder", "Decoding", "Operand", "float_fields", "operand"]


class Decoding(StrEnum):
    """What the array's edge does with a stored code."""

    SIGN_EXTENSION = "sign_extension"
    """Nothing but fill the lane: two's complement, or the code of a float that processing elements decode."""
    TABLE = "table"
    MAGNITUDE = "magnitude"
    """Sign and magnitude of a signed integer."""
    FIELDS = "fields"
    """Sign, exponent and significand of a float."""


@dataclass(frozen=True)
class Decoder:
    """From a stored code to the lane word."""

    datatype: Datatype
    decoding: Decoding
    table: tuple[int, ...] | None = None
    """Lane word of every code."""
    exponent: int = 0
    """Of a magnitude; of fields what is added to their exponent."""


@dataclass(frozen=True)
class Operand:
    """An operand inside the array."""

    decoders: tuple[Decoder, ...]
    """One a format, in the order of the modes."""
    lane_bits: int
    """Bits that travel from one processing element to the next."""
    exponent_bits: int = 0
    """Of a decoded number; 0 for integer sums."""
    significand_bits: int = 0
    offset: int = 0
    """A decoded number is ``significand * 2**(exponent + offset)``."""
    code_format: FloatFormat | None = None
    """The format whose codes travel, for processing elements to decode."""


SPECIALS = {Specials.FINITE: 0, Specials.IEEE: 1, Specials.FN: 2}
"""The parameter of ``decode_float`` that says which codes are no finite numbers."""


def float_fields(datatype: Datatype) -> tuple[int, int, int] | None:
    """Returns (exponent bits, mantissa bits, specials) for ``decode_float``, None for formats it cannot decode."""
    if not isinstance(datatype, FloatFormat) or not datatype.signed or datatype.underflow is not Underflow.GRADUAL:
        return None
    if datatype.specials not in SPECIALS or not datatype.mantissa_bits or datatype.exponent_bits < 2:
        return None
    return datatype.exponent_bits, datatype.mantissa_bits, SPECIALS[datatype.specials]


def operand(formats: Sequence[Datatype], integer_sums: bool) -> Operand:
    """Decides how the formats of an operand travel.

    Args:
        formats: In the order of their modes; at least one.
        integer_sums: Whether partial sums are integers.
    """
    if integer_sums:
        return _integers(formats)
    if len(formats) == 1 and (parts := float_fields(formats[0])) is not None:
        datatype = formats[0]
        assert isinstance(datatype, FloatFormat)
        exponent_bits, mantissa_bits, _ = parts
        offset = -datatype.exponent_bias - mantissa_bits
        decoder = Decoder(datatype, Decoding.SIGN_EXTENSION)
        return Operand((decoder,), datatype.bits, exponent_bits, mantissa_bits + 1, offset, datatype)
    return _numbers(formats)


def _is_signed(datatype: Datatype) -> bool:
    return isinstance(datatype, IntegerFormat) and datatype.signed


def _integers(formats: Sequence[Datatype]) -> Operand:
    """Lane word: a signed integer that holds every number of every format, in quanta."""
    numbers = [None if _is_signed(datatype) else _quanta(datatype) for datatype in formats]
    widths = [datatype.bits if n is None else _signed_bits(n) for datatype, n in zip(formats, numbers, strict=True)]
    bits = max(widths)
    decoders = tuple(
        Decoder(datatype, Decoding.SIGN_EXTENSION)
        if n is None
        else Decoder(datatype, Decoding.TABLE, tuple(v & ((1 << bits) - 1) for v in n))
        for datatype, n in zip(formats, numbers, strict=True)
    )
    return Operand(decoders, bits)


def _quanta(datatype: Datatype) -> list[int]:
    """Returns the value of every code in units of the quantum."""
    fields = datatype.field_table
    signs = np.where(fields[:, 0] == 1, -1, 1)
    return [int(v) for v in signs * (fields[:, 1] << (fields[:, 2] - datatype.quantum_exponent))]


def _signed_bits(values: Sequence[int]) -> int:
    return 1 + max(v.bit_length() if v >= 0 else (-v - 1).bit_length() for v in values)


@dataclass(frozen=True)
class _Range:
    """Exponents and significands of a format: numbers are ``significand * 2**(offset + 0 .. span)``."""

    decoding: Decoding
    offset: int
    span: int
    significand_bits: int

    @classmethod
    def of(cls, datatype: Datatype) -> _Range:
        if (parts := float_fields(datatype)) is not None:
            assert isinstance(datatype, FloatFormat)
            exponent_bits, mantissa_bits, _ = parts
            offset = -datatype.exponent_bias - mantissa_bits
            return cls(Decoding.FIELDS, offset, (1 << exponent_bits) - 1, mantissa_bits + 1)
        if _is_signed(datatype):
            return cls(Decoding.MAGNITUDE, datatype.quantum_exponent, 0, datatype.bits)
        _, _, exponent, _ = datatype.field_table.T
        exponents = exponent[_numbers_of(datatype)]
        offset = int(exponents.min())
        return cls(Decoding.TABLE, offset, int(exponents.max()) - offset, datatype.significand_bits)


def _numbers_of(datatype: Datatype) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Returns which codes have an exponent of their own: zeros and specials have none."""
    _, significand, _, special = datatype.field_table.T
    return np.asarray((significand > 0) & (special == int(Special.FINITE)))


def _numbers(formats: Sequence[Datatype]) -> Operand:
    """Lane word, most significant first: infinite, NaN, negative, exponent, significand."""
    ranges = [_Range.of(datatype) for datatype in formats]
    offset = min(r.offset for r in ranges)
    exponent_bits = max(max(r.offset + r.span - offset for r in ranges).bit_length(), 1)
    significand_bits = max(r.significand_bits for r in ranges)
    decoders = []
    for datatype, r in zip(formats, ranges, strict=True):
        table = _table(datatype, offset, exponent_bits, significand_bits) if r.decoding is Decoding.TABLE else None
        decoders.append(Decoder(datatype, r.decoding, table, r.offset - offset))
    lane_bits = significand_bits + exponent_bits + 3
    return Operand(tuple(decoders), lane_bits, exponent_bits, significand_bits, offset)


def _table(datatype: Datatype, offset: int, exponent_bits: int, significand_bits: int) -> tuple[int, ...]:
    """Returns the lane word of every code."""
    negative, significand, exponent, special = datatype.field_table.T
    numbers = _numbers_of(datatype)
    infinite = special == int(Special.INFINITE)
    signed = numbers | infinite | (datatype.kind is Kind.FLOAT)  # Only floats have a negative zero.
    words = significand | (np.where(numbers, exponent - offset, 0) << significand_bits)
    for flag in (np.where(signed, negative, 0), special == int(Special.NAN), infinite):
        words |= flag.astype(np.int64) << (significand_bits + exponent_bits)
        exponent_bits += 1
    return tuple(int(word) for word in words)

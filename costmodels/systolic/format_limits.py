"""Which number formats hardware exists for."""

from __future__ import annotations

from accelgym.costmodels.datatypes import Datatype, FloatFormat, IntegerFormat
from accelgym.costmodels.datatypes.floats import Specials, Underflow

__all__ = ["TABLE_BITS", "has_operand_decoder", "has_scale_decoder", "is_plain", "widens"]

TABLE_BITS = 8
"""Widest format decoded by a table."""
_PLAIN_BITS = 16
"""Widest format decoded by logic."""


def is_plain(datatype: Datatype) -> bool:
    """Whether hardware takes a format apart without a table."""
    if isinstance(datatype, FloatFormat):
        usual = datatype.underflow is Underflow.GRADUAL and datatype.signed
        return usual and datatype.specials is Specials.IEEE and datatype.mantissa_bits >= 2
    return isinstance(datatype, IntegerFormat) and datatype.signed


def has_operand_decoder(operand: Datatype) -> bool:
    """Whether hardware takes an operand apart: by a table, or as a signed integer or IEEE float of up to 16 bits."""
    return operand.bits <= TABLE_BITS or (operand.bits <= _PLAIN_BITS and is_plain(operand))


def has_scale_decoder(scale: FloatFormat) -> bool:
    """Whether hardware takes a block scale apart: an exponent without mantissa, or a float with subnormals."""
    if scale.underflow is Underflow.NORMAL:
        return not scale.signed and not scale.mantissa_bits and scale.specials in (Specials.FN, Specials.FINITE)
    known = scale.specials in (Specials.IEEE, Specials.FN, Specials.FINITE)
    return known and scale.underflow is Underflow.GRADUAL and scale.mantissa_bits >= 1 and scale.exponent_bits >= 2


def widens(narrow: Datatype, wide: Datatype) -> bool:
    """Whether every number of one float format is one of the other."""
    if not isinstance(narrow, FloatFormat) or not isinstance(wide, FloatFormat):
        return False
    return (
        wide.mantissa_bits >= narrow.mantissa_bits
        and wide.max >= narrow.max
        and wide.quantum_exponent <= narrow.quantum_exponent
    )

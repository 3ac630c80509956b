"""Number formats of accelerators: exact definitions, fast encode and decode, and bit-exact arithmetic."""

from accelgym.costmodels.datatypes.accumulation import PassAccumulator, array_matmul
from accelgym.costmodels.datatypes.arithmetic import FusedMultiplyAdd
from accelgym.costmodels.datatypes.block_scaling import BlockFormat
from accelgym.costmodels.datatypes.catalogue import (
    BLOCK_FORMATS,
    MIXTURES,
    datatypes,
    get_block_format,
    get_datatype,
    get_mixture,
    register_codebook,
    register_float,
)
from accelgym.costmodels.datatypes.codebooks import CodebookFormat
from accelgym.costmodels.datatypes.datatype import Codes, Datatype, Kind, Values
from accelgym.costmodels.datatypes.exact import Exact, Fields, Overflow, Rounding, Special
from accelgym.costmodels.datatypes.floats import FloatFormat, Specials, Underflow
from accelgym.costmodels.datatypes.integers import IntegerFormat
from accelgym.costmodels.datatypes.mixtures import GroupMixture, MixedGroups
from accelgym.costmodels.datatypes.posits import PositFormat

__all__ = [
    "BLOCK_FORMATS",
    "MIXTURES",
    "BlockFormat",
    "CodebookFormat",
    "Codes",
    "Datatype",
    "Exact",
    "Fields",
    "FloatFormat",
    "FusedMultiplyAdd",
    "GroupMixture",
    "IntegerFormat",
    "Kind",
    "MixedGroups",
    "Overflow",
    "PassAccumulator",
    "PositFormat",
    "Rounding",
    "Special",
    "Specials",
    "Underflow",
    "Values",
    "array_matmul",
    "datatypes",
    "get_block_format",
    "get_datatype",
    "get_mixture",
    "register_codebook",
    "register_float",
]

"""Rows of tables of measured hardware: which formats, template and pipeline a row holds for."""

from __future__ import annotations

from collections.abc import Sequence

from accelgym.costmodels.files.strict_model import StrictModel
from accelgym.costmodels.systolic.config import SystolicConfig

__all__ = ["FORMATS", "FormatKind", "find_kind", "format_key"]


_INTEGER_SUMS = {"psum_type": "int24", "accumulation_type": "int24"}
_FLOAT_SUMS = {"psum_type": "bf16", "accumulation_type": "bf16"}
FORMATS: dict[str, dict[str, str]] = {
    "int4": {"input_type": "int4", "weight_type": "int4", **_INTEGER_SUMS},
    "w4a8": {"input_type": "int8", "weight_type": "int4", **_INTEGER_SUMS},
    "int8": {"input_type": "int8", "weight_type": "int8", **_INTEGER_SUMS},
    "e4m3": {"input_type": "e4m3", "weight_type": "e4m3", **_FLOAT_SUMS},
    "posit8": {"input_type": "posit8_1", "weight_type": "posit8_1", **_FLOAT_SUMS},
    "bf16": {"input_type": "bf16", "weight_type": "bf16", **_FLOAT_SUMS},
}
"""The formats that were measured: of inputs, weights and sums, by a short name."""


class FormatKind(StrictModel):
    """Key of a row: formats and pipeline, neither the size of the array nor its memories."""

    template: str
    input_type: str
    weight_type: str
    psum_type: str
    accumulation_type: str
    pe_pipeline: int

    @property
    def key(self) -> tuple[object, ...]:
        """Values that tell rows apart."""
        types = (self.input_type, self.weight_type, self.psum_type, self.accumulation_type)
        return (self.template, *types, self.pe_pipeline)


def format_key(config: SystolicConfig) -> tuple[object, ...]:
    """Returns what the row of a configuration is found by; several formats of an operand are joined by ``/``."""
    operands = ("/".join(datatype.name for datatype in formats) for formats in (config.inputs, config.weights))
    return (config.template.value, *operands, config.psum_type, config.accumulation_type, config.pe_pipeline)


def find_kind(kinds: Sequence[FormatKind], config: SystolicConfig) -> int | None:
    """Returns the position of a configuration's row, None without one.

    Block scales and partial sums that grow down the rows are in no table.
    """
    if config.scale_type is not None or config.row_psum_widths:
        return None
    key = format_key(config)
    return next((index for index, kind in enumerate(kinds) if kind.key == key), None)

"""The configuration of a systolic accelerator: what RTL is generated from and what the cost model reads."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, field_validator, model_validator

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.systolic.element_types import ElementType, Family, element_type
from accelgym.costmodels.workloads.spec import StrictModel, load_spec

__all__ = ["MAX_COLUMNS", "MAX_DEPTH", "MAX_ROWS", "SystolicConfig", "Template", "load_config"]

MAX_ROWS = 128
MAX_COLUMNS = 128
MAX_DEPTH = 65536


class Template(StrEnum):
    """Which operand stays in the processing elements."""

    WEIGHT_STATIONARY = "weight_stationary"
    """Rows reduce, columns are output channels; a weight block stays while pixels stream past it."""
    OUTPUT_STATIONARY = "output_stationary"
    """Rows are output pixels, columns output channels; a block of outputs stays while operands stream."""


Depth = Annotated[int, Field(ge=2, le=MAX_DEPTH)]
PortBits = Annotated[int, Field(ge=1, le=8192)]


class SystolicConfig(StrictModel):
    """One accelerator.

    Memories are counted in words: an input word holds ``rows`` elements, a weight word ``columns`` elements, an
    accumulation word ``columns`` partial sums. Input and weight buffers have two banks of the stated depth.

    Raises:
        ValidationError: A value outside its range, or a combination no RTL exists for; the message says why.
    """

    rows: int = Field(ge=1, le=MAX_ROWS)
    """Processing elements down a column."""
    columns: int = Field(ge=1, le=MAX_COLUMNS)
    """Processing elements along a row."""
    template: Annotated[Template, Field(strict=False)] = Template.WEIGHT_STATIONARY
    input_type: str = "int8"
    weight_type: str = "int8"
    psum_type: str = "int24"
    """Partial sums inside the array; integers wrap at this width, floats round once per multiply-add."""
    accumulation_type: str = "int24"
    """Words of the accumulation buffer, and of the output."""
    scale_type: str | None = None
    """Block-scale format of microscaling inputs and weights; a block is one pass through the array (``rows``)."""
    input_buffer_depth: Depth = 256
    weight_buffer_depth: Depth = 256
    accumulation_buffer_depth: Depth = 256
    double_buffered_accumulation: bool = True
    """A second accumulation bank: one tile drains while the next computes."""
    input_port_bits: PortBits = 64
    """Width of the memory port that fills the input buffer; a word takes a whole number of cycles."""
    weight_port_bits: PortBits = 64
    output_port_bits: PortBits = 64
    memory_latency: int = Field(default=8, ge=1, le=255)
    """Cycles from an address on a port to its data; the port accepts an address every cycle."""
    pe_pipeline: int = Field(default=1, ge=1, le=2)
    """1: product and sum in one cycle. 2: the product is registered."""
    row_psum_widths: bool = False
    """Rows near the top carry only as many partial-sum bits as they can fill (integers, weight stationary)."""
    technology: str = "nand2"
    clock_ghz: float = Field(default=1.0, gt=0.0, le=10.0)

    @field_validator("input_type", "weight_type", "psum_type", "accumulation_type")
    @classmethod
    def _known_type(cls, value: str) -> str:
        element_type(value)
        return value

    @model_validator(mode="after")
    def _has_rtl(self) -> SystolicConfig:
        operands, psum, total = (self.input, self.weight), self.psum, self.accumulation
        integer = [t.family is Family.INTEGER for t in operands]
        if any(integer) != all(integer):
            raise ValueError(
                f"input_type {self.input_type} with weight_type {self.weight_type}: both are integers or none is, "
                "the multiplier takes one kind"
            )
        if any(t.bits > 16 for t in operands):
            raise ValueError(f"input_type {self.input_type}, weight_type {self.weight_type}: operands up to 16 bits")
        if all(integer) != (psum.family is Family.INTEGER):
            raise ValueError(f"psum_type {self.psum_type}: integer operands are summed as integers, others as floats")
        if all(integer) and psum.bits < self.input.bits + self.weight.bits:
            raise ValueError(
                f"psum_type {self.psum_type}: a product of {self.input_type} and {self.weight_type} needs "
                f"{self.input.bits + self.weight.bits} bits"
            )
        if not all(integer) and psum.name not in ("bf16", "fp16", "fp32"):
            raise ValueError(f"psum_type {self.psum_type}: allowed bf16, fp16, fp32 for these operands")
        if self.scale_type is None and (psum.family is not total.family or total.bits < psum.bits):
            raise ValueError(
                f"accumulation_type {self.accumulation_type}: allowed {psum.family} formats of at least "
                f"{psum.bits} bits, as psum_type is {self.psum_type}"
            )
        if self.scale_type is not None:
            raise ValueError(f"scale_type {self.scale_type}: block scales have no RTL in this version")
        if self.row_psum_widths and (not all(integer) or self.template is not Template.WEIGHT_STATIONARY):
            raise ValueError("row_psum_widths: integer partial sums of the weight_stationary template only")
        return self

    @property
    def input(self) -> ElementType:
        """Format of the first operand."""
        return element_type(self.input_type)

    @property
    def weight(self) -> ElementType:
        """Format of the second operand."""
        return element_type(self.weight_type)

    @property
    def psum(self) -> ElementType:
        """Format of the sums inside the array."""
        return element_type(self.psum_type)

    @property
    def accumulation(self) -> ElementType:
        """Format of the accumulation buffer."""
        return element_type(self.accumulation_type)

    @property
    def input_word_bits(self) -> int:
        """Bits of an input-buffer word."""
        return self.rows * self.input.bits

    @property
    def weight_word_bits(self) -> int:
        """Bits of a weight-buffer word."""
        return self.columns * self.weight.bits

    @property
    def accumulation_word_bits(self) -> int:
        """Bits of an accumulation-buffer word."""
        return self.columns * self.accumulation.bits

    @property
    def sram_bits(self) -> int:
        """Bits of all buffers, every bank counted."""
        accumulation_banks = 2 if self.double_buffered_accumulation else 1
        return (
            2 * self.input_buffer_depth * self.input_word_bits
            + 2 * self.weight_buffer_depth * self.weight_word_bits
            + accumulation_banks * self.accumulation_buffer_depth * self.accumulation_word_bits
        )


def load_config(path: Path) -> SystolicConfig:
    """Reads a configuration file.

    Raises:
        InputError: Naming file, line and key, the value and what is allowed.
    """
    return load_spec(SystolicConfig, path)


def make_config(**values: object) -> SystolicConfig:
    """Builds a configuration from keyword arguments, with errors in the library's words.

    Raises:
        InputError: A value or a combination that is not allowed.
    """
    try:
        return SystolicConfig.model_validate(values)
    except ValidationError as error:
        reasons = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'configuration'}: {e['msg']}" for e in error.errors())
        raise InputError(f"systolic configuration: {reasons}") from error

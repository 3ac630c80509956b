"""The configuration of a systolic accelerator: what RTL is generated from and what the cost model reads."""

from __future__ import annotations

from enum import StrEnum
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from accelgym.costmodels.datatypes import (
    Datatype,
    FloatFormat,
    FusedMultiplyAdd,
    Kind,
    PassAccumulator,
    get_datatype,
)
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.strict_model import StrictModel, load_spec
from accelgym.costmodels.systolic.format_limits import (
    TABLE_BITS,
    has_operand_decoder,
    has_scale_decoder,
    is_plain,
    widens,
)
from accelgym.costmodels.systolic.operand_types import OperandTypes, TypeNames, formats_of, names_of

__all__ = [
    "LANE_GROUP",
    "MAX_COLUMNS",
    "MAX_DEPTH",
    "MAX_ROWS",
    "SystolicConfig",
    "Template",
    "load_config",
    "make_config",
]

MAX_ROWS = 128
MAX_COLUMNS = 128
MAX_DEPTH = 65536
"""Largest sizes that are generated; the address of a buffer word has at most 16 bits."""
LANE_GROUP = 4
"""Rows or columns of the array that share a memory macro; the access moves on from macro to macro with the wavefront,
so that registers skew only the lanes of one macro."""


class Template(StrEnum):
    """Which operand stays in the processing elements."""

    WEIGHT_STATIONARY = "weight_stationary"
    """Rows reduce, columns are output channels; a weight block stays while pixels stream past it."""
    OUTPUT_STATIONARY = "output_stationary"
    """Rows are output pixels, columns output channels; a block of outputs stays while operands stream."""


Depth = Annotated[int, Field(ge=2, le=MAX_DEPTH)]
PortBits = Annotated[int, Field(ge=1, le=8192)]


def _default_psum(data: dict[str, Any]) -> str:
    """Returns ``int24`` for integers, wider where a product leaves less than 8 bits above it, else ``bf16``."""
    try:
        inputs, weights = formats_of(data["input_type"]), formats_of(data["weight_type"])
    except (KeyError, InputError):
        return "int24"  # The operand is refused elsewhere, with its own words.
    pairs = list(product(inputs, weights))
    fractions = {-x.quantum_exponent - w.quantum_exponent for x, w in pairs}
    if len(fractions) > 1 or not all(_is_integral(t) for t in (*inputs, *weights)):
        return "bf16"
    fraction = fractions.pop()
    return f"int{max(24, *(x.bits + w.bits + 8 for x, w in pairs))}" + (f"q{fraction}" if fraction else "")


def _is_integral(operand: Datatype) -> bool:
    return operand.kind is Kind.INTEGER or (operand.kind is Kind.CODEBOOK and operand.quantum_exponent == 0)


def _default_accumulation(data: dict[str, str | None]) -> str:
    """Returns the type of the partial sums, which for integers with block scales is ``bf16``."""
    psum = data.get("psum_type") or "int24"
    return "bf16" if data.get("scale_type") is not None and psum.startswith("int") else psum


def _default_block_size(data: dict[str, Any]) -> int | None:
    """Returns one pass through the array where there are block scales."""
    return None if data.get("scale_type") is None else data.get("rows")


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
    input_type: TypeNames = "int8"
    """Format of the inputs; a list: the formats that the hardware has decoders for and a layer chooses from at run
    time. The first one is that of the present layer (:meth:`with_types`); the order says nothing about the hardware."""
    weight_type: TypeNames = "int8"
    """Format of the weights, or a list as for the inputs; every pair of formats has to go with ``psum_type``."""
    scale_type: str | None = None
    """Format of block scales of inputs and weights."""
    block_size: int | None = Field(default_factory=_default_block_size)
    """Channels of one filter tap that share a scale: a multiple of ``rows``, which is the default with block scales."""
    psum_type: str = Field(default_factory=_default_psum)
    """Partial sums inside the array; integers wrap at this width, floats round once per multiply-add. By default
    ``int24`` (wider for integers of more than 8 bits) where all operands are integers, else ``bf16``."""
    accumulation_type: str = Field(default_factory=_default_accumulation)
    """Words of the accumulation buffer, and of the output. By default ``psum_type``; ``bf16`` for integer partial sums
    with block scales."""
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
    pe_pipeline: int = Field(default=1, ge=1, le=3)
    """1: product and sum in one cycle. 2: the product is registered. 3: so is the sum before it is rounded, in the
    accumulation, too (float sums of the weight_stationary template: there a row may take two cycles)."""
    row_psum_widths: bool = False
    """Rows near the top carry only as many partial-sum bits as they can fill (integers, weight stationary)."""
    technology: Literal["nand2"] = "nand2"
    """Cells of area and energy: our own NAND2 equivalents. Others come with ``--liberty`` of the commands."""
    clock_ghz: float = Field(default=1.0, gt=0.0, le=10.0)

    @model_validator(mode="after")
    def _has_rtl(self) -> SystolicConfig:
        # The types check each other; the messages name them.
        for x, w in product(self.inputs, self.weights):
            FusedMultiplyAdd(x, w, self.psum)
        multiply_add, _ = self.multiply_add, self.pass_accumulator
        for field, operands in (("input_type", self.inputs), ("weight_type", self.weights)):
            for operand in operands:
                if not has_operand_decoder(operand):
                    raise ValueError(
                        f"{field} {operand.name}: decoders exist for formats of up to {TABLE_BITS} bits, and for "
                        "signed integers and IEEE floats of up to 16 bits"
                    )
                operand.zero()  # Padding needs one.
        for field, result in (("psum_type", self.psum), ("accumulation_type", self.accumulation)):
            if not is_plain(result):
                raise ValueError(f"{field} {result.name}: sums are signed integers or IEEE floats with subnormals")
        if self.psum.kind is Kind.FLOAT and not widens(self.psum, self.accumulation):
            raise ValueError(
                f"accumulation_type {self.accumulation_type}: allowed are floats that hold every {self.psum_type}"
            )
        if self.scale_type is not None:
            if self.template is not Template.WEIGHT_STATIONARY:
                raise ValueError(
                    f"scale_type {self.scale_type}: block scales need the weight_stationary template, where all terms "
                    "of a pass are channels of one tap"
                )
            if self.accumulation.kind is not Kind.FLOAT:
                raise ValueError(f"scale_type {self.scale_type}: block scales need a float accumulation_type")
            scale = self.scale
            if not isinstance(scale, FloatFormat) or scale.bits > TABLE_BITS or not has_scale_decoder(scale):
                raise ValueError(
                    f"scale_type {self.scale_type}: allowed are e8m0, and float formats of up to {TABLE_BITS} bits "
                    "with subnormals and IEEE, fn or no specials"
                )
            if not widens(scale, self.accumulation):
                raise ValueError(
                    f"scale_type {self.scale_type}: accumulation_type {self.accumulation_type} does not hold every "
                    "scale"
                )
        if self.pe_pipeline > 2 and (multiply_add.is_integer or self.template is not Template.WEIGHT_STATIONARY):
            raise ValueError(f"pe_pipeline {self.pe_pipeline}: float psum_type and weight_stationary template only")
        if self.block_size is not None:
            if self.scale_type is None:
                raise ValueError(f"block_size {self.block_size}: only with a scale_type")
            if self.block_size < 1 or self.block_size % self.rows:
                raise ValueError(
                    f"block_size {self.block_size}: a pass of {self.rows} rows is scaled once, allowed are multiples "
                    f"of {self.rows}"
                )
        if self.row_psum_widths and not (multiply_add.is_integer and self.template is Template.WEIGHT_STATIONARY):
            raise ValueError("row_psum_widths: integer partial sums of the weight_stationary template only")
        return self

    def with_types(self, input: str | None = None, weight: str | None = None) -> SystolicConfig:
        """Returns the same accelerator with other formats for the present layer; None keeps one.

        Raises:
            InputError: The hardware has no such format.
        """
        chosen: dict[str, TypeNames] = {}
        for field, name, formats in (("input_type", input, self.inputs), ("weight_type", weight, self.weights)):
            if name is None:
                continue
            names = [datatype.name for datatype in formats]
            if name not in names:
                raise InputError(f"{field} {name!r} is not of this accelerator, allowed: {', '.join(names)}")
            others = [other for other in names if other != name]
            chosen[field] = (name, *others) if others else name
        return self.model_copy(update=chosen)

    def with_every_pair(self, types: OperandTypes) -> tuple[SystolicConfig, ...]:
        """Returns the accelerator with every pair of formats that ``types`` leaves open, the present ones first.

        Raises:
            InputError: The hardware has no such format.
        """
        inputs = names_of(self.input_type) if types.input is None else (types.input,)
        weights = names_of(self.weight_type) if types.weight is None else (types.weight,)
        return tuple(self.with_types(x, w) for x, w in product(inputs, weights))

    @property
    def inputs(self) -> tuple[Datatype, ...]:
        """Formats of the first operand in the order of their modes, whatever the present layer runs with."""
        return formats_of(self.input_type)

    @property
    def weights(self) -> tuple[Datatype, ...]:
        """Formats of the second operand in the order of their modes."""
        return formats_of(self.weight_type)

    @property
    def input(self) -> Datatype:
        """Format of the first operand, of the present layer."""
        return get_datatype(names_of(self.input_type)[0])

    @property
    def weight(self) -> Datatype:
        """Format of the second operand, of the present layer."""
        return get_datatype(names_of(self.weight_type)[0])

    @property
    def input_lane_bits(self) -> int:
        """Bits of an element in the input buffer: those of the widest format."""
        return max(datatype.bits for datatype in self.inputs)

    @property
    def weight_lane_bits(self) -> int:
        """Bits of an element in the weight buffer."""
        return max(datatype.bits for datatype in self.weights)

    @property
    def psum(self) -> Datatype:
        """Format of the sums inside the array."""
        return get_datatype(self.psum_type)

    @property
    def accumulation(self) -> Datatype:
        """Format of the accumulation buffer."""
        return get_datatype(self.accumulation_type)

    @property
    def scale(self) -> Datatype | None:
        """Format of the block scales."""
        return None if self.scale_type is None else get_datatype(self.scale_type)

    @property
    def scale_block_size(self) -> int:
        """Channels that share a scale; ``rows`` without a stated ``block_size``."""
        return self.rows if self.block_size is None else self.block_size

    @property
    def unit_scale(self) -> int:
        """Code of scale 1, which padding carries; 0 without block scales."""
        return 0 if self.scale is None else self.scale.encode_exact(1.0)

    @property
    def multiply_add(self) -> FusedMultiplyAdd:
        """Arithmetic of a processing element."""
        return FusedMultiplyAdd(self.input, self.weight, self.psum)

    @property
    def pass_accumulator(self) -> PassAccumulator:
        """Arithmetic of the accumulation buffer."""
        return PassAccumulator(self.psum, self.accumulation)

    @property
    def add_cycles(self) -> int:
        """Cycles of a rounded addition; those from one row of the array to the next, too."""
        return 2 if self.pe_pipeline > 2 else 1

    @property
    def scale_part_bits(self) -> int:
        """Bits of a block scale in a lane of a weight word: those of the narrowest weight format."""
        return min(datatype.bits for datatype in self.weights)

    @property
    def scale_words(self) -> int:
        """Weight-buffer words that the scales of one weight block take."""
        return 0 if self.scale is None else -(-self.scale.bits // self.scale_part_bits)

    @property
    def converts(self) -> bool:
        """Whether the result of a pass is scaled or changes its kind before it is accumulated."""
        return self.scale is not None or self.psum.kind is not self.accumulation.kind

    @property
    def input_word_bits(self) -> int:
        """Bits of an input-buffer word: a lane a row, and the scale of their block."""
        return self.rows * self.input_lane_bits + self._scale_bits

    @property
    def weight_word_bits(self) -> int:
        """Bits of a weight-buffer word: a lane a column."""
        return self.columns * self.weight_lane_bits

    @property
    def packed_input_bits(self) -> int:
        """Bits of an input word in memory: elements of the layer's format without gaps, and the scale."""
        return self.rows * self.input.bits + self._scale_bits

    @property
    def packed_weight_bits(self) -> int:
        """Bits of a weight word in memory."""
        return self.columns * self.weight.bits

    @property
    def _scale_bits(self) -> int:
        return 0 if self.scale is None else self.scale.bits

    @property
    def input_beats(self) -> int:
        """Cycles in which the input port takes a word of the layer's format."""
        return -(-self.packed_input_bits // self.input_port_bits)

    @property
    def weight_beats(self) -> int:
        """Cycles in which the weight port takes a word of the layer's format."""
        return -(-self.packed_weight_bits // self.weight_port_bits)

    @property
    def output_beats(self) -> int:
        """Cycles in which the output port takes a word."""
        return -(-self.accumulation_word_bits // self.output_port_bits)

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
        found = [e for e in error.errors() if e["type"] != "default_factory_not_called"]  # They follow from the others.
        reasons = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'configuration'}: {e['msg']}" for e in found)
        raise InputError(f"systolic configuration: {reasons}") from error

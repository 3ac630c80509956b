"""The Verilog of multiply-add and accumulation, which depends on the number formats."""

from __future__ import annotations

from accelgym.costmodels.datatypes import FloatFormat
from accelgym.costmodels.systolic.config import SystolicConfig
from accelgym.hwgen.operands import Operand, float_fields, operand

__all__ = ["accumulate_add", "arithmetic_leaves", "multiply_add", "operands"]


def operands(config: SystolicConfig) -> tuple[Operand, Operand]:
    """Returns how inputs and weights travel through the array."""
    integer = config.multiply_add.is_integer
    return operand(config.inputs, integer), operand(config.weights, integer)


def arithmetic_leaves(config: SystolicConfig) -> tuple[str, ...]:
    """Returns the hand-written modules that the arithmetic of a configuration uses."""
    names: set[str] = set()
    if config.multiply_add.is_integer:
        names |= {"mac_int", "resize_signed"}
    else:
        names |= {"multiply_exact", "add_round", "decode_float", "leading_zeros"}
    if not isinstance(config.accumulation, FloatFormat):
        return tuple(sorted(names))
    return tuple(sorted(names | {"add_round", "decode_float", "leading_zeros"}))


def _names(lane: Operand) -> str:
    return "/".join(decoder.datatype.name for decoder in lane.decoders)


def multiply_add(config: SystolicConfig) -> str:
    """Returns the multiply-add of a processing element."""
    x, w = operands(config)
    ports = f"""\
// The multiply-add of this configuration: {_names(x)} x {_names(w)} + {config.psum_type}.
`default_nettype none
module multiply_add #(
    parameter IN_BITS = {config.psum.bits},
    parameter OUT_BITS = {config.psum.bits}
) (
    input  wire                clk,
    input  wire [{x.lane_bits - 1}:0] x,
    input  wire [{w.lane_bits - 1}:0] w,
    input  wire [IN_BITS-1:0]  addend,   // one cycle later than x and w when the product is registered
    output wire [OUT_BITS-1:0] sum
);
"""
    if config.multiply_add.is_integer:
        body = f"""\
    mac_int #(
        .X_BITS({x.lane_bits}), .W_BITS({w.lane_bits}), .IN_BITS(IN_BITS), .OUT_BITS(OUT_BITS),
        .PIPELINE({config.pe_pipeline})
    ) mac (.clk(clk), .x(x), .w(w), .addend(addend), .sum(sum));
"""
    else:
        body = _float_multiply_add(config, x, w)
    return f"{ports}{body}endmodule\n`default_nettype wire\n"


def _split(name: str, lane: Operand) -> str:
    """Declares the parts of an operand and takes them from its lane word."""
    e, s = lane.exponent_bits, lane.significand_bits
    declare = f"""\
    wire {name}_negative, {name}_infinite, {name}_nan;
    wire [{e - 1}:0] {name}_exponent;
    wire [{s - 1}:0] {name}_significand;
"""
    if lane.code_format is None:
        parts = f"{name}_infinite, {name}_nan, {name}_negative, {name}_exponent, {name}_significand"
        return f"{declare}    assign {{{parts}}} = {name};\n"
    fields = float_fields(lane.code_format)
    assert fields is not None
    return f"""\
{declare}\
    decode_float #(
        .EXPONENT_BITS({fields[0]}), .MANTISSA_BITS({fields[1]}), .SPECIALS({fields[2]})
    ) decode_{name} (
        .code({name}), .negative({name}_negative), .exponent({name}_exponent), .significand({name}_significand),
        .infinite({name}_infinite), .nan({name}_nan)
    );
"""


def _float_multiply_add(config: SystolicConfig, x: Operand, w: Operand) -> str:
    psum = config.psum
    assert isinstance(psum, FloatFormat)
    exponent_bits = max(x.exponent_bits, w.exponent_bits) + 1
    significand_bits = x.significand_bits + w.significand_bits
    return f"""\
{_split("x", x)}{_split("w", w)}\
    wire negative, infinite, nan;
    wire [{exponent_bits - 1}:0] exponent;
    wire [{significand_bits - 1}:0] significand;
    multiply_exact #(
        .X_SIGNIFICAND({x.significand_bits}), .X_EXPONENT({x.exponent_bits}),
        .W_SIGNIFICAND({w.significand_bits}), .W_EXPONENT({w.exponent_bits}),
        .EXPONENT_BITS({exponent_bits}), .PIPELINE({min(config.pe_pipeline, 2)})
    ) multiplier (
        .clk(clk),
        .x_negative(x_negative), .x_infinite(x_infinite), .x_nan(x_nan),
        .x_exponent(x_exponent), .x_significand(x_significand),
        .w_negative(w_negative), .w_infinite(w_infinite), .w_nan(w_nan),
        .w_exponent(w_exponent), .w_significand(w_significand),
        .negative(negative), .infinite(infinite), .nan(nan), .exponent(exponent), .significand(significand)
    );
    add_round #(
        .SIGNIFICAND_BITS({significand_bits}), .EXACT_EXPONENT_BITS({exponent_bits}), .OFFSET({x.offset + w.offset}),
        .EXPONENT_BITS({psum.exponent_bits}), .MANTISSA_BITS({psum.mantissa_bits}), .STAGES({config.add_cycles})
    ) adder (
        .clk(clk), .negative(negative), .exponent(exponent), .significand(significand), .infinite(infinite), .nan(nan),
        .addend(addend), .sum(sum)
    );
"""


def accumulate_add(config: SystolicConfig) -> str:
    """Returns the addition of a pass result to the accumulation buffer."""
    total = config.accumulation
    term = total if config.converts else config.psum
    head = f"""\
// The addition of a pass result, {term.name}, to the accumulation buffer, {total.name}.
`default_nettype none
module accumulate_add (
    input  wire clk,
    input  wire first,
    input  wire [{total.bits - 1}:0] stored,
    input  wire [{term.bits - 1}:0] psum,
    output wire [{total.bits - 1}:0] sum
);
"""
    if not isinstance(total, FloatFormat):
        body = "    assign sum = first ? psum : stored + psum;\n    wire unused = clk;\n"
        return f"{head}{body}endmodule\n`default_nettype wire\n"
    assert isinstance(term, FloatFormat)
    e, m = term.exponent_bits, term.mantissa_bits
    return f"""\
{head}\
    wire negative, infinite, nan;
    wire [{e - 1}:0] exponent;
    wire [{m}:0] significand;
    decode_float #(.EXPONENT_BITS({e}), .MANTISSA_BITS({m}), .SPECIALS(1)) decode (
        .code(psum), .negative(negative), .exponent(exponent), .significand(significand),
        .infinite(infinite), .nan(nan)
    );
    // The first result is added to a zero of its own sign, which only widens it.
    add_round #(
        .SIGNIFICAND_BITS({m + 1}), .EXACT_EXPONENT_BITS({e}), .OFFSET({-term.exponent_bias - m}),
        .EXPONENT_BITS({total.exponent_bits}), .MANTISSA_BITS({total.mantissa_bits}), .STAGES({config.add_cycles})
    ) adder (
        .clk(clk), .negative(negative), .exponent(exponent), .significand(significand), .infinite(infinite), .nan(nan),
        .addend(first ? {{negative, {total.bits - 1}'d0}} : stored), .sum(sum)
    );
endmodule
`default_nettype wire
"""

"""The Verilog that scales the result of a pass and converts it to the accumulation type."""

from __future__ import annotations

from dataclasses import dataclass

from accelgym.costmodels.datatypes import FloatFormat
from accelgym.costmodels.datatypes.floats import Specials, Underflow
from accelgym.costmodels.systolic.config import SystolicConfig
from accelgym.hwgen.operands import SPECIALS

__all__ = ["conversion_leaves", "convert_result"]


_INTEGER_EXPONENT_BITS = 8
"""Of the constant exponent of an integer: wide enough for the adder to compare any width with any float."""


@dataclass(frozen=True)
class _Exact:
    """An exact number in Verilog: ``<name>_significand * 2**(<name>_exponent + offset)``, with sign and specials."""

    name: str
    exponent_bits: int
    significand_bits: int
    offset: int

    def declare(self) -> str:
        """Declares the wires of the number."""
        n = self.name
        return f"""\
    wire {n}_negative, {n}_infinite, {n}_nan;
    wire [{self.exponent_bits - 1}:0] {n}_exponent;
    wire [{self.significand_bits - 1}:0] {n}_significand;
"""

    def connect(self) -> str:
        """Connects them to the ports of the same names."""
        parts = ("negative", "exponent", "significand", "infinite", "nan")
        return ", ".join(f".{part}({self.name}_{part})" for part in parts)

    def connect_operand(self, port: str) -> str:
        """Connects them to the ports of an operand of ``multiply_exact``."""
        parts = ("negative", "infinite", "nan", "exponent", "significand")
        return ", ".join(f".{port}_{part}({self.name}_{part})" for part in parts)


def conversion_leaves(config: SystolicConfig) -> tuple[str, ...]:
    """Returns the hand-written modules that scaling and conversion use."""
    if not config.converts:
        return ()
    names = ["add_round", "decode_float", "leading_zeros"]
    if config.scale is not None:
        names += ["scale_row", "multiply_exact"]
        names += ["decode_exponent"] if _is_power_of_two(config.scale) else []
    return tuple(names)


def _is_power_of_two(scale: object) -> bool:
    return isinstance(scale, FloatFormat) and scale.underflow is Underflow.NORMAL


def convert_result(config: SystolicConfig) -> str:
    """Returns the module between array and accumulation: a result of a pass in, its term out two additions later.

    As ``PassAccumulator`` defines it: the result is rounded to the accumulation type, and so is the product of the
    two scales; then their product.
    """
    term, scale = config.accumulation, config.scale
    assert isinstance(term, FloatFormat)
    scale_bits = 1 if scale is None else scale.bits
    body = f"{_converted(config, term)}{_plain() if scale is None else _scaled(config, term)}"
    return f"""\
// The result of a pass, {config.psum_type}, as a term of the accumulation, {config.accumulation_type}.
`default_nettype none
module convert_result (
    input  wire clk,
    input  wire [{config.psum.bits - 1}:0] psum,
    input  wire [{scale_bits - 1}:0] x_scale,
    input  wire [{scale_bits - 1}:0] w_scale,
    output reg  [{term.bits - 1}:0] term
);
    wire [{term.bits - 1}:0] converted;
    reg [{term.bits - 1}:0] converted_q;
    always @(posedge clk) converted_q <= converted;
{body}endmodule
`default_nettype wire
"""


def _plain() -> str:
    return """\
    wire unused = &{1'b0, x_scale, w_scale};
    always @(posedge clk) term <= converted_q;
"""


def _converted(config: SystolicConfig, term: FloatFormat) -> str:
    psum = config.psum
    if psum == term:
        return f"""\
    delay_line #(.WIDTH({psum.bits}), .CYCLES({config.add_cycles - 1}), .RESET(0)) pass_on (
        .clk(clk), .rst(1'b0), .d(psum), .q(converted)
    );
"""
    if isinstance(psum, FloatFormat):
        text, exact = _decode("sum", "psum", psum)
        return text + _round(config, "converted", exact, term)
    exact = _Exact("sum", _INTEGER_EXPONENT_BITS, psum.bits, psum.quantum_exponent)
    magnitude = f"""\
    assign sum_negative = psum[{psum.bits - 1}];
    assign sum_significand = sum_negative ? -psum : psum;
    assign sum_exponent = {_INTEGER_EXPONENT_BITS}'d0;
    assign {{sum_infinite, sum_nan}} = 2'b00;
"""
    return exact.declare() + magnitude + _round(config, "converted", exact, term)


def _scaled(config: SystolicConfig, term: FloatFormat) -> str:
    scale = config.scale
    assert isinstance(scale, FloatFormat)
    x_text, x = _decode("x", "x_scale", scale)
    w_text, w = _decode("w", "w_scale", scale)
    scales_text, scales = _multiply("scales", x, w)
    left_text, left = _decode("left", "converted_q", term)
    right_text, right = _decode("right", "scale_q", term)
    whole_text, whole = _multiply("whole", left, right)
    return f"""\
    wire [{term.bits - 1}:0] scale, scaled;
    reg [{term.bits - 1}:0] scale_q;
    always @(posedge clk) begin
        scale_q <= scale;
        term <= scaled;
    end
{x_text}{w_text}{scales_text}{_round(config, "scale", scales, term)}\
{left_text}{right_text}{whole_text}{_round(config, "scaled", whole, term)}"""


def _decode(name: str, code: str, datatype: FloatFormat) -> tuple[str, _Exact]:
    """Takes a float code apart."""
    mantissa, bias = datatype.mantissa_bits, datatype.exponent_bias
    exact = _Exact(name, datatype.exponent_bits, mantissa + 1, -bias - mantissa)
    if _is_power_of_two(datatype):
        with_nan = int(datatype.specials is Specials.FN)
        return (
            f"""\
{exact.declare()}\
    decode_exponent #(.BITS({datatype.bits}), .WITH_NAN({with_nan})) decode_{name} (
        .code({code}), .exponent({name}_exponent), .nan({name}_nan)
    );
    assign {{{name}_negative, {name}_infinite, {name}_significand}} = 3'b001;
""",
            exact,
        )
    signed = code if datatype.signed else f"{{1'b0, {code}}}"
    return (
        f"""\
{exact.declare()}\
    decode_float #(
        .EXPONENT_BITS({datatype.exponent_bits}), .MANTISSA_BITS({mantissa}), .SPECIALS({SPECIALS[datatype.specials]})
    ) decode_{name} (.code({signed}), {exact.connect()});
""",
        exact,
    )


def _multiply(name: str, left: _Exact, right: _Exact) -> tuple[str, _Exact]:
    """Multiplies two numbers exactly."""
    bits = max(left.exponent_bits, right.exponent_bits) + 1
    exact = _Exact(name, bits, left.significand_bits + right.significand_bits, left.offset + right.offset)
    return (
        f"""\
{exact.declare()}\
    multiply_exact #(
        .X_SIGNIFICAND({left.significand_bits}), .X_EXPONENT({left.exponent_bits}),
        .W_SIGNIFICAND({right.significand_bits}), .W_EXPONENT({right.exponent_bits}), .EXPONENT_BITS({bits})
    ) multiply_{name} (
        .clk(clk), {left.connect_operand("x")},
        {right.connect_operand("w")},
        {exact.connect()}
    );
""",
        exact,
    )


def _round(config: SystolicConfig, target: str, exact: _Exact, datatype: FloatFormat) -> str:
    """Rounds a number to a code: adds a zero of its own sign."""
    return f"""\
    add_round #(
        .SIGNIFICAND_BITS({exact.significand_bits}), .EXACT_EXPONENT_BITS({exact.exponent_bits}),
        .OFFSET({exact.offset}), .EXPONENT_BITS({datatype.exponent_bits}), .MANTISSA_BITS({datatype.mantissa_bits}),
        .STAGES({config.add_cycles})
    ) round_{target} (
        .clk(clk), {exact.connect()},
        .addend({{{exact.name}_negative, {datatype.bits - 1}'d0}}), .sum({target})
    );
"""

"""From a configuration to Verilog: the leaf modules it needs and a generated top."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from accelgym.costmodels.systolic.config import LANE_GROUP, SystolicConfig, Template
from accelgym.costmodels.systolic.memories import address_bits
from accelgym.hwgen.arithmetic_rtl import (
    accumulate_add,
    arithmetic_leaves,
    multiply_add,
    operands,
)
from accelgym.hwgen.cache import content_key
from accelgym.hwgen.conversion_rtl import conversion_leaves, convert_result
from accelgym.hwgen.decoder_rtl import mode_bits, operand_decoder

__all__ = ["TOP", "Rtl", "emit", "emit_multiply_add", "parameters"]

TOP = "generated"
"""Name of the generated top module."""

_RTL = Path(__file__).resolve().parent / "rtl"
_COMMON = (
    "accelerator",
    "accumulator",
    "accumulator_group",
    "affine_address",
    "bank_memory",
    "banked_accumulation_memory",
    "carry_select_adder",
    "config_bank",
    "convert_row",
    "cyclic_counter",
    "delay_line",
    "loop_nest",
    "operand_buffer",
    "operand_window",
    "output_drain",
    "pass_streamer",
    "resize_signed",
    "tile_loader",
    "token_counter",
    "vector_unit",
)
_TEMPLATE = {
    Template.WEIGHT_STATIONARY: ("array_weight_stationary", "pe_weight_stationary", "weight_feeder"),
    Template.OUTPUT_STATIONARY: ("array_output_stationary", "pe_output_stationary"),
}


@dataclass(frozen=True)
class Rtl:
    """The Verilog of one configuration."""

    files: dict[str, str]
    """Text by file name; ``generated.v`` holds the top."""

    @property
    def digest(self) -> str:
        """SHA-256 of names and texts."""
        return content_key(*(part for name in sorted(self.files) for part in (name, self.files[name])))

    def write(self, folder: Path) -> list[str]:
        """Writes the files into a folder and returns their names."""
        for name, text in self.files.items():
            (folder / name).write_text(text)
        return list(self.files)


@cache
def _leaf(name: str) -> str:
    return (_RTL / f"{name}.v").read_text()


def parameters(config: SystolicConfig) -> dict[str, int]:
    """Returns the parameters of the module ``accelerator`` that are numbers."""
    x, w = operands(config)
    return {
        "OUTPUT_STATIONARY": int(config.template is Template.OUTPUT_STATIONARY),
        "ROWS": config.rows,
        "COLUMNS": config.columns,
        "X_BITS": config.input_lane_bits,
        "W_BITS": config.weight_lane_bits,
        "X_TYPES": len(config.inputs),
        "W_TYPES": len(config.weights),
        "X_LANE_BITS": x.lane_bits,
        "W_LANE_BITS": w.lane_bits,
        "PRODUCT_BITS": x.lane_bits + w.lane_bits,
        "PSUM_BITS": config.psum.bits,
        "ACCUMULATION_BITS": config.accumulation.bits,
        "CONVERT": int(config.converts),
        "TERM_BITS": config.accumulation.bits if config.converts else config.psum.bits,
        "SCALED": int(config.scale is not None),
        "SCALE_BITS": 1 if config.scale is None else config.scale.bits,
        "SCALE_WORDS": config.scale_words,
        "SCALE_PART_BITS": config.scale_part_bits,
        "SCALE_ONE": config.unit_scale,
        "PIPELINE": config.pe_pipeline,
        "ADD_CYCLES": config.add_cycles,
        "GROWING": int(config.row_psum_widths),
        "INPUT_ADDR_BITS": int(address_bits(config.input_buffer_depth)),
        "WEIGHT_ADDR_BITS": int(address_bits(config.weight_buffer_depth)),
        "ACCUMULATION_ADDR_BITS": int(address_bits(config.accumulation_buffer_depth)),
        "ACCUMULATION_BANK_BITS": int(config.double_buffered_accumulation),
        "INPUT_PORT_BITS": config.input_port_bits,
        "WEIGHT_PORT_BITS": config.weight_port_bits,
        "OUTPUT_PORT_BITS": config.output_port_bits,
        "MEMORY_LATENCY": config.memory_latency,
        "LANE_GROUP": LANE_GROUP,
    }


def emit(config: SystolicConfig) -> Rtl:
    """Generates the Verilog of a configuration."""
    names = {*_COMMON, *_TEMPLATE[config.template], *arithmetic_leaves(config), *conversion_leaves(config)}
    if max(len(config.inputs), len(config.weights)) > 1:
        names.add("unpack_word")
    files = {f"{name}.v": _leaf(name) for name in sorted(names)}
    x, w = operands(config)
    files["multiply_add.v"] = multiply_add(config)
    files["accumulate_add.v"] = accumulate_add(config)
    if config.converts:
        files["convert_result.v"] = convert_result(config)
    files["input_decoder.v"] = operand_decoder("input_decoder", x)
    files["weight_decoder.v"] = operand_decoder("weight_decoder", w)
    files[f"{TOP}.v"] = _top(config)
    return Rtl(files)


def emit_multiply_add(config: SystolicConfig) -> dict[str, str]:
    """Generates the multiply-add of a processing element with its decoders, on stored codes, as a top of its own.

    The decoders work in the mode of the formats at hand; codes have the bits of the widest ones.
    """
    x, w = operands(config)
    x_mode, w_mode = (
        f"{mode_bits(len(formats))}'d{formats.index(chosen)}"
        for formats, chosen in ((config.inputs, config.input), (config.weights, config.weight))
    )
    files = {f"{name}.v": _leaf(name) for name in arithmetic_leaves(config)}
    files["multiply_add.v"] = multiply_add(config)
    files["input_decoder.v"] = operand_decoder("input_decoder", x)
    files["weight_decoder.v"] = operand_decoder("weight_decoder", w)
    files[f"{TOP}.v"] = f"""\
`default_nettype none
module {TOP} (
    input  wire clk,
    input  wire [{config.input_lane_bits - 1}:0] x,
    input  wire [{config.weight_lane_bits - 1}:0] w,
    input  wire [{config.psum.bits - 1}:0] addend,
    output wire [{config.psum.bits - 1}:0] sum
);
    wire [{x.lane_bits - 1}:0] x_lane;
    wire [{w.lane_bits - 1}:0] w_lane;
    input_decoder decode_x (.mode({x_mode}), .code(x), .lane(x_lane));
    weight_decoder decode_w (.mode({w_mode}), .code(w), .lane(w_lane));
    multiply_add mac (.clk(clk), .x(x_lane), .w(w_lane), .addend(addend), .sum(sum));
endmodule
`default_nettype wire
"""
    return files


def _by_format(values: Sequence[int], bits: int) -> str:
    """Writes a parameter with an entry for every format, the first one lowest."""
    entries = ", ".join(f"{bits}'d{value}" for value in reversed(values))
    return f"{{{entries}}}"


def _top(config: SystolicConfig) -> str:
    values = {
        **parameters(config),
        "X_TYPE_BITS": _by_format([datatype.bits for datatype in config.inputs], 32),
        "W_TYPE_BITS": _by_format([datatype.bits for datatype in config.weights], 32),
        "X_ZERO": _by_format([datatype.zero() for datatype in config.inputs], config.input_lane_bits),
    }
    inputs, weights = ("/".join(t.name for t in formats) for formats in (config.inputs, config.weights))
    settings = ",\n".join(f"        .{name}({value})" for name, value in values.items())
    ports = [
        ("input ", 1, "clk"),
        ("input ", 1, "rst"),
        ("input ", 1, "start"),
        ("output", 1, "done"),
        ("input ", 1, "config_write"),
        ("input ", 10, "config_address"),
        ("input ", 32, "config_data"),
        ("output", 1, "input_read"),
        ("output", 32, "input_addr"),
        ("input ", config.input_port_bits, "input_data"),
        ("output", 1, "weight_read"),
        ("output", 32, "weight_addr"),
        ("input ", config.weight_port_bits, "weight_data"),
        ("output", 1, "output_write"),
        ("output", 32, "output_addr"),
        ("output", config.output_port_bits, "output_data"),
    ]
    traced = [
        ("output", 1, "trace_step"),
        ("output", config.rows * config.columns * config.psum.bits, "trace_psum"),
    ]

    def declare(port: tuple[str, int, str]) -> str:
        direction, bits, name = port
        return f"    {direction} wire {f'[{bits - 1}:0] ' if bits > 1 else ''}{name}"

    declared = ",\n".join(map(declare, ports))
    connected = ",\n".join(f"        .{name}({name})" for _, _, name in ports)
    trace_declared = "\n".join(f"    , {declare(port).strip()}" for port in traced)
    trace_connected = "\n".join(f"        , .{name}({name})" for _, _, name in traced)
    return f"""\
// {config.rows} x {config.columns} {config.template.value} array, {inputs} x {weights}.
`default_nettype none
module {TOP} (
{declared}
`ifdef PSUM_TRACE
{trace_declared}
`endif
);
    accelerator #(
{settings}
    ) accelerator (
{connected}
`ifdef PSUM_TRACE
{trace_connected}
`endif
    );
endmodule
`default_nettype wire
"""

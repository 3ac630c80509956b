"""From a configuration to Verilog: the leaf modules it needs and a generated top."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from accelgym.costmodels.systolic.config import SystolicConfig, Template
from accelgym.costmodels.systolic.element_types import Family

__all__ = ["TOP", "Rtl", "emit", "parameters"]

TOP = "generated"
"""Name of the generated top module."""

_RTL = Path(__file__).resolve().parent / "rtl"
_COMMON = (
    "accelerator",
    "accumulator",
    "affine_address",
    "bank_memory",
    "banked_accumulation_memory",
    "config_bank",
    "cyclic_counter",
    "delay_line",
    "loop_nest",
    "operand_window",
    "output_drain",
    "pass_streamer",
    "resize_signed",
    "tile_loader",
    "token_counter",
    "triangle_delay",
    "vector_unit",
)
_TEMPLATE = {
    Template.WEIGHT_STATIONARY: ("array_weight_stationary", "pe_weight_stationary", "weight_feeder"),
    Template.OUTPUT_STATIONARY: ("array_output_stationary", "pe_output_stationary"),
}
_ARITHMETIC = {Family.INTEGER: ("mac_int",)}


@dataclass(frozen=True)
class Rtl:
    """The Verilog of one configuration."""

    files: dict[str, str]
    """Text by file name; ``generated.v`` holds the top."""

    def write(self, folder: Path) -> list[str]:
        """Writes the files into a folder and returns their names."""
        for name, text in self.files.items():
            (folder / name).write_text(text)
        return list(self.files)


@cache
def _leaf(name: str) -> str:
    return (_RTL / f"{name}.v").read_text()


def _address_bits(depth: int) -> int:
    return max((depth - 1).bit_length(), 1)


def parameters(config: SystolicConfig) -> dict[str, int]:
    """Returns the parameters of the module ``accelerator``."""
    return {
        "OUTPUT_STATIONARY": int(config.template is Template.OUTPUT_STATIONARY),
        "ROWS": config.rows,
        "COLUMNS": config.columns,
        "X_BITS": config.input.bits,
        "W_BITS": config.weight.bits,
        "PSUM_BITS": config.psum.bits,
        "ACCUMULATION_BITS": config.accumulation.bits,
        "PIPELINE": config.pe_pipeline,
        "GROWING": int(config.row_psum_widths),
        "INPUT_ADDR_BITS": _address_bits(config.input_buffer_depth),
        "WEIGHT_ADDR_BITS": _address_bits(config.weight_buffer_depth),
        "ACCUMULATION_ADDR_BITS": _address_bits(config.accumulation_buffer_depth),
        "ACCUMULATION_BANK_BITS": int(config.double_buffered_accumulation),
        "INPUT_PORT_BITS": config.input_port_bits,
        "WEIGHT_PORT_BITS": config.weight_port_bits,
        "OUTPUT_PORT_BITS": config.output_port_bits,
        "MEMORY_LATENCY": config.memory_latency,
    }


def emit(config: SystolicConfig) -> Rtl:
    """Generates the Verilog of a configuration."""
    names = (*_COMMON, *_TEMPLATE[config.template], *_ARITHMETIC[config.input.family])
    files = {f"{name}.v": _leaf(name) for name in sorted(names)}
    files["multiply_add.v"] = _multiply_add(config)
    files["accumulate_add.v"] = _accumulate_add(config)
    files[f"{TOP}.v"] = _top(config)
    return Rtl(files)


def _multiply_add(config: SystolicConfig) -> str:
    return f"""\
// The multiply-add of this configuration: {config.input_type} x {config.weight_type} + {config.psum_type}.
`default_nettype none
module multiply_add #(
    parameter IN_BITS = {config.psum.bits},
    parameter OUT_BITS = {config.psum.bits}
) (
    input  wire                clk,
    input  wire [{config.input.bits - 1}:0] x,
    input  wire [{config.weight.bits - 1}:0] w,
    input  wire [IN_BITS-1:0]  addend,
    output wire [OUT_BITS-1:0] sum
);
    mac_int #(
        .X_BITS({config.input.bits}), .W_BITS({config.weight.bits}), .IN_BITS(IN_BITS), .OUT_BITS(OUT_BITS),
        .PIPELINE({config.pe_pipeline})
    ) mac (.clk(clk), .x(x), .w(w), .addend(addend), .sum(sum));
endmodule
`default_nettype wire
"""


def _accumulate_add(config: SystolicConfig) -> str:
    psum, total = config.psum.bits, config.accumulation.bits
    return f"""\
// The addition of a pass result, {config.psum_type}, to the accumulation buffer, {config.accumulation_type}.
`default_nettype none
module accumulate_add (
    input  wire first,
    input  wire [{total - 1}:0] stored,
    input  wire [{psum - 1}:0] psum,
    output wire [{total - 1}:0] sum
);
    wire [{total - 1}:0] extended;
    resize_signed #(.IN_BITS({psum}), .OUT_BITS({total})) extend (.d(psum), .q(extended));
    assign sum = first ? extended : stored + extended;
endmodule
`default_nettype wire
"""


def _top(config: SystolicConfig) -> str:
    values = parameters(config)
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
// {config.rows} x {config.columns} {config.template.value} array, {config.input_type} x {config.weight_type}.
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

"""Random accelerators, layers and tilings for verification sweeps: small, and full of corner cases."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from accelgym.costmodels.datatypes import Kind, get_datatype
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.systolic.columns import Hardware, LayerColumns
from accelgym.costmodels.systolic.config import SystolicConfig, Template, make_config
from accelgym.costmodels.systolic.scheduler import Tiling, candidate_tilings
from accelgym.costmodels.systolic.tiling import tile_terms
from accelgym.costmodels.workloads.layer import Layer, LayerKind

__all__ = ["OPERAND_TYPES", "draw_config", "draw_layers", "draw_tiling"]

OPERAND_TYPES = (
    *("int2", "int3", "int4", "int5", "int6", "int8", "int12", "int16", "uint4", "uint8"),
    *("e4m3", "e4m3fn", "e5m2", "e3m4", "e2m3", "e3m2", "e2m1", "bf16", "fp16"),
    *("posit8_1", "posit8_1_flush", "posit6_1", "nf4", "nf4_int6", "fp4_er_pos", "fp3_ea_neg"),
)
"""Formats of operands that a sweep covers."""

_SCALE_TYPES = ("e8m0", "e5m3")
_FLOAT_SUMS = ("bf16", "fp16", "fp32")
_INTEGER_BITS = (12, 16, 20, 24, 32, 40)
_ATTEMPTS = 200


def _one(generator: np.random.Generator, choices: tuple[str, ...]) -> str:
    return choices[int(generator.integers(len(choices)))]


def _between(generator: np.random.Generator, low: int, high: int) -> int:
    return int(generator.integers(low, high + 1))


def _sums(generator: np.random.Generator, input_type: str, weight_type: str) -> tuple[str, str]:
    """Draws the types of partial sums and accumulation; they may not go with the operands."""
    quantum = -(get_datatype(input_type).quantum_exponent + get_datatype(weight_type).quantum_exponent)
    bits = _INTEGER_BITS[int(generator.integers(len(_INTEGER_BITS)))]
    exact = get_datatype(input_type).kind is Kind.INTEGER and get_datatype(weight_type).kind is Kind.INTEGER
    if generator.random() < (0.8 if exact else 0.3):
        psum = f"int{bits}q{quantum}" if quantum else f"int{bits}"
        return psum, psum if generator.random() < 0.7 else _one(generator, _FLOAT_SUMS)
    psum = _one(generator, _FLOAT_SUMS)
    return psum, psum if generator.random() < 0.6 else "fp32"


def _with_others(generator: np.random.Generator, name: str) -> str | tuple[str, ...]:
    """Sometimes adds one or two formats among which layers choose at run time, half of the time of the same kind."""
    if generator.random() < 0.7:
        return name
    kin = tuple(other for other in OPERAND_TYPES if get_datatype(other).kind is get_datatype(name).kind)
    choices = kin if generator.random() < 0.5 else OPERAND_TYPES
    return tuple(dict.fromkeys([name, *(_one(generator, choices) for _ in range(_between(generator, 1, 2)))]))


def draw_config(
    generator: np.random.Generator,
    largest: int = 8,
    *,
    template: Template | None = None,
    input_type: str | None = None,
    scaled: bool | None = None,
) -> SystolicConfig:
    """Draws a configuration, in some of which operands have several formats.

    Args:
        generator: Source of randomness.
        largest: Most rows, and most columns.
        template: A given template; any when None.
        input_type: A given type of the inputs, the first one where there are several; any of :data:`OPERAND_TYPES`
            when None.
        scaled: Whether operands have block scales; either when None.

    Raises:
        InputError: No configuration with the given type was found.
    """
    for _ in range(_ATTEMPTS):
        x = input_type or _one(generator, OPERAND_TYPES)
        w = x if generator.random() < 0.5 else _one(generator, OPERAND_TYPES)
        psum, accumulation = _sums(generator, x, w)
        scales = generator.random() < 0.2 if scaled is None else scaled
        rows = _between(generator, 1, largest)
        kind = template or (Template.WEIGHT_STATIONARY, Template.OUTPUT_STATIONARY)[int(generator.random() < 0.4)]
        try:
            return make_config(
                rows=rows,
                columns=_between(generator, 1, largest),
                template=kind.value,
                input_type=_with_others(generator, x),
                weight_type=_with_others(generator, w),
                psum_type=psum,
                accumulation_type=accumulation,
                scale_type=_one(generator, _SCALE_TYPES) if scales else None,
                block_size=rows * _between(generator, 1, 3) if scales else None,
                input_buffer_depth=_between(generator, 16, 256),
                weight_buffer_depth=_between(generator, 4 * largest, 256),
                accumulation_buffer_depth=_between(generator, 16, 256),
                double_buffered_accumulation=bool(generator.integers(2)),
                input_port_bits=_between(generator, 5, 100),
                weight_port_bits=_between(generator, 5, 100),
                output_port_bits=_between(generator, 5, 200),
                memory_latency=_between(generator, 1, 12),
                pe_pipeline=_between(generator, 1, 3),
                row_psum_widths=bool(generator.random() < 0.3),
            )
        except InputError:
            continue  # Types that do not go together; drawing again is simpler than stating all rules twice.
    raise InputError(f"no configuration found with input_type {input_type!r}")


def draw_layers(generator: np.random.Generator) -> tuple[Layer, ...]:
    """Draws a convolution with padding, stride and dilation, a grouped one, and a batched matrix product."""
    pairs = [(_between(generator, 1, 3), _between(generator, 1, 3)) for _ in range(3)]
    kernel = (_between(generator, 1, 3), _between(generator, 1, 3))
    out = (_between(generator, 4, 7), _between(generator, 4, 7))
    padding = (_between(generator, 0, kernel[0] - 1), _between(generator, 0, kernel[1] - 1))
    groups = _between(generator, 1, 4)
    return (
        Layer(
            "conv",
            LayerKind.CONV,
            N=_between(generator, 1, 2),
            K=_between(generator, 1, 12),
            C=_between(generator, 1, 12),
            P=out[0],
            Q=out[1],
            R=kernel[0],
            S=kernel[1],
            stride=pairs[0],
            padding=padding,
            dilation=pairs[1],
        ),
        Layer("grouped", LayerKind.CONV, K=2 * groups, C=groups, P=5, Q=4, R=2, S=3, groups=groups, stride=pairs[2]),
        Layer.gemm(
            "product",
            M=_between(generator, 1, 20),
            K=_between(generator, 1, 20),
            C=_between(generator, 1, 30),
            batch=_between(generator, 1, 3),
        ),
    )


def draw_tiling(generator: np.random.Generator, config: SystolicConfig, layer: Layer) -> Tiling | None:
    """Draws one of the tilings that fit the buffers; None when there is none."""
    tilings = candidate_tilings(config, layer)
    fitting = np.flatnonzero(tile_terms(Hardware.of([config]), LayerColumns.of([layer]), tilings).valid)
    if fitting.size == 0:
        return None
    chosen = fitting[int(generator.integers(fitting.size))]
    return Tiling(*(getattr(tilings, field.name)[chosen].item() for field in fields(Tiling)))

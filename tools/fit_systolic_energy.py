"""Fits ``costmodels/systolic/data/energy_nand2.yaml`` to gate-level toggles: ``python tools/fit_systolic_energy.py``.

Takes about a quarter of an hour with an empty cache; an interrupted run goes on where it stopped. Prints what it
writes and the error on every layer held out. Schedules read the table, too: empty its ``kinds`` when its terms change.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import yaml

from accelgym.costmodels.systolic.columns import Hardware, LayerColumns
from accelgym.costmodels.systolic.config import SystolicConfig, Template, make_config
from accelgym.costmodels.systolic.energy import EnergyLaw
from accelgym.costmodels.systolic.energy_table import (
    CONTROL_TERMS,
    DRAIN_TERMS,
    ELEMENT_TERMS,
    FLIP_FLOP_TERMS,
    LANE_TERMS,
    LOADING_TERMS,
    EnergyKind,
    EnergyTable,
    data_path,
    element_events,
    flip_flop_counts,
    lane_events,
    switching_events,
)
from accelgym.costmodels.systolic.format_kinds import FORMATS, format_key
from accelgym.costmodels.systolic.scheduler import Tiling
from accelgym.costmodels.systolic.tiling import tile_terms
from accelgym.costmodels.systolic.traffic import Traffic, traffic
from accelgym.costmodels.workloads.layer import Layer
from accelgym.hwgen.gates.energy import EnergyRecord, LayerEnergy, measure_energy

Floats = npt.NDArray[np.float64]

_DEPTHS = {f"{name}_buffer_depth": 64 for name in ("input", "weight", "accumulation")}
_LAYERS: dict[Template, tuple[tuple[Layer, Tiling], ...]] = {
    Template.WEIGHT_STATIONARY: (
        (Layer.gemm("many_pixels", M=48, K=8, C=16), Tiling(p1=24, q1=1, k1=1, c1=2)),
        (Layer.gemm("few_pixels", M=8, K=16, C=16), Tiling(p1=4, q1=1, k1=2, c1=2)),
        (Layer.gemm("one_pixel", M=1, K=16, C=16), Tiling(p1=1, q1=1, k1=2, c1=2)),
        (Layer.gemm("padded_rows", M=48, K=16, C=3), Tiling(p1=24, q1=1, k1=2, c1=1)),
        (Layer.gemm("padded_columns", M=48, K=3, C=16), Tiling(p1=24, q1=1, k1=1, c1=2)),
        (Layer.conv("window", K=8, C=8, H=6, R=3, padding=1), Tiling(p1=2, q1=6, k1=1, c1=1, r1=3, s1=1)),
    ),
    Template.OUTPUT_STATIONARY: (
        (Layer.gemm("long_sums", M=16, K=16, C=60), Tiling(p1=1, q1=1, k1=1, c1=60)),
        (Layer.gemm("short_sums", M=32, K=16, C=8), Tiling(p1=2, q1=1, k1=2, c1=8)),
        (Layer.gemm("parts_of_sums", M=16, K=16, C=24), Tiling(p1=1, q1=1, k1=1, c1=4)),
        (Layer.gemm("padded_rows", M=3, K=32, C=24), Tiling(p1=1, q1=1, k1=2, c1=24)),
        (Layer.gemm("padded_columns", M=32, K=3, C=24), Tiling(p1=2, q1=1, k1=1, c1=24)),
        (Layer.conv("window", K=8, C=8, H=6, R=3, padding=1), Tiling(p1=1, q1=1, k1=1, c1=36)),
    ),
}
"""Many and few steps to a pass, which is what separates multiply-adds from hops; high and low utilisation."""
KIND_SHAPES = ((4, 4), (8, 2))
"""Rows and columns in which every kind is measured."""
SHAPES: tuple[tuple[str, dict[str, object]], ...] = (
    ("int8", {"rows": 8, "columns": 4, "input_port_bits": 32, "weight_port_bits": 16, "memory_latency": 4}),
    ("e4m3", {"rows": 4, "columns": 8, "double_buffered_accumulation": False, "weight_buffer_depth": 512}),
    ("int4", {"rows": 8, "columns": 8, "output_port_bits": 256, "input_buffer_depth": 256, "memory_latency": 16}),
)
"""Fitted besides :data:`KIND_SHAPES` of every kind, with both templates."""
HELD_OUT: tuple[tuple[str, dict[str, object]], ...] = (
    ("int8", {"rows": 8, "columns": 8, "input_buffer_depth": 256}),
    ("bf16", {"rows": 6, "columns": 5, "output_port_bits": 128}),
    ("w4a8", {"rows": 5, "columns": 8, "memory_latency": 12, "accumulation_buffer_depth": 256}),
    ("posit8", {"rows": 8, "columns": 6, "input_port_bits": 16}),
    ("e4m3", {"rows": 7, "columns": 7, "double_buffered_accumulation": False, "weight_port_bits": 128}),
)
HELD_OUT_LAYERS = (
    Layer.gemm("product", M=40, K=24, C=20),
    Layer.conv("filter", K=10, C=12, H=5, R=3, padding=1),
    Layer.gemm("vector", M=3, K=20, C=40),
    Layer.gemm("narrow", M=20, K=3, C=30),
)
ZEROS = 0.5


@dataclass(frozen=True)
class Sample:
    """A layer that was measured."""

    config: SystolicConfig
    moved: Traffic
    measured: LayerEnergy

    def logic(self, *names: str) -> float:
        """Returns the switching of the modules that begin with one of the names, pJ."""
        modules = self.measured.modules
        return sum(m.switching_pj for m in modules if m.module.startswith(names))


def _fitted(config: SystolicConfig) -> list[Sample]:
    layers, tilings = zip(*_LAYERS[config.template], strict=True)
    return _samples(config, layers, tilings=tilings)


def _samples(
    config: SystolicConfig, layers: Sequence[Layer], zeros: float = 0.0, tilings: Sequence[Tiling] | None = None
) -> list[Sample]:
    record: EnergyRecord = measure_energy(config, layers, zeros=zeros, tilings=tilings)
    if not record.exact:
        raise SystemExit(f"gates differ from golden or model: {config}")
    found = []
    for layer, measured in zip(layers, record.layers, strict=True):
        terms = tile_terms(Hardware.of([config]), LayerColumns.of([layer]), Tiling(**measured.tiling).arrays())
        found.append(Sample(config, traffic(Hardware.of([config]), terms), measured))
    return found


def configurations(chosen: tuple[tuple[str, dict[str, object]], ...]) -> list[SystolicConfig]:
    """Builds configurations of :data:`SHAPES` or :data:`HELD_OUT`, with both templates."""
    return [
        make_config(template=template.value, **{**_DEPTHS, **FORMATS[types], **shape})
        for template in Template
        for types, shape in chosen
    ]


def _solve(rows: Floats, truth: Floats) -> Floats:
    """Returns coefficients of least relative squares; terms that come out negative are left out, one after another."""
    used = np.flatnonzero(np.abs(rows).sum(axis=0) > 0)
    solution = np.zeros(rows.shape[1])
    while used.size:
        scale = np.abs(rows[:, used]).max(axis=0)
        found = np.linalg.lstsq(rows[:, used] / scale / truth[:, None], np.ones(len(truth)), rcond=None)[0] / scale
        if (found >= 0).all():
            solution[used] = found
            break
        used = np.delete(used, int(np.argmin(found * scale)))
    return solution


_PE = "pe_"
_ACCUMULATION = ("accumulator_group", "accumulate_add", "convert_result")


def _of_array(sample: Sample) -> float:
    """Switching between operand buffers and processing elements."""
    return sum(m.switching_pj for m in sample.measured.modules if m.part == "array" and not m.module.startswith(_PE))


_LOADING, _DRAIN = ("tile_loader",), ("output_drain", "vector_unit")


def _of_control(sample: Sample) -> float:
    """Switching of everything that no kind has a coefficient for, without loaders, drain and vector unit."""
    named = (*_ACCUMULATION, *_LOADING, *_DRAIN)
    return sum(m.switching_pj for m in sample.measured.modules if m.part != "array" and not m.module.startswith(named))


def _kind(samples: list[Sample]) -> EnergyKind:
    config = samples[0].config
    elements = [[float(element_events(s.config, s.moved)[t][0]) for t in ELEMENT_TERMS] for s in samples]
    lanes = [{t: float(v[0]) for t, v in lane_events(s.config, s.moved).items()} for s in samples]
    fed = np.array([[row["input_word"], row["weight_word"]] for row in lanes])
    accumulated = np.array([[row["accumulation"]] for row in lanes])
    element = _solve(np.array(elements), np.array([s.logic(_PE) for s in samples]))
    feeding = _solve(fed, np.array([_of_array(s) for s in samples]))
    accumulation = _solve(accumulated, np.array([s.logic(*_ACCUMULATION) for s in samples]))
    placed = np.array([[s.config.rows * s.config.columns, -s.config.columns] for s in samples])
    counted = [sum(m.flip_flops for m in s.measured.modules if m.module.startswith(_PE)) for s in samples]
    flip_flops, fewer = np.linalg.lstsq(placed, np.array(counted), rcond=None)[0]
    template, *types, pipeline = format_key(config)
    names = ("input_type", "weight_type", "psum_type", "accumulation_type")
    return EnergyKind(
        template=template,
        **dict(zip(names, types, strict=True)),
        pe_pipeline=pipeline,
        flip_flops=round(flip_flops),
        last_row_flip_flops=round(fewer),
        elements=_named(ELEMENT_TERMS, element),
        lanes=_named(LANE_TERMS, np.array([*feeding, *accumulation])),
    )


def _named(names: tuple[str, ...], values: Floats) -> dict[str, float]:
    return {name: float(f"{value:.5g}") for name, value in zip(names, values, strict=True)}


def _switching(samples: list[Sample]) -> dict[str, float]:
    counts = [
        {name: float(v[0]) for name, v in switching_events(s.config, s.moved).items()} | {"cycles": s.measured.cycles}
        for s in samples
    ]

    def solved(terms: tuple[str, ...], truth: list[float]) -> dict[str, float]:
        rows = np.array([[count[term] for term in terms] for count in counts], dtype=np.float64)
        return _named(terms, _solve(rows, np.array(truth)))

    return {
        **solved(LOADING_TERMS, [s.logic(*_LOADING) for s in samples]),
        **solved(DRAIN_TERMS, [s.logic(*_DRAIN) for s in samples]),
        **solved(CONTROL_TERMS, [_of_control(s) for s in samples]),
    }


def _flip_flops(samples: list[Sample]) -> dict[str, float]:
    rows = [list(flip_flop_counts(s.config).values()) for s in samples]
    truth = [sum(m.flip_flops for m in s.measured.modules if not m.module.startswith(_PE)) for s in samples]
    return _named(FLIP_FLOP_TERMS, _solve(np.array(rows), np.array(truth, dtype=np.float64)))


def errors(samples: list[Sample], table: EnergyTable | None) -> Floats:
    """Returns the relative errors of the closed form on the logic of layers, shape ``(samples,)``.

    Args:
        samples: The layers.
        table: Coefficients; the component laws when None.
    """
    guesses = []
    for sample in samples:
        law = EnergyLaw.by(sample.config, table)
        moving = law.array(sample.moved) + law.control(sample.moved)
        guesses.append(float(moving[0]) + law.clock * sample.measured.cycles)
    return np.array(guesses) / np.array([s.measured.logic_pj for s in samples]) - 1


def main() -> None:
    """Measures, fits, checks and writes."""
    kinds, samples = [], []
    for template, (name, types), stages in itertools.product(Template, FORMATS.items(), (1, 2, 3)):
        if stages > 2 and (types["psum_type"] != "bf16" or template is not Template.WEIGHT_STATIONARY):
            continue
        found = []
        for rows, columns in KIND_SHAPES:
            config = make_config(
                template=template.value, rows=rows, columns=columns, pe_pipeline=stages, **types, **_DEPTHS
            )
            found += _fitted(config)
        samples += found
        kinds.append(_kind(found))
        print(template.value, name, stages, kinds[-1].elements, kinds[-1].lanes, flush=True)
    for config in configurations(SHAPES):
        samples += _fitted(config)
    clocked = [(s, m) for s in samples for m in s.measured.modules if m.flip_flops]
    clock = float(np.mean([m.clock_pj / m.flip_flops / s.measured.cycles for s, m in clocked]))
    held_out = [s for config in configurations(HELD_OUT) for s in _samples(config, HELD_OUT_LAYERS)]
    zeros = [s for config in configurations(HELD_OUT) for s in _samples(config, HELD_OUT_LAYERS, ZEROS)]
    table = EnergyTable(
        provenance="",
        fitted_layers=len(samples),
        held_out_layers=len(held_out),
        error_mean=0.0,
        error_max=0.0,
        law_error_mean=0.0,
        law_error_max=0.0,
        zeros_error_mean=0.0,
        clock_pj=round(clock, 9),
        flip_flops=_flip_flops(samples),
        switching=_switching(samples),
        kinds=kinds,
    )
    found, laws = errors(held_out, table), errors(held_out, None)
    inside = errors(samples, table)
    others = np.array([sum(m.flip_flops for m in s.measured.modules) for s in held_out], dtype=np.float64)
    guess = [EnergyLaw.by(s.config, table).clock - table.switching["cycles"] for s in held_out]
    print(
        "flip-flops of held-out configurations:", np.round(np.unique(np.array(guess) / table.clock_pj / others - 1), 3)
    )
    print(f"fitted layers: {np.abs(inside).mean():.1%} mean, {np.abs(inside).max():.1%} max")
    for sample, error, law in zip(held_out, found, laws, strict=True):
        kind = " ".join(map(str, format_key(sample.config)))
        size = f"{sample.config.rows}x{sample.config.columns}"
        print(f"{kind} {size} {sample.measured.name}: {error:+.1%}, laws {law:+.1%}")
    record = measure_energy(held_out[0].config, HELD_OUT_LAYERS)
    table = table.model_copy(
        update={
            "provenance": f"{record.tools.partition(';')[0]}, library {record.library}; tools/fit_systolic_energy.py",
            "error_mean": round(float(np.abs(found).mean()), 4),
            "error_max": round(float(np.abs(found).max()), 4),
            "law_error_mean": round(float(np.abs(laws).mean()), 4),
            "law_error_max": round(float(np.abs(laws).max()), 4),
            "zeros_error_mean": round(float(errors(zeros, table).mean()), 4),
        }
    )
    data_path().write_text(yaml.safe_dump(table.model_dump(), sort_keys=False, width=120))
    print({field: value for field, value in table.model_dump().items() if field != "kinds"})


if __name__ == "__main__":
    main()

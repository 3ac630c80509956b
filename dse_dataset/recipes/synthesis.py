"""Systolic accelerators as measured: area, critical path, cycles and energy of the RTL, for surrogate models."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from accelgym.costmodels.systolic.area import AreaTerms, estimate
from accelgym.costmodels.systolic.config import make_config
from accelgym.costmodels.systolic.format_kinds import FORMATS
from accelgym.costmodels.workloads import Layer
from accelgym.dse_dataset.columns import ROW, Column
from accelgym.dse_dataset.recipes.base import Recipe, RecipeSpec, split_residue
from accelgym.dse_dataset.streams import RowStreams, mix
from accelgym.envs.hwgen.proof import proof_tools
from accelgym.envs.hwgen.spec import PARAMETER_VALUES
from accelgym.hwgen.gates.energy import measure_energy
from accelgym.hwgen.synthesis.flow import synthesise

__all__ = ["SynthesisRecipe", "SynthesisSpec"]

_PARTS = ("array", "sram", "address_control", "vector_unit")
_COLUMNS = (
    ROW,
    Column("formats", "string", "number formats of inputs, weights and sums", "input"),
    Column("template", "string", "weight_stationary or output_stationary", "input"),
    Column("rows", "int32", "rows of the array", "input"),
    Column("columns", "int32", "columns of the array", "input"),
    Column("input_buffer_depth", "int32", "words", "input"),
    Column("weight_buffer_depth", "int32", "words", "input"),
    Column("accumulation_buffer_depth", "int32", "words", "input"),
    Column("input_port_bits", "int32", "bits a cycle", "input"),
    Column("weight_port_bits", "int32", "bits a cycle", "input"),
    Column("output_port_bits", "int32", "bits a cycle", "input"),
    Column("area_nand2", "float64", "by synthesis, NAND2 equivalents", "label"),
    *(Column(f"{part}_nand2", "float64", "of that part, by synthesis", "label") for part in _PARTS),
    Column("critical_path_ps", "float64", "by synthesis", "label"),
    Column("estimated_area_nand2", "float64", "by the closed form", "cost"),
    Column("estimated_path_ps", "float64", "by the closed form", "cost"),
    Column("K", "int32", "output channels of the layer that was run, a 1x1 convolution", "input"),
    Column("C", "int32", "its input channels", "input"),
    Column("P", "int32", "its output rows; one column", "input"),
    Column("rtl_cycles", "int64", "cycles of the gates", "label"),
    Column("model_cycles", "int64", "cycles of the model", "cost"),
    Column("exact", "bool", "whether every bit and every cycle is as golden and model say", "label"),
    Column("energy_pj", "float64", "of the gates' transitions and the buffers' accesses", "label"),
    Column("sram_pj", "float64", "the buffers' part", "label"),
)


class SynthesisSpec(RecipeSpec):
    """Which accelerators are drawn."""

    kind: Literal["synthesis"] = "synthesis"
    shard_rows: int = Field(default=64, ge=1)
    most_lanes: int = Field(default=8, ge=4, le=32)
    """Largest number of rows and of columns; a row takes about a minute at 8."""


class SynthesisRecipe(Recipe):
    """Measures random accelerators of the HwGen grid on a small layer."""

    by_row: ClassVar[bool] = True
    value_column: ClassVar[str] = "area_nand2"
    title: ClassVar[str] = "What do area, critical path, cycles and energy of an accelerator measure?"

    def __init__(self, spec: SynthesisSpec) -> None:
        self._spec = spec

    @property
    def spec(self) -> SynthesisSpec:
        return self._spec

    @property
    def columns(self) -> tuple[Column, ...]:
        return _COLUMNS

    def facts(self) -> dict[str, Any]:
        return {"cost_model": "systolic", "technology": "nand2", "label": "measured on the generated Verilog"}

    def tools(self) -> str:
        return proof_tools()

    def label_row(self, split: str, row: int) -> dict[str, Any]:
        streams = RowStreams.of(self.spec.seed, np.array([row]))
        bounds = self.spec.shares.bounds(split)
        while True:
            values = self._draw(streams)
            place = np.array([v.index(values[n]) for n, v in PARAMETER_VALUES.items()], dtype=np.int64)
            key = place[:1].astype(np.uint64)
            for index in place[1:]:
                key = mix(key ^ mix(np.array([index])))
            # The split follows from the configuration, so that no accelerator stands in two of them.
            if bounds[0] <= split_residue(key)[0] < bounds[1]:
                break
            streams = streams.again(np.array([0]))
        config = make_config(**{n: v for n, v in values.items() if n != "formats"}, **FORMATS[values["formats"]])
        K, C, P = values["columns"] + 1, values["rows"] + 1, int(streams.integers(20, 2, 8)[0])
        layer = Layer.conv("probe", K=K, C=C, H=P, W=1)
        report = synthesise(config)
        energy = measure_energy(config, [layer])
        closed = estimate(AreaTerms.of([config]))
        return {
            "row": row,
            **values,
            "area_nand2": report.area_nand2,
            **{f"{part}_nand2": report.parts[part] for part in _PARTS},
            "critical_path_ps": report.critical_path_ps,
            "estimated_area_nand2": float(closed.total[0]),
            "estimated_path_ps": float(np.asarray(closed.critical_path_ps)[0]),
            "K": K,
            "C": C,
            "P": P,
            "rtl_cycles": sum(run.cycles for run in energy.layers),
            "model_cycles": sum(run.cycles_model for run in energy.layers),
            "exact": energy.exact,
            "energy_pj": energy.total_pj,
            "sram_pj": sum(run.sram_pj for run in energy.layers),
        }

    def _draw(self, streams: RowStreams) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for draw, (name, choices) in enumerate(PARAMETER_VALUES.items()):
            if name in ("rows", "columns"):
                choices = tuple(v for v in choices if v <= self.spec.most_lanes)
            values[name] = choices[int(streams.integers(draw, 0, len(choices) - 1)[0])]
        return values

"""Dataflow, PEs and buffer of one layer, each design under the best mapping that it allows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from accelgym.costmodels.dataflow_template import LayerDesigns, TemplateModel
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.maestro.designs import Dataflow
from accelgym.costmodels.workloads import Layer
from accelgym.dse_dataset.columns import ROW, Column
from accelgym.dse_dataset.optimum import ROUNDING, find_optima
from accelgym.dse_dataset.recipes.layer_rows import CHOICE, LayerRecipe, LayerSpec
from accelgym.dse_dataset.recipes.resource import LAYER_COLUMNS
from accelgym.dse_dataset.streams import RowStreams
from accelgym.envs.resource_assignment.task import BUFFER_BYTES, PE_LEVELS
from accelgym.envs.space import Parameter

__all__ = ["DataflowRecipe", "DataflowSpec"]

_FLOWS = (Dataflow.DLA, Dataflow.EYE, Dataflow.SHI)


class DataflowSpec(LayerSpec):
    """Which objectives are asked for, under which cap."""

    kind: Literal["dataflow"] = "dataflow"
    objectives: tuple[Literal["latency", "energy", "edp"], ...] = Field(
        default=("latency", "energy", "edp"), min_length=1, strict=False
    )
    """Minimised by the choice of the design and by the mapping inside each design; drawn per row."""
    capped_share: float = Field(default=0.5, ge=0.0, le=1.0)
    """Share of the rows with a cap on the area."""
    top: int = Field(default=5, ge=1)
    landscape: bool = True
    """Whether the objective of every design is kept."""


class DataflowRecipe(LayerRecipe):
    """Labels a layer with the best of 3 dataflows x 12 numbers of PEs x 12 buffer sizes."""

    title: ClassVar[str] = "Which dataflow, how many PEs and how large a buffer are best for a layer?"

    def __init__(self, spec: DataflowSpec) -> None:
        super().__init__(spec)
        self._dataflow = spec
        self._models = {objective: TemplateModel(objective=objective) for objective in spec.objectives}
        # By PEs, then by bytes, then by dataflow: the first of tied designs is the canonical one.
        grid = np.meshgrid(PE_LEVELS, BUFFER_BYTES, [int(flow) for flow in _FLOWS], indexing="ij")
        self.pes, self.bytes, self.flows = (axis.ravel() for axis in grid)
        if spec.top > len(self.pes):
            raise InputError(f"top: {spec.top}, allowed: 1..{len(self.pes)}, the designs of a row")

    @property
    def spec(self) -> DataflowSpec:
        return self._dataflow

    @property
    def columns(self) -> tuple[Column, ...]:
        top, designs = self.spec.top, len(self.pes)
        landscape = Column(
            "landscape", "float64", "objective by PEs, bytes, dataflow; inf: infeasible", "landscape", designs
        )
        return (
            ROW,
            Column("source", "string", "network:layer, empty for a random layer", "key"),
            *LAYER_COLUMNS,
            Column("objective", "string", "what is minimised: latency, energy or edp (energy x latency)", "input"),
            Column("cap_area_um2", "float64", "largest area allowed, inf without a cap", "input"),
            Column("best_dataflow", "string", "dataflow of the canonical optimum: dla, eye or shi", "label"),
            Column("best_num_pes", "int32", "its PEs", "label"),
            Column("best_buffer_bytes", "int32", "its buffer", "label"),
            Column("best_objective", "float64", "its objective: cycles, pJ or pJ x cycles", "label"),
            Column("tied_designs", "int32", "designs that tie with it, itself included", "label"),
            Column("feasible_designs", "int32", "designs that are valid and within the cap", "label"),
            Column("best_latency_cycles", "int64", "cycles of the canonical optimum", "cost"),
            Column("best_energy_pj", "float64", "energy", "cost"),
            Column("best_area_um2", "float64", "area", "cost"),
            Column("top_designs", "int32", "best designs as positions in the landscape, -1: no more", "label", top),
            *((landscape,) if self.spec.landscape else ()),
        )

    @property
    def knobs(self) -> tuple[Parameter, ...]:
        flows = tuple(flow.name.lower() for flow in _FLOWS)
        return (
            Parameter("num_pes", PE_LEVELS),
            Parameter("buffer_bytes", BUFFER_BYTES),
            Parameter("dataflow", flows, ordered=False),
        )

    @property
    def has_landscapes(self) -> bool:
        return self.spec.landscape

    @property
    def capped(self) -> bool:
        return self.spec.capped_share > 0

    @property
    def design_factors(self) -> tuple[int, ...]:
        return len(PE_LEVELS), len(BUFFER_BYTES), len(_FLOWS)

    def design_numbers(self, arrays: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.int64]:
        return np.asarray(arrays["top_designs"][:, 0], dtype=np.int64)

    def landscapes(
        self, arrays: Mapping[str, npt.NDArray[Any]]
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]]:
        if "landscape" not in arrays:
            raise InputError("landscape: this dataset does not hold it; baselines need it")
        yield np.arange(len(arrays["landscape"])), arrays["landscape"]

    def facts(self) -> dict[str, Any]:
        model = next(iter(self._models.values()))
        return {
            "cost_model": model.name,
            "cost_model_version": model.version,
            "technology": model.technology,
            "designs_per_row": len(self.pes),
            "num_pes": list(PE_LEVELS),
            "buffer_bytes": list(BUFFER_BYTES),
            "dataflow": [flow.name.lower() for flow in _FLOWS],
            "label": "exhaustive; best objective, then fewest PEs, then smallest buffer",
        }

    def build(self, layer: Layer, streams: RowStreams) -> tuple[str, Any]:
        objective = self.spec.objectives[int(streams.integers(CHOICE, 0, len(self.spec.objectives) - 1)[0])]
        grid = LayerDesigns((layer,), np.array(0), self.flows, self.pes, self.bytes)
        costs = self._models[objective].evaluate(grid)
        if not np.asarray(costs.valid).any():
            raise InputError(f"layer {layer.name!r} fits no design of the grid")
        return objective, costs

    def answer(self, task: tuple[str, Any], streams: RowStreams) -> dict[str, Any]:
        objective, costs = task
        latency, energy = np.asarray(costs.latency_cycles, dtype=np.float64), np.asarray(costs.energy_pj)
        value = {"latency": latency, "energy": energy, "edp": energy * latency}[objective]
        value = np.where(costs.valid, value, np.inf)
        area = np.asarray(costs.area_um2)
        cap = np.inf
        if streams.uniform(CHOICE + 1)[0] < self.spec.capped_share:
            within = area[np.asarray(costs.valid)]
            fraction = float(streams.uniform(CHOICE + 2)[0])
            # The cube makes tight caps, under which designs differ, the frequent ones.
            cap = float(within.min() + fraction * fraction * fraction * (within.max() - within.min()))
        value = np.where(area <= cap, value, np.inf)
        optima = find_optima(value[None].copy(), self.spec.top, 0.0 if objective == "latency" else ROUNDING)
        best = int(optima.best[0])
        answer = {
            "objective": objective,
            "cap_area_um2": cap,
            "best_dataflow": _FLOWS[self.flows[best]].name.lower(),
            "best_num_pes": int(self.pes[best]),
            "best_buffer_bytes": int(self.bytes[best]),
            "best_objective": float(value[best]),
            "tied_designs": int(optima.ties[0]),
            "feasible_designs": int(optima.feasible[0]),
            "best_latency_cycles": int(latency[best]),
            "best_energy_pj": float(energy[best]),
            "best_area_um2": float(area[best]),
            "top_designs": optima.top[0].tolist(),
        }
        return answer | ({"landscape": value.tolist()} if self.spec.landscape else {})

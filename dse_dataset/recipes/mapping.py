"""Mappings of layers onto machines, proved optimal or bounded."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.architecture.machine import Architecture
from accelgym.costmodels.loopnest import LoopnestModel
from accelgym.costmodels.solvers.mapping import PROOF_VERSION
from accelgym.costmodels.timeloop.presets import preset
from accelgym.costmodels.workloads import Layer
from accelgym.dse_dataset.columns import ROW, Column
from accelgym.dse_dataset.recipes.layer_rows import CHOICE, LayerRecipe, LayerSpec
from accelgym.dse_dataset.recipes.resource import LAYER_COLUMNS
from accelgym.dse_dataset.streams import RowStreams
from accelgym.envs.mapping.task import MappingTask

__all__ = ["MappingRecipe", "MappingSpec"]

_ARCHITECTURES = ("eyeriss", "gemmini_like", "nvdla_like", "tpu_like")
"""Machines whose proofs mostly close within some seconds."""
_machine = lru_cache(preset)

_COLUMNS = (
    ROW,
    Column("source", "string", "network:layer, empty for a random layer", "key"),
    *LAYER_COLUMNS,
    Column("architecture", "string", "preset of the machine", "input"),
    Column("objective", "string", "what is minimised: energy (pJ), latency (cycles) or edp (pJ x cycles)", "input"),
    Column("best_objective", "float64", "objective of the mapping", "label"),
    Column("lower_bound", "float64", "certified bound: no mapping of the layer is better", "label"),
    Column("gap", "float64", "(best_objective - lower_bound) / best_objective", "label"),
    Column("proven", "bool", "whether the gap is within the tolerance of the recipe", "label"),
    Column("nodes", "int64", "programs that the proof solved; 0: enumerated", "cost"),
    Column("energy_pj", "float64", "of the mapping", "cost"),
    Column("latency_cycles", "int64", "of the mapping", "cost"),
    Column("macs", "int64", "multiply-accumulates of the layer", "cost"),
    Column("design", "int32", "the mapping as value indices of accelgym/Mapping-v0", "label", 0),
    Column("loops_json", "string", "the mapping as loops, outermost level first, JSON", "label"),
)


class MappingSpec(LayerSpec):
    """Which machines, which objectives, and how hard the proof tries."""

    kind: Literal["mapping"] = "mapping"
    architectures: tuple[str, ...] = Field(default=_ARCHITECTURES, min_length=1, strict=False)
    """Presets, drawn per row."""
    objectives: tuple[Literal["energy", "latency", "edp"], ...] = Field(
        default=("energy", "latency", "edp"), min_length=1, strict=False
    )
    """Drawn per row."""
    tolerance: float = Field(default=1e-3, gt=0.0, lt=1.0)
    """Relative gap at which a proof is closed."""
    most_nodes: int = Field(default=1000, ge=1)
    """Programs after which a proof ends with the gap that is left; the same on every machine."""


class MappingRecipe(LayerRecipe):
    """Labels a layer and a machine with the best mapping, its certified bound and its gap."""

    value_column: ClassVar[str] = "best_objective"
    title: ClassVar[str] = "Which mapping of a layer onto a machine is best, and how much better could any other be?"
    depthwise: ClassVar[bool] = False

    def __init__(self, spec: MappingSpec) -> None:
        super().__init__(spec)
        self._mapping = spec
        self._machines: dict[str, Architecture] = {name: _machine(name) for name in spec.architectures}

    @property
    def spec(self) -> MappingSpec:
        return self._mapping

    @property
    def columns(self) -> tuple[Column, ...]:
        return _COLUMNS

    def facts(self) -> dict[str, Any]:
        name = self.spec.architectures[0]
        layer = LoopNest.conv("any", K=1, C=1, P=2, Q=1, R=1, S=1)
        model = LoopnestModel(layer, self._machines[name])
        return {
            "cost_model": model.name,
            "cost_model_version": model.version,
            "technology": model.technology,
            "counting": model.counting,
            "proof": PROOF_VERSION,
            "label": f"branch and bound, at most {self.spec.most_nodes} programs a row",
        }

    def build(self, layer: Layer, streams: RowStreams) -> MappingTask:
        spec = self.spec
        name = spec.architectures[int(streams.integers(CHOICE, 0, len(spec.architectures) - 1)[0])]
        objective = spec.objectives[int(streams.integers(CHOICE + 1, 0, len(spec.objectives) - 1)[0])]
        problem = LoopNest.from_layer(layer)
        return MappingTask(problem=problem, machine=self._machines[name], architecture=name, objective=objective)

    def answer(self, task: MappingTask, streams: RowStreams) -> dict[str, Any]:
        spec = self.spec
        solution = task.solve(tolerance=spec.tolerance, most_nodes=spec.most_nodes)
        found = task.certify(solution, 0.0)
        assert found.design is not None
        mappings, costs = task.inspect(np.array(found.design))
        return {
            "architecture": task.spec.architecture,
            "objective": str(task.spec.objective),
            "best_objective": found.value,
            "lower_bound": found.lower_bound,
            "gap": found.gap,
            "proven": found.gap <= spec.tolerance,
            "nodes": found.nodes,
            "energy_pj": float(costs.energy_pj[0]),
            "latency_cycles": int(costs.latency_cycles[0]),
            "macs": task.problem.macs,
            "design": list(found.design),
            "loops_json": json.dumps(mappings.to_loops(0), separators=(",", ":")),
        }

"""Systolic accelerators for one layer or block under limits, the winners proved in RTL where asked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from accelgym.costmodels.errors import AccelGymError
from accelgym.costmodels.systolic.area import area_table
from accelgym.costmodels.workloads import Layer, Workload, load_workload
from accelgym.dse_dataset.columns import ROW, Column
from accelgym.dse_dataset.layers import LayerTable
from accelgym.dse_dataset.recipes.layer_rows import CHOICE, LayerRecipe, LayerSpec, as_layer
from accelgym.dse_dataset.recipes.resource import LAYER_COLUMNS
from accelgym.dse_dataset.streams import RowStreams
from accelgym.envs.hwgen.proof import proof_tools, prove
from accelgym.envs.hwgen.spec import PARAMETER_VALUES
from accelgym.envs.hwgen.task import HwGenTask
from accelgym.envs.space import Designs, Parameter

__all__ = ["AcceleratorRecipe", "AcceleratorSpec"]

_PROOF_COLUMNS = (
    Column("verified", "bool", "RTL of the winner: lints, every bit and every cycle as golden and model say", "label"),
    Column("rtl_cycles", "int64", "cycles of the RTL on small layers of the same kind", "label"),
    Column("model_cycles", "int64", "cycles of the model on these layers", "label"),
    Column("synthesised_area_nand2", "float64", "area by synthesis, NAND2 equivalents", "label"),
    Column("synthesised_path_ps", "float64", "critical path by synthesis", "label"),
    Column("record_sha256", "string", "hash of the verification and synthesis record", "label"),
)


class AcceleratorSpec(LayerSpec):
    """Limits and what is built."""

    kind: Literal["accelerator"] = "accelerator"
    area_budgets: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=(150e3, 200e3, 300e3, 500e3, 800e3, 1.5e6), min_length=1, strict=False
    )
    """NAND2 equivalents, drawn per row."""
    bandwidths_bits: tuple[Annotated[int, Field(ge=96)], ...] = Field(
        default=(96, 128, 192, 256, 384), min_length=1, strict=False
    )
    """Limit of the three port widths together, drawn per row."""
    min_sqnr_db: tuple[float, ...] = Field(default=(15.0, 25.0, 35.0), min_length=1, strict=False)
    """Least signal over quantisation noise of products, drawn per row."""
    blocks: tuple[str, ...] = Field(default=(), strict=False)
    """Workloads that stand in for a layer in ``block_share`` of the rows."""
    block_share: float = Field(default=0.0, ge=0.0, le=1.0)
    prove_winners: bool = False
    """Whether the RTL of every winner is generated, simulated and synthesised (needs the extra ``rtl``)."""


class AcceleratorRecipe(LayerRecipe):
    """Labels a layer with the fastest accelerator of the HwGen grid within area, bandwidth and precision."""

    value_column: ClassVar[str] = "best_cycles"
    objective_column: ClassVar[str] = "best_cycles"
    title: ClassVar[str] = "Which systolic accelerator runs a layer or block fastest under area and bandwidth?"

    def __init__(self, spec: AcceleratorSpec) -> None:
        super().__init__(spec)
        self._accelerator = spec

    @property
    def spec(self) -> AcceleratorSpec:
        return self._accelerator

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        depths = ("input_buffer_depth", "weight_buffer_depth", "accumulation_buffer_depth")
        ports = ("input_port_bits", "weight_port_bits", "output_port_bits")
        return (
            ROW,
            Column("source", "string", "network:layer, empty for a random layer", "key"),
            Column("block", "string", "workload in place of the layer, whose columns then say nothing", "input"),
            *LAYER_COLUMNS,
            Column("area_budget_nand2", "float64", "largest area, NAND2 equivalents", "input"),
            Column("bandwidth_bits", "int32", "limit of the three ports together, bits a cycle", "input"),
            Column("min_sqnr_db", "float64", "least precision of products", "input"),
            Column("best_cycles", "int64", "cycles of the winner, as its RTL takes them", "label"),
            Column("tied_designs", "int32", "designs that are as fast", "label"),
            Column("feasible_designs", "int32", "designs within the limits", "label"),
            Column("best_formats", "string", "number formats of the winner", "label"),
            Column("best_template", "string", "its template", "label"),
            Column("best_rows", "int32", "rows of its array", "label"),
            Column("best_columns", "int32", "columns of its array", "label"),
            *(Column(f"best_{name}", "int32", "words of its buffer", "label") for name in depths),
            *(Column(f"best_{name}", "int32", "width of its port", "label") for name in ports),
            Column("best_area_nand2", "float64", "its area by the closed form", "cost"),
            Column("best_path_ps", "float64", "its critical path by the closed form", "cost"),
            *(_PROOF_COLUMNS if self.spec.prove_winners else ()),
        )

    @property
    def knobs(self) -> tuple[Parameter, ...]:
        return tuple(
            Parameter(name, values, ordered=name not in ("formats", "template"))
            for name, values in PARAMETER_VALUES.items()
        )

    def facts(self) -> dict[str, Any]:
        return {
            "cost_model": "systolic",
            "technology": "nand2",
            "area_table": hashlib.sha256(json.dumps(area_table().provenance, default=str).encode()).hexdigest()[:16],
            "label": "enumeration with bounds by array; fewest cycles, then fewest PEs, then least area",
        }

    def check(self) -> None:
        super().check()
        for block in self.spec.blocks:
            load_workload(block)

    def tools(self) -> str:
        return proof_tools() if self.spec.prove_winners else ""

    def build(self, layer: Layer, streams: RowStreams) -> tuple[HwGenTask, str]:
        spec = self.spec

        def drawn(draw: int, values: tuple[Any, ...]) -> Any:
            return values[int(streams.integers(CHOICE + draw, 0, len(values) - 1)[0])]

        block = ""
        if spec.blocks and streams.uniform(CHOICE)[0] < spec.block_share:
            block = drawn(1, spec.blocks)
        limits = (drawn(2, spec.area_budgets), drawn(3, spec.bandwidths_bits), drawn(4, spec.min_sqnr_db))
        task = _task(layer, block, *limits)
        task.prove()  # Raises where no design runs the layer.
        return task, block

    def answer(self, task: tuple[HwGenTask, str], streams: RowStreams) -> dict[str, Any]:
        built, block = task
        tied = built.optima()
        best = self._canonical(built, tied)
        values = built.space.decode(best)
        area, path = built.estimates(best[None])
        answer = {
            "block": block,
            "area_budget_nand2": built.spec.area_budget,
            "bandwidth_bits": built.spec.bandwidth_bits,
            "min_sqnr_db": built.spec.min_sqnr_db,
            "best_cycles": int(built.cycles(best[None])[0]),
            "tied_designs": len(tied),
            "feasible_designs": int(built.feasible.sum()),
            **{f"best_{name}": value for name, value in values.items()},
            "best_area_nand2": float(area[0]),
            "best_path_ps": float(path[0]),
        }
        return answer | (self._proof(built, best) if self.spec.prove_winners else {})

    def objectives_of(
        self, arrays: Mapping[str, npt.NDArray[Any]], designs: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float64]:
        K, C, Y, X, R, S = (arrays[name].astype(np.int64) for name in ("K", "C", "Y", "X", "R", "S"))
        layers = LayerTable(K, C, Y, X, R, S, arrays["depthwise"].astype(bool))
        found = np.empty(designs.shape[:2])
        for row, chosen in enumerate(designs):
            limits = (arrays[name][row].item() for name in ("area_budget_nand2", "bandwidth_bits", "min_sqnr_db"))
            outcome = _task(as_layer(layers, row), str(arrays["block"][row]), *limits).evaluate(chosen)
            found[row] = np.where(outcome.feasible, outcome.objective, np.inf)
        return found

    def _canonical(self, task: HwGenTask, tied: Designs) -> Designs:
        """The tied design with the fewest PEs, then the least area, then the first in the order of the space."""
        names = [p.name for p in task.space.parameters]
        sides = [
            np.array(task.space.parameters[names.index(n)].values)[tied[:, names.index(n)]] for n in ("rows", "columns")
        ]
        area, _ = task.estimates(tied)
        return np.asarray(tied[np.lexsort((area, sides[0] * sides[1]))[0]])

    def _proof(self, task: HwGenTask, best: Designs) -> dict[str, Any]:
        """Returns the proof columns.

        Raises:
            AccelGymError: A tool failed: a full disk, say, which is nothing to label a design with.
        """
        config = task.config(best)
        layers = [layer for layer, _ in task.layers]
        record = prove(config, layers, task.spec.area_budget)
        if record.failure:
            raise AccelGymError(f"the winner could not be proved: {record.failure}")
        runs = record.verification.get("layers", [])
        text = json.dumps([record.verification, record.synthesis], sort_keys=True)
        return {
            "verified": record.lints and record.bit_exact and record.cycles_exact,
            "rtl_cycles": sum(run["cycles_rtl"] for run in runs),
            "model_cycles": sum(run["cycles_model"] for run in runs),
            "synthesised_area_nand2": record.area_nand2,
            "synthesised_path_ps": record.critical_path_ps,
            "record_sha256": hashlib.sha256(text.encode()).hexdigest(),
        }


def _task(layer: Layer, block: str, area_budget: float, bandwidth_bits: int, min_sqnr_db: float) -> HwGenTask:
    """Returns the task of a layer, or of a block in its place."""
    workload = load_workload(block) if block else Workload.chain(layer.name, [layer])
    return HwGenTask(
        workload_object=workload, area_budget=area_budget, bandwidth_bits=bandwidth_bits, min_sqnr_db=min_sqnr_db
    )

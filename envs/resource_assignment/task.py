"""ConfuciuX's resource assignment as a task: PEs, buffer and dataflow per layer under a budget."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.certificate import Certificate
from accelgym.costmodels.costs import Costs
from accelgym.costmodels.dataflow_template import LayerDesigns, TemplateModel
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.maestro.designs import Dataflow, LayerShapes, ResourceDesigns
from accelgym.costmodels.models import cost_models
from accelgym.costmodels.workloads import Workload, load_workload
from accelgym.envs.option_table import OptionTable
from accelgym.envs.resource_assignment.features import assignment_features
from accelgym.envs.resource_assignment.spec import (
    Aggregate,
    AssignmentObjective,
    Constraint,
    DataflowChoice,
    Deployment,
    Granularity,
    ResourceAssignmentSpec,
)
from accelgym.envs.space import Designs, Parameter, Space
from accelgym.envs.tabulated import TabulatedTask
from accelgym.envs.task import Outcome

__all__ = ["BUFFER_BYTES", "BUFFER_LEVELS", "PE_LEVELS", "ResourceAssignmentTask"]

PE_LEVELS = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128)
"""ConfuciuX's PE levels."""
BUFFER_LEVELS = tuple(range(1, 13))
"""ConfuciuX's buffer levels: output channels tiled per PE."""
BUFFER_BYTES = tuple(1024 * level for level in PE_LEVELS)
"""Buffer sizes of the ``dataflow_template`` model: 1 to 128 KiB, in the proportions of the PE levels."""


FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


class ResourceAssignmentTask(TabulatedTask):
    """Chooses PEs, buffer and optionally dataflow per layer to minimise a cost under a budget.

    The budget follows ConfuciuX (Kao et al., MICRO 2020): ``Cmin + f (Cmax - Cmin)``, the extremes taken over
    the four assignments that give every layer the same corner of the knob ranges.

    Args:
        workload_object: A workload in place of one of the zoo; its name enters the task's id.
        **arguments: Fields of :class:`ResourceAssignmentSpec`.

    Raises:
        InputError: A bad argument, a layer that has no valid option, or a budget nothing fits.
    """

    def __init__(self, *, workload_object: Workload | None = None, **arguments: Any) -> None:
        self.spec = ResourceAssignmentSpec.parse(arguments)
        self.workload = workload_object or load_workload(self.spec.workload)
        self.layers = self.workload.compute_layers
        if not self.layers:
            raise InputError(f"workload {self.workload.name!r} has no convolution or GEMM to assign")
        options = dict(self.spec.model_options)
        if self.spec.model == TemplateModel.name:
            options.setdefault("objective", self.spec.objective.of_mapping.value)
        self.model = cost_models.build(self.spec.model, **options)

    lanes: ClassVar[str] = "accelgym.envs.resource_assignment.env:ResourceAssignmentVectorEnv"

    @property
    def env_id(self) -> str:
        return "accelgym/ResourceAssignment-v0"

    @cached_property
    def pe_values(self) -> tuple[int, ...]:
        """Values of the PE knob."""
        fine = {Granularity.FINE64: 64, Granularity.FINE128: 128}
        top = fine.get(self.spec.granularity)
        return tuple(range(1, top + 1)) if top else PE_LEVELS

    @cached_property
    def dataflow_values(self) -> tuple[str, ...]:
        """Values of the dataflow knob; a single one unless mixed."""
        if self.spec.dataflow is DataflowChoice.MIX:
            return ("dla", "eye", "shi")
        return (self.spec.dataflow.value,)

    @cached_property
    def buffer_knob(self) -> Parameter:
        """The buffer in the unit of the cost model."""
        if isinstance(self.model, TemplateModel):
            return Parameter("buffer_bytes", BUFFER_BYTES)
        return Parameter("buffer_level", BUFFER_LEVELS)

    @cached_property
    def knobs(self) -> tuple[Parameter, ...]:
        """The choices of one slot, in the order of the flat option index."""
        knobs = (Parameter("num_pes", self.pe_values), self.buffer_knob)
        if len(self.dataflow_values) == 1:
            return knobs
        return (Parameter("dataflow", self.dataflow_values, ordered=False), *knobs)

    @cached_property
    def slot_names(self) -> tuple[str, ...]:
        """What each slot configures: a layer, or the whole chip."""
        if self.spec.deployment is Deployment.SEQUENTIAL:
            return ("chip",)
        return tuple(layer.name for layer in self.layers)

    @cached_property
    def space(self) -> Space:
        return Space(
            tuple(
                replace(knob, name=f"{slot}.{knob.name}", group=slot) for slot in self.slot_names for knob in self.knobs
            )
        )

    def describe(self) -> dict[str, Any]:
        found = {
            "env": self.env_id,
            "spec": self.spec.model_dump(mode="json"),
            "workload": self.workload.name,
            "layers": [[x.N, x.K, x.C, x.P, x.Q, x.R, x.S, x.groups, x.is_depthwise] for x in self.layers],
            "model": [self.model.name, self.model.version, self.model.technology],
        }
        if isinstance(self.model, TemplateModel):
            # The other models take a layer as that of stride 1 with the same output.
            found["steps"] = [[*x.stride, *x.dilation] for x in self.layers]
        return found

    # -- one evaluation ------------------------------------------------------------------------------------

    def evaluate(self, designs: Designs) -> Outcome:
        table = self.table
        options = self.actions(self.space.check(designs))
        cost, resource = table.gather(table.cost, options), table.gather(table.resource, options)
        allowed = table.gather(table.allowed, options)
        valid = np.asarray(allowed.all(axis=1))
        used = np.where(valid, resource.sum(axis=1), np.inf)
        overshoot = np.maximum(used / table.capacity - 1, 0.0)
        feasible = used <= table.limit
        figures = ("latency_cycles", "energy_pj", "area_um2", "power_mw")
        return Outcome(
            objective=np.where(valid, table.aggregate(cost), np.inf),
            feasible=feasible,
            violation=np.where(feasible, 0.0, overshoot),
            valid=valid,
            costs={name: table.gather(getattr(table, name), options).sum(axis=1) for name in figures}
            | {"resource": used, "slot_cost": cost, "slot_resource": resource, "slot_valid": allowed},
        )

    def decision_features(self) -> FloatArray:
        return assignment_features(self.layers, self.spec, self.table)

    # -- what is known about the task ----------------------------------------------------------------------

    @property
    def proof(self) -> str:
        return "dynamic program or threshold search 1"

    def prove(self, *, anew: bool = False) -> Certificate:
        found = self.table.solution
        assert found.design is not None  # the constructor of the table refuses infeasible budgets
        design = self.designs(np.array([found.design]))[0]
        return replace(found, design=tuple(int(i) for i in design))

    # -- tabulation ----------------------------------------------------------------------------------------

    @cached_property
    def table(self) -> OptionTable:
        """Every option of every slot, evaluated once."""
        figures, pes, valid, reason = self._figures()
        latency, area = figures["latency_cycles"], figures["area_um2"]
        cost = self.spec.objective.of_mapping.combine(figures["energy_pj"], latency)
        if self.spec.objective is AssignmentObjective.LAP:
            cost = cost * area
        resource = {Constraint.AREA: area, Constraint.POWER: figures["power_mw"], Constraint.PES: pes}[
            self.spec.constraint
        ]
        low, high = self._resource_range(resource)
        capacity = low + self.spec.budget * (high - low)
        use_max = self.spec.aggregate is Aggregate.MAX
        if self.spec.target is not None:
            cost, resource, capacity = resource, cost, self.spec.target
            if use_max:
                # Every slot must meet the target by itself: nothing is left to share.
                valid = valid & (resource <= capacity)
                resource, capacity, use_max = np.zeros_like(resource), 1.0, False
        table = OptionTable(
            cost=cost,
            resource=resource,
            allowed=valid,
            reason=reason,
            capacity=float(capacity),
            aggregate_max=use_max,
            **figures,
        )
        self._refuse_impossible(table)
        return table

    def _figures(self) -> tuple[dict[str, FloatArray], FloatArray, BoolArray, npt.NDArray[np.int8]]:
        """Figures by name, PEs, validity and reasons of every option, shape ``(slots, options)`` each."""
        costs, pes, repeat = self._evaluate_options()
        figures = {
            "latency_cycles": np.asarray(costs.latency_cycles * repeat, dtype=np.float64),
            "energy_pj": np.asarray(costs.energy_pj * repeat, dtype=np.float64),
            "area_um2": np.asarray(costs.area_um2, dtype=np.float64),
            "power_mw": np.asarray(costs.power_mw, dtype=np.float64),
        }
        valid, reason = np.asarray(costs.valid, dtype=bool), np.asarray(costs.reason, dtype=np.int8)
        if self.spec.deployment is Deployment.PIPELINED:
            return figures, pes, valid, reason
        # One chip runs the layers in turn: time and energy add up, the neediest layer sizes the chip.
        add_up = np.max if self.spec.aggregate is Aggregate.MAX else np.sum
        combine = {"latency_cycles": add_up, "energy_pj": add_up, "area_um2": np.max, "power_mw": np.max}
        figures = {name: np.asarray(combine[name](a, axis=0, keepdims=True)) for name, a in figures.items()}
        first_bad = (~valid).argmax(axis=0)
        reason = reason[first_bad, np.arange(reason.shape[1])][None]
        return figures, pes[:1], np.asarray(valid.all(axis=0, keepdims=True)), reason

    def _evaluate_options(self) -> tuple[Costs, FloatArray, npt.NDArray[np.int64]]:
        """Costs of every (layer, option), the PEs of each, and how often a layer runs what was evaluated.

        Shapes ``(layers, options)`` and ``(layers, 1)``.
        """
        flows = np.array([Dataflow[name.upper()] for name in self.dataflow_values], dtype=np.int64)
        flow, pes, buffer = (
            grid.ravel()[None] for grid in np.meshgrid(flows, self.pe_values, self.buffer_knob.values, indexing="ij")
        )
        all_pes = np.broadcast_to(pes, (len(self.layers), pes.shape[1])).astype(np.float64)
        if isinstance(self.model, TemplateModel):
            index = np.arange(len(self.layers))[:, None]
            costs = self.model.evaluate(LayerDesigns(self.layers, index, flow, pes, buffer))
            return costs, all_pes, np.ones_like(index)
        shapes = LayerShapes.from_layers(self.layers)
        columns = {name: getattr(shapes, name)[:, None] for name in ("K", "C", "Y", "X", "R", "S", "depthwise")}
        designs = ResourceDesigns(**columns, dataflow=flow, num_pes=pes, buffer_level=buffer)
        return self.model.evaluate(designs), all_pes, shapes.repeat[:, None]

    def _resource_range(self, resource: FloatArray) -> tuple[float, float]:
        """Cheapest and dearest of the corner assignments, all slots alike."""
        grid = resource.reshape(len(resource), len(self.dataflow_values), len(self.pe_values), -1)
        corners = grid[:, :, [0, 0, -1, -1], [0, -1, 0, -1]].sum(axis=0)
        return float(corners.min()), float(corners.max())

    def _refuse_impossible(self, table: OptionTable) -> None:
        empty = np.flatnonzero(~table.allowed.any(axis=1))
        target = self.spec.objective is AssignmentObjective.TARGET
        if len(empty):
            slot = int(empty[0])
            why = "meets the target" if target else f"is valid ({table.reason_of(slot, 0).name.lower()})"
            raise InputError(
                f"workload {self.workload.name!r}: no option of {self.slot_names[slot]!r} {why} with "
                f"model={self.spec.model} dataflow={self.spec.dataflow.value}"
            )
        need = float(table.reserve[0])
        if need > table.limit:
            if target:
                raise InputError(f"target={self.spec.target}: nothing is that fast; the least is {need:.6g} cycles")
            low, high = self._resource_range(table.resource)
            least = (need - low) / (high - low) if high > low else 0.0
            raise InputError(
                f"budget={self.spec.budget}: nothing fits {table.capacity:.6g}; the cheapest design needs "
                f"{need:.6g}, the smallest feasible budget is {least:.6g}"
            )

"""A whole network by a policy of single layers: proposals under many caps, of which an allocation picks one a layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelgym.agents.uov.capped import CappedLayers
from accelgym.agents.uov.policy import Policy
from accelgym.agents.uov.schema import Knob, Schema
from accelgym.costmodels.errors import InputError, unknown_name
from accelgym.costmodels.maestro.designs import Dataflow, LayerShapes
from accelgym.costmodels.solvers import allocate_greedily
from accelgym.dse_dataset.layers import LayerTable
from accelgym.envs.resource_assignment.task import ResourceAssignmentTask
from accelgym.envs.space import Designs
from accelgym.envs.task import Outcome, Task

__all__ = ["NetworkPlan"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_FRACTIONS = 32
"""Caps that each layer is asked about: cubes of evenly spaced numbers, as the caps of the training are."""
_DOUBT = 0.1
"""Standard deviation of the factors, as logarithms, by which predicted costs are varied for further candidates: the
error of the predictor."""
_HAIR = 1e-9
"""By which a cap lies above the design that it is to leave."""


@dataclass
class NetworkPlan:
    """What a policy thinks of a task: for each layer some options, their predicted costs and exact resources.

    Costs fall in steps as a cap widens, and a predictor rounds the steps off. An allocation picks what looks cheap for
    what it takes: proposals just below a step, whose cost is underestimated most. Hence a proposal's cost is predicted
    under the narrowest cap that leaves it, and the first allocation, which nothing has corrected yet, is by the
    geometric mean of that and what the next narrower cap was predicted to cost.

    Attributes:
        task: The task.
        options: Flat option of each proposal, shape ``(slots, proposals)``.
        cost: Predicted objective of the slot, or the exact one once it has been told; likewise.
        cautious: Predicted objectives for the first allocation; likewise.
        resource: What the option takes of the budget; likewise.
        layer: Which slots run the same layer, shape ``(slots,)``.
        repeat: How often, likewise.
    """

    task: ResourceAssignmentTask
    options: IntArray
    cost: FloatArray
    cautious: FloatArray
    resource: FloatArray
    layer: IntArray
    repeat: IntArray

    def __post_init__(self) -> None:
        self._known = np.zeros(self.cost.shape, dtype=bool)

    @classmethod
    def of(cls, policy: Policy, task: Task) -> NetworkPlan:
        """Asks the policy about every layer of a task.

        Raises:
            InputError: The weights do not fit the task; the message says what differs.
        """
        checked = _fitting(policy, task)
        layers, repeat = _layers(checked)
        flow = int(Dataflow[checked.dataflow_values[0].upper()])
        cap, objective = checked.spec.constraint.value, checked.spec.objective.value
        known = CappedLayers.of(policy.schema, checked.model, layers, np.full(len(layers), flow), cap)
        distinct, slot_of = np.unique(np.stack([*layers.columns().values()], axis=1), axis=0, return_inverse=True)
        first = np.array([int(np.flatnonzero(slot_of == i)[0]) for i in range(len(distinct))])
        fractions = np.linspace(0.0, 1.0, _FRACTIONS) ** 3
        place = np.repeat(first, _FRACTIONS)
        arrays, feasible = known.questions(objective, place, np.tile(fractions, len(first)))
        policy.schema.checked(arrays, f"workload {checked.workload.name!r}")
        designs = policy.propose(arrays, feasible).designs[:, 0]
        # A wider cap never costs more; where the predictor says so it errs.
        asked = np.minimum.accumulate(policy.log_best(arrays, feasible).reshape(-1, _FRACTIONS), axis=1)
        narrower = np.concatenate([asked[:, :1], asked[:, :-1]], axis=1)
        own = np.minimum(known.fractions(place, designs) * (1.0 + _HAIR) + _HAIR, 1.0)
        log_cost = policy.log_best(*known.questions(objective, place, own)).reshape(-1, _FRACTIONS)
        place_of = [[knob.name for knob in policy.schema.knobs].index(knob.name) for knob in checked.knobs]
        options = checked.actions(np.tile(designs[:, place_of], (1, len(checked.slot_names))))[:, 0]
        options = options.reshape(-1, _FRACTIONS)
        times = repeat[:, None].astype(np.float64)
        cost, cautious = (np.exp(x)[slot_of] * times for x in (log_cost, 0.5 * (log_cost + narrower)))
        options = options[slot_of]
        resource = np.take_along_axis(checked.table.resource, options, axis=1)
        return cls(checked, options, cost, cautious, resource, slot_of, repeat)

    def best(self) -> Designs:
        """Returns the allocation by what is known, the cautious one at first; shape ``(1, parameters)``."""
        return self._allocate(self.cost if self._known.any() else self.cautious)

    def varied(self, rng: np.random.Generator) -> Designs:
        """Returns an allocation by varied predictions, shape ``(1, parameters)``."""
        doubt = np.exp(_DOUBT * rng.standard_normal(self.cost.shape))
        return self._allocate(np.where(self._known, self.cost, self.cost * doubt))

    def predicted(self, design: Designs) -> float:
        """Returns the objective of a proposed design by the costs known or predicted, shape ``(parameters,)``."""
        options = self.task.actions(design[None])[0]
        cost = np.where(self.options == options[:, None], self.cost, np.inf).min(axis=1)
        return float(cost.max() if self.task.spec.aggregate == "max" else cost.sum())

    def tell(self, designs: Designs, outcome: Outcome) -> None:
        """Puts exact costs in place of predicted ones, in all slots that run the same layer."""
        options = self.task.actions(designs)
        for row, costs in zip(options, np.asarray(outcome.costs["slot_cost"]), strict=True):
            for slot, (option, cost) in enumerate(zip(row, costs / self.repeat, strict=True)):
                told = (self.layer == self.layer[slot])[:, None] & (self.options == option)
                self.cost = np.where(told, cost * self.repeat[:, None], self.cost)
                self._known |= told

    def _allocate(self, cost: FloatArray) -> Designs:
        spec, table = self.task.spec, self.task.table
        allowed = np.isfinite(self.resource)
        choice = allocate_greedily(cost, self.resource, table.limit, allowed, aggregate_max=spec.aggregate == "max")
        if choice is None:  # The budget is so tight that the least proposals do not fit: the cheapest options do.
            chosen = np.where(table.allowed, table.resource, np.inf).argmin(axis=1)
        else:
            chosen = self.options[np.arange(len(choice)), choice]
        return self.task.designs(chosen[None])


def _fitting(policy: Policy, task: Task) -> ResourceAssignmentTask:
    """Returns the task if the policy can answer it.

    Raises:
        InputError: It cannot.
    """
    name = policy.schema.name
    if not isinstance(task, ResourceAssignmentTask):
        raise InputError(
            f"agent 'uov': the weights {name!r} are for layers of accelgym/ResourceAssignment-v0, not for {task.env_id}"
        )
    spec = task.spec
    names = [knob.name for knob in policy.schema.knobs]
    if spec.deployment != "pipelined":
        raise InputError(f"agent 'uov': deployment is {spec.deployment.value}, allowed: pipelined, a design a layer")
    asked = Schema(
        name=name,
        inputs=policy.schema.inputs,
        knobs=tuple(
            Knob(knob.name, tuple(knob.values), knob.ordered)
            for knob in sorted(task.knobs, key=lambda k: names.index(k.name) if k.name in names else len(names))
        ),
        facts={
            "cost_model": task.model.name,
            "cost_model_version": task.model.version,
            "technology": task.model.technology,
        },
    )
    if difference := policy.schema.difference(asked):
        raise InputError(f"agent 'uov': the weights {name!r} do not fit the task: {difference}")
    inputs = {entry.name: entry for entry in policy.schema.inputs}
    for key, value in (("objective", spec.objective.value), ("cap", spec.constraint.value)):
        if key not in inputs:
            raise InputError(f"agent 'uov': the weights {name!r} do not take {key} as an input")
        if value not in inputs[key].values:
            known = [v for v in inputs[key].values if v != "none"]
            raise unknown_name(f"agent 'uov': {'constraint' if key == 'cap' else key}", value, known)
    return task


def _layers(task: ResourceAssignmentTask) -> tuple[LayerTable, IntArray]:
    shapes = LayerShapes.from_layers(task.layers)
    columns = {name: np.asarray(getattr(shapes, name)) for name in ("K", "C", "Y", "X", "R", "S", "depthwise")}
    return LayerTable(**columns), np.asarray(shapes.repeat)

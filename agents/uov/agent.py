"""The agent: an answer in one evaluation, a few more to choose from, then local search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from accelgym.agents.base import Agent
from accelgym.agents.moves import Mover
from accelgym.agents.options import require
from accelgym.agents.uov.checkpoint import load_policy, load_shipped
from accelgym.agents.uov.network_plan import NetworkPlan
from accelgym.costmodels.errors import InputError, shown
from accelgym.envs.resource_assignment.task import ResourceAssignmentTask
from accelgym.envs.space import Designs
from accelgym.envs.task import Outcome, Task

__all__ = ["NetworkAnswer", "UOVAgent", "predict_network"]

_CAPPED_TASK = {"model": "maestro", "model_options": {"compat": False, "noc_bw": None}, "granularity": "fine64"}
"""Arguments of the tasks that the shipped weights were trained for."""


class UOVAgent(Agent):
    """A policy trained on other layers (AIrchitect v2's idea, DATE 2025), then search where it may go on.

    1. *One shot.* The policy proposes a design for each layer under 32 caps and predicts what each is worth; an
       allocation picks one a layer within the budget. The design is evaluated: one evaluation.
    2. *Correction.* What the layers really cost takes the place of predictions, and the allocation is made again, an
       evaluation each, until that proposes nothing new.
    3. *Re-ranking.* If these were fewer than ``top``, allocations by varied predictions are evaluated up to that.
    4. *Local search* from the best design, unless ``local`` is false: moves of single layers and transfers between
       two; a better design stays.

    It works where its weights fit: knobs, cost model, objective and constraint of their training. The shipped ones
    (``capped``) take ``model=maestro`` with ``model_options={compat: false, noc_bw: null}``, ``granularity=fine64``,
    one dataflow, latency, energy or edp, and a budget of area or power. Layers outside the range of the training are
    answered with a warning.

    Args:
        task: The task to search.
        seed: Seed of the variations and of the local search.
        weights: Name of shipped weights, or a file of them.
        top: Least number of designs before the local search; 1 is one-shot.
        local: Whether to go on with local search.
        batch: Designs per step of it.
    """

    name: ClassVar[str] = "uov"

    def __init__(
        self, task: Task, *, seed: int, weights: str = "capped", top: int = 5, local: bool = True, batch: int = 8
    ) -> None:
        super().__init__(task, seed=seed)
        require(self.name, 1, top=top, batch=batch)
        path = Path(weights)
        policy = load_policy(path) if path.suffix == ".safetensors" else load_shipped(weights)
        self.top, self.local, self.batch = top, local, batch
        self._plan = NetworkPlan.of(policy, task)
        self._mover = Mover(task, {"step": 1.0, "reset": 0.3, "transfer": 1.0})
        self._best: Designs | None = None
        self._best_score = np.inf
        self._seen: set[bytes] = set()
        self._attempts = 0

    def ask(self, count: int) -> Designs:
        planned = self._plan.best()
        if not self._seen or (self.top > 1 and self._new(planned)):
            return self._noted(planned)
        while self._attempts < 2 * self.top and len(self._seen) < self.top:
            self._attempts += 1
            varied = self._plan.varied(self.rng)
            if self._new(varied):
                return self._noted(varied)
        if not self.local:
            return planned[:0]
        start = planned if self._best is None else self._best
        rows = np.repeat(start, min(count, self.batch), axis=0)
        return self._noted(self._mover.move_within_budget(rows, self.rng))

    def tell(self, designs: Designs, outcome: Outcome) -> None:
        self._plan.tell(designs, outcome)
        place = int(outcome.score.argmin())
        if outcome.score[place] < self._best_score:
            self._best, self._best_score = designs[place : place + 1].copy(), float(outcome.score[place])

    def _new(self, designs: Designs) -> bool:
        return designs[0].tobytes() not in self._seen

    def _noted(self, designs: Designs) -> Designs:
        self._seen |= {row.tobytes() for row in designs}
        return designs


@dataclass(frozen=True)
class NetworkAnswer:
    """A network's design in one shot, and what its evaluation says."""

    workload: str
    title: str
    knobs: tuple[str, ...]
    design: dict[str, tuple[Any, ...]]
    """Values by layer."""
    objective: float
    predicted: float
    """What the policy thought the objective was."""
    feasible: bool
    used: float
    """Share of the budget."""

    def to_json(self) -> dict[str, Any]:
        """Returns the answer as plain data."""
        layers = {layer: dict(zip(self.knobs, values, strict=True)) for layer, values in self.design.items()}
        names = ("workload", "objective", "predicted", "feasible", "used")
        return {name: getattr(self, name) for name in names} | {"design": layers}

    def words(self) -> str:
        """Returns the figures as a sentence."""
        kept = "within" if self.feasible else "beyond"
        return (
            f"objective {self.objective:.6g} (predicted {self.predicted:.6g}), {kept} the budget, "
            f"of which {self.used:.1%} is used; one evaluation"
        )


def predict_network(
    workload: str, budget: float | str, given: Mapping[str, Any], weights: Path | None = None
) -> NetworkAnswer:
    """Assigns every layer of a network in one shot.

    Args:
        workload: Name in the zoo, or a file.
        budget: As ``ResourceAssignmentSpec`` takes it.
        given: Further arguments of the task.
        weights: File of weights; the shipped ones by default.

    Raises:
        InputError: A bad argument, or one that the weights do not fit.
    """
    for name, value in (("workload", workload), ("budget", budget)):
        if name in given:
            raise InputError(f"{name} is given twice: {shown(value)}, and {shown(given[name])} among further arguments")
    policy = load_shipped("capped") if weights is None else load_policy(weights)
    task = ResourceAssignmentTask(**{**_CAPPED_TASK, **given, "workload": workload, "budget": budget})
    spec, plan = task.spec, NetworkPlan.of(policy, task)
    design = plan.best()
    predicted = plan.predicted(design[0])
    outcome = task.evaluate(design)
    names = tuple(knob.name for knob in task.knobs)
    values = list(task.space.decode(design[0]).values())
    slots = {slot: tuple(values[i * len(names) : (i + 1) * len(names)]) for i, slot in enumerate(task.slot_names)}
    return NetworkAnswer(
        workload=task.workload.name,
        title=f"{task.workload.name}: {spec.objective.value}, budget {spec.budget:g} of {spec.constraint.value}",
        knobs=names,
        design=slots,
        objective=float(outcome.objective[0]),
        predicted=predicted,
        feasible=bool(outcome.feasible[0]),
        used=float(outcome.costs["resource"][0] / task.table.capacity),
    )

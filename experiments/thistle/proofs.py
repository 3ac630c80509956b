"""One layer on one machine: the proven optimum, its certificate, and heuristics at a stated budget."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from accelgym.agents import search
from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.architecture.machine import Architecture
from accelgym.envs.mapping import MappingTask

__all__ = ["LAYERS", "TOLERANCE", "Proof", "prove", "prove_problem", "prove_task"]

LAYERS = tuple(
    (workload, layer)
    for workload, count in (("thistle/resnet18", 12), ("thistle/yolo9000", 11))
    for layer in range(1, count + 1)
)
"""Table II."""
TOLERANCE = 1e-3
"""Gap at which a layer counts as proven."""


@dataclass(frozen=True)
class Proof:
    """What is known about one layer on one machine."""

    machine: str
    objective: str
    workload: str
    layer: str
    value: float
    """Of the best mapping, in :attr:`unit`."""
    lower_bound: float
    """Certified; an upper bound of the instructions per cycle when that is the unit."""
    gap: float
    """Relative, of the objective that is minimised."""
    nodes: int
    seconds: float
    thistle: float
    """What the rounded geometric programs reach within the budget; NaN when not run."""
    random_pruned: float
    """What random search reaches within the budget; NaN when not run."""
    unit: str
    """``pj_per_mac``, ``ipc`` or ``pj_cycles_per_mac2``."""
    macs: int
    architecture: str
    """Name of the machine that the best mapping runs on."""

    @property
    def total(self) -> float:
        """What the whole layer takes: pJ or cycles.

        Raises:
            ValueError: Products of energy and delay do not add up over layers.
        """
        return self._whole(self.value)

    @property
    def total_bound(self) -> float:
        """Certified lower bound of :attr:`total`."""
        return self._whole(self.lower_bound)

    def _whole(self, value: float) -> float:
        match self.unit:
            case "pj_per_mac":
                return value * self.macs
            case "ipc":
                return self.macs / value
        raise ValueError(f"{self.unit} does not add up over layers")


def prove(
    workload: str, layer: int, name: str, machine: Architecture, objective: str, *, seconds: float | None, budget: int
) -> Proof:
    """Proves one layer of Table II.

    Args:
        workload: ``thistle/resnet18`` or ``thistle/yolo9000``.
        layer: Counted from 1.
        name: What the machine is called.
        machine: The machine.
        objective: ``energy``, ``latency`` or ``edp``.
        seconds: Time limit of the proof; by default a number of nodes, the same everywhere.
        budget: Evaluations of each heuristic; 0 runs none.
    """
    task = MappingTask(workload=workload, layer=layer, machine=machine, objective=objective)
    return prove_task(task, name, workload, seconds, budget)


def prove_problem(
    problem: LoopNest, name: str, machine: Architecture, objective: str, *, seconds: float | None
) -> Proof:
    """Proves a problem that is no layer of Table II."""
    task = MappingTask(problem=problem, machine=machine, objective=objective)
    return prove_task(task, name, problem.name, seconds, 0)


def prove_task(task: MappingTask, name: str, workload: str, seconds: float | None, budget: int) -> Proof:
    """Proves a mapping or co-design task; arguments as for :func:`prove`."""
    begin = time.perf_counter()
    solution = task.solve(tolerance=TOLERANCE, seconds=seconds)
    found = task.certify(solution, time.perf_counter() - begin)
    reached = {agent: search(task, agent, budget=budget, seed=0).best for agent in _HEURISTICS if budget}
    ((unit, value),) = task.normalised_metrics(found.value).items()
    return Proof(
        machine=name,
        objective=str(task.spec.objective),
        workload=workload,
        layer=task.problem.name,
        value=value,
        lower_bound=task.normalised_metrics(found.lower_bound)[unit],
        gap=found.gap,
        nodes=found.nodes or 0,
        seconds=found.seconds,
        unit=unit,
        macs=task.problem.macs,
        architecture=task.inspect(np.array(found.design))[0].architecture.name,
        **{agent: task.normalised_metrics(reached[agent])[unit] if budget else float("nan") for agent in _HEURISTICS},
    )


_HEURISTICS = ("thistle", "random_pruned")

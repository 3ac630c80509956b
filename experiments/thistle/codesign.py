"""Co-design at equal area: a machine for every layer, and one machine for all of them.

Machines are those of ``ArchitectureFamily.thistle``: powers of two for registers and SRAM, processing elements
fill the area of Eyeriss, 4 (DRAM) and 16 (SRAM) words a cycle, which is an assumption: the paper states none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from accelgym.costmodels.objective import Objective
from accelgym.costmodels.solvers.mapping import MachineTable, best_machine
from accelgym.envs.codesign import CoDesignTask
from accelgym.experiments.thistle.proofs import TOLERANCE, Proof, prove, prove_task
from accelgym.experiments.thistle.variants import eyeriss

__all__ = ["EYERISS", "LAYERWISE", "SHARED", "Study", "study"]

EYERISS, LAYERWISE, SHARED = "Eyeriss", "a machine per layer", "one machine"
"""What groups of proofs are called."""


@dataclass(frozen=True)
class Study:
    """The same layers on three kinds of machine of equal area."""

    eyeriss: tuple[Proof, ...]
    layerwise: tuple[Proof, ...]
    shared: tuple[Proof, ...]
    chosen_for: str
    """Why the shared machine was taken."""
    shared_bound: float
    """Certified lower bound of what all layers together take on any one machine, pJ or cycles."""

    @property
    def groups(self) -> dict[str, tuple[Proof, ...]]:
        """Proofs by kind of machine."""
        return {EYERISS: self.eyeriss, LAYERWISE: self.layerwise, SHARED: self.shared}


def study(layers: Sequence[tuple[str, int]], objective: str, *, seconds: float | None, minimum: bool = False) -> Study:
    """Proves layers on Eyeriss, on machines of their own, and on one machine.

    Args:
        layers: Workload and position of each layer, counted from 1.
        objective: ``energy`` or ``latency``.
        seconds: Time limit of each proof; by default a number of nodes, the same everywhere.
        minimum: Take the machine with the least sum over all layers, proved, which takes minutes for a network. By
            default the paper's way: the machine that is best for the layer that takes most on its own machine.
    """
    fixed = eyeriss(dram_words=4.0, sram_words=16.0)
    on_eyeriss = tuple(prove(w, layer, EYERISS, fixed, objective, seconds=seconds, budget=0) for w, layer in layers)
    tasks = [CoDesignTask(workload=w, layer=layer, objective=objective) for w, layer in layers]
    own = tuple(prove_task(task, LAYERWISE, w, seconds, 0) for task, (w, _) in zip(tasks, layers, strict=True))
    bound = sum(proof.total_bound for proof in own)
    if minimum:
        name, bound = _least_sum(tasks, objective, seconds)
        reason = "the least sum over all layers"
    else:
        heaviest = max(own, key=lambda proof: proof.total)
        name, reason = heaviest.architecture, f"best for {heaviest.workload} {heaviest.layer}, which takes most"
    machine = next(m.architecture for m in tasks[0].family.machines if m.architecture.name == name)
    shared = tuple(prove(w, layer, SHARED, machine, objective, seconds=seconds, budget=0) for w, layer in layers)
    own = tuple(_better(mine, theirs) for mine, theirs in zip(own, shared, strict=True))
    return Study(on_eyeriss, own, shared, reason, bound)


def _better(own: Proof, shared: Proof) -> Proof:
    """Returns the proof of a layer's own machine; an unfinished one takes over a better mapping on the shared one."""
    if shared.total >= own.total:
        return own
    gap = (shared.total - own.total_bound) / shared.total
    return replace(own, value=shared.value, architecture=shared.architecture, gap=gap)


def _least_sum(tasks: Sequence[CoDesignTask], objective: str, seconds: float | None) -> tuple[str, float]:
    """Returns the name of the best machine for all tasks, and the bound of every machine's sum."""
    machines = [machine.architecture for machine in tasks[0].family.machines]
    found = best_machine(
        [task.solver_space for task in tasks],
        [1.0] * len(tasks),
        MachineTable.of(machines),
        Objective(objective),
        [task.bypasses for task in tasks],
        tolerance=TOLERANCE,
        seconds=seconds,
    )
    return machines[found.machine].name, found.lower_bound

"""Several accelerators on one chip as a task: sizes, assignment of layers and order of dispatch."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.certificate import Certificate, relative_gap, rounded_down
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.solvers.scheduling import (
    Limits,
    ReadyList,
    ScheduleDesigns,
    Schedules,
    SchedulingProblem,
    chip_bounds,
    codes_of_order,
    objective_bound,
    order_of_codes,
    run_schedules,
    solve_schedule,
    worth,
)
from accelgym.costmodels.workloads import load_workload
from accelgym.envs.certificates import ProvedTask
from accelgym.envs.multi_accelerator.costs import LayerGraph, OptionCosts, layer_graph, option_costs
from accelgym.envs.multi_accelerator.spec import MOST_OPERATIONS, MultiAcceleratorSpec, ScheduleObjective
from accelgym.envs.space import Designs, Parameter, Space
from accelgym.envs.task import Outcome

__all__ = ["MultiAcceleratorTask"]

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_FIELDS = ("N", "K", "C", "P", "Q", "R", "S", "groups", "stride", "padding", "dilation")
_LIMITS = Limits()
_SLACK = 1e-9
"""Relative; absorbs the order in which areas are added up."""


class MultiAcceleratorTask(ProvedTask):
    """Chooses the sizes of two or three accelerators, who runs each layer, and in which order.

    A design is the size of each accelerator, the accelerator of each layer and, for each operation (a layer of a
    batch) but the last, how many more urgent ones that are ready are passed over. Every schedule that starts nothing
    later than it must has such a design, so that the optimum over designs is that of the scheduling problem.

    Args:
        problem: A scheduling problem in place of what the arguments describe, in ticks of ``tick_cycles``.
        **arguments: Fields of :class:`MultiAcceleratorSpec`.

    Raises:
        InputError: A bad argument, a layer that runs nowhere, dependencies that form a cycle, or an area that nothing
            fits.
    """

    lanes: ClassVar[str] = "accelgym.envs.multi_accelerator.env:MultiAcceleratorVectorEnv"

    def __init__(self, *, problem: SchedulingProblem | None = None, **arguments: Any) -> None:
        self.spec = MultiAcceleratorSpec.parse(arguments)
        self._model: tuple[str, str, str] | None = None
        if problem is not None:
            self.problem = problem
            self.sizes = tuple(tuple(f"size {s}" for s in range(problem.area_um2.shape[1])) for _ in problem.area_um2)
        else:
            self.graph = layer_graph([load_workload(name) for name in self.spec.workloads], self.spec.after)
            operations = len(self.graph.layers) * self.spec.batches
            if operations > MOST_OPERATIONS:
                raise InputError(
                    f"batches={self.spec.batches} of {len(self.graph.layers)} layers are {operations} operations, "
                    f"allowed {MOST_OPERATIONS}"
                )
            costs = option_costs(self.graph, self.spec.accelerators, self.spec.objective.of_layers, self.spec.wide_ends)
            self.problem, self.sizes, self._model = _problem(self.spec, self.graph, costs), costs.sizes, costs.model
        if not len(self.problem.chips):
            raise InputError(self._nearest())

    @property
    def env_id(self) -> str:
        return "accelgym/MultiAccelerator-v0"

    @cached_property
    def space(self) -> Space:
        """Sizes, accelerators of the layers, codes of the order."""
        problem = self.problem
        names = _distinct(problem.accelerators)
        sizes = [
            Parameter(f"{name}.size", sizes, True, name, "size") for name, sizes in zip(names, self.sizes, strict=True)
        ]
        layers = [Parameter(f"{name}.accelerator", names, False, name, "accelerator") for name in problem.layers]
        count = len(problem.operations)
        steps = range(count - 1) if problem.width > 1 else range(0)
        order = [
            Parameter(f"step{t}.passed_over", tuple(range(min(problem.width, count - t))), True, f"step{t}", "order")
            for t in steps
        ]
        return Space((*sizes, *layers, *order))

    def describe(self) -> dict[str, Any]:
        found: dict[str, Any] = {"env": self.env_id, "spec": self.spec.model_dump(mode="json")}
        if self._model is not None:
            # Costs follow from these; written out, they would differ in the last digit from machine to machine.
            return found | {
                "layers": [
                    [name, *(getattr(layer, field) for field in _FIELDS)]
                    for name, layer in zip(self.graph.names, self.graph.layers, strict=True)
                ],
                "edges": [list(edge) for edge in self.graph.edges],
                "ends": list(self.graph.ends),
                "sizes": [list(sizes) for sizes in self.sizes],
                "model": list(self._model),
            }
        tables = ("ticks", "energy_pj", "allowed", "area_um2", "leakage_pj")
        return found | {
            "layers": list(self.problem.layers),
            "edges": [list(edge) for edge in self.problem.edges],
            "limits": [self.problem.batches, self.problem.area_limit_um2, self.problem.objective.value],
            "tables": {name: getattr(self.problem, name).tolist() for name in tables},
        }

    # -- one evaluation ------------------------------------------------------------------------------------

    def parts(self, designs: Designs) -> ScheduleDesigns:
        """Returns the parts of designs of shape ``(n, parameters)``."""
        accelerators, layers = len(self.problem.accelerators), len(self.problem.layers)
        sizes, assignment, codes = np.split(self.space.check(designs), [accelerators, accelerators + layers], axis=1)
        return ScheduleDesigns(sizes, assignment, codes)

    def join_parts(self, parts: ScheduleDesigns) -> Designs:
        """Inverse of :meth:`parts`; codes that the space does not have are left out."""
        codes = parts.codes[:, : len(self.space) - parts.sizes.shape[1] - parts.assignment.shape[1]]
        return np.concatenate((parts.sizes, parts.assignment, codes), axis=1)

    def schedules(self, designs: Designs) -> Schedules:
        """Returns the times of every operation of designs, in ticks."""
        parts = self.parts(designs)
        return run_schedules(self.problem, parts.sizes, parts.assignment, order_of_codes(self.problem, parts.codes))

    def evaluate(self, designs: Designs) -> Outcome:
        parts = self.parts(designs)
        valid, area = self._runs(parts), self._area(parts.sizes)
        schedules = run_schedules(
            self.problem, parts.sizes, parts.assignment, order_of_codes(self.problem, parts.codes)
        )
        limit = self.problem.area_limit_um2
        feasible = valid & (area <= limit)
        return Outcome(
            objective=np.where(valid, worth(self.problem, schedules) * self.unit, np.inf),
            feasible=feasible,
            violation=np.where(feasible, 0.0, np.where(valid, area / limit - 1, np.inf)),
            valid=valid,
            costs={
                "makespan_cycles": schedules.makespan * float(self.spec.tick_cycles),
                "energy_pj": schedules.energy_pj,
                "area_um2": area,
            },
        )

    @property
    def unit(self) -> float:
        """Cycles in a tick, where the objective counts them."""
        return 1.0 if self.spec.objective is ScheduleObjective.ENERGY else float(self.spec.tick_cycles)

    def _runs(self, parts: ScheduleDesigns) -> Bools:
        """Whether every layer can run where it is put, ``(n,)``."""
        size = np.take_along_axis(parts.sizes, parts.assignment, axis=1)
        return np.asarray(self.problem.allowed[np.arange(len(self.problem.layers)), parts.assignment, size].all(axis=1))

    def _area(self, sizes: Ints) -> Floats:
        return np.asarray(self.problem.area_um2[np.arange(sizes.shape[1]), sizes].sum(axis=1))

    # -- feasible designs --------------------------------------------------------------------------------------

    def fits(self, designs: Designs) -> Bools:
        parts = self.parts(designs)
        return self._runs(parts) & (self._area(parts.sizes) <= self.problem.area_limit_um2)

    @cached_property
    def _completable(self) -> tuple[Bools, ...]:
        """Whether sizes of the first accelerators lead to a chip that fits and runs every layer, by their number."""
        full = np.zeros([len(sizes) for sizes in self.sizes], dtype=bool)
        full[tuple(self.problem.chips.T)] = True
        found = [full]
        while found[-1].ndim:
            found.append(np.asarray(found[-1].any(axis=-1)))
        return tuple(reversed(found))

    def masks(self, actions: Ints, position: int) -> Bools:
        mask = self.masks_of_choices(actions, min(position, self.choices))
        if position >= self.choices:
            ready, rows = ReadyList(self.problem, len(actions)), np.arange(len(actions))
            for step in range(self.choices, position):
                ready.pick(rows, actions[:, step])
            mask = self.masks_of_order(mask[:, 0], ready.counts(), position)
        return mask

    @property
    def choices(self) -> int:
        """Number of decisions before those of the order."""
        return len(self.problem.accelerators) + len(self.problem.layers)

    def masks_of_choices(self, actions: Ints, position: int) -> Bools:
        """Masks of sizes and assignments; at :attr:`choices` a first column that says what can still be feasible."""
        accelerators = len(self.problem.accelerators)
        n, chips = len(actions), actions[:, :accelerators]
        mask = np.zeros((n, self.num_actions), dtype=bool)
        if position < accelerators:
            options = self._completable[position + 1][tuple(chips[:, :position].T)]
            mask[:, : options.shape[-1]] = options
        else:
            layers = np.arange(position - accelerators)
            where = actions[:, accelerators:position]
            good = self._completable[-1][tuple(chips.T)]
            size = np.take_along_axis(chips, where, axis=1)
            good = good & self.problem.allowed[layers, where, size].all(axis=1)
            if position == self.choices:
                mask[:, 0] = good
                return mask
            can = self.problem.allowed[position - accelerators, np.arange(accelerators), chips]
            mask[:, :accelerators] = can & good[:, None]
        lost = ~mask.any(axis=1)
        mask[lost] = np.arange(self.num_actions) < self.action_sizes[position]
        return mask

    def masks_of_order(self, good: Bools, ready: Ints, position: int) -> Bools:
        """Masks of the order: the ready operations, or all that exist where the choices broke something.

        Args:
            good: Which rows can be feasible, ``(n,)``.
            ready: Number of ready operations, ``(n,)``.
            position: Of the decision.
        """
        width = self.action_sizes[position]
        return np.asarray(np.arange(self.num_actions) < np.where(good, np.minimum(ready, width), width)[:, None])

    def sample_feasible(self, rng: np.random.Generator, count: int) -> Designs:
        problem = self.problem
        layers, steps = len(problem.layers), len(self.space) - self.choices
        sizes = problem.chips[rng.integers(0, len(problem.chips), count)]
        can = problem.allowed[:, np.arange(len(problem.accelerators)), sizes]  # (L, n, K)
        assignment = np.where(can, rng.random(can.shape), -1.0).argmax(axis=2).T.reshape(count, layers)
        codes = np.zeros((count, steps), dtype=np.int64)
        ready, rows = ReadyList(problem, count), np.arange(count)
        for step in range(steps if count else 0):
            codes[:, step] = rng.integers(0, np.minimum(ready.counts(), self.space.nvec[self.choices + step]))
            ready.pick(rows, codes[:, step])
        return self.join_parts(ScheduleDesigns(sizes, assignment, codes))

    def repair(self, designs: Designs, rng: np.random.Generator) -> Designs:
        """Moves to the nearest chip that fits, and layers that cannot run to an accelerator that runs them."""
        parts, problem = self.parts(designs), self.problem
        poor = ~self.fits(designs)
        far = np.abs(parts.sizes[:, None] - problem.chips).sum(axis=2)
        nearest = problem.chips[(far + rng.random(far.shape) * 0.5).argmin(axis=1)]
        sizes = np.where(poor[:, None], nearest, parts.sizes)
        can = problem.allowed[:, np.arange(len(problem.accelerators)), sizes]
        other = np.where(can, rng.random(can.shape), -1.0).argmax(axis=2).T.reshape(parts.assignment.shape)
        stays = np.take_along_axis(can, parts.assignment.T[..., None], axis=2)[..., 0].T
        return self.join_parts(ScheduleDesigns(sizes, np.where(stays, parts.assignment, other), parts.codes))

    # -- what is known about the task ----------------------------------------------------------------------

    @cached_property
    def bound(self) -> float:
        """The best of all chips' Lagrangian bounds; no solver is needed."""
        return float(objective_bound(self.problem, *chip_bounds(self.problem, self.problem.chips)).min()) * self.unit

    @property
    def proof(self) -> str:
        limits = "/".join(str(x) for x in (_LIMITS.nodes, _LIMITS.pairs, _LIMITS.rounds, _LIMITS.chips))
        return f"chips by Lagrangian bound, schedules by MILP 1 ({limits} nodes/pairs/rounds/chips)"

    def prove(self, *, anew: bool = False) -> Certificate:
        found = solve_schedule(self.problem, _LIMITS)
        design = self.join_parts(self._canonical(found.design))[0]
        value = float(self.evaluate(design[None]).objective[0])
        proved = found.lower_bound >= found.value
        bound = value if proved else min(rounded_down(max(found.lower_bound * self.unit, self.bound)), value)
        return Certificate(
            value=value,
            design=tuple(int(i) for i in design),
            lower_bound=bound,
            gap=relative_gap(value, bound),
            method=self.proof,
            relaxations=() if proved else ("accelerators may run two layers at once",),
            nodes=found.nodes,
            seconds=found.seconds,
            limited_by="nodes" if found.limited and not proved else "",
        )

    def _canonical(self, parts: ScheduleDesigns) -> ScheduleDesigns:
        """The same schedules with the codes that masks reach."""
        return replace(parts, codes=codes_of_order(self.problem, order_of_codes(self.problem, parts.codes)))

    def convention(self) -> str:
        return (
            f"accelerators are taken for whole ticks of {self.spec.tick_cycles} cycles; layers hand over through DRAM, "
            "of which each accelerator has a channel; all leak over the makespan"
        )

    def report(self, design: Designs) -> dict[str, Any]:
        parts, run = self.parts(design[None]), self.schedules(design[None])
        busy = np.zeros(len(self.problem.accelerators))
        np.add.at(busy, parts.assignment[0], run.duration[0] * self.problem.batches)
        names = _distinct(self.problem.accelerators)
        share = busy / max(int(run.makespan[0]), 1)
        return {f"busy_{name}": round(float(part), 4) for name, part in zip(names, share, strict=True)}

    def _nearest(self) -> str:
        """Says what area would do."""
        problem = self.problem
        room = replace(problem, area_limit_um2=np.inf)
        least, most = (float(f(problem.area_um2, axis=1).sum()) for f in (np.min, np.max))
        if not len(room.chips):
            return f"no sizes of the accelerators {', '.join(problem.accelerators)} run every layer"
        need = float(self._area(room.chips).min())
        if self.spec.area_um2 is not None:
            return f"area_um2={self.spec.area_um2}: no chip is that small; the smallest has {need:.6g} um2"
        fraction = (need - least) / (most - least) if most > least else 0.0
        return (
            f"budget={self.spec.budget}: no chip fits {problem.area_limit_um2:.6g} um2; the smallest has {need:.6g}, "
            f"budget {fraction:.6g}"
        )


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names with a number where they repeat."""
    return tuple(f"{name}#{names[:i].count(name) + 1}" if name in names[:i] else name for i, name in enumerate(names))


def _problem(spec: MultiAcceleratorSpec, graph: LayerGraph, costs: OptionCosts) -> SchedulingProblem:
    least, most = costs.area_um2.min(axis=1).sum(), costs.area_um2.max(axis=1).sum()
    limit = spec.area_um2 if spec.area_um2 is not None else float(least + spec.budget * (most - least))
    return SchedulingProblem(
        layers=graph.names,
        accelerators=spec.accelerators,
        ticks=np.maximum(np.ceil(costs.latency_cycles / spec.tick_cycles), 1).astype(np.int64),
        energy_pj=costs.energy_pj,
        allowed=costs.valid,
        area_um2=costs.area_um2,
        leakage_pj=costs.leakage_pj * spec.tick_cycles,
        edges=graph.edges,
        batches=spec.batches,
        area_limit_um2=limit * (1 + _SLACK),
        objective=spec.objective.of_layers,
    )

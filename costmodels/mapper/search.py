"""One search of a whole map space: a machine and a problem in, a mapping and a certified bound out."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.architecture.machine import Architecture, Constraint
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.loopnest import LoopnestModel, Mappings
from accelgym.costmodels.mapper.metrics import goal_of, measure
from accelgym.costmodels.mapspace import KEPT, Constraints, MapSpace
from accelgym.costmodels.solvers.mapping import MachineTable, Solution, solve

__all__ = ["LayerSearch", "Point", "Search", "Settings"]

_SMALL = 50_000
"""Tilings, times choices of who keeps what, up to which a search goes on to the exact optimum: about a second."""
_EXACT = 1e-9
_MOST_BYPASSES = 4096
"""Choices of who keeps what that one search may span; each is the root of a tree of its own."""


@dataclass(frozen=True)
class Settings:
    """How a layer is searched."""

    bypass: bool = False
    """Also choose which level keeps which tensor, where constraints leave that open."""
    tolerance: float = 1e-3
    """Relative gap at which a search ends; small spaces are searched to the end."""
    nodes: int | None = None
    """Most programs a search solves; by size of the space unless stated."""
    seconds: float | None = None
    """Most seconds of a search, in place of ``nodes``; another machine may then prove more or less."""

    def __post_init__(self) -> None:
        if not 0.0 < self.tolerance < 1.0:
            raise InputError(f"tolerance is {self.tolerance!r}, allowed > 0 and < 1")
        if self.nodes is not None and self.nodes < 1:
            raise InputError(f"nodes is {self.nodes!r}, allowed integers >= 1")
        if self.seconds is not None and not self.seconds > 0:
            raise InputError(f"seconds is {self.seconds!r}, allowed > 0")


@dataclass(frozen=True)
class Point:
    """A mapping with what it costs."""

    mapping: Mappings
    """A batch of one."""
    energy_pj: float
    cycles: int

    def value(self, metric: str) -> float:
        """Returns the value of a metric."""
        return measure(metric, self.energy_pj, self.cycles)


@dataclass(frozen=True)
class Search:
    """What a search found and proved."""

    point: Point | None
    lower_bound: float
    """Of the metric, for every mapping of the space searched; ``inf`` where the space is proved empty."""
    nodes: int
    limited_by: str
    """What ended it before its gap was closed, ``nodes`` or ``seconds``."""


class LayerSearch:
    """Searches of all mappings of a problem onto a machine, as its constraints leave them.

    Args:
        problem: The problem.
        machine: The machine.
        settings: How to search.

    Raises:
        InputError: Constraints that contradict the problem or are not supported, or a memory that is too small for
            every mapping; the message says by how much.
    """

    def __init__(self, problem: LoopNest, machine: Architecture, settings: Settings) -> None:
        if problem.macs == 1:
            raise InputError(f"layer {problem.name!r} is a single multiplication: there is nothing to map")
        self.problem, self.machine, self.settings = problem, machine, settings
        space = MapSpace(problem, machine, bypass=settings.bypass)
        self.architecture = space.architecture
        """The machine whose memories hold only what its constraints let them."""
        self.choices = _bypass_choices(space, machine)
        self._require_room(space.constraints)
        self.model = LoopnestModel(problem, self.architecture)

    @property
    def parallelism(self) -> list[int]:
        """Numbers of multipliers that factors of the bounds can put to use, ascending; not all can be reached."""
        most = self.machine.num_multipliers
        reached = {1}
        for bound in self.problem.bounds:
            factors = [i for i in range(1, min(bound, most) + 1) if bound % i == 0]
            reached = {a * b for a in reached for b in factors if a * b <= most}
        return sorted(reached)

    def limited(self, multipliers: int) -> Architecture:
        """Returns the machine with the constraint that mappings use at least so many multipliers."""
        if multipliers <= 1:
            return self.machine
        # Timeloop's smallest utilisation at the innermost memory is that of the multipliers.
        share = (multipliers - 0.5) / self.machine.num_multipliers
        limit = Constraint(self.machine.levels[-1].name, "utilization", minimum=share)
        return replace(self.machine, constraints=(*self.machine.constraints, limit))

    def search(self, metric: str, *, multipliers: int = 1) -> Search:
        """Minimises a metric.

        Args:
            metric: One of :data:`~accelgym.costmodels.mapper.metrics.METRICS`.
            multipliers: Only mappings that use at least as many.

        Raises:
            InputError: The problem has no certified bound (an output with strided or summed axes).
        """
        space = MapSpace(self.problem, self.limited(multipliers), bypass=self.settings.bypass)
        size = math.prod(len(chains) for chains in space.site_factorization.chains) * self.choices
        if not size:
            return Search(None, math.inf, 0, "")
        table, limits = MachineTable.of([space.architecture]), self.settings
        found = solve(
            space,
            table,
            goal_of(metric),
            tolerance=min(limits.tolerance, _EXACT) if size <= _SMALL else limits.tolerance,
            most_nodes=limits.nodes,
            seconds=limits.seconds,
        )
        if found.mapping is None:
            return Search(None, math.inf if found.closed else found.lower_bound, found.nodes, found.limited_by)
        return Search(self._point(found), found.lower_bound, found.nodes, found.limited_by)

    def _point(self, found: Solution) -> Point:
        assert found.mapping is not None
        # The machine of the search states the multipliers as a constraint; the mapping belongs to this one.
        return self.points(replace(found.mapping, architecture=self.architecture))[0]

    def points(self, mappings: Mappings) -> list[Point]:
        """Evaluates a batch of mappings of this space, by the count of every iteration."""
        costs = self.model.evaluate(mappings)
        return [
            Point(mappings[i : i + 1], float(costs.energy_pj[i]), int(costs.latency_cycles[i]))
            for i in range(len(mappings))
            if costs.valid[i]
        ]

    def _require_room(self, constraints: Constraints) -> None:
        """Checks that the mapping with every open loop outermost fits: no other one needs less room.

        Raises:
            InputError: It does not; the message names each memory that is too small and by how much.
        """
        problem, machine = self.problem, self.machine
        loops = constraints.fixed.copy()
        for d, slot in enumerate(constraints.remainder_slot):
            loops[slot, d] *= problem.bounds[d] // int(loops[:, d].prod())
        loops = np.maximum(loops, np.where(constraints.minimum.factors > 1, constraints.minimum.factors, 1))
        short = []
        for v, level in enumerate(machine.levels):
            inside = np.array([slot.level >= v for slot in machine.slots])
            reach = np.minimum(loops[inside].prod(axis=0), problem.bounds)
            extents = {dim: int(x) for dim, x in zip(problem.dims, reach, strict=True)}
            kept = [t for t, rule in zip(problem.tensors, constraints.keep[v], strict=True) if rule == KEPT]
            words, room = sum(problem.tile_words(t, extents) for t in kept), level.tile_capacity
            if room is not None and words > room:
                names = ", ".join(t.name for t in kept)
                short.append(
                    f"the smallest tiles at {level.name!r} ({names}) take {words} words, {words - room} more "
                    f"than the {room} that it holds"
                )
        if short:
            raise InputError(f"no mapping of {problem.name!r} fits {machine.name!r}: {'; '.join(short)}")


def _bypass_choices(space: MapSpace, machine: Architecture) -> int:
    """Number of choices of which level keeps which tensor.

    Raises:
        InputError: There are too many.
    """
    free = int(space.bypass.free.sum())
    if 2**free > _MOST_BYPASSES:
        raise InputError(
            f"{machine.name!r} leaves open who keeps what in {free} places, 2**{free} choices, allowed: "
            f"{_MOST_BYPASSES}; state some (type: bypass), or let every memory keep what it may (--no-bypass)"
        )
    return int(2**free)

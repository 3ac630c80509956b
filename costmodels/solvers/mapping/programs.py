"""Geometric programs of a batch of nodes: objective, room, fan-outs and bandwidths from the movement terms.

Variables are the logarithms of the extents at places 1 to the last, and of the cycles where these matter. The
programs only ever relax: an optimum of the program is a lower bound of everything inside the node.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.loopnest.terms import TermTable
from accelgym.costmodels.objective import Objective
from accelgym.costmodels.solvers.mapping.classes import LevelClasses
from accelgym.costmodels.solvers.mapping.elision import Elision
from accelgym.costmodels.solvers.mapping.interior_point import Programs
from accelgym.costmodels.solvers.mapping.machines import MachineTable
from accelgym.costmodels.solvers.mapping.nodes import Nodes
from accelgym.costmodels.solvers.mapping.space import MappingSpace
from accelgym.costmodels.solvers.mapping.traffic import Movement, Posynomial, TrafficTerms, log_of
from accelgym.costmodels.solvers.mapping.windows import ABSENT

__all__ = ["Convention", "ProgramWriter"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_ROOM = 1e-5
"""Logarithmic slack of room and fan-outs: keeps an interior where a tile fits exactly."""


class Convention(StrEnum):
    """What energy counts."""

    LOOPNEST = "loopnest"
    """As the cost model: every fill of every instance, first accumulations elided. The one that bounds rest on."""
    THISTLE = "thistle"
    """Equation 3 of the paper: a multicast word is charged once, outputs twice, and nothing is elided."""


class ProgramWriter:
    """Writes the programs of nodes of one search.

    Args:
        space: The map space.
        table: Terms of the cost model in its default convention.
        classes: Permutation classes of every level but the innermost.
        machines: The machines that nodes name.
        objective: What is minimised.
        convention: What energy counts.
    """

    def __init__(
        self,
        space: MappingSpace,
        table: TermTable,
        classes: tuple[LevelClasses, ...],
        machines: MachineTable,
        objective: Objective,
        *,
        convention: Convention = Convention.LOOPNEST,
    ) -> None:
        self.convention = convention
        self.space, self.machines, self.objective = space, machines, objective
        self.classes = classes
        self.traffic = TrafficTerms(space, table, classes)
        self.depth = len(space.architecture.levels)
        charged = objective is not Objective.LATENCY and convention is Convention.LOOPNEST
        self.leaking = [v for v in range(self.depth) if charged and (machines.leakage_pj[:, v] > 0).any()]
        """Levels whose instances in use leak."""
        self.standing = charged and bool((machines.standing_pj > 0).any())
        self.leaks = self.standing or bool(self.leaking)
        self.timed = objective is not Objective.ENERGY or self.leaks
        """Whether the cycles are a variable."""
        self.macs = float(space.problem.macs)
        self.ported = [(names, words) for names, words in machines.ports if self.timed and np.isfinite(words).any()]

    def unit(self, nodes: Nodes) -> Bools:
        """Time loops that the classes of nodes fix to one, shape ``(nodes, places, dims)``."""
        unit = np.zeros((len(nodes), len(self.space.places), self.space.dims), dtype=bool)
        for v, classes in enumerate(self.classes):
            unit[:, self.space.time[v]] = classes.unit[nodes.classes[:, v]]
        return unit

    def write(self, nodes: Nodes, spread: Floats) -> Programs:
        """Returns the programs.

        Args:
            nodes: The nodes.
            spread: Logarithm of the most children in use below each level, shape ``(nodes, levels)``.
        """
        low, high = nodes.logs(self.space)
        moved = self.traffic.movement(nodes, low, high)
        groups: list[tuple[Posynomial, float]] = [(self._objective(nodes, moved, low, high), self._cycle_power)]
        for v in range(self.depth):
            capacity = self.machines.capacity[nodes.machine, v]
            if np.isfinite(capacity).any():
                groups.append((self._room(nodes, v, capacity, low, high), 0.0))
        for names, words in self.ported:
            for v in range(self.depth):
                if np.isfinite(words[nodes.machine, v]).any():
                    groups.append((self._port(nodes, v, names, words[nodes.machine, v], moved), -1.0))
        return self._assemble(nodes, groups, low, high, spread)

    # -- objective -------------------------------------------------------------------------------------------------

    @property
    def _cycle_power(self) -> float:
        return 1.0 if self.objective is Objective.EDP else 0.0

    def _objective(self, nodes: Nodes, moved: list[Movement], low: Floats, high: Floats) -> Posynomial:
        n = len(nodes)
        if self.objective is Objective.LATENCY:
            return self._constant(np.ones(n))
        if self.convention is Convention.THISTLE:
            return self._equation_3(nodes, moved)
        machines, rows, output = self.machines, nodes.machine, self.traffic.output
        parts = self._leakage(nodes)
        constant = self.macs * machines.mac_pj[rows]
        for movement in moved:
            if movement.tensor != output and self._is_constant(movement.requests):
                price = self._served(nodes, movement)[0]
                if movement.delivered is None:
                    price = price + self._filling(nodes, movement)
                constant = constant + price * self._amount(movement.requests)
        elision = Elision.plan(self, nodes, constant)
        constant = elision.constant
        for movement in moved:
            t, child, request = movement.tensor, movement.child, movement.requests
            read, write = self._served(nodes, movement)
            filling = self._filling(nodes, movement)
            if t == output:
                read = read * elision.remaining(movement.server, request, low, high)
                filled = np.full(n, min(child, self.depth - 1))
                filling = filling * elision.remaining(filled, movement.delivered or request, low, high)
            if movement.delivered is None:
                read = read + filling
            else:
                parts.append(movement.delivered.times(log_of(filling)))
            if not self._is_constant(request):
                parts.append(request.times(log_of(read + write)))
            elif t == output:
                # Reads and updates of the innermost level, the same for every tiling.
                constant = constant + (read + write) * self._amount(request)
        parts += elision.parts(constant)
        return Posynomial.sum(parts)

    def _leakage(self, nodes: Nodes) -> list[Posynomial]:
        """Leakage per cycle, one term each; the first of the objective, to be multiplied by the cycles."""
        rows, instances = nodes.machine, self.traffic.zeros(len(nodes))
        parts = [self._constant(self.machines.standing_pj[rows])] if self.standing else []
        for v in range(self.depth):
            if v in self.leaking:
                parts.append(Posynomial(log_of(self.machines.leakage_pj[rows, v])[:, None], instances[:, None].copy()))
            instances = instances + self.traffic.fan_exponents(len(nodes), v, np.ones(self.space.dims))
        return parts

    def _equation_3(self, nodes: Nodes, moved: list[Movement]) -> Posynomial:
        """``(4 eR + eMAC) ops + sum of (e_parent + e_child) DV``, volumes of outputs twice."""
        rows, machines = nodes.machine, self.machines
        parts = [self._constant(machines.mac_pj[rows] * self.macs)]
        for movement in moved:
            read, write = self._served(nodes, movement)
            price = read + write + self._filling(nodes, movement)
            if movement.tensor == self.traffic.output and movement.child < self.depth:
                kept = nodes.keep[:, movement.child, movement.tensor]
                price = price + machines.read_pj[rows, movement.child] * kept
            parts.append(movement.requests.times(log_of(price)))
        return Posynomial.sum(parts)

    def _served(self, nodes: Nodes, movement: Movement) -> tuple[Floats, Floats]:
        """Energy that a request costs the level that serves it, to read and to update, per word."""
        rows, t = nodes.machine, movement.tensor
        read, write = self.machines.read_pj[rows, movement.server], np.zeros(len(nodes))
        if t == self.traffic.output:
            write = self.machines.update_pj[rows, movement.server]
        if movement.child < self.depth:
            kept = nodes.keep[:, movement.child, t]
            return read * kept, write * kept
        return read, write

    def _filling(self, nodes: Nodes, movement: Movement) -> Floats:
        """Energy that a word delivered costs the level that it fills, if any."""
        child = movement.child
        if child == self.depth:
            return np.zeros(len(nodes))
        return np.asarray(self.machines.fill_pj[nodes.machine, child] * nodes.keep[:, child, movement.tensor])

    @staticmethod
    def _is_constant(posynomial: Posynomial) -> bool:
        return not posynomial.exponents[:, :, 1:-1].any()

    def _amount(self, posynomial: Posynomial) -> Floats:
        """Value of a constant posynomial."""
        words = np.exp(posynomial.log + posynomial.exponents[:, :, 0] @ np.log(self.space.bounds))
        return np.asarray(words.sum(axis=1))

    def _constant(self, value: Floats) -> Posynomial:
        return Posynomial(log_of(value)[:, None], self.traffic.zeros(len(value))[:, None])

    # -- constraints -----------------------------------------------------------------------------------------------

    def _room(self, nodes: Nodes, level: int, capacity: Floats, low: Floats, high: Floats) -> Posynomial:
        parts = [
            self.traffic.tile(level, t, low, high).times(
                np.where(nodes.keep[:, level, t], -np.log(capacity), ABSENT) - _ROOM
            )
            for t in range(len(self.space.problem.tensors))
        ]
        return Posynomial.sum(parts)

    def _port(
        self, nodes: Nodes, level: int, names: tuple[str, ...], words: Floats, moved: list[Movement]
    ) -> Posynomial:
        """Words through a port per instance in use and cycle of its bandwidth.

        Reads and fills of the output less the elided ones may be as few as none.
        """
        n = len(nodes)
        instances = self.traffic.zeros(n)
        for v in range(level):
            instances -= self.traffic.fan_exponents(n, v, np.ones(self.space.dims))
        parts = [Posynomial(np.full((n, 1), ABSENT), self.traffic.zeros(n)[:, None])]
        scale = -np.log(words)
        for movement in moved:
            t, child = movement.tensor, movement.child
            is_output = t == self.traffic.output
            kept = np.ones(n, dtype=bool) if child == self.depth else nodes.keep[:, child, t]
            serves = kept & (movement.server == level)
            asked = ("updates" if is_output else "reads") in names
            if asked and serves.any():
                parts.append(movement.requests.times(np.where(serves, scale, ABSENT), instances))
            if child == level and "fills" in names and not is_output and kept.any():
                words_in = movement.delivered or movement.requests
                parts.append(words_in.times(np.where(kept, scale, ABSENT), instances))
        return Posynomial.sum(parts)

    # -- assembly --------------------------------------------------------------------------------------------------

    def _assemble(
        self, nodes: Nodes, groups: list[tuple[Posynomial, float]], low: Floats, high: Floats, spread: Floats
    ) -> Programs:
        n, places, dims = len(nodes), len(self.space.places), self.space.dims
        log = np.concatenate([posynomial.log for posynomial, _ in groups], axis=1)
        exponents = np.concatenate([posynomial.exponents for posynomial, _ in groups], axis=1)
        group = np.repeat(np.arange(len(groups)), [posynomial.log.shape[1] for posynomial, _ in groups])
        cycles = np.repeat([power for _, power in groups], np.bincount(group))
        rows, limits = self._linear(nodes, spread)
        tied = self.unit(nodes) | ~self.space.open
        offset = np.log(np.where(self.space.open, 1, self.space.fixed))
        log, exponents = _untie(log, exponents, tied, offset, self.space.bounds)
        limits, rows = _untie(limits, rows, tied, offset, self.space.bounds, sign=-1.0)
        lower, upper = _untied_box(low, high, tied, offset)
        size = (places - 1) * dims
        exponents = exponents[:, :, 1:places].reshape(n, -1, size)
        rows = rows[:, :, 1:places].reshape(n, -1, size)
        lower, upper = lower[:, 1:places].reshape(n, size), upper[:, 1:places].reshape(n, size)
        if self.timed:
            exponents, rows, limits, lower, upper = self._with_cycles(
                exponents, rows, limits, lower, upper, cycles, spread, tied, offset
            )
        return Programs(log, exponents, group, rows, limits, lower, upper)

    def _linear(self, nodes: Nodes, spread: Floats) -> tuple[Floats, Floats]:
        """Rows that nest extents, limit factors and bound fan-outs: ``rows @ y <= limits``."""
        n, places, dims = len(nodes), len(self.space.places), self.space.dims
        rows, limits = [], []
        for i in range(1, places):
            for d in range(dims):
                if not self.space.open[i, d]:
                    continue
                row = np.zeros((places + 1, dims))
                row[i, d], row[i + 1, d] = -1.0, 1.0
                if self.space.places[i].spatial:
                    factors = np.log(nodes.spread[:, self.space.places[i].level, d])
                    rows += [row, -row]
                    limits += [_ROOM - factors[:, 0], factors[:, 1] + _ROOM]
                elif i + 1 < places or self.space.least[i, d] > 1:
                    rows.append(row)
                    limits.append(np.full(n, _ROOM * (self.space.least[i, d] > 1) - np.log(self.space.least[i, d])))
                if not self.space.places[i].spatial and self.space.most[i, d] < self.space.bounds[d]:
                    rows.append(-row)
                    limits.append(np.full(n, np.log(self.space.most[i, d])))
        used = np.zeros((places + 1, dims))
        for v in range(self.depth):
            place = self.space.fan(v)
            if place is not None:
                row = np.zeros((places + 1, dims))
                row[place], row[place + 1] = 1.0, -1.0
                rows.append(row)
                limits.append(spread[:, v] + _ROOM)
                reduced = np.where(self.traffic.irrelevant[self.traffic.output] > 0.0, row, 0.0)
                rows += [reduced, -reduced]
                limits.append(np.log(nodes.reduction[:, v, 1]) + _ROOM)
                limits.append(_ROOM - np.log(nodes.reduction[:, v, 0]))
                used += row
            if (share := self.space.rules.floors.children[v]) > 0.0:
                fans = (self.machines.fanout_x * self.machines.fanout_y)[:, : v + 1].prod(axis=1)
                rows.append(-used)
                limits.append(_ROOM - np.log(share * fans[nodes.machine]))
        table = np.array(rows).reshape(1, -1, places + 1, dims)
        return np.repeat(table, n, axis=0), np.stack(limits, axis=1) if limits else np.zeros((n, 0))

    def _with_cycles(
        self,
        exponents: Floats,
        rows: Floats,
        limits: Floats,
        lower: Floats,
        upper: Floats,
        cycles: Floats,
        spread: Floats,
        tied: Bools,
        offset: Floats,
    ) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        """Adds the logarithm of the cycles as the last variable, with what the multipliers need at least."""
        n, size = lower.shape
        exponents = np.concatenate([exponents, np.repeat(cycles[None, :, None], n, axis=0)], axis=2)
        timed = 1 if self.objective is Objective.LATENCY else self.standing + len(self.leaking)
        exponents[:, :timed, -1] += 1.0
        places, dims = len(self.space.places), self.space.dims
        row = np.zeros((n, 1, places + 1, dims))
        for v in range(self.depth):
            if (place := self.space.fan(v)) is not None:
                row[:, 0, place] -= 1.0
                row[:, 0, place + 1] += 1.0
        bound, row = _untie(np.full((n, 1), -np.log(self.macs)), row, tied, offset, self.space.bounds, sign=-1.0)
        row = np.concatenate([row[:, :, 1:places].reshape(n, 1, size), np.full((n, 1, 1), -1.0)], axis=2)
        rows = np.concatenate([np.concatenate([rows, np.zeros((n, rows.shape[1], 1))], axis=2), row], axis=1)
        limits = np.concatenate([limits, bound], axis=1)
        fewest = np.log(self.macs) - spread.sum(axis=1)
        lower = np.concatenate([lower, fewest[:, None]], axis=1)
        # No port moves more than a read, a fill and an update per tensor and multiplication.
        slowest = min([1.0, *(float(words.min()) for _, words in self.ported)])
        most = np.log(9.0 * self.macs / slowest)
        upper = np.concatenate([upper, np.full((n, 1), most)], axis=1)
        return exponents, rows, limits, lower, upper


def _untie(
    constants: Floats,
    exponents: Floats,
    tied: Bools,
    offset: Floats,
    bounds: npt.NDArray[np.int64],
    *,
    sign: float = 1.0,
) -> tuple[Floats, Floats]:
    """Replaces tied extents by the next ones inside, and the outermost by the bounds.

    Args:
        constants: Shape ``(nodes, rows)``; constants of exponents are added with ``sign``.
        exponents: Shape ``(nodes, rows, places + 1, dims)``.
        tied: Shape ``(nodes, places, dims)``.
        offset: Logarithms of the prescribed factors, shape ``(places, dims)``.
        bounds: Loop bounds.
        sign: -1 where constants stand on the other side.
    """
    exponents = exponents.copy()
    constants = constants + sign * (exponents[:, :, 0] @ np.log(bounds))
    for i in range(1, tied.shape[1]):
        moved = exponents[:, :, i] * tied[:, None, i]
        constants = constants + sign * (moved @ offset[i])
        exponents[:, :, i + 1] += moved
        exponents[:, :, i] -= moved
    return constants, exponents


def _untied_box(low: Floats, high: Floats, tied: Bools, offset: Floats) -> tuple[Floats, Floats]:
    """Carries the boxes of tied extents to what they are tied to."""
    low, high = low.copy(), high.copy()
    for i in range(1, tied.shape[1] - 1):
        low[:, i + 1] = np.where(tied[:, i], np.maximum(low[:, i + 1], low[:, i] - offset[i]), low[:, i + 1])
        high[:, i + 1] = np.where(tied[:, i], np.minimum(high[:, i + 1], high[:, i] - offset[i]), high[:, i + 1])
    return low, np.maximum(high, low)

"""Partial mappings, decision by decision: actions that can still be completed, for masks, sampling and repair.

What is not decided yet is taken to lie where it needs no capacity: loops in the outermost slot open to them, tensors
bypassed. Tiles and used fan-outs only grow with further decisions, and this completion adds nothing to them, so a
prefix can be completed if and only if it fits. That makes the masks both sound and tight.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.mapspace.capacity import capacities, fanouts, fits_capacity, held_words
from accelgym.costmodels.mapspace.constraints import KEPT
from accelgym.costmodels.mapspace.decisions import FactorPlacement, LoopChoice, MemorySize, TensorBypass
from accelgym.costmodels.mapspace.space import MapSpace

__all__ = ["Construction"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


class Construction:
    """Partial mappings in lanes, each with its own next decision.

    Actions are numbered as by :meth:`MapSpace.actions`.

    Args:
        mapspace: The map space.
        lanes: Number of mappings built side by side.

    Raises:
        InputError: Not even the mapping that needs least of every memory and fan-out fits.
    """

    def __init__(self, mapspace: MapSpace, lanes: int) -> None:
        self.mapspace = mapspace
        problem, architecture = mapspace.problem, mapspace.architecture
        self.lanes = lanes
        self.levels = [v for v, level in enumerate(architecture.levels) if level.tile_capacity is not None]
        """Levels with a capacity."""
        self.capacity = np.empty((len(architecture.levels), lanes))
        """Words that tiles may occupy; of the widest machine while the machine is open."""
        self.fanout = np.empty((len(architecture.slots), lanes))
        """Extent of each fan-out along its direction, ``inf`` for time."""
        machines = mapspace.family.machines if mapspace.family else ()
        self._limits = capacities(architecture), fanouts(architecture)
        self._machines = [(capacities(m.architecture), fanouts(m.architecture)) for m in machines]
        self._remainder_level = [architecture.slots[s].level for s in mapspace.constraints.remainder_slot]
        slots, dims = len(architecture.slots), len(problem.dims)
        self._start = self._smallest_extents()
        self.extent = np.empty((len(architecture.levels), dims, lanes))
        """Extents of the tile each level holds."""
        self.factors = np.empty((slots, dims, lanes), dtype=np.int64)
        """Loops placed so far; what is open is not in them."""
        self.used = np.empty((slots, lanes))
        """Product of the factors in a slot; matters for fan-outs."""
        self.keep = np.empty((len(architecture.levels), len(problem.tensors), lanes), dtype=bool)
        """Tensors held; open ones count as bypassed."""
        self.actions = np.empty((lanes, len(mapspace.decisions)), dtype=np.int64)
        """Actions taken, -1 where open."""
        self.attempted = np.empty_like(self.actions)
        """Actions asked for of :meth:`attempt`, -1 where open; those taken differ where these did not fit."""
        self.position = np.empty(lanes, dtype=np.int64)
        """Next decision; their number when complete."""
        self._sizes = self._sizes_that_fit() if self._machines else np.zeros((0, 0), dtype=bool)
        self.begin(np.arange(lanes))
        if lanes:
            self._require_fit()

    def begin(self, rows: Ints) -> None:
        """Empties some lanes."""
        mapspace = self.mapspace
        self.capacity[:, rows], self.fanout[:, rows] = (limit[:, None] for limit in self._limits)
        self.extent[:, :, rows] = self._start[:, :, None]
        self.factors[:, :, rows] = mapspace.factorization.fixed[:, :, None]
        self.used[:, rows] = mapspace.factorization.fixed.prod(axis=1)[:, None]
        self.keep[:, :, rows] = (mapspace.constraints.keep == KEPT)[:, :, None]
        self.actions[rows] = -1
        self.attempted[rows] = -1
        self.position[rows] = 0

    def words(self, level: int, rows: Ints | slice = slice(None)) -> Floats:
        """Words that the tiles kept at a level occupy in each lane."""
        extents = dict(zip(self.mapspace.problem.dims, self.extent[level][:, rows], strict=True))
        return np.asarray(held_words(self.mapspace.problem, extents, self.keep[level][:, rows]))

    def mask(self, rows: Ints, at: int, *, canonical: bool = False) -> Bools:
        """Actions that can be completed, shape ``(len(rows), num_actions)``.

        Args:
            rows: Lanes whose next decision is ``at``.
            at: The decision.
            canonical: Of interchangeable designs allow only the one that places equal factors from the inside
                outwards, so that every mapping has one path.
        """
        mask = self.available(rows, at)
        decision = self.mapspace.decisions[at]
        if isinstance(decision, MemorySize):
            first = np.asarray(self._sizes.any(axis=1))[None]
            mask[:, : len(decision.words)] &= first if at == 0 else self._sizes[self.actions[rows, 0]]
        elif isinstance(decision, TensorBypass) and decision.level in self.levels:
            keep = self.keep[decision.level][:, rows]
            keep[decision.tensor] = True
            mask[:, 0] = self._fits(decision.level, self.extent[decision.level][:, rows], keep, rows)
        elif isinstance(decision, FactorPlacement):
            self._mask_place(mask, rows, decision)
            if canonical and decision.repeats:
                mask &= np.arange(mask.shape[1]) <= self.actions[rows, at - 1, None]
        return mask

    def choose(self, rows: Ints, at: int, actions: Ints) -> None:
        """Makes the decision ``at`` in some lanes. An action outside the mask makes their mapping infeasible."""
        decision = self.mapspace.decisions[at]
        self.actions[rows, at] = actions
        self.position[rows] = at + 1
        if isinstance(decision, MemorySize) and at == 1:
            machine = self.mapspace.machine_table[self.actions[rows, 0], actions]
            for m in np.unique(machine[machine >= 0]):
                mine = rows[machine == m]
                self.capacity[:, mine], self.fanout[:, mine] = (limit[:, None] for limit in self._machines[m])
        elif isinstance(decision, TensorBypass):
            self.keep[decision.level, decision.tensor, rows] = actions == 0
        elif isinstance(decision, FactorPlacement):
            d, prime = decision.dim, decision.prime
            self.factors[actions, d, rows] *= prime
            self.used[actions, rows] *= prime
            level_of = np.array([slot.level for slot in self.mapspace.architecture.slots])[actions]
            for v in range(self._remainder_level[d] + 1, len(self.extent)):
                self.extent[v, d, rows] *= np.where(level_of >= v, prime, 1)

    def attempt(self, rows: Ints, at: int, actions: Ints) -> Bools:
        """Makes the decision ``at`` in lanes that can be completed, so that they still can; returns where it broke.

        An action that does not fit is noted in ``attempted`` and the nearest that fits is taken, so that the next
        decisions are judged by themselves. One that does not exist is noted as the first that does.
        """
        available = self.available(rows, at)
        lane = np.arange(len(rows))
        exists = actions < available.shape[1]
        exists[exists] = available[lane[exists], actions[exists]]
        actions = np.where(exists, actions, available.argmax(axis=1))
        mask = self.mask(rows, at)
        fits = mask[lane, actions]
        self.attempted[rows, at] = actions
        self.choose(rows, at, _nearest(mask, actions))
        return np.asarray(~(exists & fits))

    def follow(self, actions: Ints, position: int) -> Bools:
        """Makes the first decisions in all lanes; returns what may come next, shape ``(lanes, num_actions)``.

        Of interchangeable designs one is reachable. A lane that cannot be completed gets every action that exists.

        Args:
            actions: One row per lane.
            position: Decisions to make.
        """
        rows = np.arange(self.lanes)
        completable = np.ones(self.lanes, dtype=bool)
        for at in range(position):
            completable &= self.mask(rows, at)[rows, actions[:, at]]
            self.choose(rows, at, actions[:, at])
        mask = self.mask(rows, position, canonical=True)
        lost = ~completable | ~mask.any(axis=1)
        mask[lost] = self.available(rows[lost], position)
        return mask

    def available(self, rows: Ints, at: int) -> Bools:
        """Actions that exist at all, whether they fit or not; shape ``(len(rows), num_actions)``."""
        available = np.zeros((len(rows), self.mapspace.num_actions), dtype=bool)
        decision = self.mapspace.decisions[at]
        match decision:
            case MemorySize():
                available[:, : len(decision.words)] = True
            case TensorBypass():
                available[:, :2] = True
            case FactorPlacement():
                available[:, list(decision.slots)] = True
            case LoopChoice(_, dims, digit):
                available[:, list(dims)] = True
                for k in range(at - digit, at):
                    available[np.arange(len(rows)), self.actions[rows, k]] = False
        return available

    def sample(self, rng: np.random.Generator) -> Ints:
        """Fills all lanes with random actions among those that fit; returns designs."""
        everyone = np.arange(self.lanes)
        self.begin(everyone)
        for at in range(len(self.mapspace.decisions)):
            mask = self.mask(everyone, at)
            self.choose(everyone, at, _draw(mask, rng))
        return self.mapspace.designs(self.actions)

    def repair(self, designs: Ints) -> Ints:
        """Follows designs, one per lane, and takes the nearest action that fits wherever theirs does not."""
        wanted = self.mapspace.actions(designs)
        everyone = np.arange(self.lanes)
        self.begin(everyone)
        for at in range(len(self.mapspace.decisions)):
            mask = self.mask(everyone, at)
            self.choose(everyone, at, _nearest(mask, wanted[:, at]))
        return self.mapspace.designs(self.actions)

    # -- capacity ------------------------------------------------------------------------------------------------

    def _mask_place(self, mask: Bools, rows: Ints, decision: FactorPlacement) -> None:
        slots, constraints = self.mapspace.architecture.slots, self.mapspace.constraints
        d, prime = decision.dim, decision.prime
        fits = np.ones(len(rows), dtype=bool)
        reached = self._remainder_level[d]
        for s in decision.slots:
            slot = slots[s]
            for v in range(reached + 1, slot.level + 1):
                if v in self.levels:
                    extent = self.extent[v][:, rows]
                    extent[d] *= prime
                    fits = fits & self._fits(v, extent, self.keep[v][:, rows], rows)
            reached = max(reached, slot.level)
            mask[:, s] = fits & (self.factors[s, d, rows] * prime <= constraints.max_factor[s, d])
            if slot.kind != "temporal":
                mask[:, s] &= self.used[s, rows] * prime <= self.fanout[s, rows]
                other = self.mapspace.architecture.slot(slot.level, "y" if slot.kind == "x" else "x")
                if other is not None:
                    mask[:, s] &= self.factors[other, d, rows] == 1

    def _fits(self, level: int, extent: Floats, keep: Bools, rows: Ints) -> Bools:
        """Whether tiles of given extents ``(dims, n)`` fit a level when it keeps given tensors ``(tensors, n)``."""
        extents = dict(zip(self.mapspace.problem.dims, extent, strict=True))
        return np.asarray(fits_capacity(self.mapspace.problem, self.capacity[level, rows], extents, keep))

    def _smallest_extents(self) -> Floats:
        """Tile extents when everything open lies in its outermost slot, shape ``(levels, dims)``."""
        mapspace = self.mapspace
        loops = mapspace.factorization.outermost
        level = np.array([slot.level for slot in mapspace.architecture.slots])
        return np.array([loops[level >= v].prod(axis=0) for v in range(len(mapspace.architecture.levels))], dtype=float)

    def _sizes_that_fit(self) -> Bools:
        """Register and SRAM sizes of machines that hold the smallest mapping, shape ``(registers, sram sizes)``."""
        table = self.mapspace.machine_table
        fits = table >= 0
        keep = self.mapspace.constraints.keep == KEPT
        for v in self.levels:
            capacity = np.array([self._machines[m][0][v] for m in table.ravel()]).reshape(table.shape)
            extents = dict(zip(self.mapspace.problem.dims, self._start[v], strict=True))
            fits &= fits_capacity(self.mapspace.problem, capacity, extents, keep[v])
        used = self.mapspace.factorization.fixed.prod(axis=1)
        for s in range(len(used)):
            fits &= np.array([self._machines[m][1][s] for m in table.ravel()]).reshape(table.shape) >= used[s]
        return fits

    def _require_fit(self) -> None:
        names = self.mapspace.architecture.level_names
        if self._machines and not self._sizes.any():
            raise InputError(f"no mapping of {self.mapspace.problem.name!r} fits any machine of the family")
        for v in self.levels:
            if self.words(v)[0] > self.capacity[v, 0]:
                raise InputError(
                    f"no mapping of {self.mapspace.problem.name!r} fits: the smallest tile at {names[v]!r} has "
                    f"{self.words(v)[0]:.0f} words, its capacity is {self.capacity[v, 0]:.0f}"
                )
        for s, limit in enumerate(self.fanout[:, 0]):
            if self.used[s, 0] > limit:
                raise InputError(
                    f"constraints spread {self.used[s, 0]:.0f} iterations over {self.mapspace.slot_names[s]!r}, "
                    f"which has {limit:.0f}"
                )


def _nearest(mask: Bools, wanted: Ints) -> Ints:
    """Returns the allowed action nearest to the wanted one, per row."""
    chosen = wanted.copy()
    misfits = np.flatnonzero(~mask[np.arange(len(mask)), chosen])
    distance = np.abs(np.arange(mask.shape[1]) - chosen[misfits, None])
    chosen[misfits] = np.where(mask[misfits], distance, mask.shape[1]).argmin(axis=1)
    return chosen


def _draw(mask: Bools, rng: np.random.Generator) -> Ints:
    """Draws one of the allowed actions per row."""
    return np.asarray(np.where(mask, rng.random(mask.shape), -1.0).argmax(axis=1))

"""Building mappings decision by decision: what still fits, for masks, sampling and repair.

What is not decided yet is taken to lie where it needs no room: loops in the outermost slot open to them, tensors
bypassed. Tiles and used fan-outs only grow with further decisions, and this completion adds nothing to them, so a
prefix can be completed if and only if it fits. That makes the masks both sound and tight.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.architecture.loop_nest import Tensor
from accelgym.costmodels.architecture.machine import Architecture
from accelgym.costmodels.architecture.rules import KEPT
from accelgym.costmodels.errors import InputError
from accelgym.envs.mapping.mapspace import Keep, Mapspace, Order, Place, Size
from accelgym.envs.space import Designs

__all__ = ["Construction"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


class Construction:
    """Partial mappings in lanes, each with its own next decision.

    Choices are numbered as by :meth:`Mapspace.choices`.

    Args:
        mapspace: The map space.
        lanes: Number of mappings built side by side.

    Raises:
        InputError: Not even the mapping that needs the least room fits.
    """

    def __init__(self, mapspace: Mapspace, lanes: int) -> None:
        self.mapspace = mapspace
        problem, architecture = mapspace.problem, mapspace.architecture
        self.lanes = lanes
        self.levels = [v for v, level in enumerate(architecture.levels) if level.tile_capacity is not None]
        """Levels with a capacity."""
        self.capacity = np.empty((len(architecture.levels), lanes))
        """Words that tiles may occupy; of the widest machine while the machine is open."""
        self.fanout = np.empty((len(architecture.slots), lanes))
        """Extent of each fan-out along its direction, ``inf`` for time."""
        self._limits = _limits(architecture)
        self._machines = [_limits(m.architecture) for m in mapspace.family.machines] if mapspace.family else []
        self._axes = [_axes(tensor, problem.dims) for tensor in problem.tensors]
        self._absorber_level = [architecture.slots[s].level for s in mapspace.rules.absorber]
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
        self.choices = np.empty((lanes, len(mapspace.decisions)), dtype=np.int64)
        """Choices made, -1 where open."""
        self.position = np.empty(lanes, dtype=np.int64)
        """Next decision; their number when complete."""
        self._sizes = self._sizes_that_fit() if self._machines else np.zeros((0, 0), dtype=bool)
        self.begin(np.arange(lanes))
        if lanes:
            self._require_room()

    def begin(self, rows: Ints) -> None:
        """Empties some lanes."""
        mapspace = self.mapspace
        self.capacity[:, rows], self.fanout[:, rows] = (limit[:, None] for limit in self._limits)
        self.extent[:, :, rows] = self._start[:, :, None]
        self.factors[:, :, rows] = mapspace.fixed[:, :, None]
        self.used[:, rows] = mapspace.fixed.prod(axis=1)[:, None]
        self.keep[:, :, rows] = (mapspace.rules.keep == KEPT)[:, :, None]
        self.choices[rows] = -1
        self.position[rows] = 0

    def words(self, level: int, rows: Ints | slice = slice(None)) -> Floats:
        """Words that the tiles kept at a level occupy in each lane."""
        return self._words(level, self.extent[level][:, rows], rows)

    def mask(self, rows: Ints, at: int, *, canonical: bool = False) -> Bools:
        """Choices that can be completed, shape ``(len(rows), num_choices)``.

        Args:
            rows: Lanes whose next decision is ``at``.
            at: The decision.
            canonical: Of interchangeable designs allow only the one that places equal factors from the inside
                outwards, so that every mapping has one path.
        """
        mask = self.available(rows, at)
        decision = self.mapspace.decisions[at]
        if isinstance(decision, Size):
            first = np.asarray(self._sizes.any(axis=1))[None]
            mask[:, : len(decision.words)] &= first if at == 0 else self._sizes[self.choices[rows, 0]]
        elif isinstance(decision, Keep) and decision.level in self.levels:
            extent = self.extent[decision.level][:, rows]
            words = self._words(decision.level, extent, rows) + self._box(decision.tensor, extent)
            mask[:, 0] = words <= self.capacity[decision.level, rows]
        elif isinstance(decision, Place):
            self._mask_place(mask, rows, decision)
            if canonical and decision.repeats:
                mask &= np.arange(mask.shape[1]) <= self.choices[rows, at - 1, None]
        return mask

    def choose(self, rows: Ints, at: int, choices: Ints) -> None:
        """Makes the decision ``at`` in some lanes. A choice outside the mask makes their mapping infeasible."""
        decision = self.mapspace.decisions[at]
        self.choices[rows, at] = choices
        self.position[rows] = at + 1
        if isinstance(decision, Size) and at == 1:
            machine = self.mapspace.machine_table[self.choices[rows, 0], choices]
            for m in np.unique(machine[machine >= 0]):
                mine = rows[machine == m]
                self.capacity[:, mine], self.fanout[:, mine] = (limit[:, None] for limit in self._machines[m])
        elif isinstance(decision, Keep):
            self.keep[decision.level, decision.tensor, rows] = choices == 0
        elif isinstance(decision, Place):
            d, prime = decision.dim, decision.prime
            self.factors[choices, d, rows] *= prime
            self.used[choices, rows] *= prime
            level_of = np.array([slot.level for slot in self.mapspace.architecture.slots])[choices]
            for v in range(self._absorber_level[d] + 1, len(self.extent)):
                self.extent[v, d, rows] *= np.where(level_of >= v, prime, 1)

    def follow(self, choices: Ints, position: int) -> Bools:
        """Makes the first decisions in all lanes; returns what may come next, shape ``(lanes, num_choices)``.

        Of interchangeable designs one is reachable. A lane that cannot be completed gets every choice that exists.

        Args:
            choices: One row per lane.
            position: Decisions to make.
        """
        rows = np.arange(self.lanes)
        completable = np.ones(self.lanes, dtype=bool)
        for at in range(position):
            completable &= self.mask(rows, at)[rows, choices[:, at]]
            self.choose(rows, at, choices[:, at])
        mask = self.mask(rows, position, canonical=True)
        lost = ~completable | ~mask.any(axis=1)
        mask[lost] = self.available(rows[lost], position)
        return mask

    def available(self, rows: Ints, at: int) -> Bools:
        """Choices that exist at all, whether they fit or not; shape ``(len(rows), num_choices)``."""
        available = np.zeros((len(rows), self.mapspace.num_choices), dtype=bool)
        decision = self.mapspace.decisions[at]
        match decision:
            case Size():
                available[:, : len(decision.words)] = True
            case Keep():
                available[:, :2] = True
            case Place():
                available[:, list(decision.slots)] = True
            case Order(_, dims, digit):
                available[:, list(dims)] = True
                for k in range(at - digit, at):
                    available[np.arange(len(rows)), self.choices[rows, k]] = False
        return available

    def sample(self, rng: np.random.Generator) -> Designs:
        """Fills all lanes with random choices among those that fit; returns designs."""
        everyone = np.arange(self.lanes)
        self.begin(everyone)
        for at in range(len(self.mapspace.decisions)):
            mask = self.mask(everyone, at)
            self.choose(everyone, at, _draw(mask, rng))
        return self.mapspace.designs(self.choices)

    def repair(self, designs: Designs) -> Designs:
        """Follows designs, one per lane, and takes the nearest choice that fits wherever theirs does not."""
        wanted = self.mapspace.choices(designs)
        everyone = np.arange(self.lanes)
        self.begin(everyone)
        for at in range(len(self.mapspace.decisions)):
            mask = self.mask(everyone, at)
            chosen = wanted[:, at].copy()
            misfits = np.flatnonzero(~mask[everyone, chosen])
            distance = np.abs(np.arange(mask.shape[1]) - chosen[misfits, None])
            chosen[misfits] = np.where(mask[misfits], distance, mask.shape[1]).argmin(axis=1)
            self.choose(everyone, at, chosen)
        return self.mapspace.designs(self.choices)

    # -- room ------------------------------------------------------------------------------------------------

    def _mask_place(self, mask: Bools, rows: Ints, decision: Place) -> None:
        slots, rules = self.mapspace.architecture.slots, self.mapspace.rules
        d, prime = decision.dim, decision.prime
        fits = np.ones(len(rows), dtype=bool)
        reached = self._absorber_level[d]
        for s in decision.slots:
            slot = slots[s]
            for v in range(reached + 1, slot.level + 1):
                if v in self.levels:
                    extent = self.extent[v][:, rows]
                    extent[d] *= prime
                    fits = fits & (self._words(v, extent, rows) <= self.capacity[v, rows])
            reached = max(reached, slot.level)
            mask[:, s] = fits & (self.factors[s, d, rows] * prime <= rules.most[s, d])
            if slot.kind != "temporal":
                mask[:, s] &= self.used[s, rows] * prime <= self.fanout[s, rows]
                other = self.mapspace.architecture.slot(slot.level, "y" if slot.kind == "x" else "x")
                if other is not None:
                    mask[:, s] &= self.factors[other, d, rows] == 1

    def _words(self, level: int, extent: Floats, rows: Ints | slice) -> Floats:
        total = np.zeros(extent.shape[1])
        for t, rule in enumerate(self.mapspace.rules.keep[level]):
            if rule == KEPT:
                total += self._box(t, extent)
            elif rule < 0:
                total += np.where(self.keep[level, t, rows], self._box(t, extent), 0.0)
        return total

    def _box(self, tensor: int, extent: Floats) -> Floats:
        words = np.ones(extent.shape[1])
        for axis in self._axes[tensor]:
            words *= 1 + sum(c * (extent[d] - 1) for d, c in axis)
        return words

    def _smallest_extents(self) -> Floats:
        """Tile extents when everything open lies in its outermost slot, shape ``(levels, dims)``."""
        mapspace = self.mapspace
        loops = mapspace.fixed.copy()
        for d, s in enumerate(mapspace.rules.absorber):
            loops[s, d] *= mapspace.problem.bounds[d] // int(loops[:, d].prod())
        level = np.array([slot.level for slot in mapspace.architecture.slots])
        return np.array([loops[level >= v].prod(axis=0) for v in range(len(mapspace.architecture.levels))], dtype=float)

    def _sizes_that_fit(self) -> Bools:
        """Register and SRAM sizes of machines that hold the smallest mapping, shape ``(registers, sram sizes)``."""
        table = self.mapspace.machine_table
        fits = table >= 0
        one = np.zeros(1, dtype=np.int64)
        kept = self.keep
        self.keep = np.repeat((self.mapspace.rules.keep == KEPT)[:, :, None], 1, axis=2)
        for v in self.levels:
            words = self._words(v, self._start[v][:, None], one)[0]
            fits &= np.array([self._machines[m][0][v] for m in table.ravel()]).reshape(table.shape) >= words
        self.keep = kept
        used = self.mapspace.fixed.prod(axis=1)
        for s in range(len(used)):
            fits &= np.array([self._machines[m][1][s] for m in table.ravel()]).reshape(table.shape) >= used[s]
        return fits

    def _require_room(self) -> None:
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


def _limits(architecture: Architecture) -> tuple[Floats, Floats]:
    """Capacities by level and fan-outs by slot."""
    capacity = [np.inf if level.tile_capacity is None else float(level.tile_capacity) for level in architecture.levels]
    fanout = []
    for slot in architecture.slots:
        level = architecture.levels[slot.level]
        fanout.append({"temporal": np.inf, "x": float(level.fanout_x), "y": float(level.fanout_y)}[slot.kind])
    return np.array(capacity), np.array(fanout)


def _draw(mask: Bools, rng: np.random.Generator) -> Ints:
    """Draws one of the allowed choices per row."""
    return np.asarray(np.where(mask, rng.random(mask.shape), -1.0).argmax(axis=1))


def _axes(tensor: Tensor, dims: tuple[str, ...]) -> tuple[tuple[tuple[int, int], ...], ...]:
    return tuple(tuple((dims.index(name), c) for name, c in axis) for axis in tensor.axes)

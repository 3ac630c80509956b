"""The map space of one problem on one machine, encoded so that every design multiplies to the bounds."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.architecture.family import ArchitectureFamily
from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.architecture.machine import Architecture
from accelgym.costmodels.architecture.rules import BYPASSED, FREE, Rules
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.loopnest import Mappings
from accelgym.envs.space import Designs, Parameter, Space

__all__ = ["Decision", "Keep", "Mapspace", "Order", "Place", "Size", "prime_factors"]

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Size:
    """The words of a memory of the machine; choices are positions in ``words``."""

    level: int
    words: tuple[int, ...]


@dataclass(frozen=True)
class Keep:
    """Whether a level holds a tensor; choices are 0 (keep) and 1 (bypass)."""

    level: int
    tensor: int


@dataclass(frozen=True)
class Place:
    """The slot in which one prime factor of a bound becomes (part of) a loop; choices are slots."""

    dim: int
    prime: int
    slots: tuple[int, ...]
    """Slots that may take it, outer to inner; the first takes what is placed nowhere else."""
    repeats: bool
    """Whether the decision before places an equal factor of the same dimension."""


@dataclass(frozen=True)
class Order:
    """The next time loop of a level, from the innermost outwards; choices are dimensions."""

    level: int
    dims: tuple[int, ...]
    """Dimensions whose position is free at this level."""
    digit: int
    """How many of them lie further inside."""


Decision = Size | Keep | Place | Order


class Mapspace:
    """All mappings that an architecture's fan-outs and constraints allow, apart from the room they need.

    A design decides, in this order: the sizes of the memories, when the machine is open; which level keeps which
    tensor (where that is free); for every prime factor of every loop bound, the slot in which it lies, so that
    factors always multiply to the bound; and for every level but the innermost, whose order changes nothing, the
    order of its time loops as a Lehmer code, the innermost loop first: digit ``k`` picks among the dimensions not
    picked before.

    Equal prime factors of one dimension are interchangeable, so several designs may say the same mapping;
    :meth:`canonical` picks the one that places them from the inside outwards.

    Args:
        problem: The problem.
        architecture: The machine; for a family, :attr:`ArchitectureFamily.widest`.
        bypass: Whether keeping tensors is a choice.
        family: Machines to choose from.

    Raises:
        InputError: Constraints that contradict the problem or are not supported; see :meth:`Rules.build`.
    """

    def __init__(
        self,
        problem: LoopNest,
        architecture: Architecture,
        *,
        bypass: bool = False,
        family: ArchitectureFamily | None = None,
    ) -> None:
        self.problem, self.family = problem, family
        self.rules = Rules.build(problem, architecture, bypass=bypass)
        self.architecture = self.rules.narrow(problem, architecture)
        self.active = tuple(d for d, bound in enumerate(problem.bounds) if bound > 1)
        self.slot_names = tuple(
            architecture.levels[slot.level].name + ("" if slot.kind == "temporal" else f".{slot.kind}")
            for slot in architecture.slots
        )
        self.fixed = self.rules.fixed.copy()
        """Loop bounds that no decision changes, shape ``(slots, dims)``."""
        self._rank_tables: dict[int, Ints] = {}
        self.decisions: tuple[Decision, ...] = (*self._sizes(), *self._keeps(), *self._places(), *self._orders())

    # -- parameters ----------------------------------------------------------------------------------------

    def _sizes(self) -> list[Decision]:
        if self.family is None:
            return []
        return [Size(2, self.family.registers), Size(1, self.family.sram_words)]

    @cached_property
    def machine_table(self) -> Ints:
        """Machines of the family by register and SRAM choice, -1 where none fits the area."""
        assert self.family is not None
        table = np.full((len(self.family.registers), len(self.family.sram_words)), -1, dtype=np.int64)
        for number, machine in enumerate(self.family.machines):
            row, column = (
                self.family.registers.index(machine.registers),
                self.family.sram_words.index(machine.sram_words),
            )
            table[row, column] = number
        return table

    def _keeps(self) -> list[Decision]:
        return [Keep(int(v), int(t)) for v, t in np.argwhere(self.rules.keep == FREE)]

    def _places(self) -> list[Decision]:
        rules, decisions = self.rules, []
        for d in self.active:
            remainder = self.problem.bounds[d] // int(np.prod(rules.fixed[:, d]))
            before = 0
            for prime in prime_factors(remainder):
                slots = tuple(int(s) for s in np.flatnonzero(rules.open[:, d] & (rules.most[:, d] >= prime)))
                if len(slots) == 1:
                    self.fixed[slots[0], d] *= prime
                    continue
                decisions.append(Place(d, prime, slots, prime == before))
                before = prime
        return decisions  # type: ignore[return-value]

    def _orders(self) -> list[Decision]:
        decisions: list[Decision] = []
        for v in range(len(self.architecture.levels) - 1):
            free = self.free_order(v)
            decisions += [Order(v, free, k) for k in range(len(free) - 1)]
        return decisions

    def free_order(self, level: int) -> tuple[int, ...]:
        """Dimensions that can have a time loop at a level and whose position there is not pinned."""
        slot = self.architecture.slot(level, "temporal")
        loops = self.rules.open[slot] | (self.fixed[slot] > 1)
        return tuple(d for d in self.active if loops[d] and d not in self.rules.pinned[level])

    @cached_property
    def space(self) -> Space:
        """The designs: one parameter per decision."""
        names, levels = self.problem.dims, self.architecture.level_names
        parameters = []
        copies: Counter[tuple[int, int]] = Counter()
        for decision in self.decisions:
            match decision:
                case Size(level, words):
                    parameters.append(_parameter(levels[level], "words", words, ordered=True))
                case Keep(level, tensor):
                    knob = self.problem.tensor_names[tensor]
                    parameters.append(_parameter(levels[level], knob, ("keep", "bypass"), ordered=False))
                case Place(dim, prime, slots, _):
                    copies[dim, prime] += 1
                    values = tuple(self.slot_names[s] for s in slots)
                    knob = f"{prime}#{copies[dim, prime]}"
                    parameters.append(_parameter(names[dim], knob, values, ordered=True))
                case Order(level, dims, digit):
                    choices = tuple(names[d] for d in dims) if digit == 0 else tuple(range(len(dims) - digit))
                    parameters.append(_parameter(levels[level], f"loop{digit}", choices, ordered=False))
        return Space(tuple(parameters))

    @cached_property
    def num_choices(self) -> int:
        """Choices of a decision in the numbering of :meth:`choices`: slots, dimensions, or keep and bypass."""
        sizes = [len(x.words) for x in self.decisions if isinstance(x, Size)]
        return max(2, len(self.slot_names), len(self.problem.dims), *sizes)

    @cached_property
    def action_sizes(self) -> Ints:
        """Number of choices of each decision in the numbering of :meth:`choices`, shape ``(decisions,)``."""
        sizes = []
        for decision in self.decisions:
            match decision:
                case Size(_, words):
                    sizes.append(len(words))
                case Keep():
                    sizes.append(2)
                case Place():
                    sizes.append(len(self.slot_names))
                case Order():
                    sizes.append(len(self.problem.dims))
        return np.array(sizes, dtype=np.int64)

    def chains(self, dim: int) -> Ints:
        """All ways to spread a bound over the slots, shape ``(chains, slots)``; limits of single factors hold."""
        table = self.fixed[None, :, dim]
        placed = [x for x in self.decisions if isinstance(x, Place) and x.dim == dim]
        for prime, group in itertools.groupby(placed, key=lambda x: x.prime):
            copies = list(group)
            parts = []
            for slots in itertools.combinations_with_replacement(copies[0].slots, len(copies)):
                part = np.ones(len(self.slot_names), dtype=np.int64)
                np.multiply.at(part, list(slots), prime)
                parts.append(part)
            table = (table[:, None] * np.array(parts)[None]).reshape(-1, table.shape[1])
        good = (table <= np.maximum(self.rules.most[:, dim], self.fixed[:, dim])).all(axis=1)
        good &= (table >= self.rules.floors.factors[:, dim]).all(axis=1)
        for v in range(len(self.architecture.levels)):
            x, y = self.architecture.slot(v, "x"), self.architecture.slot(v, "y")
            if x is not None and y is not None:
                good &= (table[:, x] == 1) | (table[:, y] == 1)
        return table[good]

    # -- designs and mappings --------------------------------------------------------------------------------

    def decode(self, designs: Designs) -> Mappings:
        """Returns the mappings that designs stand for; the designs must fit the space.

        Args:
            designs: Shape ``(n, parameters)``.
        """
        n = len(designs)
        rows = np.arange(n)
        factors = np.repeat(self.fixed[:, :, None], n, axis=2)
        keep = None
        if (self.rules.keep == FREE).any():
            keep = np.repeat((self.rules.keep != BYPASSED)[:, :, None], n, axis=2)
        codes = np.zeros((len(self.architecture.levels) - 1, n), dtype=np.int64)
        for j, decision in enumerate(self.decisions):
            column = designs[:, j]
            match decision:
                case Keep(level, tensor):
                    assert keep is not None
                    keep[level, tensor] = column == 0
                case Place(dim, prime, slots, _):
                    factors[np.array(slots)[column], dim, rows] *= prime
                case Order(level, dims, digit):
                    codes[level] += column * math.factorial(len(dims) - 1 - digit)
        return Mappings(
            self.problem,
            self.architecture,
            factors.transpose(2, 0, 1),
            self.ranks(codes).transpose(2, 0, 1),
            None if keep is None else keep.transpose(2, 0, 1),
        )

    def encode(self, mappings: Mappings) -> Designs:
        """Returns the canonical designs of mappings that lie in this space; inverse of :meth:`decode`.

        Sizes of memories come back as the first choice: a mapping does not say them.

        Raises:
            InputError: A factor lies where the constraints allow none.
        """
        n = len(mappings)
        designs = np.zeros((n, len(self.decisions)), dtype=np.int64)
        left: Ints = np.asarray(mappings.factors).transpose(1, 2, 0) // self.fixed[:, :, None]
        for j, decision in enumerate(self.decisions):
            match decision:
                case Keep(level, tensor):
                    if mappings.keep is not None:
                        designs[:, j] = ~mappings.keep[:, level, tensor]
                case Place(dim, prime, slots, _):
                    index = np.zeros(n, dtype=np.int64)
                    for i, s in enumerate(slots):
                        index[left[s, dim] % prime == 0] = i  # the innermost slot that still has this factor
                    left[np.array(slots)[index], dim, np.arange(n)] //= prime
                    designs[:, j] = index
                case Order(level, dims, digit):
                    ranks = np.asarray(mappings.ranks)[:, self.architecture.slot(level, "temporal")][:, list(dims)]
                    inner_first = np.argsort(-ranks, axis=1)
                    chosen = inner_first[:, digit]
                    designs[:, j] = chosen - (inner_first[:, :digit] < chosen[:, None]).sum(axis=1)
        if (left != 1).any():
            slot, dim, row = (int(i) for i in np.unravel_index(left.argmax(), left.shape))
            raise InputError(
                f"mapping {row} has a loop over {self.problem.dims[dim]} at {self.slot_names[slot]!r}, where the "
                "constraints do not allow it"
            )
        return designs

    def canonical(self, designs: Designs) -> Designs:
        """Returns the designs that place equal prime factors from the inside outwards; same mappings."""
        return self.encode(self.decode(designs))

    def ranks(self, codes: Ints) -> Ints:
        """Positions of all loops, shape ``(slots, dims, n)``.

        Args:
            codes: Order of each level but the innermost, positions in its rank table; shape ``(levels - 1, n)``.
        """
        ranks = np.empty((len(self.slot_names), len(self.problem.dims), codes.shape[1]), dtype=np.int64)
        ranks[:] = np.arange(len(self.problem.dims))[None, :, None]
        for level, code in enumerate(codes):
            slot = self.architecture.slot(level, "temporal")
            for d, row in enumerate(self.rank_table(level)):
                np.take(row, code, out=ranks[slot, d])
        return ranks

    def rank_table(self, level: int) -> Ints:
        """Positions in time of all orders of a level, shape ``(dims, orders)``, in the order of their Lehmer code."""
        if level not in self._rank_tables:
            self._rank_tables[level] = self._build_rank_table(level)
        return self._rank_tables[level]

    def _build_rank_table(self, level: int) -> Ints:
        free, dims = self.free_order(level), len(self.problem.dims)
        pinned = [d for d in self.rules.pinned[level] if self.problem.bounds[d] > 1]
        idle = [d for d in range(dims) if d not in free and d not in pinned]
        table = np.empty((dims, math.factorial(len(free))), dtype=np.int64)
        orders = list(itertools.permutations(range(len(free))))
        permutations = np.array(orders, dtype=np.int64).reshape(len(orders), len(free))
        for position, d in enumerate(pinned):
            table[d] = dims - 1 - position
        for position in range(len(free)):
            table[np.array(free)[permutations[:, position]], np.arange(table.shape[1])] = (
                dims - 1 - len(pinned) - position
            )
        for position, d in enumerate(idle):
            table[d] = position
        return table

    # -- the numbering of the environments -------------------------------------------------------------------

    def choices(self, designs: Designs) -> Ints:
        """Slots, dimensions, or keep (0) and bypass (1), per decision; shape ``(n, parameters)``."""
        result = designs.copy()
        for j, decision in enumerate(self.decisions):
            if isinstance(decision, Place):
                result[:, j] = np.array(decision.slots)[designs[:, j]]
            elif isinstance(decision, Order) and decision.digit == 0:
                last = j + len(decision.dims) - 1
                weights = [math.factorial(k) for k in range(len(decision.dims) - 1, 0, -1)]
                ranks = self.rank_table(decision.level)[:, designs[:, j:last] @ np.array(weights)]
                inner_first = np.argsort(-ranks[list(decision.dims)], axis=0)
                result[:, j:last] = np.array(decision.dims)[inner_first[:-1]].T
        return result

    def designs(self, choices: Ints) -> Designs:
        """Inverse of :meth:`choices`."""
        result = np.asarray(choices, dtype=np.int64).copy()
        for j, decision in enumerate(self.decisions):
            if isinstance(decision, Place):
                index = np.zeros(len(self.slot_names), dtype=np.int64)
                index[list(decision.slots)] = np.arange(len(decision.slots))
                result[:, j] = index[choices[:, j]]
            elif isinstance(decision, Order):
                chosen = choices[:, j]
                smaller = np.searchsorted(np.array(decision.dims), chosen)
                before = choices[:, j - decision.digit : j]
                result[:, j] = smaller - (before < chosen[:, None]).sum(axis=1)
        return result

    def complete(self, choices: Ints) -> Ints:
        """Fills what is open (-1) so that it needs no room: loops outermost, tensors bypassed, orders as they come."""
        result = choices.copy()
        for j, decision in enumerate(self.decisions):
            match decision:
                case Size():
                    default: Ints | int = len(decision.words) // 2
                case Keep():
                    default = 1
                case Place():
                    default = decision.slots[0]
                case Order():
                    default = _first_free(decision.dims, result[:, j - decision.digit : j])
            result[:, j] = np.where(choices[:, j] < 0, default, choices[:, j])
        return result


def _parameter(group: str, knob: str, values: tuple[Any, ...], *, ordered: bool) -> Parameter:
    return Parameter(f"{group}.{knob}", values, ordered, group, knob)


def _first_free(dims: tuple[int, ...], taken: Ints) -> Ints:
    """The first dimension per row that is not among those taken, shape ``(n,)`` from ``(n, k)``."""
    free = ~(np.array(dims)[None, :, None] == taken[:, None, :]).any(axis=2)
    return np.asarray(np.array(dims, dtype=np.int64)[free.argmax(axis=1)])


def prime_factors(n: int) -> list[int]:
    """Prime factors with multiplicity, the largest first."""
    found, factor = [], 2
    while factor * factor <= n:
        while n % factor == 0:
            found.append(factor)
            n //= factor
        factor += 1
    return sorted([*found, n] if n > 1 else found, reverse=True)

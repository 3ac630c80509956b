"""The scheduling problem of several accelerators on one chip: sizes, assignment and order as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.objective import Objective

__all__ = ["SchedulingProblem", "antichain_width", "find_cycle"]

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SchedulingProblem:
    """Layers, each to be run once per batch on the accelerator chosen for it, on a chip with room for so much.

    ``L`` layers, ``K`` accelerators, ``S`` sizes of each. All batches of a layer run on the same accelerator, which
    holds its weights; an accelerator runs one operation at a time, to its end. An operation starts when its producers
    of the same batch have ended; that its input lies in DRAM is part of its cost.

    Raises:
        InputError: Arrays of other shapes, edges between unknown layers, or edges that form a cycle, which is named.
    """

    layers: tuple[str, ...]
    accelerators: tuple[str, ...]
    ticks: Ints
    """Duration of a layer in whole ticks, at least 1, ``(L, K, S)``."""
    energy_pj: Floats
    """Of one run of a layer, without leakage, ``(L, K, S)``."""
    allowed: Bools
    """Whether a layer can run there, ``(L, K, S)``."""
    area_um2: Floats
    """``(K, S)``."""
    leakage_pj: Floats
    """Per tick, busy or not, ``(K, S)``."""
    edges: tuple[tuple[int, int], ...]
    """(producer, consumer) among the layers."""
    batches: int
    area_limit_um2: float
    objective: Objective

    def __post_init__(self) -> None:
        shape = (len(self.layers), len(self.accelerators), self.area_um2.shape[-1])
        for name in ("ticks", "energy_pj", "allowed", "area_um2", "leakage_pj"):
            found, wanted = getattr(self, name).shape, shape[1:] if name in ("area_um2", "leakage_pj") else shape
            if found != wanted:
                raise InputError(f"scheduling problem: {name} has shape {found}, allowed {wanted}")
        for edge in self.edges:
            if not all(0 <= end < shape[0] for end in edge):
                raise InputError(f"scheduling problem: edge {edge} leaves the layers 0..{shape[0] - 1}")
        cycle = find_cycle(shape[0], self.edges)
        if cycle:
            names = " -> ".join(self.layers[i] for i in (*cycle, cycle[0]))
            raise InputError(f"dependencies form a cycle, so that no schedule exists: {names}")
        if self.batches < 1 or (self.ticks[self.allowed] < 1).any():
            raise InputError("scheduling problem: batches and durations are at least 1")

    # -- the graph -----------------------------------------------------------------------------------------------

    @cached_property
    def predecessors(self) -> tuple[tuple[int, ...], ...]:
        """Producers of each layer."""
        found: list[set[int]] = [set() for _ in self.layers]
        for producer, consumer in self.edges:
            found[consumer].add(producer)
        return tuple(tuple(sorted(one)) for one in found)

    @cached_property
    def successors(self) -> tuple[tuple[int, ...], ...]:
        """Consumers of each layer."""
        found: list[set[int]] = [set() for _ in self.layers]
        for producer, consumer in self.edges:
            found[producer].add(consumer)
        return tuple(tuple(sorted(one)) for one in found)

    @cached_property
    def topological(self) -> tuple[int, ...]:
        """The layers, producers first."""
        missing = [len(p) for p in self.predecessors]
        order = [i for i, count in enumerate(missing) if count == 0]
        for layer in order:  # Grows while it is walked.
            for consumer in self.successors[layer]:
                missing[consumer] -= 1
                if missing[consumer] == 0:
                    order.append(consumer)
        return tuple(order)

    @cached_property
    def before(self) -> Bools:
        """Whether a layer must end before another starts, ``(L, L)``."""
        found = np.zeros((len(self.layers),) * 2, dtype=bool)
        for layer in self.topological:
            for producer in self.predecessors[layer]:
                found[:, layer] |= found[:, producer]
                found[producer, layer] = True
        return found

    @cached_property
    def urgency(self) -> Floats:
        """Upward rank of HEFT (Topcuoglu et al., 2002): the longest path to an end, durations averaged, ``(L,)``."""
        mean = np.where(self.allowed, self.ticks, 0).sum((1, 2)) / np.maximum(self.allowed.sum((1, 2)), 1)
        return np.asarray(self.tails(mean) + mean)

    def tails(self, duration: Floats) -> Floats:
        """Returns the longest path after each layer, ``(L,)``, for durations of shape ``(L,)``."""
        tail = np.zeros(len(self.layers))
        for layer in reversed(self.topological):
            tail[layer] = max((tail[c] + duration[c] for c in self.successors[layer]), default=0.0)
        return tail

    def heads(self, duration: Floats) -> Floats:
        """Returns the longest path before each layer, ``(L,)``, for durations of shape ``(L,)``."""
        head = np.zeros(len(self.layers))
        for layer in self.topological:
            head[layer] = max((head[p] + duration[p] for p in self.predecessors[layer]), default=0.0)
        return head

    # -- operations: a layer of a batch ----------------------------------------------------------------------------

    @cached_property
    def operations(self) -> Ints:
        """(layer, batch) of every operation, the most urgent first, ``(T, 2)``; a topological order.

        The batches of a layer are alike, so that they can start in their order without loss.
        """
        depth = np.empty(len(self.layers), dtype=np.int64)
        depth[list(self.topological)] = np.arange(len(self.layers))
        order = np.lexsort((depth, -self.urgency))
        return np.array([(layer, batch) for layer in order for batch in range(self.batches)], dtype=np.int64)

    @cached_property
    def operation_number(self) -> Ints:
        """Number of an operation by layer and batch, ``(L, batches)``."""
        number = np.empty((len(self.layers), self.batches), dtype=np.int64)
        number[self.operations[:, 0], self.operations[:, 1]] = np.arange(len(self.operations))
        return number

    @cached_property
    def operation_predecessors(self) -> Ints:
        """Operations that must have ended, padded with ``T``, ``(T, most)``."""
        number = self.operation_number
        return _padded([[int(number[p, b]) for p in self.predecessors[layer]] for layer, b in self.operations])

    @cached_property
    def operation_successors(self) -> Ints:
        """Operations that wait for one, the next batch of its layer among them, padded with ``T``, ``(T, most)``."""
        number, rows = self.operation_number, []
        for layer, b in self.operations:
            row = [int(number[c, b]) for c in self.successors[layer]]
            rows.append(row + ([int(number[layer, b + 1])] if b + 1 < self.batches else []))
        return _padded(rows)

    @cached_property
    def width(self) -> int:
        """Upper bound on the operations that are ready at once."""
        return self.batches * antichain_width(self.before)

    # -- sizes -----------------------------------------------------------------------------------------------------

    @cached_property
    def chips(self) -> Ints:
        """Sizes of all chips that fit the area and run every layer, ``(chips, K)``."""
        count, sizes = self.area_um2.shape
        grid = np.stack(np.meshgrid(*[np.arange(sizes)] * count, indexing="ij"), axis=-1).reshape(-1, count)
        area = self.area_um2[np.arange(count), grid].sum(axis=1)
        runs = self.allowed[:, np.arange(count), grid].any(axis=-1).all(axis=0)  # (L, chips, K)
        return np.asarray(grid[runs & (area <= self.area_limit_um2)])


def _padded(rows: Sequence[Sequence[int]]) -> Ints:
    most = max((len(row) for row in rows), default=0) or 1
    table = np.full((len(rows), most), len(rows), dtype=np.int64)
    for number, row in enumerate(rows):
        table[number, : len(row)] = row
    return table


def find_cycle(count: int, edges: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    """Returns the nodes of a cycle in order, or nothing.

    Args:
        count: Number of nodes.
        edges: From one to another.
    """
    into: list[list[int]] = [[] for _ in range(count)]
    missing = [0] * count
    for a, b in edges:
        into[b].append(a)
        missing[a] += 1
    ends = [i for i in range(count) if missing[i] == 0]
    for node in ends:
        for a in into[node]:
            missing[a] -= 1
            if missing[a] == 0:
                ends.append(a)
    left = set(range(count)) - set(ends)
    if not left:
        return ()
    # Every node that is left has a successor that is left.
    step = {a: b for a, b in edges if a in left and b in left}
    path = [min(left)]
    while step[path[-1]] not in path:
        path.append(step[path[-1]])
    return tuple(path[path.index(step[path[-1]]) :])


def antichain_width(before: Bools) -> int:
    """Returns the most elements of a partial order of which none is before another.

    By Dilworth's theorem the number of chains that cover it, which a maximum matching finds.

    Args:
        before: The order, closed under transitivity, ``(n, n)``.
    """
    partner = np.full(len(before), -1, dtype=np.int64)

    def augment(node: int, seen: Bools) -> bool:
        for other in np.flatnonzero(before[node] & ~seen):
            if seen[other]:
                continue
            seen[other] = True
            if partner[other] < 0 or augment(int(partner[other]), seen):
                partner[other] = node
                return True
        return False

    matched = sum(augment(node, np.zeros(len(before), dtype=bool)) for node in range(len(before)))
    return len(before) - matched

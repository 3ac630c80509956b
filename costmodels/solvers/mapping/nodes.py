"""Nodes of the search: boxes of extents with a permutation class per level, a machine and a bypass."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.mapspace import SiteFactorization

__all__ = ["Nodes", "propagate"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass
class Nodes:
    """A batch of nodes; arrays with a leading axis ``(nodes,)``."""

    low: Ints
    """Numbers of the least divisors that extents may take, shape ``(nodes, sites, dims)``."""
    high: Ints
    """Of the largest."""
    classes: Ints
    """Permutation class of each level but the innermost, shape ``(nodes, levels - 1)``."""
    machine: Ints
    """Row of the machine table."""
    keep: Bools
    """Which level holds which tensor, shape ``(nodes, levels, tensors)``."""
    reducing_children_bounds: Ints
    """Least and largest number of children of each fan-out that add to one sum, shape ``(nodes, levels, 2)``."""
    spatial_factor_bounds: Ints
    """Least and largest factor of each dimension in each fan-out, shape ``(nodes, levels, dims, 2)``."""
    bound: Floats
    """Certified logarithm of the objective of everything in the node."""

    def __len__(self) -> int:
        return len(self.bound)

    def take(self, rows: Ints | Bools) -> Nodes:
        """Returns some of them."""
        return Nodes(*(getattr(self, field.name)[rows] for field in fields(self)))

    @classmethod
    def whole(cls, space: SiteFactorization, classes: Ints, machine: Ints, keep: Bools) -> Nodes:
        """Nodes that hold all tilings, of given classes, machines and bypasses."""
        n, levels = len(classes), len(space.architecture.levels)
        shape = (n, len(space.sites), space.dims)
        last = np.array([len(divisors) - 1 for divisors in space.divisors], dtype=np.int64)
        low = np.zeros(shape, dtype=np.int64)
        low[:, 0] = last
        return cls(
            low,
            np.broadcast_to(last, shape).copy(),
            classes,
            machine,
            keep,
            np.tile(np.array([1, np.iinfo(np.int64).max]), (n, levels, 1)),
            np.tile(np.array([1, space.bounds.max()]), (n, levels, space.dims, 1)),
            np.full(n, -np.inf),
        )

    @staticmethod
    def join(parts: list[Nodes]) -> Nodes:
        """Concatenates batches."""
        return Nodes(*(np.concatenate([getattr(x, field.name) for x in parts]) for field in fields(Nodes)))

    def logs(self, space: SiteFactorization) -> tuple[Floats, Floats]:
        """Returns logarithms of least and largest extents, shape ``(nodes, sites + 1, dims)``; the last row is 0."""
        tables = np.log(space.divisor_table.astype(np.float64))
        dims = np.arange(space.dims)
        end = np.zeros((len(self), 1, space.dims))
        return (
            np.concatenate([tables[dims, self.low], end], axis=1),
            np.concatenate([tables[dims, self.high], end], axis=1),
        )


def propagate(space: SiteFactorization, nodes: Nodes, unit: Bools) -> Bools:
    """Shrinks boxes to what nesting, prescribed factors and limits leave, in place.

    Args:
        space: The map space.
        nodes: The nodes.
        unit: Time loops that the classes fix to one, shape ``(nodes, sites, dims)``.

    Returns:
        Which nodes still contain something, shape ``(nodes,)``.
    """
    table = space.divisor_table
    sites, dims = len(space.sites), np.arange(space.dims)
    tied = unit | ~space.open
    factor = np.broadcast_to(space.least, tied.shape).copy()
    most = np.where(space.open & unit, 1, np.where(tied, factor, space.most))
    for v in range(len(space.time)):
        place = space.fan(v)
        if place is not None:
            factor[:, place] = np.maximum(factor[:, place], nodes.spatial_factor_bounds[:, v, :, 0])
            most[:, place] = np.minimum(most[:, place], nodes.spatial_factor_bounds[:, v, :, 1])
    possible = (factor <= most).all(axis=(1, 2))
    most = np.maximum(most, 1)
    for _ in range(2):
        for i in reversed(range(sites)):
            inner_low = table[dims, nodes.low[:, i + 1]] if i + 1 < sites else np.ones((1, space.dims), np.int64)
            inner_high = table[dims, nodes.high[:, i + 1]] if i + 1 < sites else np.ones((1, space.dims), np.int64)
            nodes.low[:, i] = np.maximum(nodes.low[:, i], _number(space, inner_low * factor[:, i], up=True))
            nodes.high[:, i] = np.minimum(nodes.high[:, i], _number(space, inner_high * most[:, i], up=False))
        for i in range(sites - 1):
            outer_low, outer_high = table[dims, nodes.low[:, i]], table[dims, nodes.high[:, i]]
            least = -(-outer_low // most[:, i])
            nodes.low[:, i + 1] = np.maximum(nodes.low[:, i + 1], _number(space, least, up=True))
            nodes.high[:, i + 1] = np.minimum(
                nodes.high[:, i + 1], _number(space, outer_high // factor[:, i], up=False)
            )
    return np.asarray(possible & (nodes.low <= nodes.high).all(axis=(1, 2)))


def _number(space: SiteFactorization, values: Ints, *, up: bool) -> Ints:
    """Numbers of the nearest divisors at least (at most) ``values``, shape ``(nodes, dims)``."""
    result = np.empty(values.shape, dtype=np.int64)
    for d, divisors in enumerate(space.divisors):
        if up:
            result[:, d] = np.searchsorted(divisors, values[:, d], side="left")
        else:
            result[:, d] = np.searchsorted(divisors, values[:, d], side="right") - 1
    return np.clip(result, 0, np.array([len(x) - 1 for x in space.divisors])) if up else np.maximum(result, 0)

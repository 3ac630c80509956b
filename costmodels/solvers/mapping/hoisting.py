"""Loops that a class needs: one of the relevant loops of every tensor that it does not hoist."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.solvers.mapping.classes import LevelClasses
from accelgym.costmodels.solvers.mapping.nodes import Nodes
from accelgym.costmodels.solvers.mapping.space import MappingSpace

__all__ = ["ask_for_loops"]

Bools = npt.NDArray[np.bool_]


def ask_for_loops(space: MappingSpace, classes: tuple[LevelClasses, ...], nodes: Nodes) -> Bools:
    """Gives a loop that is the only one left for a tensor at least its least prime, in place.

    A mapping without any of them is in the class that hoists the tensor, at no higher cost.

    Returns:
        Which nodes have a loop for every tensor that needs one, shape ``(nodes,)``.
    """
    possible = np.ones(len(nodes), dtype=bool)
    for v, table in enumerate(classes):
        place, number = space.time[v], nodes.classes[:, v]
        loops = table.needed[number]
        if not loops.any():
            continue
        able = (nodes.high[:, place] > nodes.low[:, place + 1]) & ~table.unit[number]
        for t in range(loops.shape[1]):
            left = loops[:, t] & able
            possible &= left.any(axis=1) | ~loops[:, t].any(axis=1)
            for d, divisors in enumerate(space.divisors):
                only = np.flatnonzero(left[:, d] & (left.sum(axis=1) == 1))
                if not len(only):
                    continue
                prime = divisors[1]
                least = np.searchsorted(divisors, divisors[nodes.low[only, place + 1, d]] * prime, side="left")
                possible[only] &= least < len(divisors)
                least = np.minimum(least, len(divisors) - 1)
                most = np.searchsorted(divisors, divisors[nodes.high[only, place, d]] // prime, side="right") - 1
                possible[only] &= most >= 0
                most = np.maximum(most, 0)
                nodes.low[only, place, d] = np.maximum(nodes.low[only, place, d], least)
                nodes.high[only, place + 1, d] = np.minimum(nodes.high[only, place + 1, d], most)
    return np.asarray(possible & (nodes.low <= nodes.high).all(axis=(1, 2)))

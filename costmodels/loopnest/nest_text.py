"""A mapping as text: its loop nest with the tiles each level holds, as Timeloop's ``map.txt`` shows it."""

from __future__ import annotations

import math

from accelgym.costmodels.arrays import to_numpy
from accelgym.costmodels.loopnest.mappings import Mappings

__all__ = ["format_nest"]


def format_nest(mappings: Mappings, row: int = 0) -> str:
    """Returns the loops, outer to inner: per level what it holds and what passes it by, its time loops, its fan-out.

    Args:
        mappings: A batch.
        row: Which mapping.
    """
    problem, architecture, loops = mappings.problem, mappings.architecture, mappings.loops(row)
    lines, depth = [], 0
    for v, level in enumerate(architecture.levels):
        extents = {
            dim: math.prod(loop.bound for loop in loops if loop.level >= v and problem.dims[loop.dim] == dim)
            for dim in problem.dims
        }
        held, passed = [], []
        for t, tensor in enumerate(problem.tensors):
            if level.may_store(tensor.name) and (mappings.keep is None or to_numpy(mappings.keep[v, t, row])):
                held.append(f"{tensor.name} {problem.tile_words(tensor, extents):,}")
            else:
                passed.append(tensor.name)
        room = "" if level.tile_capacity is None else f" of {level.tile_capacity:,} words"
        bypass = f"; bypassed by {', '.join(passed)}" if passed else ""
        lines.append(f"{'  ' * depth}-- {level.name} holds {', '.join(held) or 'nothing'}{room}{bypass}")
        for loop in loops:
            if loop.level != v:
                continue
            how = "for" if loop.kind == "temporal" else f"parallel-for ({loop.kind})"
            last = "" if loop.residual == loop.bound else f", {loop.residual} in the last round"
            lines.append(f"{'  ' * depth}{how} {problem.dims[loop.dim]} in [0, {loop.bound}){last}")
            depth += 1
    lines.append(f"{'  ' * depth}{architecture.compute.name}")
    return "\n".join(lines)

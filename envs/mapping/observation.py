"""What an agent sees while a mapping is being built."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.mapspace import FactorPlacement, LoopChoice, MapSpace, MemorySize, TensorBypass
from accelgym.costmodels.mapspace.construction import Construction

__all__ = ["Observer"]

Floats = npt.NDArray[np.float64]


class Observer:
    """Builds observations; the table in the environment's docstring names the columns.

    Args:
        mapspace: The map space observed.
    """

    def __init__(self, mapspace: MapSpace) -> None:
        self.mapspace = mapspace
        # All dimensions, so that layers of one kind look alike; where there is nothing to place, logarithms are 0.
        self._bounds = np.array(mapspace.problem.bounds)
        logs = np.log(self._bounds.astype(np.float64))
        self._log_bounds = np.where(self._bounds > 1, logs, 1.0)
        # Looked up, because the logarithm's last bit may depend on an array's layout.
        self._log = np.log(np.arange(1, max(mapspace.problem.bounds) + 1))
        self._longest = max(float(logs.max()), np.log(2.0))
        self._scale = logs / self._longest
        self._fanouts = [s for s, slot in enumerate(mapspace.architecture.slots) if slot.kind != "temporal"]
        self._sizes = [(j, len(x.words)) for j, x in enumerate(mapspace.decisions) if isinstance(x, MemorySize)]
        self._question = self._questions()
        self._orders = [(j, x) for j, x in enumerate(mapspace.decisions) if isinstance(x, LoopChoice)]
        self.size = self.observe(Construction(mapspace, 1)).shape[1]

    def observe(self, state: Construction) -> npt.NDArray[np.float32]:
        """Returns ``(lanes, size)`` float32 observations, all within [-1, 1]."""
        lanes = state.lanes
        loops = self._log[state.factors - 1] / self._log_bounds[:, None]
        left = self._bounds[:, None] // state.factors.prod(axis=0)
        parts = [
            self._question[state.position].T,
            np.repeat(self._scale[:, None], lanes, axis=1),
            self._log[left - 1] / self._log_bounds[:, None],
            loops.reshape(-1, lanes),
            np.array([np.minimum(state.words(v) / state.capacity[v], 1.0) for v in state.levels]).reshape(-1, lanes),
            np.array([np.minimum(state.used[s] / state.fanout[s], 1.0) for s in self._fanouts]).reshape(-1, lanes),
            np.array([(state.actions[:, j] + 1) / count for j, count in self._sizes]).reshape(-1, lanes),
            state.keep.reshape(-1, lanes),
            self._positions(state),
        ]
        return np.ascontiguousarray(np.clip(np.concatenate(parts), -1.0, 1.0).T, dtype=np.float32)

    def _positions(self, state: Construction) -> Floats:
        """Positions of the time loops chosen so far, innermost 1, falling outwards; ``(levels * dims, lanes)``."""
        architecture = self.mapspace.architecture
        result = np.zeros((len(architecture.levels) - 1, len(self.mapspace.problem.dims), state.lanes))
        rows = np.arange(state.lanes)
        for j, decision in self._orders:
            chosen = state.actions[:, j]
            known = chosen >= 0
            value = 1.0 - decision.digit / len(decision.dims)
            result[decision.level, chosen[known], rows[known]] = value
        return result.reshape(-1, state.lanes)

    def _questions(self) -> Floats:
        """One row per decision, and one for the end: progress and what is asked."""
        mapspace = self.mapspace
        levels, tensors = len(mapspace.architecture.levels), len(mapspace.problem.tensors)
        kinds, dims = 3 + bool(self._sizes), len(self._bounds)
        total = len(mapspace.decisions)
        table = np.zeros((total + 1, 1 + kinds + dims + 1 + levels + tensors))
        table[:, 0] = np.arange(total + 1) / total
        at_dim, at_prime = 1 + kinds, 1 + kinds + dims
        at_level = at_prime + 1
        for row, decision in zip(table, mapspace.decisions, strict=False):
            match decision:
                case MemorySize(level, _):
                    row[[4, at_level + level]] = 1.0
                case TensorBypass(level, tensor):
                    row[[1, at_level + level, at_level + levels + tensor]] = 1.0
                case FactorPlacement(dim, prime, _, _):
                    row[[2, at_dim + dim]] = 1.0
                    row[at_prime] = np.log(prime) / self._longest
                case LoopChoice(level, _, _):
                    row[[3, at_level + level]] = 1.0
        return table

"""Feasible designs near infeasible ones: another machine, finer types, activations back in memory."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from accelgym.envs.hwgen.prefixes import Prefixes
from accelgym.envs.joint.parts import JointParts

__all__ = ["repaired"]

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


def repaired(task: JointParts, prefixes: Prefixes, designs: Ints, rng: np.random.Generator) -> Ints:
    """Returns feasible designs near the given ones; what fits stays as it is.

    A machine that does not fit gives way to one that keeps its first parameters; types that it does not take, to random
    ones that it takes. Layers then take their types of least loss, in random order, until the limit is kept, and
    activations go back to memory, in random order, until the SRAM has room.

    Args:
        task: The task.
        prefixes: Of its machines.
        designs: Shape ``(n, parameters)``.
        rng: Draws what gives way.
    """
    result = designs.copy()
    at, machines, losses = task.columns, task.machines, task.network.losses
    machine = result[:, at["machine"]]
    poor = ~task.feasible[tuple(machine.T)]
    ordered = np.array([p.ordered for p in machines.parameters])
    machine[poor] = prefixes.nearest(machine[poor], ordered, rng)
    result[:, at["machine"]] = machine
    supports = machines.supports[machine[:, 0]]
    pair = result[:, at["types"]]
    rows = np.arange(len(result))[:, None]
    draws = rng.random((*pair.shape, supports.shape[1]))
    other = np.where(supports[:, None, :], draws, -1.0).argmax(axis=2)
    pair = np.where(supports[rows, pair], pair, other)
    result[:, at["types"]] = _finer(pair, supports, losses, task.limit, rng)
    resident = result[:, at["on_chip"]] > 0
    room = machines.room_words[machine[:, 0], machine[:, 1]]
    result[:, at["on_chip"]] = _fewer(task, resident, room, rng)
    return result


def _finer(pair: Ints, supports: Bools, losses: Ints, limit: int, rng: np.random.Generator) -> Ints:
    """Pairs of types, ``(n, layers)``, some of them replaced by those of least loss until the limit is kept."""
    none = np.iinfo(np.int64).max
    best = np.where(supports[:, None, :], losses, none).argmin(axis=2)
    layers = np.arange(pair.shape[1])
    gain = losses[layers, pair] - losses[layers, best]
    order = np.argsort(rng.random(pair.shape), axis=1)
    excess = losses[layers, pair].sum(axis=1) - limit
    won = np.cumsum(np.take_along_axis(gain, order, axis=1), axis=1)
    before = np.concatenate((np.zeros((len(pair), 1), dtype=np.int64), won[:, :-1]), axis=1)
    replaced = np.zeros(pair.shape, dtype=bool)
    np.put_along_axis(replaced, order, before < excess[:, None], axis=1)
    return np.where(replaced, best, pair)


def _fewer(task: JointParts, resident: Bools, room: Ints, rng: np.random.Generator) -> Bools:
    """Edges on chip, ``(n, edges)``, some of them taken back until the SRAM has room."""
    resident = resident.copy()
    order = np.argsort(rng.random(resident.shape), axis=1)
    full = np.flatnonzero(task.figures.peak_words(resident) > room)
    for column in range(resident.shape[1]):
        if len(full) == 0:
            break
        resident[full, order[full, column]] = False
        full = full[task.figures.peak_words(resident[full]) > room[full]]
    return resident

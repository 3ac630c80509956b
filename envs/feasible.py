"""Feasible designs of tasks that say no more than which designs fit."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import InputError
from accelgym.envs.space import Designs, Space

__all__ = ["draw_feasible", "relink", "single_changes"]

Ints = npt.NDArray[np.int64]

_ROUNDS = 200
_BATCH = 256
"""Least number of designs a round: with both, one feasible design in 50,000 is found."""


class _Task(Protocol):
    """The part of a task that is needed here."""

    @property
    def space(self) -> Space: ...

    @property
    def action_sizes(self) -> Ints: ...

    def designs(self, actions: Ints) -> Designs: ...

    def masks(self, actions: Ints, position: int) -> npt.NDArray[np.bool_]: ...

    def fits(self, designs: Designs) -> npt.NDArray[np.bool_]: ...

    def sample_feasible(self, rng: np.random.Generator, count: int) -> Designs: ...


def draw_feasible(task: _Task, rng: np.random.Generator, count: int) -> Designs:
    """Walks through the task's masks at random and keeps what fits; shape ``(count, parameters)``.

    Raises:
        InputError: Hardly any of the designs drawn fits.
    """
    found = np.zeros((0, len(task.space)), dtype=np.int64)
    for turn in range(_ROUNDS):
        missing = count - len(found)
        if missing <= 0:
            break
        actions = np.zeros((max(missing, _BATCH) if turn else missing, len(task.action_sizes)), dtype=np.int64)
        for position in range(actions.shape[1]):
            mask = task.masks(actions, position)
            actions[:, position] = np.where(mask, rng.random(mask.shape), -1.0).argmax(axis=1)
        designs = task.designs(actions)
        found = np.concatenate((found, designs[task.fits(designs)]))
    if len(found) < count:
        raise InputError(
            f"{type(task).__name__}: of {_ROUNDS} batches of random designs {len(found)} are feasible, {count} were "
            "asked for; such a task has to define masks or sample_feasible"
        )
    return found[:count]


def relink(task: _Task, designs: Designs, rng: np.random.Generator) -> Designs:
    """Returns feasible designs on the way from random feasible ones to the given ones, as near to these as they fit.

    Each parameter in turn, in random order, takes the wanted value where the design stays feasible.

    Args:
        task: The task.
        designs: Infeasible designs, shape ``(n, parameters)``.
        rng: Draws where to start from, and the order.
    """
    if len(designs) == 0:
        return designs
    result = task.sample_feasible(rng, len(designs)).copy()
    for column in rng.permutation(designs.shape[1]):
        moved = result.copy()
        moved[:, column] = designs[:, column]
        result = np.where(task.fits(moved)[:, None], moved, result)
    return result


def single_changes(space: Space, design: Designs) -> Designs:
    """Returns all designs that differ from one of shape ``(parameters,)`` in one parameter."""
    column = np.repeat(np.arange(len(space)), space.nvec)
    value = np.concatenate([np.arange(size) for size in space.nvec])
    near = np.repeat(np.asarray(design, dtype=np.int64)[None], len(column), axis=0)
    near[np.arange(len(column)), column] = value
    return np.asarray(near[value != np.asarray(design)[column]])

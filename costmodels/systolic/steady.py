"""The cycle count of many tilings at once: the recurrence is iterated until it is periodic, then extrapolated.

:func:`~accelgym.costmodels.systolic.cycles.layer_cycles` raises the matrix of a tile to a power, some 10,000
operations a layer. A pipeline settles within a few tiles, so that stepping the state itself is ten times as fast.

Why the extrapolation is exact. Let ``g`` be ``PERIOD`` tiles (or groups), ``x1 = g(x0)`` and ``x2 = g(x1)``, with
``x2 - x1 = x1 - x0 = v``, where ``v`` is 0 in the times that ``g`` hands through unchanged and one number ``c > 0`` in
all others. Along ``x0 + t v`` every component of ``g`` is a maximum of functions of slope 0 or ``c``: convex, and never
steeper than ``c``. From ``t = 0`` to 1 it rises by ``c``, hence with slope ``c`` all the way, and from there on, too.
So ``g(x0 + n v) = x0 + (n + 1) v`` for all ``n``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.systolic.cycles import (
    OUTPUT_LATENCY,
    START,
    State,
    TileRole,
    layer_cycles,
    tile_role,
    tile_step,
)
from accelgym.costmodels.systolic.tiling import TileTerms

__all__ = ["PATIENCE", "PERIOD", "steady_layer_cycles"]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Step = Callable[[Ints], Ints]

PERIOD = 2
"""Tiles, or groups, after which the pattern repeats: each buffer has two banks."""
PATIENCE = 12
"""Steps after which a column goes to the matrices: a few engines of nearly equal speed take long to settle."""
_NAMES = [field.name for field in fields(State)]
_DRAINED = _NAMES.index("drained")


def steady_layer_cycles(terms: TileTerms) -> Ints:
    """Returns the cycles of whole layers, equal to those of ``layer_cycles``.

    Args:
        terms: Of NumPy arrays, shape ``(n,)`` each.
    """
    lost = np.zeros(len(np.asarray(terms.stream)), dtype=bool)

    def group(rows: Ints) -> Step:
        part = _take(terms, rows)
        single = np.asarray(part.inner == 1)
        yes, no = np.ones(len(rows), dtype=bool), np.zeros(len(rows), dtype=bool)
        first, last = tile_role(part, yes, single), tile_role(part, no, yes)

        def middle(within: Ints) -> Step:
            some = _take(part, within)
            nothing = np.zeros(len(within), dtype=bool)
            role = tile_role(some, nothing, nothing)
            return lambda x: _step(x, some, role)

        middles, held = np.maximum(np.asarray(part.inner) - 2, 0), _held(tile_role(part, no, no))

        def step(x: Ints) -> Ints:
            x = _step(x, part, first)
            x, unsettled = _repeat(middle, middles, x, held)
            lost[rows[unsettled]] = True
            return np.where(single, x, _step(x, part, last))

        return step

    count = len(np.asarray(terms.stream))
    start = np.repeat(np.array(START, dtype=np.int64)[:, None], count, axis=1)
    end, unsettled = _repeat(group, np.asarray(terms.outer), start, np.zeros(start.shape, dtype=bool))
    cycles = np.asarray(end[_DRAINED] + OUTPUT_LATENCY)
    lost |= unsettled
    if lost.any():
        cycles[lost] = layer_cycles(_take(terms, lost))
    return cycles


def _repeat(build: Callable[[Ints], Step], count: Ints, x: Ints, held: Bools) -> tuple[Ints, Bools]:
    """Applies a step ``count`` times to every column of the state.

    Returns the state, and which columns were given up because they did not settle within :data:`PATIENCE` steps.

    Args:
        build: Returns the step of some columns.
        count: Shape ``(n,)``.
        x: State, shape ``(9, n)``.
        held: Times that the step hands through, likewise.
    """
    x, left = x.copy(), count.copy()
    rows = np.flatnonzero(left > 0)
    step, history = build(rows), [x[:, rows]]
    for _ in range(PATIENCE):
        if len(rows) == 0:
            break
        now = step(history[-1])
        left[rows] -= 1
        history = [*history[-2 * PERIOD :], now]
        if len(history) > 2 * PERIOD:
            drift = now - history[PERIOD]
            rise = drift.max(axis=0)
            settled = (drift == history[PERIOD] - history[0]) & ((drift == rise) | held[:, rows])
            periods = np.where(settled.all(axis=0) & (rise > 0), left[rows] // PERIOD, 0)
            now += drift * periods
            left[rows] -= PERIOD * periods
        going = left[rows] > 0
        if not going.all():
            x[:, rows[~going]] = now[:, ~going]
            rows, history = rows[going], [past[:, going] for past in history]
            step = build(rows)
    return x, left > 0


def _held(role: TileRole) -> Bools:
    """Times of a state that a tile of this role does not touch, shape ``(9, n)``."""
    untouched = {
        "input_loaded": ~role.loads_input,
        "input_released": ~role.releases_input,
        "input_released_before": ~role.releases_input,
        "weight_loaded": ~role.loads_weights,
        "weight_released": ~role.releases_weights,
        "weight_released_before": ~role.releases_weights,
        "drained": ~role.closes_output,
        "drained_before": ~role.closes_output,
    }
    return np.array([untouched.get(name, np.zeros_like(role.loads_input)) for name in _NAMES])


def _step(x: Ints, terms: TileTerms, role: TileRole) -> Ints:
    after = tile_step(State(*x), terms, role)
    return np.array([getattr(after, name) for name in _NAMES])


def _take(terms: TileTerms, rows: Any) -> TileTerms:
    return TileTerms(*(np.asarray(getattr(terms, field.name))[rows] for field in fields(TileTerms)))

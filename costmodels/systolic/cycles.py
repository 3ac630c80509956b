"""The exact cycle count: a max-plus recurrence over tiles, raised to powers instead of iterated.

Four engines work on a stream of tiles: input loader, weight loader, array (weight feeder and streamer) and
drain. Nothing in them depends on data, so every event time is a maximum of earlier times plus constants. The
state between two tiles is a vector of nine times (:class:`State`); one tile is a max-plus matrix over it, a
group of tiles (those that share an operand, or that add up to one output tile) a product of such matrices, and
the layer a power of the group's matrix. :func:`tile_step` is the only statement of the rules: applied to times
it iterates the recurrence, applied to unit vectors it yields the matrix.

Time 0 is the first cycle in which the engines run; a bank or a result is available *from* the stated time on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

from accelgym.costmodels.arrays import Array, array_namespace
from accelgym.costmodels.systolic.max_plus import NEVER, apply, power, product
from accelgym.costmodels.systolic.tiling import TileTerms

__all__ = [
    "OUTPUT_LATENCY",
    "START",
    "State",
    "TileRole",
    "iterate",
    "layer_cycles",
    "layer_cycles_by_iteration",
    "tile_role",
    "tile_step",
]

OUTPUT_LATENCY = 2
"""From the last cycle a drained word is read to its last beat on the output port: buffer and output register."""


@dataclass(frozen=True)
class State:
    """Event times between two tiles; numbers, or max-plus forms over an earlier state (last axis)."""

    last_pass: Array
    """Start of the latest pass."""
    input_loaded: Array
    """The input loader is free."""
    input_released: Array
    """Input bank of the latest finished load is free again."""
    input_released_before: Array
    weight_loaded: Array
    weight_released: Array
    weight_released_before: Array
    drained: Array
    """The drain is free, and its accumulation bank."""
    drained_before: Array


_SIZE = len(fields(State))
START = (NEVER, 0, 0, 0, 0, 0, 0, 0, 0)
"""The state before the first tile."""


@dataclass(frozen=True)
class TileRole:
    """Events at a tile besides computing, bool arrays or plain bools."""

    loads_input: Array
    loads_weights: Array
    releases_input: Array
    releases_weights: Array
    opens_output: Array
    """Its first pass needs a free accumulation bank."""
    closes_output: Array
    """Its last pass completes an output tile, which is then drained."""


def tile_step(state: State, terms: TileTerms, role: TileRole) -> State:
    """Advances the state by one tile.

    Args:
        state: Times, arrays of the shape of ``terms``, or forms with a trailing axis of the state's length.
        terms: Durations, broadcastable to ``state``.
        role: What the tile does.
    """
    xp = array_namespace(state.last_pass)
    never = xp.zeros_like(state.last_pass) + NEVER

    def when(condition: Array, value: Array, otherwise: Array = never) -> Array:
        return xp.where(condition, value, otherwise)

    input_loaded = when(
        role.loads_input,
        xp.maximum(state.input_loaded, state.input_released_before) + terms.input_load,
        state.input_loaded,
    )
    weight_loaded = when(
        role.loads_weights,
        xp.maximum(state.weight_loaded, state.weight_released_before) + terms.weight_load,
        state.weight_loaded,
    )
    input_ready = when(role.loads_input, input_loaded + terms.memory_latency)
    weights_ready = when(role.loads_weights, weight_loaded + terms.memory_latency)
    bank_free = xp.where(terms.accumulation_banks > 1, state.drained_before, state.drained)

    # The weights of a pass shift in while the pass before it streams.
    feed = xp.maximum(state.last_pass, weights_ready)
    first = xp.maximum(state.last_pass + terms.spacing, feed + terms.preload)
    first = xp.maximum(xp.maximum(first, input_ready), when(role.opens_output, bank_free))
    last = first + (terms.passes - 1) * terms.pass_length

    last_feed = xp.where(terms.passes > 1, last - terms.pass_length, feed)
    stationary = terms.preload > 0
    weights_done = xp.where(stationary, last_feed + terms.preload, last + terms.stream) + terms.weight_release
    input_done = last + terms.stream + terms.input_release
    drained = xp.maximum(state.drained, last + terms.stream + terms.latency) + terms.drain
    return State(
        last_pass=last,
        input_loaded=input_loaded,
        input_released=when(role.releases_input, input_done, state.input_released),
        input_released_before=when(role.releases_input, state.input_released, state.input_released_before),
        weight_loaded=weight_loaded,
        weight_released=when(role.releases_weights, weights_done, state.weight_released),
        weight_released_before=when(role.releases_weights, state.weight_released, state.weight_released_before),
        drained=when(role.closes_output, drained, state.drained),
        drained_before=when(role.closes_output, state.drained, state.drained_before),
    )


def tile_role(terms: TileTerms, first: Array, last: Array) -> TileRole:
    """Returns what the first, a middle or the last tile of a group does."""
    holds_weights = terms.holds_weights
    holds_input = ~terms.reduces & ~holds_weights
    return TileRole(
        loads_input=~holds_input | first,
        loads_weights=~holds_weights | first,
        releases_input=~holds_input | last,
        releases_weights=~holds_weights | last,
        opens_output=~terms.reduces | first,
        closes_output=~terms.reduces | last,
    )


def _stack(state: State, axis: int) -> Array:
    values = [getattr(state, field.name) for field in fields(State)]
    return array_namespace(values[0]).stack(values, axis)


def _with_axis(terms: TileTerms) -> TileTerms:
    return replace(terms, **{field.name: getattr(terms, field.name)[..., None] for field in fields(TileTerms)})


def _matrix(terms: TileTerms, first: Array, last: Array) -> Array:
    """Returns the max-plus matrix of a tile, shape ``(..., 9, 9)``."""
    xp = array_namespace(terms.stream)
    wide = _with_axis(terms)
    forms = []
    for i in range(_SIZE):
        form = xp.zeros_like(wide.stream * 1) + xp.zeros_like(wide.stream) + NEVER
        form = xp.concatenate([form] * _SIZE, -1)
        form[..., i] = 0
        forms.append(form)
    matrix = _stack(tile_step(State(*forms), wide, tile_role(wide, first, last)), -2)
    return xp.where(matrix < NEVER // 2, NEVER, matrix)


def layer_cycles(terms: TileTerms) -> Array:
    """Returns the cycles of whole layers, int64, shape of ``terms``.

    Counted from the first running cycle to the one that carries the last output beat, both included. Rows that
    are not ``valid`` carry no meaning.
    """
    xp = array_namespace(terms.stream)
    shape = terms.stream.shape
    yes, no = xp.ones(1, dtype=bool), xp.zeros(1, dtype=bool)
    if shape == ():
        return layer_cycles(_with_axis(terms))[0]
    middles = xp.maximum(terms.inner - 2, terms.inner * 0)
    body = product(_matrix(terms, no, yes), product(power(_matrix(terms, no, no), middles), _matrix(terms, yes, no)))
    group = xp.where((terms.inner == 1)[..., None, None], _matrix(terms, yes, yes), body)
    start = xp.stack([terms.stream * 0 + value for value in START], -1)
    end = apply(power(group, terms.outer), start)
    return end[..., _SIZE - 2] + OUTPUT_LATENCY


def iterate(terms: TileTerms) -> Iterator[tuple[TileRole, State]]:
    """Yields what every tile of one layer does and the state behind it.

    Args:
        terms: Terms of one tiling, shape ``()``.
    """
    xp = array_namespace(terms.stream)
    state = State(*(xp.asarray(value) for value in START))
    inner = int(terms.inner)
    for index in range(int(terms.outer) * inner):
        position = index % inner
        role = tile_role(terms, xp.asarray(position == 0), xp.asarray(position == inner - 1))
        state = tile_step(state, terms, role)
        yield role, state


def layer_cycles_by_iteration(terms: TileTerms) -> int:
    """Returns the cycles of one layer by stepping through its tiles, for checking :func:`layer_cycles`.

    Args:
        terms: Terms of one tiling, shape ``()``.
    """
    drained = 0
    for _, state in iterate(terms):
        drained = int(state.drained)
    return drained + OUTPUT_LATENCY

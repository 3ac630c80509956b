"""Random mappings, drawn column by column."""

from __future__ import annotations

import itertools
import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.architecture.machine import Architecture
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.loopnest.columns import Columns
from accelgym.costmodels.loopnest.mappings import Mappings
from accelgym.costmodels.loopnest.validity import reasons, tiles

__all__ = ["divisor_chains", "sample_mappings", "sample_valid_mappings"]

Ints = npt.NDArray[np.int64]
MAX_CHAINS = 5_000_000
_TABLE_DIMS = 8


@lru_cache(maxsize=256)
def _chains(bound: int, limits: tuple[int, ...]) -> Ints:
    if not limits:
        return np.ones((1 if bound == 1 else 0, 0), dtype=np.int64)
    rows = []
    for factor in range(1, min(bound, limits[0]) + 1):
        if bound % factor == 0:
            rest = _chains(bound // factor, limits[1:])
            rows.append(np.column_stack([np.full(len(rest), factor, dtype=np.int64), rest]))
    table = np.concatenate(rows) if rows else np.ones((0, len(limits)), dtype=np.int64)
    if len(table) > MAX_CHAINS:
        raise InputError(f"bound {bound} has more than {MAX_CHAINS} factorisations over {len(limits)} slots")
    table.setflags(write=False)
    return table


def divisor_chains(bound: int, architecture: Architecture) -> Ints:
    """Lists all ordered factorisations of a bound over the slots of a machine.

    No dimension lies along x and y of one fan-out, which Timeloop's mapping format cannot say.

    Args:
        bound: The loop bound.
        architecture: The machine; a spatial factor never exceeds its fan-out.

    Returns:
        Factors, shape ``(chains, slots)``, each row multiplying to ``bound``. Read-only.

    Raises:
        InputError: There are more than five million.
    """
    limits = []
    for slot in architecture.slots:
        level = architecture.levels[slot.level]
        limits.append({"temporal": bound, "x": level.fanout_x, "y": level.fanout_y}[slot.kind])
    table = _chains(bound, tuple(limits))
    for v in range(len(architecture.levels)):
        x, y = architecture.slot(v, "x"), architecture.slot(v, "y")
        if x is not None and y is not None:
            table = table[(table[:, x] == 1) | (table[:, y] == 1)]
    return table


@lru_cache(maxsize=16)
def _permutations(dims: int) -> npt.NDArray[np.int64]:
    return np.array(list(itertools.permutations(range(dims))), dtype=np.int64).T.copy()


def sample_mappings(problem: LoopNest, architecture: Architecture, n: int, rng: np.random.Generator) -> Mappings:
    """Draws mappings whose factors multiply to the bounds and respect the fan-outs; tiles may overflow.

    Per dimension an ordered factorisation is drawn uniformly. Where spatial factors together exceed a fan-out,
    dimensions in random order keep theirs while they fit, and the rest moves into the time loop of the same
    level, which changes no tile. Loop orders are uniform.

    Args:
        problem: The problem.
        architecture: The machine.
        n: How many.
        rng: Source of randomness.
    """
    dims, slots = len(problem.dims), architecture.slots
    factors = np.empty((len(slots), dims, n), dtype=np.int64)
    for d, bound in enumerate(problem.bounds):
        table = divisor_chains(bound, architecture)
        if len(table) == 1:
            factors[:, d] = table[0][:, None]
        else:
            # Columns of the table one after the other: gathers stay in a small, contiguous range.
            chosen = rng.integers(len(table), size=n)
            for s in range(len(slots)):
                np.take(np.ascontiguousarray(table[:, s]), chosen, out=factors[s, d])
    for s, slot in enumerate(slots):
        if slot.kind != "temporal":
            level = architecture.levels[slot.level]
            time = architecture.slot(slot.level, "temporal")
            limit = level.fanout_x if slot.kind == "x" else level.fanout_y
            _fit_fanout(factors[s], factors[time], limit, rng)
    ranks = np.empty((len(slots), dims, n), dtype=np.int64)
    for s, slot in enumerate(slots):
        if slot.kind == "temporal":
            _shuffle(ranks[s], rng)
        else:
            ranks[s] = np.arange(dims, dtype=np.int64)[:, None]
    return Mappings(problem, architecture, factors.transpose(2, 0, 1), ranks.transpose(2, 0, 1))


def _shuffle(ranks: Ints, rng: np.random.Generator) -> None:
    """Fills ``(dims, n)`` with a random permutation per column."""
    dims, n = ranks.shape
    if dims > _TABLE_DIMS:
        ranks[:] = rng.random((n, dims)).argsort(axis=1).T
        return
    table = _permutations(dims)
    chosen = rng.integers(table.shape[1], size=n)
    for d in range(dims):
        np.take(table[d], chosen, out=ranks[d])


def _fit_fanout(spread: Ints, time: Ints, limit: int, rng: np.random.Generator) -> None:
    """Moves spatial factors that do not fit into the time loops; arrays ``(dims, n)``, in place."""
    over = np.flatnonzero(spread.prod(axis=0) > limit)
    if not len(over):
        return
    parts, dims = spread[:, over], spread.shape[0]
    order = np.empty((dims, len(over)), dtype=np.int64)
    _shuffle(order, rng)
    columns = np.arange(len(over))
    used = np.ones(len(over), dtype=np.int64)
    moved = np.ones_like(parts)
    for k in range(dims):
        d = order[k]
        factor = parts[d, columns]
        fits = used * factor <= limit
        used = np.where(fits, used * factor, used)
        moved[d, columns] = np.where(fits, 1, factor)
    spread[:, over] = parts // moved
    time[:, over] *= moved


def sample_valid_mappings(
    problem: LoopNest,
    architecture: Architecture,
    n: int,
    rng: np.random.Generator,
    *,
    max_draws: int = 10_000_000,
    block: int = 16_384,
) -> Mappings:
    """Draws valid mappings by rejection from :func:`sample_mappings`.

    Args:
        problem: The problem.
        architecture: The machine.
        n: How many.
        rng: Source of randomness.
        max_draws: Give up after so many proposals.
        block: Proposals per round.

    Raises:
        InputError: Too few valid mappings among ``max_draws``.
    """
    parts: list[Mappings] = []
    found = 0
    for _ in range(math.ceil(max_draws / block)):
        drawn = sample_mappings(problem, architecture, block, rng)
        factors = drawn.factors.transpose(1, 2, 0).astype(np.float64)
        columns = Columns(problem, architecture, factors, factors)
        fits = np.flatnonzero(reasons(columns, tiles(columns, bounded_only=True)) == 0)
        if len(fits):
            parts.append(drawn[fits[: n - found]])
            found += len(parts[-1])
        if found == n:
            factors = np.concatenate([part.factors for part in parts])
            ranks = np.concatenate([part.ranks for part in parts])
            return Mappings(problem, architecture, _by_column(factors), _by_column(ranks))
    raise InputError(
        f"found {found} of {n} valid mappings of {problem.name!r} on {architecture.name!r} in {max_draws} draws"
    )


def _by_column(array: Ints) -> Ints:
    return np.ascontiguousarray(array.transpose(1, 2, 0)).transpose(2, 0, 1)

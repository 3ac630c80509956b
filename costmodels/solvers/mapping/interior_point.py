"""Batched geometric programs: a primal-dual interior-point method, and bounds that do not trust it.

In the logarithms ``y`` of its variables a geometric program minimises ``lse(A0 y + b0)`` subject to
``lse(Aj y + bj) <= 0``, linear rows and a box: a convex program. Every program of a batch takes its own Newton steps
on arrays; the start need not be feasible (Boyd and Vandenberghe, Convex Optimization, 11.7, with slacks).

The bound is Lagrangian and holds for any point and any multipliers ``>= 0``: a convex function lies above its
tangent, and the least value of a linear function on the box is explicit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Programs", "Relaxed", "lagrangian_bound", "solve_programs"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_ITERATIONS = 40
"""Most Newton steps. Every step certifies a bound from its multipliers; fewer would be weaker, never wrong."""
_STEP = 0.99
"""Share of the way to the boundary that a step may go (Nocedal and Wright, Numerical Optimization, 19.2: 0.995)."""


@dataclass
class Programs:
    """A batch of programs; a leading axis ``(programs,)`` everywhere but in ``group``."""

    log: Floats
    """Log coefficients, shape ``(programs, monomials)``."""
    exponents: Floats
    """Shape ``(programs, monomials, variables)``."""
    group: Ints
    """Posynomial of each monomial: 0 is the objective, others must not exceed 1; shape ``(monomials,)``, ascending."""
    rows: Floats
    """Linear constraints ``rows @ y <= limits``, shape ``(programs, rows, variables)``."""
    limits: Floats
    low: Floats
    """Box, shape ``(programs, variables)``."""
    high: Floats

    def __len__(self) -> int:
        return len(self.log)

    def take(self, rows: Ints | Bools) -> Programs:
        """Returns some of them."""
        return Programs(
            self.log[rows],
            self.exponents[rows],
            self.group,
            self.rows[rows],
            self.limits[rows],
            self.low[rows],
            self.high[rows],
        )


@dataclass
class Relaxed:
    """Solutions and bounds of a batch of programs."""

    point: Floats
    """Near-optimal logarithms of the variables, shape ``(programs, variables)``."""
    value: Floats
    """Logarithm of the objective there."""
    bound: Floats
    """Certified lower bound of the logarithm of the objective; large where nothing is feasible."""
    sensitivity: Floats
    """How strongly objective and active constraints hang on each variable, shape ``(programs, variables)``."""


class _Functions:
    """Values, gradients and curvature of all posynomials of a batch at a point."""

    def __init__(self, programs: Programs, y: Floats) -> None:
        group = programs.group
        starts = np.flatnonzero(np.diff(group, prepend=-1))
        terms = programs.log + np.einsum("bmn,bn->bm", programs.exponents, y)
        top = np.maximum.reduceat(terms, starts, axis=1)
        sizes = np.diff(np.append(starts, len(group)))
        weight = np.exp(terms - np.repeat(top, sizes, axis=1))
        total = np.add.reduceat(weight, starts, axis=1)
        self.values = top + np.log(total)
        self.weight = weight / np.repeat(total, sizes, axis=1)
        self.gradients = np.add.reduceat(self.weight[:, :, None] * programs.exponents, starts, axis=1)
        self.sizes = sizes


def lagrangian_bound(programs: Programs, y: Floats, multipliers: Floats, row_multipliers: Floats) -> Floats:
    """Returns lower bounds of the logarithms of the objectives, whatever the arguments.

    Args:
        programs: The programs.
        y: Any points, shape ``(programs, variables)``.
        multipliers: Of the posynomial constraints, shape ``(programs, posynomials - 1)``; negative ones count as 0.
        row_multipliers: Of the rows, shape ``(programs, rows)``; negative ones count as 0.
    """
    return _bound(programs, _Functions(programs, y), y, np.maximum(multipliers, 0.0), np.maximum(row_multipliers, 0.0))


def _bound(
    programs: Programs, functions: _Functions, y: Floats, multipliers: Floats, row_multipliers: Floats
) -> Floats:
    slack = np.einsum("brn,bn->br", programs.rows, y) - programs.limits
    value = (
        functions.values[:, 0]
        + (multipliers * functions.values[:, 1:]).sum(axis=1)
        + (row_multipliers * slack).sum(axis=1)
    )
    gradient = (
        functions.gradients[:, 0]
        + np.einsum("bk,bkn->bn", multipliers, functions.gradients[:, 1:])
        + np.einsum("br,brn->bn", row_multipliers, programs.rows)
    )
    least = np.where(gradient > 0.0, programs.low - y, programs.high - y)
    return np.asarray(value + (gradient * least).sum(axis=1))


def _fold(programs: Programs) -> tuple[Programs, Bools]:
    """Moves variables whose box is a point into the constants."""
    fixed = programs.high - programs.low < 1e-9
    at = np.where(fixed, programs.low, 0.0)
    free = ~fixed
    return (
        Programs(
            programs.log + np.einsum("bmn,bn->bm", programs.exponents, at),
            programs.exponents * free[:, None],
            programs.group,
            programs.rows * free[:, None],
            programs.limits - np.einsum("brn,bn->br", programs.rows, at),
            np.where(fixed, -1.0, programs.low),
            np.where(fixed, 1.0, programs.high),
        ),
        fixed,
    )


def solve_programs(programs: Programs, *, cutoff: float = np.inf, tolerance: float = 1e-4) -> Relaxed:
    """Solves a batch.

    Args:
        programs: The programs.
        cutoff: Logarithm of an objective; programs proved to lie above it are not pursued.
        tolerance: Difference of value and bound (relative, being logarithms) at which a program is done.
    """
    folded, fixed = _fold(programs)
    n = len(programs)
    point, value = np.zeros_like(programs.low), np.full(n, np.inf)
    bound = np.full(n, -np.inf)
    sensitivity = np.zeros_like(programs.low)
    open_rows = np.arange(n)
    state = _State.start(folded)
    part = folded
    for iteration in range(_ITERATIONS):
        last = iteration == _ITERATIONS - 1
        functions = _Functions(part, state.y)
        best = _bound(part, functions, state.y, state.multipliers, state.row_multipliers)
        better = best > bound[open_rows]
        bound[open_rows] = np.where(better, best, bound[open_rows])
        point[open_rows], value[open_rows] = state.y, functions.values[:, 0]
        violated = np.maximum(
            functions.values[:, 1:].max(axis=1, initial=-np.inf),
            (np.einsum("brn,bn->br", part.rows, state.y) - part.limits).max(axis=1, initial=-np.inf),
        )
        done = (bound[open_rows] >= cutoff) | (
            (functions.values[:, 0] - bound[open_rows] < tolerance) & (violated < 1e-6)
        )
        ending = np.ones(len(done), dtype=bool) if last else done
        if ending.any():
            weight = functions.weight[ending] * np.repeat(
                np.concatenate([np.ones((int(ending.sum()), 1)), state.multipliers[ending]], axis=1),
                functions.sizes,
                axis=1,
            )
            sensitivity[open_rows[ending]] = np.einsum("bm,bmn->bn", weight, np.abs(part.exponents[ending]))
        if done.all():
            break
        if done.any():
            going = ~done
            open_rows, part, state = open_rows[going], part.take(going), state.take(going)
            functions = _Functions(part, state.y)
        state.step(part, functions)
    point = np.where(fixed, programs.low, np.clip(point, folded.low, folded.high))
    return Relaxed(point, value, bound, sensitivity)


@dataclass
class _State:
    """Iterates: points, slacks and multipliers; constraints are posynomials, rows, upper and lower box sides."""

    y: Floats
    slacks: Floats
    all_multipliers: Floats
    posynomials: int
    count: int

    @classmethod
    def start(cls, programs: Programs) -> _State:
        y = programs.low + 0.5 * (programs.high - programs.low)
        functions = _Functions(programs, y)
        values = _constraints(programs, functions, y)
        slacks = np.maximum(-values, 0.3)
        posynomials = functions.values.shape[1] - 1
        # The box must hold strictly from the start.
        width = programs.low.shape[1]
        slacks[:, -2 * width :] = -values[:, -2 * width :]
        return cls(y, slacks, 0.1 / slacks, posynomials, programs.rows.shape[1])

    def take(self, rows: Bools) -> _State:
        return _State(self.y[rows], self.slacks[rows], self.all_multipliers[rows], self.posynomials, self.count)

    @property
    def multipliers(self) -> Floats:
        return self.all_multipliers[:, : self.posynomials]

    @property
    def row_multipliers(self) -> Floats:
        return self.all_multipliers[:, self.posynomials : self.posynomials + self.count]

    def step(self, programs: Programs, functions: _Functions) -> None:
        """Takes one predictor-corrector step in place."""
        y, s, lam = self.y, self.slacks, self.all_multipliers
        n, width = y.shape
        k, r = self.posynomials, self.count
        values = _constraints(programs, functions, y)
        residual = values + s
        mu = (s * lam).mean(axis=1, keepdims=True)
        weights = functions.weight * np.repeat(
            np.concatenate([np.ones((n, 1)), lam[:, :k]], axis=1), functions.sizes, axis=1
        )
        hessian = np.einsum("bmi,bmj->bij", weights[:, :, None] * programs.exponents, programs.exponents, optimize=True)
        scaled = functions.gradients.copy()
        scaled[:, 1:] *= lam[:, :k, None]
        hessian -= scaled.transpose(0, 2, 1) @ functions.gradients
        jacobian = np.concatenate([functions.gradients[:, 1:], programs.rows], axis=1)
        ratio = lam / s
        hessian += jacobian.transpose(0, 2, 1) @ (jacobian * ratio[:, : k + r, None])
        diagonal = np.arange(width)
        hessian[:, diagonal, diagonal] += ratio[:, k + r : k + r + width] + ratio[:, k + r + width :]
        hessian[:, diagonal, diagonal] += 1e-9 * (1.0 + np.abs(hessian[:, diagonal, diagonal]))
        gradient = (
            functions.gradients[:, 0]
            + np.einsum("bk,bkn->bn", lam[:, : k + r], jacobian)
            + lam[:, k + r : k + r + width]
            - lam[:, k + r + width :]
        )

        def direction(center: Floats) -> tuple[Floats, Floats, Floats]:
            push = (center - s * lam + lam * residual) / s
            right = -gradient - (
                np.einsum("bk,bkn->bn", push[:, : k + r], jacobian)
                + push[:, k + r : k + r + width]
                - push[:, k + r + width :]
            )
            dy = np.linalg.solve(hessian, right[:, :, None])[:, :, 0]
            moved = np.concatenate([np.einsum("bkn,bn->bk", jacobian, dy), dy, -dy], axis=1)
            ds = -residual - moved
            dlam = push + ratio * moved
            return dy, ds, dlam

        _, ds, dlam = direction(np.zeros_like(mu))
        reach = np.minimum(_reach(s, ds), _reach(lam, dlam))
        ahead = ((s + reach * ds) * (lam + reach * dlam)).mean(axis=1, keepdims=True)
        center = mu * np.clip((ahead / mu) ** 3, 1e-6, 1.0)
        dy, ds, dlam = direction(center)
        # Newton's model of an exponential is not to be trusted far away.
        damp = np.minimum(1.0, 4.0 / np.maximum(np.abs(dy).max(axis=1, keepdims=True), 1e-12))
        primal = np.minimum(damp, _STEP * _reach(s, ds))
        dual = np.minimum(1.0, _STEP * _reach(lam, dlam))
        self.y = y + primal * dy
        self.slacks = np.maximum(s + primal * ds, 1e-14)
        self.all_multipliers = np.clip(lam + dual * dlam, 1e-14, 1e12)


def _constraints(programs: Programs, functions: _Functions, y: Floats) -> Floats:
    return np.concatenate(
        [
            functions.values[:, 1:],
            np.einsum("brn,bn->br", programs.rows, y) - programs.limits,
            y - programs.high,
            programs.low - y,
        ],
        axis=1,
    )


def _reach(x: Floats, dx: Floats) -> Floats:
    """Largest step up to 1 that keeps all entries of a row positive, shape ``(n, 1)``."""
    ratio = np.where(dx < 0.0, -x / np.minimum(dx, -1e-30), np.inf)
    return np.asarray(np.minimum(ratio.min(axis=1, keepdims=True), 1.0))

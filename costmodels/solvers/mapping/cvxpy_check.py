"""The same programs through CVXPY: a second implementation to check the batched one against, one at a time.

Needs the extra ``accelgym[oracle]``; nothing else imports this module.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import InputError, MissingExtraError
from accelgym.costmodels.solvers.mapping.interior_point import Programs

__all__ = ["solve_as_geometric", "solve_in_logarithms"]

_NEGLIGIBLE = -100.0
"""Logarithm of coefficients that stand for absent monomials."""


def solve_as_geometric(programs: Programs, row: int, *, solver: str = "CLARABEL") -> float:
    """Solves one program as disciplined geometric programming, the form in which Thistle states it.

    Args:
        programs: A batch.
        row: Which program.
        solver: A conic solver that CVXPY knows.

    Returns:
        Logarithm of the optimum; ``inf`` where nothing is feasible.

    Raises:
        InputError: The solver gives up.
    """
    cp = _cvxpy()
    one = _Plain(programs, row)
    x = cp.Variable(one.variables, pos=True)
    groups = [cp.sum(cp.multiply(np.exp(log), cp.gmatmul(exponents, x))) for log, exponents in one.groups]
    constraints = [group <= 1.0 for group in groups[1:]]
    constraints += [x >= np.exp(one.low), x <= np.exp(one.high)]
    if len(one.limits):
        constraints.append(cp.gmatmul(one.rows, x) <= np.exp(one.limits))
    return _value(cp, cp.Problem(cp.Minimize(groups[0]), constraints), solver, logarithm=False, gp=True)


def solve_in_logarithms(programs: Programs, row: int, *, solver: str = "CLARABEL") -> float:
    """Solves one program as the convex one that it is in the logarithms of its variables.

    Args:
        programs: A batch.
        row: Which program.
        solver: A conic solver that CVXPY knows.

    Returns:
        Logarithm of the optimum; ``inf`` where nothing is feasible.

    Raises:
        InputError: The solver gives up.
    """
    cp = _cvxpy()
    one = _Plain(programs, row)
    y = cp.Variable(one.variables)
    groups = [cp.log_sum_exp(exponents @ y + log) for log, exponents in one.groups]
    constraints = [group <= 0.0 for group in groups[1:]] + [y >= one.low, y <= one.high]
    if len(one.limits):
        constraints.append(one.rows @ y <= one.limits)
    return _value(cp, cp.Problem(cp.Minimize(groups[0]), constraints), solver, logarithm=True)


class _Plain:
    """One program without absent monomials, decided variables and empty rows."""

    def __init__(self, programs: Programs, row: int) -> None:
        low, high = programs.low[row], programs.high[row]
        free = high - low > 1e-9
        log = programs.log[row] + programs.exponents[row][:, ~free] @ low[~free]
        exponents = programs.exponents[row][:, free]
        self.low, self.high, self.variables = low[free], high[free], int(free.sum())
        self.groups: list[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]] = []
        for number in np.unique(programs.group):
            mine = (programs.group == number) & (programs.log[row] > _NEGLIGIBLE)
            if mine.any():
                self.groups.append((log[mine], exponents[mine]))
        rows = programs.rows[row][:, free]
        limits = programs.limits[row] - programs.rows[row][:, ~free] @ low[~free]
        used = rows.any(axis=1)
        self.rows, self.limits = rows[used], limits[used]


def _cvxpy() -> Any:
    try:
        import cvxpy
    except ImportError as error:
        raise MissingExtraError("the CVXPY cross-check", "cvxpy", "oracle") from error
    return cvxpy


def _value(cp: Any, problem: Any, solver: str, *, logarithm: bool, **options: Any) -> float:
    try:
        problem.solve(solver=solver, **options)
    except cp.SolverError as error:
        raise InputError(f"{solver}: {error}") from error
    if problem.status in ("infeasible", "infeasible_inaccurate"):
        return float("inf")
    if problem.status != "optimal":
        raise InputError(f"{solver} ended with status {problem.status!r}")
    return float(problem.value) if logarithm else float(np.log(problem.value))

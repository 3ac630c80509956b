"""How good designs are on rows whose landscape is known."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.agents.uov.policy import Policy
from accelgym.agents.uov.problem import Examples, Problem

__all__ = ["PolicyScore", "log_regret_of", "score_designs", "score_policy"]

_OPTIMAL = 1e-6
_BUCKETS = 16
"""A bucket, as a distance between levels, is a sixteenth of a knob's levels: AIrchitect v2's default."""


@dataclass(frozen=True)
class PolicyScore:
    """Scores of one design for each row, ratios being objectives over the best one."""

    rows: int
    optimal: float
    """Share of rows whose design ties for the best."""
    canonical: float
    """Share of rows whose design is the label."""
    within_bucket: float
    """Share of rows that have a best design at most a bucket away in each ordered knob."""
    geomean: float
    """Geometric mean of the ratio over the rows whose design is feasible."""
    p99: float
    worst: float
    infeasible: float
    """Share of rows whose design is infeasible."""

    def to_json(self) -> dict[str, Any]:
        """Returns the scores by name."""
        return asdict(self)


def log_regret_of(examples: Examples, designs: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Returns the log-regret of designs, ``inf`` where infeasible, shape ``(rows,)`` or ``(rows, top)``.

    Args:
        examples: With landscapes.
        designs: Shape ``(rows, knobs)`` or ``(rows, top, knobs)``.
    """
    assert examples.regret is not None
    rows = np.arange(len(designs)).reshape(-1, *(1,) * (designs.ndim - 2))
    return np.asarray(examples.regret[(rows, *np.moveaxis(designs, -1, 0))], dtype=np.float64)


def score_designs(examples: Examples, designs: npt.NDArray[np.int64]) -> PolicyScore:
    """Scores the best of the designs of each row.

    Args:
        examples: With landscapes.
        designs: Shape ``(rows, top, knobs)``.
    """
    regrets = log_regret_of(examples, designs)
    pick = regrets.argmin(axis=1)
    rows = np.arange(len(designs))
    regret, chosen = regrets[rows, pick], designs[rows, pick]
    ratio = np.exp(regret[np.isfinite(regret)])
    return PolicyScore(
        rows=len(designs),
        optimal=float((regret <= _OPTIMAL).mean()),
        canonical=float((chosen == examples.labels).all(axis=1).mean()),
        within_bucket=float(_near_a_best(examples, chosen).mean()),
        geomean=float(np.exp(np.log(ratio).mean())) if len(ratio) else float("inf"),
        p99=float(np.quantile(ratio, 0.99)) if len(ratio) else float("inf"),
        worst=float(ratio.max(initial=1.0)),
        infeasible=float(1 - len(ratio) / len(designs)),
    )


def score_policy(
    policy: Policy, problem: Problem, tops: tuple[int, ...] = (1, 5)
) -> dict[tuple[str, int], PolicyScore]:
    """Scores a policy on every split that it was not trained on, by split and number of designs it may choose from.

    Splits without landscapes are left out.
    """
    found = {}
    for name, examples in problem.splits.items():
        if name == "train" or examples.regret is None:
            continue
        feasible = examples.feasible if problem.schema.capped else None
        for top in tops:
            designs = policy.propose(examples.arrays, feasible, top=top).designs
            found[name, top] = score_designs(examples, designs)
    return found


def _near_a_best(examples: Examples, chosen: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    assert examples.regret is not None
    tied = examples.regret <= _OPTIMAL
    for knob, levels in enumerate(examples.regret.shape[1:]):
        reach = max(1, levels // _BUCKETS)
        near = np.abs(np.arange(levels) - chosen[:, knob, None]) <= reach
        tied = tied & near.reshape(len(chosen), *(levels if a == knob else 1 for a in range(tied.ndim - 1)))
    return np.asarray(tied.any(axis=tuple(range(1, tied.ndim))))

"""The audit: how hard a task is, measured by what cheap rules reach, and whether it is well posed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import singledispatch
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.files.plain import count
from accelgym.envs.feasible import single_changes
from accelgym.envs.space import Designs
from accelgym.envs.task import Task

__all__ = ["AUDIT_RULES", "HARDNESS", "RULES", "Audit", "Landscape", "audit", "classify", "hill_climb", "landscape"]

Floats = npt.NDArray[np.float64]

HARDNESS = ("enumerable", "easy", "medium", "hard", "open")
"""Classes of tasks. ``enumerable``: at most 1,000 designs. ``open``: the reference keeps a gap above 1 %. Else by the
smallest regret that a cheap rule reaches: ``easy`` up to 1 %, ``medium`` up to 5 %, ``hard`` above."""

RULES = ("constant", "random", "greedy", "climb")
"""The cheap rules of an audit."""

AUDIT_RULES = "1"
"""Version of the rules of an audit, greedy ones included; it changes whenever an audit could."""

_ENUMERABLE = 1000
_OPEN = 0.01
_EASY, _MEDIUM = 0.01, 0.05
_BUDGET = 1000
"""Evaluations of random search and of hill climbing; also the most constant designs tried."""
_FIRST = 50
"""Feasible samples of which hill climbing starts from the best."""
_SEEDS = 10
_BINDING = 0.99
"""Ratio of the optima without and with the constraint above which it does not bind."""
_MANY_TIES = 1e6


@dataclass(frozen=True)
class Landscape:
    """What only a task can say about its own landscape; everything is optional."""

    greedy: Designs | None = None
    """Designs of the strongest greedy rule we know for this kind of task, of which the best counts."""
    greedy_evaluations: int = 0
    """Evaluations it takes to find them."""
    tied_optima: float = 1.0
    """Lower bound on the number of optimal designs."""
    most_tied: float | None = None
    """Of it, what is due to one part of the design, where parts multiply."""
    relaxed_optimum: float | None = None
    """Optimum without the constraint."""
    budget_used: float | None = None
    """Share of the constrained resource that the optimum uses."""


@dataclass(frozen=True)
class Audit:
    """How hard, and how well posed, a task is.

    Regrets are those of the best design that a rule finds, relative to the reference; ``None`` where a rule does not
    apply. Rules that draw are run with ten seeds, of which the median counts.
    """

    optimum: float
    gap: float
    hardness: str
    """One of :data:`HARDNESS`."""
    flags: tuple[str, ...]
    """``not binding``: without the constraint the optimum is less than 1 % better. ``ties``: over a million designs
    are optimal."""
    log10_cardinality: float
    feasible_fraction: float
    """Of 1,000 uniform random designs."""
    constant_regret: float | None
    """Feasible designs that make the same choice in every group; none where no two groups share a knob."""
    constant_evaluations: int
    random_regret: float | None
    """1,000 random feasible designs."""
    random_evaluations: int
    greedy_regret: float | None
    """The greedy rule of :class:`Landscape`."""
    greedy_evaluations: int
    climb_regret: float | None
    """Hill climbing, see :func:`hill_climb`."""
    climb_evaluations: int
    """Median; less than 1,000 where it ends in a local optimum."""
    tied_optima: float
    relaxed_optimum_ratio: float | None
    """Optimum without the constraint over the optimum with it."""
    budget_used: float | None

    def to_json(self) -> dict[str, Any]:
        """Returns plain data for JSON."""
        return asdict(self) | {"flags": list(self.flags)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Audit:
        """Returns an audit from :meth:`to_json`'s data."""
        return cls(**{**data, "flags": tuple(data["flags"])})

    @property
    def regrets(self) -> dict[str, float | None]:
        """Regret of every rule, by its name."""
        return {rule: getattr(self, f"{rule}_regret") for rule in RULES}

    @property
    def words(self) -> str:
        """Class and flags: ``hard``, ``easy, not binding``."""
        return ", ".join((self.hardness, *self.flags))


@singledispatch
def landscape(task: Task, rng: np.random.Generator) -> Landscape:
    """Returns what a task says about its landscape; register a function for a class of tasks of your own.

    Args:
        task: The task.
        rng: Source of randomness.
    """
    return Landscape()


def audit(task: Task, *, seed: int = 0) -> Audit:
    """Measures a task by its contract and its :func:`landscape`.

    Args:
        task: The task.
        seed: Seed of the rules that draw.

    Raises:
        InputError: A negative seed.
    """
    seed = count(seed, "seed", 0)
    reference = task.reference()
    known = landscape(task, np.random.default_rng([seed, 0]))
    shared = task.layout.shares_knobs
    constants = task.constant_designs(np.random.default_rng([seed, 1]), _BUDGET) if shared else None
    uniform = task.evaluate(task.space.sample(np.random.default_rng([seed, 2]), _BUDGET))
    generators = [np.random.default_rng([seed, 3, i]) for i in range(_SEEDS)]
    random = [float(task.evaluate(task.sample_feasible(rng, _BUDGET)).score.min()) for rng in generators]
    climbed = [hill_climb(task, rng, _BUDGET) for rng in generators]

    def regret(score: float | None) -> float | None:
        if score is None or not np.isfinite(score):
            return None
        return float(reference.regret(score))

    def best(designs: Designs | None) -> float | None:
        return None if designs is None or not len(designs) else regret(float(task.evaluate(designs).score.min()))

    regrets = {
        "constant_regret": best(constants),
        "random_regret": regret(float(np.median(random))),
        "greedy_regret": best(known.greedy),
        "climb_regret": regret(float(np.median([value for value, _ in climbed]))),
    }
    ratio = None
    if known.relaxed_optimum is not None:
        ratio = known.relaxed_optimum / reference.value if reference.value else 1.0
    flags = []
    if ratio is not None and ratio > _BINDING:
        flags.append("not binding")
    if (known.tied_optima if known.most_tied is None else known.most_tied) > _MANY_TIES:
        flags.append("ties")
    return Audit(
        optimum=reference.value,
        gap=reference.gap,
        hardness=classify(task.space.cardinality, reference.gap, regrets.values()),
        flags=tuple(flags),
        log10_cardinality=float(np.log10(task.space.nvec).sum()),
        feasible_fraction=float(uniform.feasible.mean()),
        constant_evaluations=0 if constants is None else len(constants),
        random_evaluations=_BUDGET,
        greedy_evaluations=known.greedy_evaluations,
        climb_evaluations=int(np.median([spent for _, spent in climbed])),
        tied_optima=known.tied_optima,
        relaxed_optimum_ratio=ratio,
        budget_used=known.budget_used,
        **regrets,
    )


def classify(cardinality: int, gap: float, regrets: Iterable[float | None]) -> str:
    """Returns the class of a task, one of :data:`HARDNESS`.

    Args:
        cardinality: Designs in its space.
        gap: Of its reference.
        regrets: Of the rules; ``None`` where one does not apply.
    """
    if cardinality <= _ENUMERABLE:
        return "enumerable"
    if gap > _OPEN:
        return "open"
    least = min((x for x in regrets if x is not None), default=np.inf)
    return "easy" if least <= _EASY else "medium" if least <= _MEDIUM else "hard"


def hill_climb(task: Task, rng: np.random.Generator, evaluations: int) -> tuple[float, int]:
    """Climbs from the best of 50 feasible samples, one parameter a move, the first improvement taken.

    Neighbours come in random order, each counted, feasible or not; the order is drawn anew after an improvement. The
    climb ends when none of the neighbours is better.

    Args:
        task: The task.
        rng: Source of randomness.
        evaluations: Budget.

    Returns:
        The best objective and the evaluations spent.
    """
    first = task.sample_feasible(rng, min(_FIRST, evaluations))
    scores = task.evaluate(first).score
    current, value, spent = first[scores.argmin()], float(scores.min()), len(first)
    while spent < evaluations:
        near = rng.permutation(single_changes(task.space, current))[: evaluations - spent]
        improved = False
        begin, step = 0, 1
        while begin < len(near) and not improved:
            # Blocks grow, so that few calls are made; what lies behind the first improvement is not counted.
            scores = task.evaluate(near[begin : begin + step]).score
            better = np.flatnonzero(scores < value)
            if len(better):
                current, value, improved = near[begin + better[0]], float(scores[better[0]]), True
                spent += int(better[0]) + 1
            else:
                spent += len(scores)
            begin, step = begin + step, min(2 * step, 64)
        if not improved:
            break
    return value, spent

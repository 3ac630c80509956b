"""What a sweep says: what tuning is worth, how much is luck, and whether it carries over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.agents.base import hyperparameters_of
from accelgym.agents.hyperparameters import Choice, Whole
from accelgym.experiments.lottery.config import LotteryAgent, LotteryConfig
from accelgym.experiments.results import AgentRuns, BenchResults, TaskResults
from accelgym.experiments.statistics import expected_best_of, hitting_times, rank_correlation, time_to_success

__all__ = ["LEAST_REGRET", "MOST_REGRET", "AgentLottery", "analyse", "score", "variance_between_agents"]

FloatArray = npt.NDArray[np.float64]

LEAST_REGRET, MOST_REGRET = 1e-4, 1e2
"""Regrets are clipped to these before their logarithm is taken: below the first nobody cares, and a search that found
nothing feasible counts as the second."""


def score(regret: Any) -> FloatArray:
    """Returns the decimal logarithm of clipped regrets; its mean is that of a geometric mean."""
    return np.asarray(np.log10(np.clip(regret, LEAST_REGRET, MOST_REGRET)), dtype=np.float64)


@dataclass(frozen=True)
class AgentLottery:
    """One agent's sweep; scores are those of :func:`score`, ``nan`` where a search has not run."""

    agent: str
    settings: tuple[dict[str, Any], ...]
    """Drawn hyperparameters, the default setting, which is empty, first."""
    planned: int
    """Settings of the config; those that are not over on every task are left out."""
    budget: int
    tasks: tuple[TaskResults, ...]
    """Those that it searches."""
    scores: FloatArray
    """Shape ``(settings, tasks, seeds)``."""
    tuning_seeds: int
    evaluations: FloatArray
    """Made per search, the same shape."""
    places: tuple[int, ...]
    """Of the settings among the agents of the benchmark."""

    @property
    def train(self) -> npt.NDArray[np.bool_]:
        """Which tasks may be tuned on, shape ``(tasks,)``."""
        return np.array([task.split == "train" for task in self.tasks], dtype=bool)

    @cached_property
    def tuning(self) -> FloatArray:
        """Score that a setting is chosen by: training tasks, the seeds for it; shape ``(settings,)``."""
        return np.asarray(self.scores[:, self.train, : self.tuning_seeds].mean(axis=(1, 2)))

    @cached_property
    def measured(self) -> FloatArray:
        """Score of each setting on training tasks with the other seeds; shape ``(settings,)``."""
        return np.asarray(self.scores[:, self.train, self.tuning_seeds :].mean(axis=(1, 2)))

    @cached_property
    def held_out(self) -> FloatArray | None:
        """Score of each setting on held-out tasks, all seeds; ``None`` without such a task."""
        if self.train.all():
            return None
        return np.asarray(self.scores[:, ~self.train].mean(axis=(1, 2)))

    @property
    def chosen(self) -> int:
        """The setting that tuning chooses, 0 for the default one."""
        return int(self.tuning.argmin())

    @property
    def tuning_evaluations(self) -> int:
        """Evaluations that choosing takes: all settings on the training tasks with the seeds for it."""
        return int(self.evaluations[:, self.train, : self.tuning_seeds].sum())

    @cached_property
    def best_of(self) -> FloatArray:
        """Expected measured score of the best of ``k`` random settings, chosen by their tuning scores."""
        drawn = slice(1, None) if len(self.settings) > 1 else slice(None)
        return expected_best_of(self.tuning[drawn], self.measured[drawn])

    @property
    def quartiles(self) -> tuple[float, float, float]:
        """Of the measured score over random settings."""
        drawn = self.measured[1:] if len(self.settings) > 1 else self.measured
        low, middle, high = np.quantile(drawn, [0.25, 0.5, 0.75])
        return float(low), float(middle), float(high)

    @property
    def transfer(self) -> float | None:
        """Rank correlation, over random settings, of the scores on training and on held-out tasks."""
        if self.held_out is None or len(self.settings) < 4:
            return None
        return rank_correlation((self.tuning + self.measured)[1:], self.held_out[1:])

    def task_score(self, task: int, setting: int) -> float:
        """Score on one task: with the seeds that measure where it was tuned on, else with all."""
        first = self.tuning_seeds if self.train[task] else 0
        return float(self.scores[setting, task, first:].mean())

    def evaluations_to(self, task: int, setting: int, regret: float) -> float:
        """Median evaluations until a regret on a task, over all seeds; ``inf`` where that is not observed."""
        runs = self.tasks[task].agents[self.places[setting]]
        return time_to_success(hitting_times(runs.regret_curves, regret), runs.given_up_after[0])

    def importance(self) -> dict[str, float] | None:
        """Share of the variance of the scores that each hyperparameter explains by itself and with others (fANOVA).

        Hutter et al., ICML 2014, by Optuna's evaluator, a random forest with a fixed seed. ``None`` below ten settings,
        and where Optuna or scikit-learn are not installed.
        """
        if len(self.settings) < 11:
            return None
        try:
            return _fanova(self.agent, self.settings[1:], (self.tuning + self.measured)[1:] / 2)
        except ImportError:
            return None


def analyse(config: LotteryConfig, results: BenchResults) -> list[AgentLottery]:
    """Returns every agent's sweep, those without a complete setting left out.

    Args:
        config: The lottery.
        results: Of :meth:`~accelgym.experiments.lottery.LotteryConfig.bench`, finished or not.
    """
    found = [_agent(config, agent, results) for agent in config.agents]
    return [agent for agent in found if agent is not None]


def variance_between_agents(agents: Sequence[AgentLottery]) -> float:
    """Share of the variance of the settings' measured scores that lies between agents; the rest is luck of settings.

    Each agent weighs the same, as if a user first chose an agent and then a random setting.
    """
    drawn = [agent.measured[1:] for agent in agents if len(agent.settings) > 1]
    if len(drawn) < 2:
        return 0.0
    between = float(np.var([x.mean() for x in drawn]))
    within = float(np.mean([x.var() for x in drawn]))
    return between / (between + within) if between + within > 0 else 0.0


def _agent(config: LotteryConfig, agent: LotteryAgent, results: BenchResults) -> AgentLottery | None:
    places = {runs.agent.label: place for place, runs in enumerate(results.tasks[0].agents)}
    settings = agent.drawn(config.sweep_seed)
    columns = [places[agent.label(index)] for index in range(len(settings))]
    tasks = [task for task in results.tasks if task.agents[columns[0]].planned]
    seeds = results.config.seeds_of(results.config.agents[columns[0]])
    if not any(task.split == "train" for task in tasks):
        return None
    table = np.array([[_searches(task.agents[c], seeds) for task in tasks] for c in columns], dtype=np.float64)
    regret, evaluations = np.moveaxis(table, -1, 0)
    whole = np.flatnonzero(~np.isnan(regret).any(axis=(1, 2)))
    if 0 not in whole:  # Nothing to compare with.
        return None
    return AgentLottery(
        agent.name,
        tuple(settings[index] for index in whole),
        len(settings),
        agent.budget or config.budget,
        tuple(tasks),
        score(regret[whole]),
        config.tuning_seeds,
        evaluations[whole],
        tuple(columns[index] for index in whole),
    )


def _searches(runs: AgentRuns, seeds: Sequence[int]) -> list[tuple[float, float]]:
    """Final regret and evaluations by seed; a search that failed found nothing, ``nan`` where none has run."""
    over = {
        run.seed: (float(regret), float(run.evaluations))
        for run, regret in zip(runs.runs, runs.final_regret, strict=True)
    }
    failed = {seed: (float("inf"), float(runs.budget)) for seed in runs.errors}
    return [over.get(seed) or failed.get(seed) or (float("nan"), float("nan")) for seed in seeds]


def _fanova(agent: str, settings: Sequence[Mapping[str, Any]], values: FloatArray) -> dict[str, float]:
    import optuna
    from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

    distributions: dict[str, BaseDistribution] = {}
    for name, parameter in hyperparameters_of(agent).items():
        if isinstance(parameter, Choice):
            distributions[name] = CategoricalDistribution(parameter.values)
        elif isinstance(parameter, Whole):
            distributions[name] = IntDistribution(parameter.low, parameter.high, log=parameter.log)
        else:
            distributions[name] = FloatDistribution(parameter.low, parameter.high, log=parameter.log)
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study = optuna.create_study()
        for setting, value in zip(settings, values, strict=True):
            study.add_trial(
                optuna.trial.create_trial(params=dict(setting), distributions=distributions, value=float(value))
            )
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
        return dict(optuna.importance.get_param_importances(study, evaluator=evaluator))
    finally:
        optuna.logging.set_verbosity(before)

"""Optuna's samplers as an agent (extra ``bo``)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np

from accelgym.agents.base import Agent
from accelgym.agents.hyperparameters import Choice, Hyperparameters, Whole
from accelgym.agents.options import require
from accelgym.costmodels.errors import InputError, MissingExtraError, shown, unknown_name
from accelgym.envs.space import Designs
from accelgym.envs.task import Outcome, Task

try:
    import optuna
    from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler
    from optuna.trial import Trial, TrialState, create_trial

    from accelgym.agents.adapters.optuna import space_distributions
except ImportError as error:
    raise MissingExtraError("agent 'optuna'", "optuna", "bo") from error

__all__ = ["OptunaAgent"]

_SAMPLERS: dict[str, Callable[[int, bool], BaseSampler]] = {
    # What others are about to evaluate counts as bad, so that searches that share a study keep apart.
    "tpe": lambda seed, shared: TPESampler(seed=seed, constant_liar=shared),
    "gp": lambda seed, _: GPSampler(seed=seed),
    "cmaes": lambda seed, _: CmaEsSampler(seed=seed, warn_independent_sampling=False),
    "nsga2": lambda seed, _: NSGAIISampler(seed=seed),
    "random": lambda seed, _: RandomSampler(seed=seed),
}
# These count generations among the trials they were asked for, so a repaired design has to be one of those.
_GENERATIONAL = ("cmaes", "nsga2")
_MOST_CONSTANTS = 1024


class OptunaAgent(Agent):
    """Asks an Optuna sampler for one design at a time (Akiba et al., KDD 2019).

    Ordered parameters are integers, unordered ones categories. A proposal that overshoots the budget is repaired,
    and the sampler learns the repaired design: under tight budgets hardly any design is feasible by chance, and a
    sampler that had to learn the constraint from violations would spend its few hundred trials on that.

    Defaults: ``startup`` is the best of 10, 32, 64 and 128 for TPE with 300 evaluations on confuciux/mobilenet_v2 and
    confuciux/resnet18 (MAESTRO, dla) at budget 0.1, seeds 100 and 101. The samplers keep Optuna's own settings. TPE
    takes about 50 ms of CPU per evaluation at 104 parameters, ``gp`` nearly a second at 40.

    Args:
        task: The task to search.
        seed: Seed of the sampler, of the first designs and of the repairs.
        sampler: ``tpe`` (tree-structured Parzen estimator), ``gp`` (Gaussian process; needs the extra ``agents``),
            ``cmaes``, ``nsga2`` or ``random``.
        startup: Designs evaluated first: feasible ones among the constant designs and random ones, half each.
        storage: Where searches of the same task share one study: ``journal:FILE``, or the address of a database as
            SQLAlchemy has it (``sqlite:///FILE``, ``postgresql://...``); all workers must reach it. What a search
            proposes then depends on what the others have done by then, so that it is not reproducible. With ``tpe``,
            ``gp`` and ``random`` alone.
    """

    name: ClassVar[str] = "optuna"
    hyperparameters: ClassVar[Hyperparameters] = {
        "sampler": Choice(tuple(sorted(_SAMPLERS))),
        "startup": Whole(4, 80, log=True),
    }

    def __init__(self, task: Task, *, seed: int, sampler: str = "tpe", startup: int = 64, storage: str = "") -> None:
        super().__init__(task, seed=seed)
        require(self.name, 0, startup=startup)
        if sampler not in _SAMPLERS:
            raise unknown_name("sampler of agent 'optuna'", sampler, _SAMPLERS)
        if storage and sampler in _GENERATIONAL:
            # Their repaired designs are queued, and any worker may take what is in the queue of a shared study.
            raise InputError(f"sampler {sampler!r} of agent 'optuna' with a storage: allowed tpe, gp, random")
        self.sampler, self.startup = sampler, startup
        self.reproducible = not storage
        self._distributions = space_distributions(task.space)
        self._trial: Trial | None = None
        self._first: Designs | None = None
        with _quiet():
            # Optuna's samplers take 32-bit seeds.
            drawn = int(self.rng.integers(2**31))
            self.study = optuna.create_study(
                sampler=_SAMPLERS[sampler](drawn, bool(storage)),
                storage=_storage(storage) if storage else None,
                study_name=task.id if storage else None,
                load_if_exists=True,
            )
            """Holds every evaluated design; for Optuna's plots and importances."""

    def ask(self, count: int) -> Designs:
        if self._first is None:
            self._first = self._start()
        with _quiet():
            if len(self._first):
                first, self._first = self._first[:1], self._first[1:]
                self._trial = self._ask_for(first[0]) if self.reproducible else None
                return first
            self._trial = self.study.ask(self._distributions)
            proposed = np.array([[self._trial.params[name] for name in self._distributions]], dtype=np.int64)
            repaired = self.task.repair(proposed, self.rng)
            if not np.array_equal(repaired, proposed):
                self.study.tell(self._trial, state=TrialState.FAIL)
                self._trial = self._ask_for(repaired[0]) if self.sampler in _GENERATIONAL else None
        return repaired

    def tell(self, designs: Designs, outcome: Outcome) -> None:
        value = float(outcome.score[0])
        with _quiet():
            if not np.isfinite(value):
                if self._trial is not None:
                    self.study.tell(self._trial, state=TrialState.FAIL)
            elif self._trial is not None:
                self.study.tell(self._trial, value)
            else:
                params = self._params(designs[0])
                self.study.add_trial(create_trial(params=params, distributions=self._distributions, value=value))
        self._trial = None

    def _start(self) -> Designs:
        constants = self.task.constant_designs(self.rng, _MOST_CONSTANTS)
        fits = (self.task.repair(constants, self.rng) == constants).all(axis=1)
        constants = self.rng.permutation(constants[fits])[: self.startup // 2]
        return np.concatenate((constants, self.task.sample_feasible(self.rng, self.startup - len(constants))))

    def _ask_for(self, design: Any) -> Trial:
        """Opens a trial of a given design."""
        self.study.enqueue_trial(self._params(design))
        return self.study.ask(self._distributions)

    def _params(self, design: Any) -> dict[str, int]:
        return {name: int(value) for name, value in zip(self._distributions, design, strict=True)}


def _storage(place: str) -> optuna.storages.BaseStorage:
    """Opens what a study is shared through.

    Raises:
        InputError: It cannot be opened.
    """
    kind, _, path = place.partition(":")
    try:
        if kind == "journal":
            if not path:
                raise ValueError("no file is named")
            from optuna.storages.journal import JournalFileBackend

            return optuna.storages.JournalStorage(JournalFileBackend(path))
        return optuna.storages.RDBStorage(place)
    except Exception as error:  # Of the file, of SQLAlchemy, or of a driver.
        words = (str(error).strip() or type(error).__name__).splitlines()[0]
        allowed = "journal:FILE, sqlite:///FILE or another database"
        raise InputError(f"storage {shown(place)} of agent 'optuna': {words}; allowed {allowed}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Holds back Optuna's log and its warnings about experimental features, and restores both."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)

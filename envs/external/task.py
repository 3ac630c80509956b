"""The task of a user's own simulator."""

from __future__ import annotations

import os
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from accelgym.costmodels.certificate import Certificate
from accelgym.costmodels.errors import warn_input
from accelgym.costmodels.files.plain import as_path
from accelgym.envs.arguments import TaskSpec
from accelgym.envs.external.config import Configuration
from accelgym.envs.external.results import KeptResults, Reason
from accelgym.envs.external.simulator import OBJECTIVE, Simulator
from accelgym.envs.space import Designs, Space
from accelgym.envs.task import Outcome, Task
from accelgym.hwgen.cache import content_key, default_cache_folder

__all__ = ["ExternalSimulatorSpec", "ExternalSimulatorTask"]


class ExternalSimulatorSpec(TaskSpec):
    """Arguments of the task."""

    config: str
    """Path of the YAML file."""
    program: str | None = None
    """Path of a program to run instead of the first word of the command."""
    cache: str | None = None
    """Folder of kept results; ``external`` under ``$ACCELGYM_CACHE`` or ``~/.cache/accelgym`` by default."""
    jobs: int | None = Field(default=None, ge=1, le=4096)
    """Runs at a time; one per CPU by default."""
    retry: bool = False
    """Do runs again whose kept result is a failure."""


class ExternalSimulatorTask(Task):
    """Minimises what a command-line simulator says of a design.

    No optimum is known, and nothing is proved: :meth:`reference` is the baseline design of the configuration with the
    lower bound that the configuration states (0 by default). Regrets are relative to the baseline, hence negative
    where a design is better, and an audit calls the task ``open`` (or ``enumerable`` where it has at most 1,000
    designs, which a user may simulate one and all).

    Args:
        **arguments: See :class:`ExternalSimulatorSpec`.

    Raises:
        InputError: The configuration is wrong: names file, line, column and key, the value and what is allowed.
    """

    lanes: ClassVar[str] = "accelgym.envs.external.env:ExternalSimulatorVectorEnv"

    def __init__(self, **arguments: Any) -> None:
        for name in ("config", "program", "cache"):
            if isinstance(arguments.get(name), os.PathLike):
                arguments[name] = os.fspath(arguments[name])
        self.spec = ExternalSimulatorSpec.parse(arguments)
        program = None if self.spec.program is None else as_path(self.spec.program, "program")
        self.configuration = Configuration(as_path(self.spec.config, "config"), program)
        cache = default_cache_folder() / "external" if self.spec.cache is None else as_path(self.spec.cache, "cache")
        jobs = self.spec.jobs or (os.cpu_count() or 1)
        self.simulator = Simulator(self.configuration, KeptResults(cache), jobs=jobs, retry=self.spec.retry)

    @property
    def env_id(self) -> str:
        return "accelgym/ExternalSimulator-v0"

    @property
    def space(self) -> Space:
        return self.configuration.space

    def describe(self) -> dict[str, Any]:
        spec = self.configuration.spec.model_dump(mode="json", exclude={"files", "timeout_s", "most_file_mib"})
        files = {name: content_key(text) for name, text in self.configuration.templates.items()}
        copies = {name: content_key(data) for name, data in self.configuration.copies.items()}
        programs = self.simulator.programs(self.space.decode(self.configuration.baseline))
        return {"env": self.env_id, "external": spec, "files": files | copies, "programs": programs}

    def evaluate(self, designs: Designs) -> Outcome:
        rows = self.space.check(designs)
        spec = self.configuration.spec
        allowed = self.fits(rows)
        values = [self.space.decode(row) for row in rows[allowed]]
        reason = np.full(len(rows), int(Reason.REFUSED), dtype=np.int8)
        costs = {name: np.full(len(rows), np.nan) for name in (*spec.outputs, OBJECTIVE)}
        for row, result in zip(np.flatnonzero(allowed), self.simulator.results(values), strict=True):
            reason[row] = int(result.reason)
            for name, value in result.outputs.items():
                costs[name][row] = value
        valid = reason == int(Reason.OK)
        over = np.zeros(len(rows))
        for name, limit in spec.constraints.items():
            over = np.maximum(over, np.where(valid, costs[name], 0.0) / limit - 1.0)
        objective = costs.pop(OBJECTIVE)
        return Outcome(
            objective=np.where(valid, objective, np.inf),
            feasible=valid & (over <= 0),
            violation=np.where(valid, over, np.inf),
            valid=valid,
            costs=costs | {"reason": reason},
        )

    def fits(self, designs: Designs) -> npt.NDArray[np.bool_]:
        """Returns which designs fulfil what the configuration requires: nothing else is known before a run."""
        rows = self.space.check(designs)
        if not self.configuration.spec.requires:
            return np.ones(len(rows), dtype=bool)
        return np.array([self.configuration.fulfils(self.space.decode(row)) for row in rows], dtype=bool)

    def reference(self) -> Certificate:
        """Returns the baseline design, which one run evaluates outside of every budget.

        Warns:
            InputWarning: It has no result, with the reason.
        """
        return self._baseline

    @cached_property
    def _baseline(self) -> Certificate:
        design = self.configuration.baseline
        value = float(self.evaluate(np.array([design])).score[0])
        bound = self.configuration.spec.lower_bound
        found = np.isfinite(value)
        if not found:
            told = self.report(np.array(design))
            why = " ".join(f"{told['reason']} {told.get('detail', '')}".split())
            again = "; a failure is kept until retry=true" if told["reason"] != Reason.REFUSED.name else ""
            warn_input(f"{self.configuration.path}: the baseline has no result: {why}{again}")
        gap = (value - bound) / (abs(value) or 1.0) if found else 1.0
        return Certificate(
            value=value,
            design=design if found else None,
            lower_bound=bound,
            gap=gap,
            method="baseline design, no optimum is known"
            if found
            else "no optimum is known, the baseline has no result",
            relaxations=("lower bound as the configuration states it, not proved",),
        )

    @property
    def bound(self) -> float:
        return self.configuration.spec.lower_bound

    def report(self, design: Designs) -> dict[str, Any]:
        """Returns why a design has no result, in words, and how long its run took."""
        values = self.space.decode(design)
        if not self.configuration.fulfils(values):
            return {"reason": Reason.REFUSED.name}
        result = self.simulator.results([values])[0]
        return {"reason": result.reason.name, "detail": result.detail, "run_s": result.seconds}

    def artifacts(self, design: Designs) -> dict[str, str]:
        """Returns the filled input files of a design under ``inputs/``, and the command as ``command.txt``."""
        values = self.configuration.values(self.space.decode(design))
        files = self.configuration.files(values)
        texts = {f"inputs/{name}": files[name].decode() for name in self.configuration.templates}
        return texts | {"command.txt": "\n".join(self.configuration.command(values)) + "\n"}

    def convention(self) -> str:
        spec = self.configuration.spec
        return f"{spec.name} {spec.version}: {spec.objective}, as the tool itself prints it"

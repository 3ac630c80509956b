"""A task that can be asked at several fidelities, each at its price."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.certificate import Certificate
from accelgym.costmodels.errors import InputError, shown, unknown_name
from accelgym.costmodels.systolic.scheduler import NoTilingError
from accelgym.envs.hwgen.task import HwGenTask
from accelgym.envs.multi_fidelity.levels import LEVELS, NoFidelityError, find_level
from accelgym.envs.space import Designs, Space
from accelgym.envs.task import Outcome, Task

__all__ = ["CPU_SECONDS", "Fidelity", "MultiFidelityTask", "hwgen_at_fidelities"]

CPU_SECONDS = {
    "roofline": 1e-5,
    "maestro": 2e-3,
    "dataflow_template": 1e-2,
    "systolic": 2e-2,
    "loopnest": 2e-1,
    "rtl": 5.0,
    "synthesis": 30.0,
}
"""Of a call on one layer, rounded from docs/fidelity.md; what prices follow from unless stated. They are constants, so
that a budget buys the same on every machine."""


@dataclass(frozen=True)
class Fidelity:
    """A way to evaluate designs."""

    name: str
    evaluate: Callable[[Designs], Outcome]
    price: float
    """Of a design, in evaluations of the task itself."""


class MultiFidelityTask(Task):
    """A task and cheaper ways to evaluate its designs; the budget counts what a fidelity costs.

    The task itself is the last fidelity, at a price of 1; only what it says counts as a result. Every agent runs on
    it through :func:`~accelgym.agents.search`, at that fidelity alone. Agents that choose the fidelity, such as
    ``successive_halving``, run in :func:`~accelgym.agents.fidelity_search.search_at_fidelities`.

    Args:
        task: The task.
        name: Name of its own fidelity.
        cheaper: Other fidelities, the cheapest first.

    Raises:
        InputError: Two fidelities of one name, or prices that are not ascending within (0, 1].
    """

    def __init__(self, task: Task, name: str, cheaper: Sequence[Fidelity]) -> None:
        self.task = task
        self._fidelities = {f.name: f for f in (*cheaper, Fidelity(name, task.evaluate, 1.0))}
        if len(self._fidelities) != len(cheaper) + 1:
            raise InputError(f"fidelities are {', '.join(f.name for f in cheaper)}, {name}: a name is given twice")
        before = 0.0
        for fidelity in self._fidelities.values():
            if not (math.isfinite(fidelity.price) and before < fidelity.price <= 1):
                raise InputError(
                    f"price of fidelity {fidelity.name!r} is {fidelity.price!r}, allowed: above {before:g}, the price "
                    "of the one before, and at most 1"
                )
            before = fidelity.price

    @property
    def fidelities(self) -> tuple[str, ...]:
        """Names, the cheapest first; the last is the task itself."""
        return tuple(self._fidelities)

    def fidelity(self, name: str | None = None) -> Fidelity:
        """Returns a fidelity; the task's own without a name.

        Raises:
            InputError: There is none of that name.
        """
        if name is None:
            return self._fidelities[self.fidelities[-1]]
        if name not in self._fidelities:
            raise unknown_name("fidelity", name, self._fidelities)
        return self._fidelities[name]

    def evaluate(self, designs: Designs, fidelity: str | None = None) -> Outcome:
        """Evaluates designs at a fidelity; each row costs its price.

        Args:
            designs: Value indices, shape ``(n, parameters)``.
            fidelity: Its name; the task's own by default.

        Raises:
            InputError: There is no such fidelity, or the array does not fit the space.
            NoFidelityError: The fidelity does not exist for a design.
        """
        return self.fidelity(fidelity).evaluate(self.space.check(designs))

    @property
    def space(self) -> Space:
        return self.task.space

    def describe(self) -> dict[str, Any]:
        prices = {name: fidelity.price for name, fidelity in self._fidelities.items()}
        return {"multi_fidelity": self.task.describe(), "prices": prices}

    def reference(self) -> Certificate:
        return self.task.reference()

    # -- everything else is the task's -----------------------------------------------------------------------

    @property
    def bound(self) -> float:
        return self.task.bound

    @property
    def action_sizes(self) -> npt.NDArray[np.int64]:
        return self.task.action_sizes

    @property
    def num_actions(self) -> int:
        return self.task.num_actions

    @property
    def action_factors(self) -> tuple[int, ...]:
        return self.task.action_factors

    def actions(self, designs: Designs) -> npt.NDArray[np.int64]:
        return self.task.actions(designs)

    def designs(self, actions: npt.NDArray[np.int64]) -> Designs:
        return self.task.designs(actions)

    def masks(self, actions: npt.NDArray[np.int64], position: int) -> npt.NDArray[np.bool_]:
        return self.task.masks(actions, position)

    def decision_features(self) -> npt.NDArray[np.float64]:
        return self.task.decision_features()

    def fits(self, designs: Designs) -> npt.NDArray[np.bool_]:
        return self.task.fits(designs)

    def sample_feasible(self, rng: np.random.Generator, count: int) -> Designs:
        return self.task.sample_feasible(rng, count)

    def repair(self, designs: Designs, rng: np.random.Generator) -> Designs:
        return self.task.repair(designs, rng)

    def neighbours(self, design: Designs) -> Designs:
        return self.task.neighbours(design)

    def constant_designs(self, rng: np.random.Generator, most: int) -> Designs:
        return self.task.constant_designs(rng, most)

    def artifacts(self, design: Designs) -> dict[str, str]:
        return self.task.artifacts(design)

    def report(self, design: Designs) -> dict[str, Any]:
        return self.task.report(design)

    def convention(self) -> str:
        return self.task.convention()

    def normalised_metrics(self, value: float) -> dict[str, float]:
        return self.task.normalised_metrics(value)


def hwgen_at_fidelities(
    *,
    fidelities: Sequence[str] = ("roofline", "systolic"),
    prices: Mapping[str, float] | None = None,
    **arguments: Any,
) -> MultiFidelityTask:
    """A systolic accelerator for a workload, asked at the fidelities of the ladder; see `docs/fidelity.md`.

    Limits on area, bandwidth, clock and precision are those of ``HwGen-v0`` and known without an evaluation; the
    objective is the cycles of the workload as a fidelity sees them.

    Args:
        fidelities: Names of levels, the cheapest first; the last is what counts.
        prices: Of all but the last, in evaluations of the last; from :data:`CPU_SECONDS` where not stated.
        **arguments: Of ``HwGen-v0``.

    Raises:
        InputError: An unknown fidelity, one whose result would not be that of ``HwGen-v0`` in the last place, or a bad
            price or argument.
    """
    if isinstance(fidelities, str) or not fidelities:
        raise InputError(f"fidelities are {shown(fidelities)}, allowed: a list of {', '.join(LEVELS)}")
    names = [find_level(name).name for name in fidelities]
    if names[-1] not in ("systolic", "rtl"):
        raise InputError(
            f"fidelities end with {names[-1]!r}, allowed systolic or rtl: the optimum is known for exact cycles alone"
        )
    given = dict(prices or {})
    for name in given:
        if name not in names[:-1]:
            raise unknown_name("price of fidelity", name, names[:-1])
    task = HwGenTask(**arguments)
    own = task if names[-1] == "systolic" else _RtlTask(**arguments)
    cheaper = []
    for name in names[:-1]:
        price = given.get(name, CPU_SECONDS[name] / CPU_SECONDS[names[-1]])
        evaluate = task.evaluate if name == "systolic" else _LevelOf(task, name)
        cheaper.append(Fidelity(name, evaluate, float(price)))
    return MultiFidelityTask(own, names[-1], cheaper)


class _LevelOf:
    """Evaluates designs of a hardware-generation task with the cycles of a level of the ladder."""

    def __init__(self, task: HwGenTask, level: str) -> None:
        self._task, self._level = task, LEVELS[level]

    def __call__(self, designs: Designs) -> Outcome:
        cycles = np.array([self._cycles(row, number) for number, row in enumerate(designs)], dtype=np.float64)
        overshoot = self._task.violation(designs)
        runs = np.isfinite(cycles)
        violation = np.where(runs, overshoot, np.inf)
        return Outcome(cycles, violation == 0, violation, runs, {"latency_cycles": cycles})

    def _cycles(self, design: Designs, number: int) -> float:
        config = self._task.config(design)
        try:
            return sum(count * self._level.evaluate(config, layer).cycles for layer, count in self._task.layers)
        except NoTilingError:
            return np.inf
        except NoFidelityError as error:
            raise NoFidelityError(f"design {number}: {error}") from None


class _RtlTask(HwGenTask):
    """Hardware generation whose cycles are those of the simulated Verilog; its optimum is that of the exact model."""

    def evaluate(self, designs: Designs) -> Outcome:
        rows = self.space.check(designs)
        found = _LevelOf(self, "rtl")(rows)
        area, path = self.estimates(rows)
        return replace(found, costs={**found.costs, "area_nand2": area, "critical_path_ps": path})

"""One layer on one machine: the best mapping by one metric or several, and what is proved of each."""

from __future__ import annotations

import math
import time
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.architecture.machine import Architecture
from accelgym.costmodels.certificate import Certificate, rounded_down
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.loopnest import LoopnestModel, Mappings
from accelgym.costmodels.loopnest.nest_text import format_nest
from accelgym.costmodels.loopnest.rows import result_row
from accelgym.costmodels.mapper.metrics import EQUAL, UNITS, check_metrics, measure
from accelgym.costmodels.mapper.search import LayerSearch, Point, Search, Settings
from accelgym.costmodels.solvers.mapping import PROOF_VERSION, RELAXATIONS
from accelgym.costmodels.timeloop import timeloop_runs

__all__ = ["Improve", "LayerMapping", "Proof", "Settings", "optimal_mapping"]

Improve = Callable[[LayerSearch, str, int, list[Mappings]], Mappings]
"""A heuristic: a map space, a metric, the fewest multipliers to use, and mappings to start from in; a batch out."""

_METHOD = f"branch and bound ({PROOF_VERSION})"


@dataclass(frozen=True)
class Proof:
    """What is proved of one metric of a mapping."""

    metric: str
    value: float
    lower_bound: float
    limits: tuple[tuple[str, float], ...] = ()
    """Of the metrics before it: the bound is on all mappings that take no more of each."""

    @property
    def gap(self) -> float:
        """``(value - lower_bound) / value``."""
        return 0.0 if self.value == 0 else max(0.0, (self.value - self.lower_bound) / self.value)

    @property
    def statement(self) -> str:
        """What is proved, in words."""
        within = " and ".join(f"at most {limit:.10g} {UNITS[name]}" for name, limit in self.limits)
        who = f"no mapping with {within}" if within else "no mapping"
        return f"{who} takes less than {self.lower_bound:.10g} {UNITS[self.metric]}"


@dataclass(frozen=True)
class LayerMapping:
    """The mapping of a layer, its costs, and a proof for each metric."""

    mappings: Mappings
    """A batch of one; its machine is the one given, memories closed to what its constraints make bypass them."""
    energy_pj: float
    cycles: int
    proofs: tuple[Proof, ...]
    certificate: Certificate
    """Of the first metric."""

    @property
    def value(self) -> float:
        """Of the first metric."""
        return self.proofs[0].value

    @property
    def lower_bound(self) -> float:
        """No mapping has less of the first metric."""
        return self.proofs[0].lower_bound

    @property
    def gap(self) -> float:
        """``(value - lower_bound) / value``."""
        return self.proofs[0].gap

    @property
    def utilization(self) -> float:
        """Multiplications per cycle and multiplier."""
        return self.mappings.problem.macs / (self.cycles * self.mappings.architecture.num_multipliers)

    @property
    def loop_nest(self) -> str:
        """The loops as text, outer to inner."""
        return format_nest(self.mappings)

    @cached_property
    def costs(self) -> dict[str, Any]:
        """Accesses, energies and cycles in detail, see :func:`~accelgym.costmodels.loopnest.rows.result_row`."""
        model = LoopnestModel(self.mappings.problem, self.mappings.architecture)
        return result_row(model, self.mappings, model.evaluate(self.mappings), 0)

    def to_json(self) -> dict[str, Any]:
        """Returns plain data."""
        proofs = [
            {"metric": x.metric, "value": x.value, "lower_bound": x.lower_bound, "gap": x.gap, "proved": x.statement}
            for x in self.proofs
        ]
        certificate = self.certificate.to_json()
        del certificate["design"]  # The mapping stands beside it.
        return {
            "problem": self.mappings.problem.name,
            "architecture": self.mappings.architecture.name,
            "value": self.value,
            "lower_bound": self.lower_bound,
            "gap": self.gap,
            "cycles": self.cycles,
            "energy_pj": self.energy_pj,
            "utilization": self.utilization,
            "macs": self.mappings.problem.macs,
            "seconds": self.certificate.seconds,
            "proofs": proofs,
            "certificate": certificate,
            "mapping": self.mappings.to_loops(0),
            "loop_nest": self.loop_nest.splitlines(),
            "costs": self.costs,
            "timeloop": timeloop_runs(self.mappings),
        }


def optimal_mapping(
    problem: LoopNest,
    machine: Architecture,
    metrics: tuple[str, ...],
    settings: Settings | None = None,
    improve: Improve | None = None,
) -> LayerMapping:
    """Finds the best mapping of a problem onto a machine, and proves it.

    With several metrics each is minimised among the mappings that take no more than 0.1 % more of those before it
    than the best mapping found: values that differ by less count as equal, as in ``timeloop-mapper``.

    Args:
        problem: The problem.
        machine: The machine with its constraints.
        metrics: Of :data:`~accelgym.costmodels.mapper.metrics.METRICS`, the most important first.
        settings: How to search.
        improve: Looks for better mappings where a search ends before it is closed.

    Raises:
        InputError: An unknown metric, contradictory or unsupported constraints, a problem without a certified bound,
            or a layer that no mapping fits; the message says what is too small, and by how much.
    """
    begin = time.perf_counter()
    run = _Run(LayerSearch(problem, machine, settings or Settings()), improve)
    for metric in check_metrics(metrics, "metrics"):
        run.minimise(metric)
    return run.result(time.perf_counter() - begin)


@dataclass
class _Run:
    """Metrics minimised so far, and every mapping that was met on the way."""

    space: LayerSearch
    improve: Improve | None
    points: list[Point] = field(default_factory=list)
    limits: dict[str, float] = field(default_factory=dict)
    """Most of each metric that the mappings still considered may take."""
    bounds: dict[str, float] = field(default_factory=dict)
    """Certified bounds on the mappings still considered."""
    proofs: list[Proof] = field(default_factory=list)
    nodes: int = 0
    limited_by: str = ""

    def minimise(self, metric: str) -> None:
        """Minimises the next metric among the mappings that respect the limits."""
        limits = tuple(self.limits.items())
        if {"energy", "delay"} <= set(self.bounds):
            self._raise_bound("edp", self.bounds["energy"] * self.bounds["delay"])
        if metric == "delay" and self.limits:
            self._fewest_cycles()
        elif not self._is_proved(metric):
            found = self._search(metric, self._multipliers)
            if found.limited_by and self.improve is not None:
                starts = [point.mapping for point in self._admitted]
                better = self.improve(self.space, metric, self._multipliers, starts)
                self.points += self.space.points(better)
            if not self.points:
                self._refuse(found)
            self._raise_bound(metric, found.lower_bound)
        best = min(self._admitted, key=lambda point: point.value(metric))
        value = best.value(metric)
        self.limits[metric] = value * (1 + EQUAL)
        self.proofs.append(Proof(metric, value, min(value, self.bounds.get(metric, 0.0)), limits))

    def result(self, seconds: float) -> LayerMapping:
        """Returns the mapping that is best by all metrics."""
        last = self.proofs[-1].metric
        best = min(self._admitted, key=lambda point: point.value(last))
        proofs = []
        for proof in self.proofs:
            value = best.value(proof.metric)
            bound = value if proof.lower_bound >= value else rounded_down(proof.lower_bound)
            proofs.append(Proof(proof.metric, value, bound, proof.limits))
        first = proofs[0]
        certificate = Certificate(
            first.value, None, first.lower_bound, first.gap, _METHOD, RELAXATIONS, self.nodes, seconds, self.limited_by
        )
        return LayerMapping(best.mapping, best.energy_pj, best.cycles, tuple(proofs), certificate)

    @property
    def _admitted(self) -> list[Point]:
        """Mappings met that respect the limits."""
        return [x for x in self.points if all(x.value(name) <= limit for name, limit in self.limits.items())]

    def _is_proved(self, metric: str) -> bool:
        """Whether the bounds at hand show that a mapping met is as good as a search would have to find."""
        enough = self.bounds.get(metric, 0.0) / (1 - self.space.settings.tolerance)
        return any(point.value(metric) <= enough for point in self._admitted)

    @property
    def _multipliers(self) -> int:
        """Fewest multipliers of a mapping within the limit on cycles: each does one multiplication a cycle."""
        if "delay" not in self.limits:
            return 1
        needed = math.ceil(self.space.problem.macs / self.limits["delay"] * (1 - 1e-12))
        return next((x for x in self.space.parallelism if x >= needed), needed)

    def _search(self, metric: str, multipliers: int) -> Search:
        found = self.space.search(metric, multipliers=multipliers)
        self.nodes += found.nodes
        self.limited_by = self.limited_by or found.limited_by
        if found.point is not None:
            self.points.append(found.point)
        return found

    def _raise_bound(self, metric: str, bound: float) -> None:
        """Notes a bound; what the multipliers take in any case is one, too."""
        macs = self.space.problem.macs
        # No mapping uses more multipliers than the factors of the bounds can fill.
        least = measure(metric, macs * self.space.machine.compute.mac_pj, macs / self.space.parallelism[-1])
        bound = max(bound, least * (1 - 1e-9), self.bounds.get(metric, 0.0))
        if metric == "delay" and math.isfinite(bound):
            bound = math.ceil(bound * (1 - 1e-9))  # Cycles are whole.
        self.bounds[metric] = bound

    def _fewest_cycles(self) -> None:
        """Minimises cycles under a limit on another metric, over the number of multipliers in use.

        For each number tried the least of the metric is searched: a bound above the limit proves that no admitted
        mapping uses as many, and so that each takes more cycles.
        """
        metric, limit = next((name, x) for name, x in self.limits.items() if name != "delay")
        steps = self.space.parallelism
        low = bisect_right(steps, self._in_use(min(self._admitted, key=lambda point: point.cycles)))
        proved = top = len(steps)
        while low < top:
            at = (low + top) // 2
            found = self._search(metric, steps[at])
            if found.lower_bound > limit:
                proved = top = at
            elif found.point is None or found.point.value(metric) > limit:
                top = at  # Neither found nor excluded.
            else:
                low = max(at + 1, bisect_right(steps, self._in_use(found.point)))
        self._raise_bound("delay", self.space.problem.macs / steps[proved - 1])

    def _in_use(self, point: Point) -> int:
        slots = self.space.architecture.slots
        spread = [s for s, slot in enumerate(slots) if slot.kind != "temporal"]
        return int(point.mapping.factors[spread].prod())

    def _refuse(self, found: Search) -> None:
        name, machine = self.space.problem.name, self.space.machine.name
        if found.limited_by:
            raise InputError(
                f"no mapping of {name!r} onto {machine!r} was found within {found.nodes} programs; allow more"
            )
        raise InputError(
            f"no mapping of {name!r} keeps the factors and utilisations that constraints of {machine!r} ask for and "
            "fits its memories"
        )

"""What a mapper minimises: one metric, or several in the order of their importance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from accelgym.costmodels.errors import InputError, shown, unknown_name, warn_input
from accelgym.costmodels.objective import Objective

__all__ = ["DEFAULT", "EQUAL", "METRICS", "UNITS", "check_metrics", "goal_of", "measure", "read_metrics"]

METRICS = ("energy", "delay", "edp")
"""Timeloop's names: pJ, cycles, and their product."""
DEFAULT = ("edp",)
"""Where a ``mapper`` section states none (Timeloop HEAD, ``mapper.cpp``)."""
EQUAL = 1e-3
"""Relative difference up to which two values of a metric count as equal and the next one decides (Timeloop HEAD,
``IsBetterRecursive_`` in ``mapper-thread.cpp``)."""
UNITS = {"energy": "pJ", "delay": "cycles", "edp": "pJ x cycles"}

_KEYS = ("optimization_metric", "optimization_metrics")


def check_metrics(names: Iterable[Any], where: str) -> tuple[str, ...]:
    """Returns metrics by name.

    Raises:
        InputError: None, one that is unknown or not supported, or one given twice.
    """
    metrics = tuple(names)
    for name in metrics:
        if name == "last-level-accesses":
            raise InputError(f"{where}: last-level-accesses is not supported, allowed: {', '.join(METRICS)}")
        if name not in METRICS:
            raise unknown_name(f"metric in {where}", name, METRICS)
    if not metrics or len(set(metrics)) != len(metrics):
        raise InputError(f"{where} is {shown(list(metrics))}, allowed: each of {', '.join(METRICS)} at most once")
    return metrics


def read_metrics(section: Mapping[str, Any], where: str = "mapper") -> tuple[str, ...]:
    """Reads ``optimization-metric`` or ``optimization-metrics`` of a ``mapper`` section.

    Raises:
        InputError: See :func:`check_metrics`.

    Warns:
        InputWarning: Other settings of the section, which steer Timeloop's own search.
    """
    settings = {str(key).replace("-", "_"): (str(key), value) for key, value in section.items()}
    others = [str(key) for key in section if str(key).replace("-", "_") not in (*_KEYS, "version")]
    if others:
        warn_input(f"{where}: without effect: {', '.join(others)}; the search is exhaustive, limits are options of it")
    for key in _KEYS:  # Timeloop looks for the single one first.
        written, value = settings.get(key, (key, None))
        if value is not None:
            names = value if isinstance(value, list) else [value]
            return check_metrics(names, f"{where}.{written}")
    return DEFAULT


def measure(metric: str, energy_pj: float, cycles: float) -> float:
    """Returns the value of a metric."""
    return {"energy": energy_pj, "delay": float(cycles), "edp": energy_pj * cycles}[metric]


def goal_of(metric: str) -> Objective:
    """Returns the solver's name of a metric."""
    return {"energy": Objective.ENERGY, "delay": Objective.LATENCY, "edp": Objective.EDP}[metric]

"""Results of ``timeloop-model`` for a mapping when no setting is changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.loopnest.mappings import Mappings
from accelgym.costmodels.loopnest.model import LoopnestModel
from accelgym.costmodels.loopnest.steps import Engine

__all__ = ["RUNS", "describe_convention", "timeloop_runs"]

RUNS = {"default": True, "no_links": False}
"""Runs by name, and whether neighbours forward words: Timeloop as it comes, and TIMELOOP_DISABLE_LINK_TRANSFERS=1."""

_COUNTINGS = {
    "closed": "closed (every iteration)",
    "walk": "walk (every iteration)",
    "sampled": "sampled (extrapolated from two iterations of every loop)",
}
_LEAKAGES = {"instances_in_use": "of memories in use", "whole_chip": "of the whole chip"}


def describe_convention(counting: str, link_transfers: bool, leakage: str) -> str:
    """Returns in words how accesses were counted, whether neighbours forward words, and what leaks."""
    links = "link transfers" if link_transfers else "no link transfers"
    return f"counting {_COUNTINGS[counting]}, {links}, leakage {_LEAKAGES[leakage]}"


def timeloop_runs(mappings: Mappings, row: int = 0, *, engine: Engine = "head") -> dict[str, dict[str, Any]]:
    """Counts a mapping as ``timeloop-model`` does by default: extrapolated from iterations 0 and 1 of every loop.

    The extrapolation can miss words that every iteration would move, and links spare reads, so either may lie below
    the cost of walking every iteration, and below a certified bound on that.

    Args:
        mappings: A batch.
        row: Which mapping.
        engine: Version of Timeloop.

    Returns:
        By name of the run ``counting``, ``link_transfers``, ``leakage``, ``energy_pj`` and ``cycles``; ``message``
        in place of the two costs where the mapping is invalid or has too many loops to sample.
    """
    architecture = replace(mappings.architecture, leakage="instances_in_use")
    single = replace(mappings[row : row + 1], architecture=architecture)
    runs = {}
    for name, links in RUNS.items():
        model = LoopnestModel(mappings.problem, architecture, counting="sampled", engine=engine, link_transfers=links)
        runs[name] = {"counting": "sampled", "link_transfers": links, "leakage": architecture.leakage}
        try:
            costs = model.evaluate(single)
        except InputError as error:
            runs[name]["message"] = str(error)
            continue
        if costs.valid[0]:
            runs[name] |= {"energy_pj": float(costs.energy_pj[0]), "cycles": int(costs.latency_cycles[0])}
        else:
            runs[name]["message"] = "the mapping is invalid"
    return runs

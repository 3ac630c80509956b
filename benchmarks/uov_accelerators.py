"""Designs of the preset ``accelerators`` scored by their cycles: its rows come without landscapes."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from uov_peers import PEERS

from accelgym.agents.uov.problem import Examples, Problem
from accelgym.costmodels.workloads import Workload, load_workload
from accelgym.dse_dataset.layers import LayerTable
from accelgym.dse_dataset.recipes.layer_rows import as_layer
from accelgym.envs.hwgen.task import HwGenTask

__all__ = ["accelerator_peers", "joined", "score_accelerators"]

Designs = npt.NDArray[np.int64]
_RANDOM = 5
"""Designs within the limits that are drawn for a row."""
_EXTENTS = ("K", "C", "Y", "X", "R", "S")


def joined(problem: Problem, *splits: str) -> Examples:
    """Returns some splits as one."""
    parts = [problem.splits[name] for name in splits]
    return Examples(
        {name: np.concatenate([part.arrays[name] for part in parts]) for name in parts[0].arrays},
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.log_best for part in parts]),
    )


@lru_cache(maxsize=512)
def _task(block: str, layer: tuple[int, ...], depthwise: bool, limits: tuple[float, int, float]) -> HwGenTask:
    if block:
        workload = load_workload(block)
    else:
        columns = {n: np.array([v]) for n, v in zip(_EXTENTS, layer, strict=True)}
        found = as_layer(LayerTable(**columns, depthwise=np.array([depthwise])))
        workload = Workload.chain(found.name, [found])
    area, bits, sqnr = limits
    return HwGenTask(workload_object=workload, area_budget=area, bandwidth_bits=bits, min_sqnr_db=sqnr)


def _tasks(examples: Examples) -> list[HwGenTask]:
    a = examples.arrays
    return [
        _task(
            str(a["block"][i]),
            tuple(int(a[name][i]) for name in _EXTENTS),
            str(a["depthwise"][i]) == "True",
            (float(a["area_budget_nand2"][i]), int(a["bandwidth_bits"][i]), float(a["min_sqnr_db"][i])),
        )
        for i in range(len(examples))
    ]


def _order(problem: Problem, task: HwGenTask) -> list[int]:
    known = [knob.name for knob in problem.schema.knobs]
    return [known.index(parameter.name) for parameter in task.space.parameters]


def score_accelerators(problem: Problem, examples: Examples, designs: Designs) -> dict[str, Any]:
    """Scores the best of the designs of each row by name, as :func:`~accelgym.agents.uov.scores.score_designs`.

    Args:
        problem: Whose knobs the designs choose.
        examples: The rows.
        designs: Shape ``(rows, top, knobs)``.
    """
    ratios, near = np.full(len(designs), np.inf), np.zeros(len(designs), dtype=bool)
    for row, task in enumerate(_tasks(examples)):
        found = task.evaluate(designs[row][:, _order(problem, task)])
        cycles = np.where(found.feasible, found.objective, np.inf)
        pick = int(cycles.argmin())
        ratios[row] = cycles[pick] / np.exp(examples.log_best[row])
        off = np.abs(designs[row, pick] - examples.labels[row])
        reach = [max(1, knob.levels // 16) if knob.ordered else 0 for knob in problem.schema.knobs]
        near[row] = bool((off <= reach).all())
    ran = ratios[np.isfinite(ratios)]
    return {
        "rows": len(designs),
        "optimal": float((ratios <= 1.0 + 1e-6).mean()),
        "within_bucket": float(near.mean()),
        "geomean": float(np.exp(np.log(ran).mean())) if len(ran) else float("inf"),
        "p99": float(np.quantile(ran, 0.99)) if len(ran) else float("inf"),
        "worst": float(ran.max(initial=1.0)),
        "infeasible": float(1 - len(ran) / len(designs)),
    }


def accelerator_peers(problem: Problem, examples: Examples) -> dict[tuple[str, int], Designs]:
    """Returns the designs of simple predictors by name and number of designs a row."""
    labels = problem.splits["train"].labels
    common = Counter(map(tuple, labels.tolist())).most_common(1)[0][0]
    rng, random = np.random.default_rng(0), []
    for task in _tasks(examples):
        random.append(task.sample_feasible(rng, _RANDOM)[:, np.argsort(_order(problem, task))])
    near = PEERS["5 nearest neighbours"](problem, examples, 0)
    return {
        ("constant", 1): np.tile(np.array(common), (len(examples), 1, 1)),
        ("gradient boosting", 1): PEERS["gradient boosting"](problem, examples, 0),
        ("5 nearest neighbours", 1): near[:, :1],
        ("5 nearest neighbours", 5): near,
        ("random", _RANDOM): np.stack(random),
    }

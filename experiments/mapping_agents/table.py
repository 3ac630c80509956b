"""Searches of mapping tasks, and the table of what they reach in pJ/MAC."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from accelgym.agents import search
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.csv_table import write_records
from accelgym.costmodels.files.plain import Place
from accelgym.envs.mapping import MappingTask
from accelgym.envs.registration import make_task
from accelgym.experiments.config import BenchConfig
from accelgym.experiments.markdown import markdown_table

__all__ = ["MAPPER_PJ_PER_MAC", "THISTLE", "MappingRun", "format_table", "run_searches", "write_csv"]

THISTLE = Path(__file__).with_name("thistle.yaml")
"""The shipped configuration: 23 layers, six agents."""
MAPPER_PJ_PER_MAC = {
    ("thistle/resnet18", "L1"): 22.66,
    ("thistle/resnet18", "L2"): 22.54,
    ("thistle/resnet18", "L12"): 24.51,
    ("thistle/yolo9000", "L1"): 25.06,
    ("thistle/yolo9000", "L5"): 23.42,
    ("thistle/yolo9000", "L9"): 22.39,
}
"""What timeloop-mapper 3.0.3 reached: random-pruned, two threads, 75 s, every tensor kept at every level.

Counted by that version's rules, which differ in sliding windows and have link transfers.
"""


@dataclass(frozen=True)
class MappingRun:
    """One search."""

    workload: str
    layer: str
    agent: str
    seed: int
    evaluations: int
    pj_per_mac: float
    """Of the best mapping; ``inf`` where none was found."""
    optimum_pj_per_mac: float
    """Of the task's reference, proven or the best known."""
    bound_pj_per_mac: float
    """Certified: no mapping is better."""
    agent_cpu_s: float
    evaluation_cpu_s: float


def run_searches(config: BenchConfig) -> Iterator[MappingRun]:
    """Runs every agent of a config on every task, in order.

    Args:
        config: Tasks of ``accelgym/Mapping-v0`` with objective ``energy``.

    Raises:
        InputError: Another kind of task or objective, or a bad argument or option.
    """
    for entry in config.tasks:
        for arguments in entry.expand():
            task = make_task(entry.env, **arguments)
            if not isinstance(task, MappingTask) or task.spec.objective != "energy":
                raise InputError(f"task {arguments}: allowed tasks of accelgym/Mapping-v0 with objective=energy")
            reference = task.reference()
            for agent in config.agents:
                for seed in config.seeds_of(agent):
                    budget = config.budget_of(agent)
                    found = search(task, agent.name, budget=budget, seed=seed, options=dict(agent.options))
                    yield MappingRun(
                        task.spec.workload,
                        task.problem.name,
                        agent.label,
                        seed,
                        found.evaluations,
                        found.best / task.problem.macs,
                        reference.value / task.problem.macs,
                        reference.lower_bound / task.problem.macs,
                        float(found.agent_cpu_s[-1]),
                        float(found.evaluation_cpu_s[-1]),
                    )


def write_csv(path: Place, runs: Sequence[MappingRun]) -> None:
    """Writes one line per search."""
    write_records(path, MappingRun, runs)


def format_table(runs: Sequence[MappingRun]) -> str:
    """Returns a Markdown table: mean pJ/MAC over the seeds by layer and agent, and how far above the optimum."""
    agents = list(dict.fromkeys(run.agent for run in runs))
    layers = list(dict.fromkeys((run.workload, run.layer) for run in runs))
    reached = {
        (layer, agent): np.mean([r.pj_per_mac for r in runs if (r.workload, r.layer) == layer and r.agent == agent])
        for layer in layers
        for agent in agents
    }
    spent = {agent: max(run.evaluations for run in runs if run.agent == agent) for agent in agents}
    optimum = {(run.workload, run.layer): run.optimum_pj_per_mac for run in runs}
    heads = ["layer", "optimum", "timeloop-mapper", *(f"{agent} ({spent[agent]})" for agent in agents)]
    lines = []
    for layer in layers:
        mapper = MAPPER_PJ_PER_MAC.get(layer)
        values = [f"{reached[layer, agent]:.2f}" for agent in agents]
        lines.append([" ".join(layer), f"{optimum[layer]:.2f}", "" if mapper is None else f"{mapper:.2f}", *values])
    means = [f"{np.mean([reached[x, agent] for x in layers]):.2f}" for agent in agents]
    lines.append(["mean", f"{np.mean(list(optimum.values())):.2f}", "", *means])
    above = [np.mean([reached[x, agent] / optimum[x] - 1 for x in layers]) for agent in agents]
    lines.append(["mean above the optimum", "", "", *(f"{value:.1%}" for value in above)])
    return markdown_table(heads, lines)

"""ConfuciuX: how fast its two stages converge, beside the baselines of its paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from accelgym.agents import search
from accelgym.envs import ResourceAssignmentTask
from accelgym.experiments.markdown import markdown_table
from accelgym.experiments.reproductions.claims import Claim, Reproduction, figure, limit

__all__ = ["reproduce"]

_TASKS: dict[str, dict[str, Any]] = {
    "ResNet-18, dla, IoT budget": {"workload": "confuciux/resnet18", "dataflow": "dla", "budget": 0.1},
    "ResNet-18, shi, IoTx budget": {"workload": "confuciux/resnet18", "dataflow": "shi", "budget": 0.05},
    "ResNet-18, best mappings, mix (greedy is not enough)": {
        "workload": "resnet18",
        "model": "dataflow_template",
        "dataflow": "mix",
        "budget": 0.05,
    },
}
_BASELINES = ("random", "ga", "annealing", "aco")
_WITHIN = 1.05
"""A search has converged once it is within 5 % of where it ends."""


def reproduce(budget: int = 1000, seeds: Sequence[int] = (0, 1, 2)) -> Reproduction:
    """Runs ConfuciuX and its kinds of baselines at equal evaluations.

    Args:
        budget: Evaluations of each search.
        seeds: Of each agent.
    """
    claims: list[Claim] = []
    lines = []
    for name, arguments in _TASKS.items():
        task = ResourceAssignmentTask(**arguments)
        reference = task.reference()
        runs = {
            agent: [search(task, agent, budget=budget, seed=seed) for seed in seeds]
            for agent in ("confuciux", *_BASELINES, "greedy")
        }
        regrets = {a: float(np.median([reference.regret(x.best) for x in found])) for a, found in runs.items()}
        lines.append([name, *(f"{regret:.1%}" for regret in regrets.values())])
        ends = float(np.median([run.best for run in runs["confuciux"]]))
        own = float(np.median([_until(run.evaluations_to(_WITHIN * run.best), budget) for run in runs["confuciux"]]))
        words = "converges 4.7 to 24 times faster than other techniques"
        for baseline in _BASELINES:
            taken = float(np.median([_until(run.evaluations_to(_WITHIN * ends), budget) for run in runs[baseline]]))
            unit = "times the evaluations"
            if taken < budget:
                claims.append(limit(f"{name}: {baseline}", words, "at least", 4.7, taken / own, unit))
            else:  # How much longer it would have taken is not known.
                claims.append(figure(f"{name}: {baseline}, not there yet", words, 4.7, taken / own, f"{unit} or more"))
        ahead = float(np.median([run.best for run in runs["random"]])) / ends
        claims.append(limit(name, "ends below random search", "at least", 1.0, ahead, "times as good"))
        claims.append(
            figure(name, "a greedy rule, which the paper does not try", 0.0, regrets["greedy"], "regret to the optimum")
        )
    agents = ["confuciux", *_BASELINES, "greedy"]
    notes = f"""Median regret to the proven optimum after {budget:,} evaluations, {len(seeds)} seeds:

{markdown_table(["task", *(f"`{agent}`" for agent in agents)], lines)}

Speed is in evaluations: what a baseline needs to come within 5 % of where ConfuciuX ends, over what ConfuciuX needs
itself. A baseline that does not get there counts as {budget:,}, a lower bound of its ratio, without a verdict. Below 1
the baseline is the faster one."""
    return Reproduction(
        "confuciux",
        "ConfuciuX: REINFORCE and a local genetic algorithm",
        'Kao, Jeong and Krishna, "ConfuciuX", MICRO 2020, and the authors\' repository; agent `confuciux`',
        claims,
        (
            "The paper's tables: constants of MAESTRO's cost file were replaced in May 2021, after the paper, and "
            "its repository holds no results. Only ratios can be held against each other.",
            "Its budgets of epochs: one epoch of the second stage is 20 uncached evaluations. Here everything counts.",
            "Its baselines (Stable-Baselines 2, TensorFlow 1) do not install today; ours are tuned agents of the "
            "same kinds, a stronger opponent than the paper's.",
            "The area budget of the published setting is a budget on PEs alone (the printed area is more than 99.99 "
            "% bus), a separable problem that a greedy rule solves (iterated, the agent `greedy`); the third task is "
            "one that it does not, by 2 %.",
        ),
        notes,
    )


def _until(evaluations: int | None, budget: int) -> int:
    return budget if evaluations is None else evaluations

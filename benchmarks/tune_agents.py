"""Random sweep over an agent's options: where its defaults come from.

    python benchmarks/tune_agents.py ga --trials 40

Scores a setting by the geometric mean, over tasks and seeds, of the evaluations until the objective is within 1 % of
the optimum; a search that ends above that counts as its budget times (1 + regret in % beyond). The tuning set is
confuciux/mobilenet_v2 and confuciux/resnet18 under MAESTRO (dla) at budget 0.1, seeds 100 and 101; results are
reported on other seeds and, mostly, other tasks.
"""

import argparse
import json
import math

import numpy as np

from accelgym.agents import search
from accelgym.envs import make_task

WORKLOADS = ("confuciux/mobilenet_v2", "confuciux/resnet18")
SEEDS = (100, 101)
MIXES = [
    {"step": step, "reset": reset, "transfer": transfer, "gather": few, "spread": few, "swap": swap, "copy": copy}
    for step in (0.1, 0.3)
    for few in (0.0, 0.1)
    for reset in (0.05, 0.2, 0.4)
    for transfer in (0.1, 0.3, 0.6)
    for swap in (0.0, 0.2)
    for copy in (0.0, 0.2)
]
GRIDS = {
    "ga": {
        "population": (8, 16, 32),
        "children": (8, 16, 32, 64),
        "tournament": (1, 2, 3),
        "crossover": (0.0, 0.1, 0.25),
        "merge": (0.0, 0.25, 0.5, 0.75),
        "donors": (1.0, 3.0, 6.0),
        "mutation": (0.5, 0.8, 1.0),
        "moves": (1.0, 1.5, 2.0, 3.0),
        "mix": MIXES,
        "tries": (1, 2, 4),
    },
    "annealing": {
        "chains": (2, 4, 8, 16),
        "hot": (1e-1, 1e-2, 3e-3, 1e-3),
        "cold": (1e-3, 1e-4, 1e-5),
        "moves": (1.0, 1.5, 2.0),
        "restart": (0.0, 0.005, 0.02, 0.1),
        "mix": MIXES,
        "tries": (1, 2, 4),
    },
    "aco": {
        "ants": (8, 16, 32, 64, 128),
        "evaporation": (0.02, 0.05, 0.1, 0.2),
        "greediness": (0.0, 0.3, 0.6, 0.8, 0.9),
        "elite": (1, 2, 4, 8),
        "best_weight": (0.0, 0.25, 0.5, 0.75, 1.0),
        "floor": (0.0, 0.001, 0.003, 0.01, 0.03),
    },
}


def score(agent: str, options: dict, budget: int) -> tuple[float, list[int], list[float]]:
    """Returns the score, the evaluations to 1 % (-1: not reached) and the final regrets."""
    logs, reached, regrets = [], [], []
    for workload in WORKLOADS:
        task = make_task("ResourceAssignment-v0", workload=workload, budget=0.1)
        reference = task.reference()
        for seed in SEEDS:
            run = search(task, agent, budget=budget, seed=seed, options=options)
            count, regret = run.evaluations_to(1.01 * reference.value), reference.regret(run.best)
            logs.append(math.log(count or budget * (1 + 100 * max(regret - 0.01, 0.0))))
            reached.append(count or -1)
            regrets.append(round(regret, 5))
    return math.exp(float(np.mean(logs))), reached, regrets


def main() -> None:
    """Prints one JSON line per setting: the default first, then random ones."""
    parser = argparse.ArgumentParser()
    parser.add_argument("agent", choices=GRIDS)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--budget", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    grid = GRIDS[arguments.agent]
    for trial in range(arguments.trials):
        options = {key: values[rng.integers(len(values))] for key, values in grid.items()} if trial else {}
        value, reached, regrets = score(arguments.agent, options, arguments.budget)
        line = {"score": round(value), "evaluations": reached, "regrets": regrets, "options": options}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()

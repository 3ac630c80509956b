"""A task as a problem of IOHexperimenter, with its optimum; ``python ioh_problem.py --out results/ioh``."""

import argparse
from pathlib import Path

import numpy as np

from accelgym.envs import Task, make_task

PENALTY = 1e3
"""Times the reference: of an infeasible design, plus its violation."""


def objective_of(task: Task):
    """Returns the function of one design that IOHexperimenter calls: value indices in, a number out."""
    reference, last = task.reference().value, task.space.nvec - 1

    def objective(design) -> float:
        # One range holds for all variables there: what lies beyond a parameter's last value is the last one.
        found = task.evaluate(np.clip(np.asarray(design, dtype=np.int64), 0, last)[None])
        if found.feasible[0]:
            return float(found.objective[0])
        return reference * (PENALTY + min(float(found.violation[0]), PENALTY))

    return objective


def ioh_problem(task: Task, name: str):
    """Returns an ``ioh`` problem: value indices from 0, to be minimised, the certified reference as its optimum."""
    import ioh

    sizes = task.space.nvec
    reference = task.reference()
    return ioh.wrap_problem(
        objective_of(task),
        name=name,
        optimization_type=ioh.OptimizationType.MIN,
        problem_class=ioh.ProblemClass.INTEGER,
        dimension=len(sizes),
        lb=0,
        ub=int(sizes.max()) - 1,
        calculate_objective=lambda instance, dimension: ioh.IntegerSolution(list(reference.design), reference.value),
    )


def main() -> None:
    """Random search on a mapping, logged."""
    import ioh

    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("results/ioh"))
    parser.add_argument("--evaluations", type=int, default=1000)
    chosen = parser.parse_args()
    layer = {"workload": "thistle/resnet18", "layer": 9, "architecture": "eyeriss_thistle"}
    task = make_task("Mapping-v0", **layer, objective="edp")
    problem = ioh_problem(task, "mapping")
    # Kept by name: a trigger that nothing in Python refers to any more ends in a segmentation fault.
    triggers = [ioh.logger.trigger.OnImprovement()]
    place = {"root": str(chosen.out.parent), "folder_name": chosen.out.name}
    logger = ioh.logger.Analyzer(triggers, **place, algorithm_name="random")
    problem.attach_logger(logger)
    rng = np.random.default_rng(0)
    for design in task.sample_feasible(rng, chosen.evaluations):
        problem(design.tolist())
    problem.detach_logger()


if __name__ == "__main__":
    main()

"""What the returns of whole episodes say about the designs they made."""

import itertools

import numpy as np
import pytest

from accelgym.costmodels.workloads import Layer, LayerKind, Workload
from accelgym.envs import ResourceAssignmentTask, ResourceAssignmentVectorEnv


def two_layers(**arguments):
    # C and K far beyond the PEs and buffers on offer: the budget binds hard, and breaking it pays a lot.
    layers = [
        Layer("a", LayerKind.CONV, K=512, C=512, P=7, Q=7, R=3, S=3),
        Layer("b", LayerKind.CONV, K=1024, C=2048, P=1, Q=1, R=1, S=1),
    ]
    return ResourceAssignmentTask(workload_object=Workload.chain("two", layers), **arguments)


@pytest.mark.parametrize("aggregate", ["sum", "max"])
@pytest.mark.parametrize("budget", [0.02, 0.1, 0.5])
def test_the_best_return_is_that_of_the_optimum_over_all_designs(budget, aggregate):
    task = two_layers(budget=budget, aggregate=aggregate)
    options = np.array(list(itertools.product(range(task.table.options), repeat=2)))
    env = ResourceAssignmentVectorEnv(len(options), task=task)
    env.reset()
    returns = sum(env.step(options[:, slot])[1] for slot in range(2))
    outcome = task.evaluate(task.designs(options))
    best = outcome.score.min()
    assert returns.max() == pytest.approx(returns[outcome.score == best][0])
    assert returns[~outcome.feasible].max() < returns[outcome.feasible].max()
    assert task.reference().value == best

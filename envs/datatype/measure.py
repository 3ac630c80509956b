"""What formats really cost: single layers and whole designs, measured on the shipped networks. Needs PyTorch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.quantization import LayerQuantization
from accelgym.envs.accuracy.oracle import MeasuredOracle
from accelgym.envs.datatype.losses import NATS, POINTS, LossTable
from accelgym.envs.datatype.options import OPTIONS, Option
from accelgym.envs.datatype.spec import LossMetric
from accelgym.envs.datatype.task import DatatypeTask
from accelgym.envs.space import Designs

__all__ = ["MOST_ENUMERATED", "MeasuredDesign", "enumerate_measured", "measure_design", "measure_losses"]

MOST_ENUMERATED = 4**7
"""Assignments that are all measured, at most."""


def measure_losses(
    oracle: MeasuredOracle,
    network: str,
    options: tuple[Option, ...] = OPTIONS,
    progress: Callable[[str], None] | None = None,
) -> LossTable:
    """Measures every layer in every format alone.

    Losses are means over the same examples, so their differences are far more certain than each of them. What improves
    by chance counts as no loss.

    Args:
        oracle: The network and its test data.
        network: Its name.
        options: The formats.
        progress: Called with the name of each layer.
    """
    full = oracle.accuracy({})
    names = oracle.layer_names
    entropy, points = (np.zeros((len(names), len(options)), dtype=np.int64) for _ in range(2))
    is_text = full.metric == "perplexity"
    base = oracle.examples({}) if is_text else None
    for row, name in enumerate(names):
        if progress is not None:
            progress(name)
        for column, option in enumerate(options):
            losses, right = oracle.examples({name: option.formats})
            entropy[row, column] = max(0, round((float(losses.mean()) - full.cross_entropy) / NATS))
            before = 100 * float(base[1].mean()) if base is not None else full.value
            points[row, column] = max(0, round((before - 100 * float(right.mean())) / POINTS))
    nests = tuple(oracle.layers()[name] for name in names)
    losses_by = {"cross_entropy": entropy, "accuracy": points}
    return LossTable("measured", network, names, nests, options, losses_by, full.examples, full.value)


@dataclass(frozen=True)
class MeasuredDesign:
    """A design on the table and in truth."""

    table_loss: float
    """In the unit of ``max_loss``: nats or percentage points."""
    measured_loss: float
    value: float
    """Accuracy in percent, or perplexity."""
    standard_error: float
    float_value: float
    """The same in float32."""
    meets_floor: bool
    """Whether the measured loss, too, is within the limit."""

    @property
    def table_error(self) -> float:
        """How much more is lost than the table says."""
        return self.measured_loss - self.table_loss


def measure_design(task: DatatypeTask, design: Designs, oracle: MeasuredOracle) -> MeasuredDesign:
    """Measures a design of a task.

    Args:
        task: A task with a measured table.
        design: Value indices, shape ``(parameters,)``.
        oracle: The network of the table.

    Raises:
        InputError: The task's table is a proxy, or of another network.
    """
    _same_network(task, oracle)
    found, full = oracle.accuracy(task.assignment(design)), oracle.accuracy({})
    loss = _loss(task, oracle, task.assignment(design))
    stated = float(task.evaluate(np.asarray(design)[None]).costs["table_loss"][0])
    meets = loss <= task.spec.max_loss + task.unit
    return MeasuredDesign(stated, loss, found.value, found.standard_error, full.value, meets)


def _loss(task: DatatypeTask, oracle: MeasuredOracle, assignment: dict[str, LayerQuantization]) -> float:
    """Returns the loss of formats in the unit of the task's limit."""
    if task.spec.metric is LossMetric.CROSS_ENTROPY:
        return oracle.accuracy(assignment).cross_entropy - oracle.accuracy({}).cross_entropy
    return 100 * float(oracle.examples({})[1].mean() - oracle.examples(assignment)[1].mean())


def _same_network(task: DatatypeTask, oracle: MeasuredOracle) -> None:
    if task.is_proxy:
        raise InputError(
            f"workload {task.losses.network!r} has a proxy table and no weights: there is nothing to measure"
        )
    if task.losses.layers != oracle.layer_names:
        raise InputError(f"the table is of {task.losses.network!r}, not of {oracle.network.name!r}")


def enumerate_measured(
    task: DatatypeTask, oracle: MeasuredOracle
) -> tuple[Designs, npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Measures all designs of a task, in an order in which neighbours share the first layers.

    Returns:
        Designs, their objectives, and the cross-entropy each loses.

    Raises:
        InputError: More than :data:`MOST_ENUMERATED` designs, or a task that cannot be measured.
    """
    _same_network(task, oracle)
    count = math.prod(int(n) for n in task.action_sizes)
    if count > MOST_ENUMERATED:
        raise InputError(f"{count} designs, allowed to be measured: {MOST_ENUMERATED}; slots='block' has fewer")
    actions = np.array(list(itertools.product(*(range(int(n)) for n in task.action_sizes))), dtype=np.int64)
    designs = task.designs(actions)
    base = float(oracle.examples({})[0].mean())
    losses = [float(oracle.examples(task.assignment(design))[0].mean()) - base for design in designs]
    return designs, task.evaluate(designs).objective, np.array(losses)

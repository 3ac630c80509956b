"""What tells the layers of different assignment tasks apart: absolute sizes, and how tight the budget is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.maestro.designs import LayerShapes
from accelgym.costmodels.workloads import Layer
from accelgym.envs.option_table import OptionTable
from accelgym.envs.resource_assignment.spec import (
    Aggregate,
    AssignmentObjective,
    Constraint,
    DataflowChoice,
    Deployment,
    ResourceAssignmentSpec,
)

__all__ = ["FEATURES", "assignment_features"]

FEATURES = (
    *(f"log2 {dim}" for dim in ("K", "C", "Y", "X", "R", "S")),
    "depthwise",
    "log2 MACs",
    "log2 share of the MACs",
    "log2 slots",
    "log2 budget over the cheapest design's resource",
    "log2 equal share of the budget over the slot's dearest option",
    "log2 share by MACs of the budget over the slot's dearest option",
    "log2 dearest over cheapest option of the slot",
    *(f"objective {x.value}" for x in AssignmentObjective),
    *(f"aggregate {x.value}" for x in Aggregate),
    *(f"constraint {x.value}" for x in Constraint),
    *(f"dataflow {x.value}" for x in DataflowChoice),
)
"""Columns of :func:`assignment_features`. Logarithms are divided by 16, those of MACs by 40."""

FloatArray = npt.NDArray[np.float64]
_LOG_SIZE, _LOG_MACS = 16.0, 40.0


def assignment_features(layers: Sequence[Layer], spec: ResourceAssignmentSpec, table: OptionTable) -> FloatArray:
    """Returns the features of every slot, shape ``(slots, len(FEATURES))``, within [-1, 1].

    They rest on the shapes, the specification and the resources, which are known without an evaluation as the masks
    are; no cost enters. One configuration for all layers is shown their mean, weighted by MACs. The cost model is not
    told apart but by the spread of its resources.

    Args:
        layers: The layers that are assigned.
        spec: What defines the task.
        table: Its options.
    """
    shapes = LayerShapes.from_layers(tuple(layers))
    dims = np.stack([shapes.K, shapes.C, shapes.Y, shapes.X, shapes.R, shapes.S], axis=1).astype(np.float64)
    sizes = np.column_stack((np.log2(dims) / _LOG_SIZE, shapes.depthwise.astype(np.float64)))
    macs = np.array([layer.macs for layer in layers], dtype=np.float64)
    if spec.deployment is Deployment.SEQUENTIAL:
        sizes = (macs / macs.sum() @ sizes)[None]
        macs = macs.sum(keepdims=True)
    share = macs / macs.sum()
    slots = len(macs)
    dearest = np.where(table.allowed, table.resource, -np.inf).max(axis=1)
    logs = (
        share,
        np.full(slots, float(slots)),
        np.full(slots, _ratio(table.limit, table.reserve[0])),
        _ratio(table.limit / slots, dearest),
        _ratio(table.limit * share, dearest),
        _ratio(dearest, table.cheapest),
    )
    chosen = (
        (AssignmentObjective, spec.objective),
        (Aggregate, spec.aggregate),
        (Constraint, spec.constraint),
        (DataflowChoice, spec.dataflow),
    )
    flags = np.array([float(member is value) for kind, value in chosen for member in kind])
    found = np.column_stack(
        (sizes, np.log2(macs) / _LOG_MACS, np.log2(np.stack(logs, axis=1)) / _LOG_SIZE, np.tile(flags, (slots, 1)))
    )
    bounded: FloatArray = np.clip(found, -1.0, 1.0)
    return bounded


def _ratio(above: FloatArray | float, below: FloatArray | float) -> FloatArray:
    """A quotient of resources whose logarithm is finite: a resource may be 0, as under a target for every slot."""
    least = 2.0**-_LOG_SIZE
    found: FloatArray = np.clip(np.asarray(above) / np.maximum(below, np.finfo(np.float64).tiny), least, 1 / least)
    return found

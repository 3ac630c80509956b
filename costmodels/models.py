"""Cost models by name."""

from __future__ import annotations

from typing import Any

from accelgym.costmodels.costs import CostModel
from accelgym.costmodels.registry import Registry

__all__ = ["cost_models"]

cost_models: Registry[CostModel[Any]] = Registry("cost model", "accelgym.costmodels")
"""Factories by name; called with the model's options as keyword arguments."""


def _maestro(**options: Any) -> CostModel[Any]:
    from accelgym.costmodels.maestro import MaestroModel

    return MaestroModel(**options)


def _physical(**options: Any) -> CostModel[Any]:
    from accelgym.costmodels.physical import PhysicalModel

    return PhysicalModel(**options)


def _systolic(**options: Any) -> CostModel[Any]:
    from accelgym.costmodels.systolic.model import SystolicModel

    return SystolicModel(**options)


cost_models.register("maestro", _maestro)
cost_models.register("physical", _physical)
cost_models.register("systolic", _systolic)

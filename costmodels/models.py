"""Cost models by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any

from accelgym.costmodels.costs import CostModel
from accelgym.costmodels.errors import unexpected_argument
from accelgym.costmodels.registry import Registry

__all__ = ["cost_models"]

cost_models: Registry[CostModel[Any]] = Registry("cost model", "accelgym.costmodels")
"""Factories by name; called with the model's options as keyword arguments."""


def _lazy(name: str, module: str, cls: str) -> Callable[..., CostModel[Any]]:
    """Returns a factory that imports its model when called, and names options that do not exist."""

    def build(**options: Any) -> CostModel[Any]:
        model = getattr(import_module(module), cls)
        allowed = inspect.signature(model).parameters
        for key in options:
            if key not in allowed:
                raise unexpected_argument(f"option of model {name!r}", key, allowed)
        built: CostModel[Any] = model(**options)
        return built

    return build


for _name, _module, _class in (
    ("dataflow_template", "accelgym.costmodels.dataflow_template", "TemplateModel"),
    ("maestro", "accelgym.costmodels.maestro", "MaestroModel"),
    ("physical", "accelgym.costmodels.maestro.physical", "PhysicalModel"),
    ("systolic", "accelgym.costmodels.systolic.model", "SystolicModel"),
):
    cost_models.register(_name, _lazy(_name, _module, _class))

"""Cost models by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import is_dataclass
from importlib import import_module
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from accelgym.costmodels.costs import CostModel
from accelgym.costmodels.errors import InputError, shown, unexpected_argument
from accelgym.costmodels.files.plain import native
from accelgym.costmodels.registry import Registry

__all__ = ["cost_models"]

cost_models: Registry[CostModel[Any]] = Registry("cost model", "accelgym.costmodels")
"""Factories by name; called with the model's options as keyword arguments."""


def _lazy(name: str, module: str, cls: str) -> Callable[..., CostModel[Any]]:
    """Returns a factory that imports its model when called, and names options that do not exist."""

    def build(**options: Any) -> CostModel[Any]:
        model = getattr(import_module(module), cls)
        allowed = inspect.signature(model).parameters
        types = get_type_hints(model if is_dataclass(model) else model.__init__)
        for key, value in options.items():
            if key not in allowed:
                raise unexpected_argument(f"option of model {name!r}", key, allowed)
            options[key] = _checked(value, types[key], f"option {key!r} of model {name!r}")
        built: CostModel[Any] = model(**options)
        return built

    return build


def _checked(value: Any, expected: Any, what: str) -> Any:
    """Returns an option as plain data where it is of the type that the model states."""
    value = native(value)
    try:
        return TypeAdapter(expected).validate_python(value, strict=True)
    except ValidationError as error:
        message = error.errors()[0]["msg"]
        raise InputError(f"{what} is {shown(value)}: {message[0].lower()}{message[1:]}") from error


for _name, _module, _class in (
    ("dataflow_template", "accelgym.costmodels.dataflow_template", "TemplateModel"),
    ("maestro", "accelgym.costmodels.maestro", "MaestroModel"),
    ("physical", "accelgym.costmodels.maestro.physical", "PhysicalModel"),
    ("systolic", "accelgym.costmodels.systolic.model", "SystolicModel"),
):
    cost_models.register(_name, _lazy(_name, _module, _class))

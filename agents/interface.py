"""The knobs that a learned model was made for, in a form that files keep."""

from __future__ import annotations

from typing import Any

from accelgym.costmodels.files.plain import plain
from accelgym.envs.task import Task

__all__ = ["interface_names", "interface_of"]


def interface_of(task: Task) -> Any:
    """Returns :attr:`~accelgym.envs.Task.interface` as plain data that JSON keeps: sets are sorted lists."""
    return _ordered(task.interface)


def interface_names(interface: Any) -> str:
    """Returns the knobs in words."""
    return ", ".join(
        f"{knob} ({len(values)} values)" if isinstance(values, list) else f"{knob} {values}"
        for knob, values in interface
    )


def _ordered(value: Any) -> Any:
    if isinstance(value, (set, frozenset)):
        return sorted((_ordered(part) for part in value), key=str)
    if isinstance(value, (tuple, list)):
        return [_ordered(part) for part in value]
    return plain(value)

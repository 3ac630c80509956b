"""What a learned model was made for: the knobs, in a form that files keep, and the range of its features."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import InputError, warn_input
from accelgym.costmodels.files.plain import plain
from accelgym.envs.task import Task

__all__ = ["interface_names", "interface_of", "require_interface", "warn_outside"]


def interface_of(task: Task) -> Any:
    """Returns :attr:`~accelgym.envs.Task.interface` as plain data that JSON keeps: sets are sorted lists."""
    return _ordered(task.interface)


def interface_names(interface: Any) -> str:
    """Returns the knobs in words."""
    return ", ".join(
        f"{knob} ({len(values)} values)" if isinstance(values, list) else f"{knob} {values}"
        for knob, values in interface
    )


def require_interface(made_for: Any, task: Task, claim: str) -> None:
    """Checks that a task has the knobs that a model was made for.

    Args:
        made_for: Of :func:`interface_of`.
        task: The task.
        claim: Begins the message: ``the policy decides``.

    Raises:
        InputError: It has others.
    """
    own = interface_of(task)
    if own != made_for:
        raise InputError(f"{claim} {interface_names(made_for)}, {task!r} has {interface_names(own)}")


def warn_outside(task: Task, low: npt.NDArray[Any], high: npt.NDArray[Any], known: str, *, slack: float) -> None:
    """Warns of decision features that lie outside the range that a model knows, with both ranges.

    Args:
        task: The task.
        low: Least known value of each of its :meth:`~accelgym.envs.Task.decision_features`.
        high: Largest, likewise.
        known: What is known, for the message.
        slack: Excess that is rounding.
    """
    features = task.decision_features()
    least, most = features.min(axis=0), features.max(axis=0)
    outside = np.flatnonzero((least < low - slack) | (most > high + slack))
    if len(outside):
        found = ", ".join(
            f"{column} is {least[column]:.3g}..{most[column]:.3g}, known {low[column]:.3g}..{high[column]:.3g}"
            for column in outside[:4]
        )
        more = f" and {len(outside) - 4} more" if len(outside) > 4 else ""
        warn_input(f"{task!r} lies outside {known}: feature {found}{more}")


def _ordered(value: Any) -> Any:
    if isinstance(value, (set, frozenset)):
        return sorted((_ordered(part) for part in value), key=str)
    if isinstance(value, (tuple, list)):
        return [_ordered(part) for part in value]
    return plain(value)

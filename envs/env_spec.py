"""Gymnasium's specification of an environment that was made from a task object."""

from __future__ import annotations

from dataclasses import fields, replace
from enum import Enum
from typing import Any

from gymnasium.envs.registration import EnvSpec

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.plain import native
from accelgym.envs.arguments import TaskSpec
from accelgym.envs.registration import ANY_TASK, make_task
from accelgym.envs.task import Task

__all__ = ["ObjectSpec", "PlainSpec"]


class ObjectSpec(EnvSpec):
    """A specification with a task object in its arguments; as JSON it has the arguments that make this task."""

    def to_json(self) -> str:
        """Returns JSON from which ``gymnasium.make`` makes an environment of an equal task.

        Raises:
            InputError: The task was made from other objects, such as a workload of the caller's own.
        """
        given: dict[str, Any] = dict(self.kwargs)
        task = given.pop("task")
        arguments = _arguments(task)
        if self.id == ANY_TASK:
            arguments["task"] = task.env_id
        return EnvSpec(**_values(replace(self, kwargs=given | arguments))).to_json()


class PlainSpec:
    """Mixed into environments: their ``spec`` can be written as JSON."""

    _spec: EnvSpec | None = None

    @property
    def spec(self) -> EnvSpec | None:
        """Gymnasium's specification; a task object in it is replaced by the arguments that make it."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        self._spec = _plain_spec(spec)


def _plain_spec(spec: EnvSpec | None) -> EnvSpec | None:
    """Returns a specification whose ``to_json`` works, with plain data for NumPy's scalars and for modes."""
    if spec is None:
        return None
    kwargs = {key: value.name if isinstance(value, Enum) else native(value) for key, value in spec.kwargs.items()}
    kind = ObjectSpec if isinstance(kwargs.get("task"), Task) else EnvSpec
    return kind(**_values(spec) | {"kwargs": kwargs})


def _values(spec: EnvSpec) -> dict[str, Any]:
    return {field.name: getattr(spec, field.name) for field in fields(spec) if field.init}


def _arguments(task: Task) -> dict[str, Any]:
    """Returns the keyword arguments under which its own environment, or ``accelgym/Task-v0``, makes a task."""
    spec = getattr(task, "spec", None)
    if isinstance(spec, TaskSpec):
        arguments = spec.model_dump(mode="json", exclude_unset=True)
        if make_task(task.env_id, **arguments).id == task.id:
            return arguments
    raise InputError(
        f"{task!r} was made from objects, which JSON cannot hold: make the environment from the task's arguments, or "
        f"register the task as a plug-in and name it: gymnasium.make({ANY_TASK!r}, task=NAME)"
    )

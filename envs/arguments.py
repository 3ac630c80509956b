"""Base of the specifications of all tasks: keyword arguments, checked with errors that name the key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from accelgym.costmodels.errors import InputError, unknown_name

__all__ = ["TaskSpec"]


class TaskSpec(BaseModel):
    """Arguments of an environment; its fields are the keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def parse(cls, arguments: Mapping[str, Any]) -> Self:
        """Validates keyword arguments.

        Raises:
            InputError: Names the key, the value given and what is allowed.
        """
        cls.check_names(arguments)
        try:
            return cls(**arguments)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            # What several arguments break together has no key.
            given = f"{first['loc'][0]} is {first['input']!r}: " if first["loc"] else ""
            raise InputError(f"{given}{first['msg']}") from None

    @classmethod
    def check_names(cls, arguments: Mapping[str, Any]) -> None:
        """Refuses keys that are no arguments.

        Raises:
            InputError: Names the key and the closest ones.
        """
        for key in arguments:
            if key not in cls.model_fields:
                raise unknown_name("argument", key, cls.model_fields)

"""Base of the specifications of all tasks: keyword arguments, checked with errors that name the key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from accelgym.costmodels.errors import InputError, shown, unexpected_argument
from accelgym.costmodels.files.plain import native

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
            return cls.model_validate(native(dict(arguments)))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            # What several arguments break together has no key.
            given = f"{first['loc'][0]} is {shown(first['input'])}: " if first["loc"] else ""
            raise InputError(f"{given}{first['msg']}") from None

    @classmethod
    def check_names(cls, arguments: Mapping[str, Any]) -> None:
        """Refuses keys that are no arguments.

        Raises:
            UnexpectedArgumentError: Names the key and the closest ones.
        """
        for key in arguments:
            if key not in cls.model_fields:
                raise unexpected_argument("argument", key, cls.model_fields)

"""Schemas of files: what pydantic checks, said with file, line and key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, Strict, ValidationError

from accelgym.costmodels.errors import InputError, shown, unknown_name
from accelgym.costmodels.files.plain import Place
from accelgym.costmodels.files.yaml_source import read_yaml

__all__ = ["Count", "Pair", "StrictModel", "Triple", "explain", "key_of", "load_spec", "parse_fields"]

Count = Annotated[int, Field(ge=1)]
Pair = Annotated[tuple[int, int], Strict(False)]
"""A YAML list of two integers."""
Triple = Annotated[tuple[Count, Count, Count], Strict(False)]


class StrictModel(BaseModel):
    """Base of the file schemas: unknown keys and silently converted values are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


_TYPES = {"int", "str", "bool", "float", "constrained"}
Spec = TypeVar("Spec", bound=BaseModel)


def load_spec(model: type[Spec], path: Place) -> Spec:
    """Reads and checks a description file.

    Raises:
        InputError: Naming file, line, column and key, the value and what is allowed.
    """
    source = read_yaml(path)
    try:
        return model.model_validate(source.data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise source.error(key_of(first), explain(first)) from error


def parse_fields(model: type[Spec], data: Mapping[str, Any], what: str) -> Spec:
    """Checks a description that was given by keywords.

    Args:
        model: Its schema.
        data: Values by key.
        what: What a key is called in messages.

    Raises:
        InputError: Names the key, the value and what is allowed.
    """
    for key in data:
        if key not in model.model_fields:
            raise unknown_name(what, key, model.model_fields)
    try:
        return model.model_validate(dict(data))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InputError(f"{'.'.join(map(str, key_of(first)))}: {explain(first)}") from None


def explain(detail: Any) -> str:
    """Words one pydantic error: the value and what is allowed."""
    if detail["type"] == "missing":
        return "missing"
    if detail["type"] == "extra_forbidden":
        return "unknown key"
    cause = detail.get("ctx", {}).get("error")
    if isinstance(cause, InputError):
        return str(cause)
    return f"{shown(detail['input'])}: {detail['msg'].lower()}"


def key_of(detail: Any) -> tuple[int | str, ...]:
    """Returns the key path; pydantic adds the tried member of a union, such as ``int``, behind the key."""
    return tuple(
        part for part in detail["loc"] if isinstance(part, int) or (part.isidentifier() and part not in _TYPES)
    )

"""What every network description file states, and how it is read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field, Strict, ValidationError

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.yaml_source import read_yaml
from accelgym.costmodels.workloads.workload import Workload

__all__ = ["Count", "NetworkSpec", "Pair", "Published", "StrictModel", "Triple", "explain", "key_of", "load_spec"]

Count = Annotated[int, Field(ge=1)]
Pair = Annotated[tuple[int, int], Strict(False)]
"""A YAML list of two integers."""
Triple = Annotated[tuple[Count, Count, Count], Strict(False)]


class StrictModel(BaseModel):
    """Base of the file schemas: unknown keys and silently converted values are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Published(StrictModel):
    """Counts printed elsewhere, for comparison."""

    macs: float | None = None
    """Multiply-accumulates at the default parameters."""
    parameters: int | None = None
    """All trained parameters, biases and norms included."""
    reference: str
    """Where the counts are printed."""


class NetworkSpec(StrictModel):
    """A network description; subclasses add the hyperparameters of a family and know how to expand them."""

    source: str
    """Where the architecture comes from."""
    notes: str = ""
    """Deviations and conventions."""
    published: Published | None = None

    variants: ClassVar[tuple[str, ...]] = ("",)
    """Suffixes of the workload name, such as ``prefill``; the empty one is the name itself."""

    def parameters(self, variant: str) -> dict[str, int]:
        """Returns the parameters a name may carry, with their defaults; all are integers >= 1."""
        raise NotImplementedError

    def build(self, name: str, variant: str, values: Mapping[str, int]) -> Workload:
        """Expands the description.

        Args:
            name: Name of the workload.
            variant: One of ``variants``.
            values: A value for every parameter.
        """
        raise NotImplementedError


_TYPES = {"int", "str", "bool", "float", "constrained"}
Spec = TypeVar("Spec", bound=BaseModel)


def load_spec(model: type[Spec], path: Path) -> Spec:
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


def explain(detail: Any) -> str:
    """Words one pydantic error: the value and what is allowed."""
    if detail["type"] == "missing":
        return "missing"
    if detail["type"] == "extra_forbidden":
        return "unknown key"
    cause = detail.get("ctx", {}).get("error")
    if isinstance(cause, InputError):
        return str(cause)
    return f"{detail['input']!r}: {detail['msg'].lower()}"


def key_of(detail: Any) -> tuple[int | str, ...]:
    """Returns the key path; pydantic adds the tried member of a union, such as ``int``, behind the key."""
    return tuple(
        part for part in detail["loc"] if isinstance(part, int) or (part.isidentifier() and part not in _TYPES)
    )

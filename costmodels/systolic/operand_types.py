"""The number formats of an operand: one, or several among which every layer chooses at run time."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from pydantic import BeforeValidator

from accelgym.costmodels.datatypes import Datatype, get_datatype

__all__ = ["OperandTypes", "TypeNames", "formats_of", "names_of"]


class OperandTypes(NamedTuple):
    """The formats with which a layer runs; None leaves the choice open."""

    input: str | None = None
    weight: str | None = None


def _one_or_several(value: object) -> object:
    """Accepts a name or a list of different names; a list of one is the name."""
    names = [value] if isinstance(value, str) else list(value) if isinstance(value, (list, tuple)) else []
    if not names or not all(isinstance(name, str) for name in names):
        raise ValueError("allowed are the name of a number format, or a list of them")
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{name} is listed {names.count(name)} times, allowed is once")
    return names[0] if len(names) == 1 else tuple(names)


TypeNames = Annotated[str | tuple[str, ...], BeforeValidator(_one_or_several)]
"""Field type: the name of a format, or different names, of which the present layer runs with the first."""


def names_of(types: str | tuple[str, ...]) -> tuple[str, ...]:
    """Returns the names as a tuple, also where there is one."""
    return (types,) if isinstance(types, str) else types


def formats_of(types: str | tuple[str, ...]) -> tuple[Datatype, ...]:
    """Returns the formats in the order of their modes, which depends on nothing but the set: by bits, then by name."""
    return tuple(sorted(map(get_datatype, names_of(types)), key=lambda datatype: (datatype.bits, datatype.name)))

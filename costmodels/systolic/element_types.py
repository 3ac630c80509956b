"""What a configuration needs to know about a number format: its bits and its arithmetic family."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from accelgym.costmodels.errors import InputError

__all__ = ["ElementType", "Family", "element_type"]


class Family(StrEnum):
    """The arithmetic a format takes part in; decides which processing element is built."""

    INTEGER = "integer"
    FLOAT = "float"
    POSIT = "posit"


@dataclass(frozen=True)
class ElementType:
    """A number format as the array sees it."""

    name: str
    bits: int
    family: Family


_FLOATS = {
    "e4m3": 8,
    "e4m3fn": 8,
    "e5m2": 8,
    "e2m3": 6,
    "e3m2": 6,
    "e2m1": 4,
    "bf16": 16,
    "fp16": 16,
    "fp32": 32,
}
_INTEGER = re.compile(r"int([0-9]+)")
_INTEGER_BITS = range(2, 65)


def element_type(name: str) -> ElementType:
    """Returns the format of a name: ``int2`` .. ``int64``, a floating-point format or ``posit8_1``.

    Raises:
        InputError: No such format.
    """
    match = _INTEGER.fullmatch(name)
    if match and int(match[1]) in _INTEGER_BITS:
        return ElementType(name, int(match[1]), Family.INTEGER)
    if name in _FLOATS:
        return ElementType(name, _FLOATS[name], Family.FLOAT)
    if name == "posit8_1":
        return ElementType(name, 8, Family.POSIT)
    raise InputError(f"number format {name!r}: allowed int2 .. int64, {', '.join(_FLOATS)}, posit8_1")

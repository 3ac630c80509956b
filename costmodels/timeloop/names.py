"""Names that Timeloop v0.3 takes, for those that it refuses."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.architecture.machine import Architecture
from accelgym.costmodels.errors import InputError

__all__ = ["ExportNames"]

_NO_WORD = re.compile(r"\W", re.ASCII)


@dataclass(frozen=True)
class ExportNames:
    """Names by which an export calls dimensions and components.

    A dimension is one letter: its own where it has one, else the first free letter of its name, else any free one.
    In the name of a component a dot would be read as a path, and brackets as a range: everything but letters, digits
    and underscores becomes an underscore.
    """

    dims: Mapping[str, str]
    components: Mapping[str, str]
    """Levels, the multiplier, and the machine as a whole."""

    @classmethod
    def of(cls, problem: LoopNest, architecture: Architecture) -> ExportNames:
        """Chooses the names.

        Raises:
            InputError: The problem has more dimensions than there are letters.
        """
        parts = [architecture.name, *architecture.level_names, architecture.compute.name]
        return cls(_letters(problem), _words(parts))

    @property
    def comments(self) -> list[str]:
        """What was renamed, one line each; nothing where all names stay."""
        tables = (("dimension", self.dims), ("component", self.components))
        return [
            f"{kind} {' '.join(old.split())!r} is called {new!r} here"
            for kind, table in tables
            for old, new in table.items()
            if old != new
        ]

    def rename_problem(self, problem: LoopNest) -> LoopNest:
        """Returns the problem with the dimensions' new names."""
        tensors = (
            replace(tensor, axes=tuple(tuple((self.dims[dim], factor) for dim, factor in axis) for axis in tensor.axes))
            for tensor in problem.tensors
        )
        return replace(problem, dims=tuple(self.dims.values()), tensors=tuple(tensors))

    def rename_architecture(self, architecture: Architecture) -> Architecture:
        """Returns the machine with its parts' new names, in its constraints too."""

        def named(part: Any) -> Any:
            return replace(part, name=self.components[part.name])

        constraints = (
            replace(
                constraint,
                level=self.components[constraint.level],
                factors={self.dims.get(dim, dim): limit for dim, limit in constraint.factors.items()},
                permutation=tuple(self.dims.get(dim, dim) for dim in constraint.permutation),
            )
            for constraint in architecture.constraints
        )
        return replace(
            architecture,
            name=self.components[architecture.name],
            levels=tuple(map(named, architecture.levels)),
            compute=named(architecture.compute),
            constraints=tuple(constraints),
        )


def _letters(problem: LoopNest) -> dict[str, str]:
    taken = {dim for dim in problem.dims if dim in string.ascii_letters and len(dim) == 1}
    result = {}
    for dim in problem.dims:
        if dim not in taken or len(dim) > 1:
            wishes = [*dim.upper(), *dim, *string.ascii_uppercase, *string.ascii_lowercase]
            free = [x for x in wishes if x in string.ascii_letters and x not in taken]
            if not free:
                raise InputError(f"problem {problem.name!r}: Timeloop has letters for 52 dimensions only")
            taken.add(free[0])
            result[dim] = free[0]
        else:
            result[dim] = dim
    return result


def _words(names: Iterable[str]) -> dict[str, str]:
    result: dict[str, str] = {}
    for name in names:
        word = _NO_WORD.sub("_", name) or "_"
        while word in result.values():
            word += "_"
        result.setdefault(name, word)
    return result

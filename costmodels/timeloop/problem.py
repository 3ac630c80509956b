"""Timeloop's ``problem`` section as a loop nest, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from accelgym.costmodels.architecture.loop_nest import LoopNest, Tensor
from accelgym.costmodels.files.timeloop_yaml.expressions import Scope
from accelgym.costmodels.workloads.importers.timeloop_problem import (
    Contraction,
    read_contraction,
    read_contraction_file,
)

__all__ = ["problem_section", "read_problem", "read_timeloop_problem"]


def read_problem(section: Any, scope: Scope | None = None) -> LoopNest:
    """Reads shape and instance; see :func:`read_contraction`."""
    return _loop_nest(read_contraction(section, scope))


def read_timeloop_problem(path: str | Path, *, root: Path | None = None) -> LoopNest:
    """Reads the ``problem`` of a Timeloop file with the names that the file gives dimensions and tensors.

    Args:
        path: The file.
        root: Folder below which a template may include files; its own unless stated.

    Raises:
        InputError: The file or its problem cannot be read.
    """
    return _loop_nest(read_contraction_file(Path(path), root))


def _loop_nest(found: Contraction) -> LoopNest:
    tensors = tuple(Tensor(access.name, access.axes, access.written) for access in found.accesses)
    return LoopNest(found.name or "problem", tuple(found.bounds), tuple(found.bounds.values()), tensors)


def problem_section(problem: LoopNest) -> dict[str, Any]:
    """Writes the section as v0.3; coefficients are named ``c0``, ``c1`` ... and given in the instance."""
    coefficients: dict[str, int] = {}
    spaces = []
    for tensor in problem.tensors:
        projection = []
        for axis in tensor.axes:
            terms: list[list[str]] = []
            for dim, factor in axis:
                terms.append([dim])
                if factor != 1:
                    name = f"c{len(coefficients)}"
                    coefficients[name] = factor
                    terms[-1].append(name)
            projection.append(terms)
        space: dict[str, Any] = {"name": tensor.name, "projection": projection}
        if tensor.read_write:
            space["read-write"] = True
        spaces.append(space)
    shape = {
        "name": problem.name,
        "dimensions": list(problem.dims),
        "coefficients": [{"name": name, "default": 1} for name in coefficients],
        "data-spaces": spaces,
    }
    return {"version": 0.3, "shape": shape, "instance": {**problem.bound, **coefficients}}

"""The ``problem`` section of Timeloop, v0.3 and v0.4."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from accelgym.costmodels.architecture.loop_nest import Axis, LoopNest, Tensor
from accelgym.costmodels.errors import InputError, shown, unknown_name, warn_input
from accelgym.costmodels.files.timeloop_yaml.document import as_integer, as_list, as_table, normalise, parse_document
from accelgym.costmodels.files.timeloop_yaml.expressions import Scope
from accelgym.costmodels.workloads.importers.timeloop_shapes import named_shape

__all__ = ["problem_section", "read_problem", "read_timeloop_problem"]


_SILENT = ("H", "W", "Hpad", "Wpad", "name", "type")
"""Entries that the public collections put beside the bounds; Timeloop does not read them."""


def read_problem(section: Any, scope: Scope | None = None) -> LoopNest:
    """Reads shape and instance; hyphens or underscores.

    A shape may be one of Timeloop's own by name, ``cnn-layer`` where there is none. Bounds stand under ``instance``
    or beside the shape.

    Args:
        section: The section.
        scope: Names that expressions in bounds may use.

    Raises:
        InputError: A key is not understood, sparsity is asked for, or a bound is missing.
    """
    if isinstance(section, list):
        raise InputError(f"problem is a list of {len(section)}, allowed: one problem")
    section = as_table(section, "problem")
    shape = _shape(section.get("shape"))
    dims = tuple(str(dim) for dim in as_list(shape.get("dimensions"), "problem.shape.dimensions"))
    raw = _instance(section)
    scope = (scope or Scope()).within(raw)
    coefficients = _coefficients(shape, raw, scope)
    _check_instance(raw, (*dims, *coefficients))
    bounds = tuple(as_integer(scope.resolve(raw.get(d), w := f"problem.instance.{d}"), w) for d in dims)
    spaces = as_list(shape.get("data_spaces"), "problem.shape.data-spaces")
    tensors = tuple(_tensor(space, dims, coefficients) for space in spaces)
    return LoopNest(str(shape.get("name") or "problem"), dims, bounds, tensors)


def read_timeloop_problem(path: str | Path, *, root: Path | None = None) -> LoopNest:
    """Reads the ``problem`` of a Timeloop file with the names that the file gives dimensions and tensors.

    Args:
        path: The file.
        root: Folder below which a template may include files; its own unless stated.

    Raises:
        InputError: The file or its problem cannot be read.
    """
    document = parse_document(Path(path), root=root)
    if "problem" not in document:
        raise InputError(f"{path}: no 'problem' section")
    try:
        return read_problem(document["problem"], Scope(as_table(document.get("variables"), "variables")))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _shape(shape: Any) -> dict[str, Any]:
    if shape is None or isinstance(shape, str):
        shape = named_shape(shape or "cnn-layer")
    return normalise(shape, "problem.shape", ("name", "version", "dimensions", "coefficients", "data_spaces"))


def _instance(section: Mapping[str, Any]) -> dict[str, Any]:
    beside = {str(key): value for key, value in section.items() if key not in ("version", "shape", "instance")}
    raw = section.get("instance", {})
    if not isinstance(raw, Mapping) or (not raw and not beside):
        raise InputError(f"problem.instance is {shown(section.get('instance'))}, allowed: a mapping of bounds")
    inside = {str(key): value for key, value in raw.items()}
    for key in set(beside) & set(inside):
        raise InputError(f"problem: {key!r} stands beside the instance and in it")
    return beside | inside


def _check_instance(raw: Mapping[str, Any], known: Sequence[str]) -> None:
    ignored = []
    for key, value in raw.items():
        name = key.replace("-", "_")
        if name in ("densities", "commonDensity", "common_density", "data_densities"):
            if not _is_dense(value):
                raise InputError(f"problem.instance.{key} is {shown(value)}: sparse problems are not supported")
        elif key not in known and key not in _SILENT:
            ignored.append(key)
    if ignored:
        names = ", ".join(map(repr, ignored))
        warn_input(f"problem.instance: {names} without effect: no dimension or coefficient ({', '.join(known)})")


def _is_dense(value: Any) -> bool:
    """Whether densities say that every word counts."""
    if isinstance(value, Mapping):
        inner = value.get("density", 1) if "distribution" in value or "density" in value else None
        return _is_dense(inner) if inner is not None else all(_is_dense(part) for part in value.values())
    return value is None or value in (1, "1", "1.0")


def _coefficients(shape: Mapping[str, Any], instance: Mapping[str, Any], scope: Scope) -> dict[str, int]:
    result = {}
    for i, entry in enumerate(as_list(shape.get("coefficients"), "problem.shape.coefficients")):
        data = normalise(entry, f"problem.shape.coefficients[{i}]", ("name", "default"))
        name = data.get("name")
        if not isinstance(name, str):
            raise InputError(f"problem.shape.coefficients[{i}].name is {shown(name)}, allowed: a text")
        where = f"problem.instance.{name}"
        result[name] = as_integer(scope.resolve(instance.get(name, data.get("default")), where), where)
    return result


def _tensor(space: Any, dims: tuple[str, ...], coefficients: Mapping[str, int]) -> Tensor:
    data = normalise(space, "problem.shape.data-spaces", ("name", "projection", "read_write"))
    where = f"projection of {data.get('name')!r}"
    axes: list[Axis] = []
    for axis in as_list(data.get("projection"), where):
        terms = []
        for term in [axis] if isinstance(axis, str) else as_list(axis, where):
            parts = [term] if isinstance(term, str) else as_list(term, where)
            if not 1 <= len(parts) <= 2 or parts[0] not in dims:
                raise unknown_name(f"dimension in {where}", parts[0] if parts else term, dims)
            factor = parts[1] if len(parts) == 2 else 1
            if isinstance(factor, str):
                if factor not in coefficients:
                    raise unknown_name(f"coefficient in {where}", factor, coefficients)
                factor = coefficients[factor]
            if isinstance(factor, bool) or not isinstance(factor, int) or factor < 1:
                raise InputError(f"{where}: coefficient {factor!r} of {parts[0]}, allowed integers >= 1")
            terms.append((str(parts[0]), factor))
        axes.append(tuple(terms))
    return Tensor(str(data.get("name")), tuple(axes), bool(data.get("read_write", False)))


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

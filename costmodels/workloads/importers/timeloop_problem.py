"""Timeloop problem descriptions (YAML, versions 0.3 and 0.4), recognised by the structure of their projections."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.yaml_source import Key, YamlSource, read_yaml
from accelgym.costmodels.workloads.importers.einsum import Access, layer_from_accesses
from accelgym.costmodels.workloads.importers.timeloop_shapes import named_shape
from accelgym.costmodels.workloads.layer import MAX_DIM
from accelgym.costmodels.workloads.workload import Workload

__all__ = ["import_timeloop_problem"]


def import_timeloop_problem(path: str | Path, *, name: str | None = None) -> Workload:
    """Reads the ``problem`` of a Timeloop input file as a workload of one layer.

    Args:
        path: The file; keys besides ``problem`` are ignored.
        name: Name of workload and layer; the shape's name, or the file name, when omitted.

    Raises:
        InputError: Naming file, line, column and key; also for problems that are neither convolutions nor
            matrix products.
    """
    source = read_yaml(Path(path))
    key: Key = ("problem",)
    problem = _mapping(source, key, source.data.get("problem"))
    shape_key = (*key, "shape")
    shape = problem.get("shape", "cnn-layer")
    if isinstance(shape, str):
        try:
            shape = named_shape(shape)
        except InputError as error:
            raise source.error(shape_key, str(error)) from error
    shape = _mapping(source, shape_key, shape)
    instance_key = (*key, "instance") if "instance" in problem else key
    instance = _mapping(source, instance_key, problem.get("instance", problem))
    dims = shape.get("dimensions")
    if not isinstance(dims, list) or not dims or not all(isinstance(dim, str) for dim in dims):
        raise source.error((*shape_key, "dimensions"), f"{dims!r}, allowed: a list of names")
    bounds = {}
    for dim in dims:
        if dim not in instance:
            raise source.error(instance_key, f"the bound of dimension {dim!r} is missing")
        bounds[dim] = _count(source, (*instance_key, dim), instance[dim])
    coefficients = _coefficients(source, shape_key, shape, instance_key, instance)
    accesses = _accesses(source, shape_key, shape, bounds, coefficients)
    label = name or str(shape.get("name") or source.path.stem)
    try:
        layer = layer_from_accesses(label, bounds, accesses)
    except InputError as error:
        raise source.error(key, str(error)) from error
    return Workload(label, (layer,), (), str(path))


def _coefficients(
    source: YamlSource, shape_key: Key, shape: dict[str, Any], instance_key: Key, instance: dict[str, Any]
) -> dict[str, int]:
    values: dict[str, int] = {}
    rows = shape.get("coefficients") or []
    if not isinstance(rows, list):
        raise source.error((*shape_key, "coefficients"), f"{rows!r}, allowed: a list")
    for i, row in enumerate(rows):
        key = (*shape_key, "coefficients", i)
        entry = _mapping(source, key, row)
        name = entry.get("name")
        if not isinstance(name, str):
            raise source.error((*key, "name"), f"{name!r}, allowed: a name")
        if name in instance:
            values[name] = _count(source, (*instance_key, name), instance[name])
        else:
            values[name] = _count(source, (*key, "default"), entry.get("default", 1))
    return values


def _accesses(
    source: YamlSource,
    shape_key: Key,
    shape: dict[str, Any],
    bounds: dict[str, int],
    coefficients: dict[str, int],
) -> list[Access]:
    spelling = "data_spaces" if "data_spaces" in shape else "data-spaces"
    key = (*shape_key, spelling)
    spaces = shape.get(spelling)
    if not isinstance(spaces, list) or not spaces:
        raise source.error(key, f"{spaces!r}, allowed: a list of data spaces")
    accesses = []
    for i, space in enumerate(spaces):
        entry = _mapping(source, (*key, i), space)
        projection = entry.get("projection")
        projection_key = (*key, i, "projection")
        if not isinstance(projection, list):
            raise source.error(projection_key, f"{projection!r}, allowed: a list of axes")
        axes = tuple(
            _axis(source, (*projection_key, j), axis, bounds, coefficients) for j, axis in enumerate(projection)
        )
        written = bool(entry.get("read_write", entry.get("read-write", False)))
        accesses.append(Access(str(entry.get("name", f"tensor {i}")), axes, written))
    return accesses


def _axis(
    source: YamlSource, key: Key, axis: Any, bounds: dict[str, int], coefficients: dict[str, int]
) -> tuple[tuple[str, int], ...]:
    if not isinstance(axis, list) or not axis:
        raise source.error(key, f"{axis!r}, allowed: a list of terms such as [[P, Hstride], [R, Hdilation]]")
    terms = []
    for i, raw in enumerate(axis):
        term = [raw] if isinstance(raw, str) else raw
        if not isinstance(term, list) or not 1 <= len(term) <= 2:
            raise source.error((*key, i), f"{raw!r}, allowed: [dimension] or [dimension, coefficient]")
        dim, *factors = term
        if dim not in bounds:
            raise source.error((*key, i), f"unknown dimension {dim!r}, allowed: {', '.join(bounds)}")
        coefficient = factors[0] if factors else 1
        if isinstance(coefficient, str):
            if coefficient not in coefficients:
                allowed = ", ".join(coefficients) or "none"
                raise source.error((*key, i), f"unknown coefficient {coefficient!r}, allowed: {allowed}")
            coefficient = coefficients[coefficient]
        terms.append((dim, _count(source, (*key, i), coefficient)))
    return tuple(terms)


def _mapping(source: YamlSource, key: Key, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise source.error(key, "missing" if value is None else f"{value!r}, allowed: a mapping")
    return value


def _count(source: YamlSource, key: Key, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_DIM:
        raise source.error(key, f"{value!r}, allowed: integers 1..{MAX_DIM}")
    return value

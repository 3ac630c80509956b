"""The ``problem`` section of Timeloop's files, v0.3 and v0.4, and the layer that it is by its projections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelgym.costmodels.errors import InputError, shown, unknown_name, warn_input
from accelgym.costmodels.files.timeloop_yaml.document import as_integer, as_list, as_table, normalise, parse_document
from accelgym.costmodels.files.timeloop_yaml.expressions import Scope
from accelgym.costmodels.files.timeloop_yaml.positions import located
from accelgym.costmodels.workloads.importers.einsum import Access, Axis, layer_from_accesses
from accelgym.costmodels.workloads.importers.timeloop_shapes import named_shape
from accelgym.costmodels.workloads.workload import Workload

__all__ = ["Contraction", "import_timeloop_problem", "read_contraction", "read_contraction_file"]

_SILENT = ("H", "W", "Hpad", "Wpad", "name", "type")
"""Entries that the public collections put beside the bounds; Timeloop does not read them."""


@dataclass(frozen=True)
class Contraction:
    """A problem as its file states it: loops with their bounds, and tensors indexed by them."""

    name: str | None
    """Of the shape, where it has one."""
    bounds: Mapping[str, int]
    """In the order of ``dimensions``."""
    accesses: tuple[Access, ...]


def import_timeloop_problem(path: str | Path, *, name: str | None = None) -> Workload:
    """Reads the ``problem`` of a Timeloop input file as a workload of one layer.

    Args:
        path: The file; sections besides ``problem`` and ``variables`` are not looked at.
        name: Name of workload and layer; the shape's name, or the file name, when omitted.

    Raises:
        InputError: Naming file, line, column and key; also for problems that are neither convolutions nor
            matrix products.
    """
    path = Path(path)
    found = read_contraction_file(path)
    label = name or found.name or path.stem
    try:
        layer = layer_from_accesses(label, found.bounds, found.accesses)
    except InputError as error:
        raise InputError(located(path, str(error), "problem")) from error
    return Workload(label, (layer,), (), str(path))


def read_contraction_file(path: Path, root: Path | None = None) -> Contraction:
    """Reads the ``problem`` of a file.

    Args:
        path: The file.
        root: Folder below which a template may include files; its own unless stated.

    Raises:
        InputError: The file or its problem cannot be read.
    """
    document = parse_document(path, root=root)
    if "problem" not in document:
        raise InputError(f"{path}: no 'problem' section")
    try:
        return read_contraction(document["problem"], Scope(as_table(document.get("variables"), "variables")))
    except InputError as error:
        raise InputError(located(path, str(error), "problem")) from error


def read_contraction(section: Any, scope: Scope | None = None) -> Contraction:
    """Reads shape and instance; hyphens or underscores.

    A shape may be one of Timeloop's own by name, ``cnn-layer`` where there is none. Bounds stand under ``instance``
    or beside the shape.

    Args:
        section: The section.
        scope: Names that expressions in bounds may use.

    Raises:
        InputError: A key is not understood, sparsity is asked for, or a bound is missing. Messages about a key begin
            with it.
    """
    if isinstance(section, list):
        raise InputError(f"problem is a list of {len(section)}, allowed: one problem")
    section = as_table(section, "problem")
    shape = _shape(section.get("shape"))
    dims = as_list(shape.get("dimensions"), "problem.shape.dimensions")
    if not dims or not all(isinstance(dim, str) for dim in dims):
        raise InputError(f"problem.shape.dimensions is {shown(dims)}, allowed: a list of names")
    raw = _instance(section)
    scope = (scope or Scope()).within(raw)
    coefficients = _coefficients(shape, raw, scope)
    _check_instance(raw, (*dims, *coefficients))
    bounds = {}
    for dim in dims:
        if raw.get(dim) is None:
            raise InputError(f"problem.instance: the bound of dimension {dim!r} is missing")
        bounds[dim] = as_integer(scope.resolve(raw[dim], where := f"problem.instance.{dim}"), where)
    spaces = as_list(shape.get("data_spaces"), "problem.shape.data-spaces")
    accesses = tuple(_access(space, i, dims, coefficients) for i, space in enumerate(spaces))
    _once(dims, "problem.shape.dimensions")
    _once([access.name for access in accesses], "problem.shape.data-spaces")
    _once([*dims, *coefficients], "problem.shape.coefficients")
    name = shape.get("name")
    return Contraction(None if name is None else str(name), bounds, accesses)


def _shape(shape: Any) -> dict[str, Any]:
    if shape is None or isinstance(shape, str):
        try:
            shape = named_shape(shape or "cnn-layer")
        except InputError as error:
            raise InputError(f"problem.shape: {error}") from error
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


def _once(names: Sequence[str], where: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InputError(f"{where}: {shown(name)} is named twice")
        seen.add(name)


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
        if name in result:
            raise InputError(f"problem.shape.coefficients[{i}].name: {name!r} is named twice")
        result[name] = as_integer(scope.resolve(instance.get(name, data.get("default")), where), where)
    return result


def _access(space: Any, position: int, dims: Sequence[str], coefficients: Mapping[str, int]) -> Access:
    key = f"problem.shape.data-spaces[{position}]"
    data = normalise(space, key, ("name", "projection", "read_write", "ranks"))  # ranks name axes, for layouts
    where = f"{key}.projection of {data.get('name')!r}"
    axes: list[Axis] = []
    for axis in as_list(data.get("projection"), where):
        terms = []
        for term in [axis] if isinstance(axis, str) else as_list(axis, where):
            parts = [term] if isinstance(term, str) else as_list(term, where)
            if not 1 <= len(parts) <= 2 or parts[0] not in dims:
                raise InputError(f"{where}: {unknown_name('dimension', parts[0] if parts else term, dims)}")
            factor = parts[1] if len(parts) == 2 else 1
            if isinstance(factor, str):
                if factor not in coefficients:
                    raise InputError(f"{where}: {unknown_name('coefficient', factor, coefficients)}")
                factor = coefficients[factor]
            if isinstance(factor, bool) or not isinstance(factor, int) or factor < 1:
                raise InputError(f"{where}: coefficient {factor!r} of {parts[0]}, allowed integers >= 1")
            terms.append((str(parts[0]), factor))
        axes.append(tuple(terms))
    return Access(str(data.get("name")), tuple(axes), _truth(data.get("read_write"), f"{key}.read_write"))


def _truth(value: Any, where: str) -> bool:
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False, "none": False}
    if str(value).lower() not in words:
        raise InputError(f"{where} is {shown(value)}, allowed: true or false")
    return words[str(value).lower()]

"""The ``problem`` section of Timeloop, v0.3 and v0.4."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accelgym.costmodels.architecture.problem import Axis, Problem, Tensor
from accelgym.costmodels.errors import InputError, unknown_name
from accelgym.costmodels.timeloop.document import as_integer, as_list, normalise

__all__ = ["problem_section", "read_problem"]


def read_problem(section: Any) -> Problem:
    """Reads shape and instance; hyphens or underscores.

    Raises:
        InputError: A key is not understood, sparsity is asked for, or a bound is missing.
    """
    data = normalise(section, "problem", ("version", "shape", "instance"))
    if not isinstance(data.get("shape"), Mapping):
        raise InputError(f"problem.shape is {data.get('shape')!r}; named shapes are not supported, write it out")
    shape = normalise(data["shape"], "problem.shape", ("name", "dimensions", "coefficients", "data_spaces"))
    dims = tuple(str(dim) for dim in as_list(shape.get("dimensions"), "problem.shape.dimensions"))
    raw = data.get("instance")
    if not isinstance(raw, Mapping):
        raise InputError(f"problem.instance is {raw!r}, allowed: a mapping of bounds")
    coefficients = _coefficients(shape, raw)
    for key in raw:
        if str(key) in ("densities", "commonDensity"):
            raise InputError(f"problem.instance.{key}: sparse problems are not supported")
        if key not in dims and key not in coefficients:
            raise unknown_name("key in problem.instance", key, [*dims, *coefficients])
    bounds = []
    for dim in dims:
        if not isinstance(raw.get(dim), int):
            raise InputError(f"problem.instance.{dim} is {raw.get(dim)!r}, allowed integers >= 1")
        bounds.append(raw[dim])
    spaces = as_list(shape.get("data_spaces"), "problem.shape.data-spaces")
    tensors = tuple(_tensor(space, dims, coefficients) for space in spaces)
    return Problem(str(shape.get("name", "problem")), dims, tuple(bounds), tensors)


def _coefficients(shape: Mapping[str, Any], instance: Mapping[str, Any]) -> dict[str, int]:
    result = {}
    for i, entry in enumerate(as_list(shape.get("coefficients"), "problem.shape.coefficients")):
        data = normalise(entry, f"problem.shape.coefficients[{i}]", ("name", "default"))
        name = data.get("name")
        if not isinstance(name, str):
            raise InputError(f"problem.shape.coefficients[{i}].name is {name!r}, allowed: a text")
        result[name] = as_integer(instance.get(name, data.get("default")), f"problem.instance.{name}")
    return result


def _tensor(space: Any, dims: tuple[str, ...], coefficients: Mapping[str, int]) -> Tensor:
    data = normalise(space, "problem.shape.data-spaces", ("name", "projection", "read_write"))
    where = f"projection of {data.get('name')!r}"
    axes: list[Axis] = []
    for axis in as_list(data.get("projection"), where):
        terms = []
        for term in as_list(axis, where):
            parts = as_list(term, where)
            if not 1 <= len(parts) <= 2 or parts[0] not in dims:
                raise unknown_name(f"dimension in {where}", parts[0] if parts else term, dims)
            factor = parts[1] if len(parts) == 2 else 1
            if isinstance(factor, str):
                if factor not in coefficients:
                    raise unknown_name(f"coefficient in {where}", factor, coefficients)
                factor = coefficients[factor]
            if not isinstance(factor, int) or factor < 1:
                raise InputError(f"{where}: coefficient {factor!r} of {parts[0]}, allowed integers >= 1")
            terms.append((str(parts[0]), factor))
        axes.append(tuple(terms))
    return Tensor(str(data.get("name")), tuple(axes), bool(data.get("read_write", False)))


def problem_section(problem: Problem) -> dict[str, Any]:
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

"""Mapping directives and mapspace constraints of Timeloop."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from accelgym.costmodels.architecture.machine import Architecture, Constraint
from accelgym.costmodels.architecture.problem import Problem
from accelgym.costmodels.errors import InputError, unknown_name
from accelgym.costmodels.timeloop.document import as_integer, as_list, as_number, normalise

__all__ = ["Targets", "read_constraint", "read_factors", "read_mapping", "read_permutation"]

_FACTOR = re.compile(r"^(?P<dim>\w+?)(?P<relation><=|>=|=)(?P<value>\d+)(?:,(?P<residual>\d+))?$")
_KINDS = {
    "temporal": "temporal",
    "spatial": "spatial",
    "bypass": "bypass",
    "datatype": "bypass",
    "dataspace": "bypass",
    "utilization": "utilization",
}


@dataclass
class Targets:
    """Which level a target name means."""

    storage: dict[str, int]
    fanout: dict[str, int] = field(default_factory=dict)
    """v0.4: containers and nodes, to the level whose fan-out leads into them. Empty for v0.3."""
    only_y: frozenset[str] = frozenset()
    """v0.4: targets that spread along y only."""

    def level(self, name: Any, kind: str) -> int:
        """Returns the level of a directive.

        Raises:
            InputError: No such target.
        """
        table = self.fanout if kind == "spatial" and self.fanout else self.storage
        if not isinstance(name, str) or name not in table:
            raise unknown_name(f"{kind} target", name, table)
        return table[name]


def read_factors(value: Any, dims: Sequence[str], where: str) -> dict[str, tuple[str, int, int | None]]:
    """Reads ``"N=1 K=2,3"`` or a list; returns dimension to (relation, value, residual).

    Raises:
        InputError: Not of that form, or a dimension that does not exist or appears twice.
    """
    parts = value.split() if isinstance(value, str) else [str(part).replace(" ", "") for part in as_list(value, where)]
    result: dict[str, tuple[str, int, int | None]] = {}
    for part in parts:
        match = _FACTOR.match(part.rstrip(","))
        if match is None:
            raise InputError(f"{where}: factor {part!r}, allowed DIM=bound or DIM=bound,residual")
        if match["dim"] not in dims:
            raise unknown_name(f"dimension in {where}", match["dim"], dims)
        if match["dim"] in result:
            raise InputError(f"{where}: dimension {match['dim']!r} appears twice")
        residual = None if match["residual"] is None else int(match["residual"])
        result[match["dim"]] = (match["relation"], int(match["value"]), residual)
    return result


def read_permutation(value: Any, dims: Sequence[str], where: str) -> tuple[str, ...]:
    """Reads an order of dimensions, innermost first: ``"SRQ"``, ``"S,R,Q"`` or a list.

    Raises:
        InputError: A dimension does not exist or appears twice.
    """
    if value is None:
        return ()
    if isinstance(value, str):
        names = value.replace(",", " ").split()
        if len(names) == 1 and names[0] not in dims:
            names = list(names[0])
    else:
        names = [str(name) for name in as_list(value, where)]
    for name in names:
        if name not in dims:
            raise unknown_name(f"dimension in {where}", name, dims)
    if len(set(names)) != len(names):
        raise InputError(f"{where}: a dimension appears twice in {names}")
    return tuple(names)


_DIRECTIVE_KEYS = (
    "target",
    "type",
    "factors",
    "permutation",
    "split",
    "keep",
    "bypass",
    "no_link_transfer",
    "no_temporal_reuse",
    "no_multicast_no_reduction",
)


def read_mapping(section: Any, problem: Problem, architecture: Architecture, targets: Targets) -> dict[str, Any]:
    """Reads directives into lists of loops, the form :meth:`Mappings.from_loops` takes.

    Raises:
        InputError: A directive is not understood, repeats, or asks for a feature that is not modelled.
    """
    temporal: dict[str, list[dict[str, Any]]] = {}
    spatial: dict[int, dict[str, Any]] = {}
    bypass: dict[str, list[str]] = {}
    names = (*architecture.level_names, architecture.compute.name)
    seen: set[tuple[Any, str]] = set()
    for i, entry in enumerate(as_list(section, "mapping")):
        where = f"mapping[{i}]"
        data = normalise(entry, where, _DIRECTIVE_KEYS)
        kind = _kind(data, where, ("temporal", "spatial", "bypass", "datatype", "dataspace"))
        for key in ("no_temporal_reuse", "no_multicast_no_reduction"):
            if data.get(key):
                raise InputError(f"{where}.{key}={data[key]!r} is not supported")
        level = targets.level(data.get("target"), kind)
        if (data["target"], kind) in seen:
            raise InputError(f"{where}: a second {kind} directive for {data['target']!r}")
        seen.add((data["target"], kind))
        if kind == "bypass":
            gone = _tensors(data.get("bypass"), problem, f"{where}.bypass")
            _tensors(data.get("keep"), problem, f"{where}.keep")
            bypass[names[level]] = gone
            continue
        loops = _loops(data, problem, where)
        if kind == "temporal":
            temporal[names[level]] = loops
            continue
        along = spatial.setdefault(level, {"between": [names[level], names[level + 1]], "x": [], "y": []})
        order = read_permutation(data.get("permutation"), problem.dims, f"{where}.permutation")
        default = 0 if data["target"] in targets.only_y else len(problem.dims)
        split = _split(data.get("split", default), where)
        in_x = set(_complete(order, problem.dims)[:split])
        for loop in loops:
            along["x" if loop["dim"] in in_x else "y"].append(loop)
    return {"temporal": temporal, "spatial": list(spatial.values()), "bypass": bypass}


def _loops(data: Mapping[str, Any], problem: Problem, where: str) -> list[dict[str, Any]]:
    factors = read_factors(data.get("factors") or [], problem.dims, f"{where}.factors")
    order = read_permutation(data.get("permutation"), problem.dims, f"{where}.permutation")
    loops = []
    for dim in reversed(_complete(order, problem.dims)):
        relation, bound, residual = factors.get(dim, ("=", 1, None))
        if relation != "=":
            raise InputError(f"{where}.factors: {dim}{relation}{bound}, allowed '=' in a mapping")
        bound = bound or problem.bound[dim]
        loop: dict[str, Any] = {"dim": dim, "bound": bound}
        if residual is not None:
            loop["residual"] = residual
        if bound > 1:
            loops.append(loop)
    return loops


def _split(value: Any, where: str) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise InputError(f"{where}.split is {value!r}, allowed integers >= 0")
    return value


def _complete(order: tuple[str, ...], dims: Sequence[str]) -> list[str]:
    return [*order, *(dim for dim in dims if dim not in order)]


def _kind(data: Mapping[str, Any], where: str, allowed: Sequence[str]) -> str:
    if data.get("type") not in allowed:
        raise unknown_name(f"{where}.type", data.get("type"), allowed)
    return _KINDS[data["type"]]


def _tensors(value: Any, problem: Problem, where: str) -> list[str]:
    names = [str(name) for name in as_list(value, where)]
    for name in names:
        if name not in problem.tensor_names:
            raise unknown_name(f"tensor in {where}", name, problem.tensor_names)
    return names


_CONSTRAINT_KEYS = (
    "target",
    "type",
    "factors",
    "permutation",
    "split",
    "keep",
    "bypass",
    "min",
    "default_max_factor",
    "no_link_transfer",
)


def read_constraint(
    entry: Any, problem: Problem, architecture: Architecture, targets: Targets, where: str
) -> Constraint:
    """Reads one entry of ``architecture_constraints`` or ``mapspace_constraints``.

    ``default_max_factor`` becomes an upper limit of every dimension without one.

    Raises:
        InputError: A key or value is not understood.
    """
    data = normalise(entry, where, _CONSTRAINT_KEYS)
    kind = _kind(data, where, tuple(_KINDS))
    name = architecture.level_names[targets.level(data.get("target"), kind)]
    factors = {}
    for dim, (relation, value, residual) in read_factors(
        data.get("factors") or [], problem.dims, f"{where}.factors"
    ).items():
        if residual is not None:
            raise InputError(f"{where}.factors: {dim} has a residual, allowed DIM=bound, DIM<=bound, DIM>=bound")
        factors[dim] = (relation, value)
    if "default_max_factor" in data:
        for dim in problem.dims:
            factors.setdefault(dim, ("<=", as_integer(data["default_max_factor"], f"{where}.default_max_factor")))
    return Constraint(
        name,
        kind,  # type: ignore[arg-type]
        factors,
        read_permutation(data.get("permutation"), problem.dims, f"{where}.permutation"),
        _split(data.get("split"), where),
        tuple(_tensors(data.get("keep"), problem, f"{where}.keep")),
        tuple(_tensors(data.get("bypass"), problem, f"{where}.bypass")),
        as_number(data.get("min", 0.0), f"{where}.min"),
    )

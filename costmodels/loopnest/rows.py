"""Evaluation of JSON rows: problem, machine and mapping in, accesses, cycles and energy out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from accelgym.costmodels.architecture.machine import Architecture, Compute, StorageLevel
from accelgym.costmodels.architecture.problem import Problem
from accelgym.costmodels.costs import Reason
from accelgym.costmodels.errors import InputError, unknown_name
from accelgym.costmodels.loopnest.mappings import Mappings
from accelgym.costmodels.loopnest.model import Counting, LoopnestModel
from accelgym.costmodels.loopnest.steps import Engine
from accelgym.costmodels.loopnest.terms import COUNTERS

__all__ = ["architecture_from_row", "evaluate_rows", "problem_from_row"]

_KEYS = ("id", "problem", "arch", "mapping", "link_transfers", "variant", "engine")
_IGNORED = ("source", "set", "result", "default_link_transfers_differ")
_VARIANTS = ("no_extrapolation", "no_first_read_elision")


def evaluate_rows(
    rows: Iterable[Mapping[str, Any]], *, counting: Counting = "closed", engine: Engine = "head"
) -> Iterator[dict[str, Any]]:
    """Evaluates rows one by one.

    A row has ``problem`` (``kind`` ``conv2d`` or ``gemm``, ``dims``, ``stride``, ``dilation``), ``arch``
    (``levels`` outer to inner, ``mesh``, ``mac_energy_pJ``) and ``mapping`` (see
    :meth:`Mappings.from_loops`); optionally ``id``, ``link_transfers``, ``variant`` and ``engine``.

    Args:
        rows: The rows.
        counting: ``closed``, ``walk`` or ``sampled``. Link transfers have no closed form: such rows are sampled,
            and the result says so.
        engine: Default of rows that state none.

    Yields:
        ``id`` and ``result``: ``accesses[level][tensor]`` (totals over instances, tensors kept there),
        ``cycles``, ``cycles_per_level``, ``energy_pJ``, ``utilized_pes``, ``counting``; of an invalid mapping
        ``valid`` (False), ``reason`` and ``message``.

    Raises:
        InputError: A row is malformed; the message names line, key and value.
    """
    for line, row in enumerate(rows, start=1):
        where = f"line {line}"
        try:
            if not isinstance(row, Mapping):
                raise InputError(f"the row is {type(row).__name__}, allowed: a JSON object")
            if "id" in row:
                where = f"line {line} (id {row['id']!r})"
            yield {"id": row.get("id", line), "result": _evaluate(row, counting, engine)}
        except InputError as error:
            raise InputError(f"{where}: {error}") from error


def _evaluate(row: Mapping[str, Any], counting: Counting, engine: Engine) -> dict[str, Any]:
    for key in row:
        if key not in _KEYS and key not in _IGNORED:
            raise unknown_name("key", key, _KEYS)
    variant = row.get("variant")
    if variant is not None and variant not in _VARIANTS:
        raise unknown_name("variant", variant, _VARIANTS)
    links = _get(row, "link_transfers", bool, "row", default=False)
    if counting == "closed" and links:
        counting = "sampled"
    if counting == "sampled" and variant == "no_extrapolation":
        counting = "walk"
    problem = problem_from_row(_get(row, "problem", Mapping, "row"))
    mapping = _get(row, "mapping", Mapping, "row")
    architecture = architecture_from_row(_get(row, "arch", Mapping, "row"), mapping)
    model = LoopnestModel(
        problem,
        architecture,
        engine=row.get("engine", engine),
        counting=counting,
        first_read_elision=variant != "no_first_read_elision",
        link_transfers=links,
    )
    mappings = Mappings.from_loops(problem, architecture, [mapping])
    return _result(model, mappings)


def _result(model: LoopnestModel, mappings: Mappings) -> dict[str, Any]:
    costs = model.evaluate(mappings)
    if not costs.valid[0]:
        reason = Reason(int(costs.reason[0]))
        return {"valid": False, "reason": reason.name, "message": _explain(model, mappings, reason)}
    table, architecture = costs.breakdown, model.architecture
    accesses: dict[str, dict[str, dict[str, int]]] = {}
    for v, level in enumerate(architecture.levels):
        accesses[level.name] = {}
        for t, tensor in enumerate(model.problem.tensors):
            if mappings.keep is not None and not mappings.keep[0, v, t]:
                continue
            counts = {"tile_words": int(table[f"{level.name}.{tensor.name}.tile_words"][0])}
            for name in COUNTERS:
                key = f"{level.name}.{tensor.name}.{name}"
                counts[name] = int(table[key][0]) if key in table else 0
            accesses[level.name][tensor.name] = counts
    energy = {architecture.compute.name: float(table[f"{architecture.compute.name}.energy_pj"][0])}
    energy |= {level.name: float(table[f"{level.name}.energy_pj"][0]) for level in architecture.levels}
    energy["total"] = float(costs.energy_pj[0])
    return {
        "accesses": accesses,
        "cycles": int(costs.latency_cycles[0]),
        "cycles_per_level": {x.name: int(table[f"{x.name}.cycles"][0]) for x in architecture.levels},
        "energy_pJ": energy,
        "utilized_pes": int(table["utilized_pes"][0]),
        "utilization": float(table["utilisation"][0]),
        "counting": model.counting,
        "engine": model.engine,
        "technology": costs.technology,
    }


def _explain(model: LoopnestModel, mappings: Mappings, reason: Reason) -> str:
    problem, architecture = model.problem, model.architecture
    loops = mappings.loops(0)
    if reason is Reason.FACTORISATION:
        for d, name in enumerate(problem.dims):
            covered = 0
            for loop in loops:
                if loop.dim == d:
                    covered = covered * loop.bound + loop.residual - 1
            if covered + 1 != problem.bounds[d]:
                return f"mapping: the factors of {name} cover {covered + 1}, the bound is {problem.bounds[d]}"
    if reason is Reason.FANOUT:
        for v, level in enumerate(architecture.levels):
            for kind, limit in (("x", level.fanout_x), ("y", level.fanout_y)):
                used = 1
                for loop in loops:
                    used *= loop.bound if (loop.level, loop.kind) == (v, kind) else 1
                if used > limit:
                    return f"mapping.spatial.{kind}: {used} below {level.name!r}, the fan-out is {limit}"
    if reason is Reason.CAPACITY:
        for v, level in enumerate(architecture.levels):
            words = sum(
                problem.tile_words(tensor, _extents(problem, loops, v))
                for t, tensor in enumerate(problem.tensors)
                if level.may_store(tensor.name) and (mappings.keep is None or mappings.keep[0, v, t])
            )
            if level.tile_capacity is not None and words > level.tile_capacity:
                return f"mapping: tiles of {words} words overflow {level.name!r}, which holds {level.tile_capacity}"
    return f"mapping: {reason.name}"


def _extents(problem: Problem, loops: list[Any], level: int) -> dict[str, int]:
    extents = dict.fromkeys(problem.dims, 1)
    for loop in loops:
        if loop.level >= level:
            extents[problem.dims[loop.dim]] *= loop.bound
    return extents


def problem_from_row(row: Mapping[str, Any]) -> Problem:
    """Reads the ``problem`` of a row.

    Raises:
        InputError: A key is missing, or of the wrong kind, or a value is not allowed.
    """
    kind = row.get("kind")
    dims = _get(row, "dims", Mapping, "problem")
    names = {"conv2d": ("N", "K", "C", "P", "Q", "R", "S"), "gemm": ("I", "J", "L")}
    if kind not in names:
        raise unknown_name("problem.kind", kind, names)
    for dim in dims:
        if dim not in names[kind]:
            raise unknown_name("dimension in problem.dims", dim, names[kind])
    for dim in names[kind]:
        if dim not in dims:
            raise InputError(f"problem.dims: {dim} is missing")
        if isinstance(dims[dim], bool) or not isinstance(dims[dim], int) or dims[dim] < 1:
            raise InputError(f"problem.dims.{dim} is {dims[dim]!r}, allowed integers >= 1")
    name = str(row.get("name", kind))
    if kind == "gemm":
        return Problem.gemm(name, **dims)
    pairs = {key: tuple(row.get(key) or (1, 1)) for key in ("stride", "dilation")}
    for key, pair in pairs.items():
        if len(pair) != 2 or any(isinstance(x, bool) or not isinstance(x, int) or x < 1 for x in pair):
            raise InputError(f"problem.{key} is {list(pair)!r}, allowed two integers >= 1")
    return Problem.conv(name, **dims, stride=pairs["stride"], dilation=pairs["dilation"])


def architecture_from_row(row: Mapping[str, Any], mapping: Mapping[str, Any] | None = None) -> Architecture:
    """Reads the ``arch`` of a row.

    Args:
        row: The machine; ``mesh`` lies between the levels that ``mapping.spatial.between`` names, or below the
            last level but one.
        mapping: The mapping of the row.

    Raises:
        InputError: A key is missing, or of the wrong kind, or a value is not allowed.
    """
    entries = _get(row, "levels", list, "arch")
    names = [_get(entry, "name", str, f"arch.levels[{i}]") for i, entry in enumerate(entries)]
    mesh = _get(row, "mesh", Mapping, "arch", default={"x": 1, "y": 1})
    spatial = (mapping or {}).get("spatial")
    outer = names[max(len(names) - 2, 0)] if names else ""
    if isinstance(spatial, Mapping) and spatial.get("between"):
        outer = spatial["between"][0]
        if outer not in names:
            raise unknown_name("level in mapping.spatial.between", outer, names)
    levels = []
    for i, entry in enumerate(entries):
        where = f"arch.levels[{i}]"
        fanout = mesh if names[i] == outer else {}
        levels.append(
            StorageLevel(
                names[i],
                capacity_words=entry.get("capacity_words"),
                word_bits=_get(entry, "word_bits", int, where, default=16),
                read_bw=entry.get("read_bw"),
                write_bw=entry.get("write_bw"),
                read_pj=_get(entry, "energy_read_pJ", (int, float), where),
                write_pj=_get(entry, "energy_write_pJ", (int, float), where),
                fanout_x=_get(fanout, "x", int, "arch.mesh", default=1),
                fanout_y=_get(fanout, "y", int, "arch.mesh", default=1),
            )
        )
    compute = Compute(mac_pj=_get(row, "mac_energy_pJ", (int, float), "arch"))
    return Architecture(str(row.get("name", "row")), tuple(levels), compute, technology="energies of the row")


def _get(row: Mapping[str, Any], key: str, kind: Any, where: str, *, default: Any = None) -> Any:
    if key not in row and default is not None:
        return default
    value = row.get(key)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        allowed = " or ".join(k.__name__ for k in kind) if isinstance(kind, tuple) else kind.__name__
        raise InputError(f"{where}.{key} is {value!r}, allowed: {allowed}")
    return value

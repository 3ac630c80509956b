"""Problems and machines out of JSON rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.architecture.machine import Architecture, Compute, StorageLevel
from accelgym.costmodels.errors import InputError, unknown_name
from accelgym.costmodels.workloads.layer import MAX_MACS

__all__ = ["architecture_from_row", "problem_from_row", "read_entry"]

_DIMS = {
    "conv2d": ("N", "K", "C", "P", "Q", "R", "S"),
    "depthwise2d": ("N", "C", "P", "Q", "R", "S"),
    "gemm": ("I", "J", "L"),
    "batched_gemm": ("B", "I", "J", "L"),
}
_NUMBER = (int, float)


def problem_from_row(row: Mapping[str, Any]) -> LoopNest:
    """Reads the ``problem`` of a row.

    Raises:
        InputError: A key is missing, or of the wrong kind, or a value is not allowed.
    """
    kind = read_entry(row, "kind", str, "problem")
    if kind not in _DIMS:
        raise unknown_name("problem.kind", kind, _DIMS)
    dims = read_entry(row, "dims", Mapping, "problem")
    for dim in dims:
        if dim not in _DIMS[kind]:
            raise unknown_name("dimension in problem.dims", dim, _DIMS[kind])
    for dim in _DIMS[kind]:
        if dim not in dims:
            raise InputError(f"problem.dims: {dim} is missing")
        if not _positive(dims[dim]):
            raise InputError(f"problem.dims.{dim} is {dims[dim]!r}, allowed integers >= 1")
    name = str(row.get("name", kind))
    if kind == "gemm":
        return LoopNest.gemm(name, **dims)
    if kind == "batched_gemm":
        return LoopNest.batched_gemm(name, **dims)
    stride, dilation = (_pair(row.get(key), f"problem.{key}") for key in ("stride", "dilation"))
    build = LoopNest.conv if kind == "conv2d" else LoopNest.depthwise
    return build(name, **dims, stride=stride, dilation=dilation)


def architecture_from_row(row: Mapping[str, Any], mapping: Mapping[str, Any] | None = None) -> Architecture:
    """Reads the ``arch`` of a row.

    Args:
        row: The machine; ``mesh`` lies between the levels that ``mapping.spatial.between`` names, or below the
            last level but one.
        mapping: The mapping of the row.

    Raises:
        InputError: A key is missing, or of the wrong kind, or a value is not allowed.
    """
    entries = read_entry(row, "levels", list, "arch")
    names = []
    for i, entry in enumerate(entries):
        if not isinstance(entry, Mapping):
            raise InputError(f"arch.levels[{i}] is {entry!r}, allowed: a table")
        names.append(read_entry(entry, "name", str, f"arch.levels[{i}]"))
    mesh = read_entry(row, "mesh", Mapping, "arch", default={})
    spatial = (mapping or {}).get("spatial")
    outer = names[max(len(names) - 2, 0)] if names else ""
    if isinstance(spatial, Mapping) and spatial.get("between"):
        between = spatial["between"]
        outer = between[0] if isinstance(between, list) else between
        if outer not in names:
            raise unknown_name("level in mapping.spatial.between", outer, names)
    fanouts = [mesh if name == outer else {} for name in names]
    levels = tuple(_level(entry, fanout, i) for i, (entry, fanout) in enumerate(zip(entries, fanouts, strict=True)))
    mac_pj = read_entry(row, "mac_energy_pJ", _NUMBER, "arch")
    if not (mac_pj >= 0 and math.isfinite(mac_pj)):
        raise InputError(f"arch.mac_energy_pJ is {mac_pj!r}, allowed finite and >= 0")
    name = str(row.get("name", "row"))
    return Architecture(name, levels, Compute(mac_pj=mac_pj), technology="energies of the row")


def read_entry(row: Mapping[str, Any], key: str, kind: Any, where: str, *, default: Any = None) -> Any:
    """Returns a value of one of the types ``kind``.

    Raises:
        InputError: The key is missing and there is no default, or the value has another type.
    """
    if default is not None and row.get(key) is None:
        return default
    value = row.get(key)
    wrong = not isinstance(value, kind) or (kind is not bool and isinstance(value, bool))
    if wrong or (isinstance(value, int) and abs(value) > MAX_MACS):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        allowed = " or ".join(_KINDS[k] for k in kinds)
        given = repr(value) if key in row else "missing"
        raise InputError(f"{where}.{key} is {given}, allowed: {allowed}")
    return value


_KINDS = {
    bool: "true or false",
    float: "a number",
    int: "an integer up to 2**53",
    list: "a list",
    Mapping: "a table",
    str: "a text",
}


def _level(entry: Mapping[str, Any], mesh: Mapping[str, Any], i: int) -> StorageLevel:
    where = f"arch.levels[{i}]"
    limits: dict[str, Any] = {}
    for key, kind in (("capacity_words", int), ("read_bw", _NUMBER), ("write_bw", _NUMBER)):
        limits[key] = None if entry.get(key) is None else read_entry(entry, key, kind, where)
    return StorageLevel(
        entry["name"],
        **limits,
        word_bits=read_entry(entry, "word_bits", int, where, default=16),
        read_pj=read_entry(entry, "energy_read_pJ", _NUMBER, where),
        write_pj=read_entry(entry, "energy_write_pJ", _NUMBER, where),
        fanout_x=read_entry(mesh, "x", int, "arch.mesh", default=1),
        fanout_y=read_entry(mesh, "y", int, "arch.mesh", default=1),
    )


def _pair(value: Any, where: str) -> tuple[int, int]:
    if value is None:
        return 1, 1
    if not isinstance(value, list) or len(value) != 2 or not all(map(_positive, value)):
        raise InputError(f"{where} is {value!r}, allowed two integers >= 1")
    return value[0], value[1]


def _positive(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_MACS

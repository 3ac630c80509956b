"""Timeloop's component attributes and its ERT and ART tables, as storage levels and a multiplier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from accelgym.costmodels.architecture.machine import Compute, StorageLevel
from accelgym.costmodels.components.technologies import Technology
from accelgym.costmodels.errors import InputError, unknown_name
from accelgym.costmodels.timeloop.document import as_integer, as_list, as_number, normalise
from accelgym.costmodels.timeloop.hierarchy import Node

__all__ = ["apply_tables", "build_compute", "build_levels", "read_art", "read_ert"]

_WIDTH = ("width", "memory_width", "data_storage_width")
_DEPTH = ("depth", "memory_depth", "data_storage_depth")
_WORD = ("word_bits", "word_width", "datawidth")
_BLOCK = ("block_size", "n_words")
_KNOWN = (
    *_WIDTH,
    *_DEPTH,
    *_WORD,
    *_BLOCK,
    "entries",
    "sizeKB",
    "bandwidth",
    "read_bandwidth",
    "write_bandwidth",
    "shared_bandwidth",
    "multiple_buffering",
    "min_utilization",
    "vector_access_energy",
)
_CARRIED = (
    "technology",
    "num_banks",
    "n_banks",
    "num_ports",
    "n_ports",
    "type",
    "subclass",
    "latency",
    "cycle_seconds",
    "global_cycle_seconds",
    "accelergy_class",
)
"""Attributes that only price a component; kept for export."""
_NEUTRAL = {
    "cluster_size": (1,),
    "addr_gen_energy": (0,),
    "cluster_area": (0,),
    "network_fill_latency": (0,),
    "network_drain_latency": (0,),
    "allow_overbooking": (False, 0),
    "reduction_supported": (True, 1),
    "network_read": ("",),
    "network_fill": ("",),
    "network_drain": ("",),
    "network_update": ("",),
    "metadata_word_bits": (0,),
    "metadata_storage_depth": (0,),
    "metadata_storage_width": (0,),
}
"""Keys of features that are not modelled, and the values that ask for none."""


def build_levels(nodes: Sequence[Node], technology: Technology) -> tuple[StorageLevel, ...]:
    """Builds the storage levels; energies and areas come from the technology.

    Args:
        nodes: Memories, then the multiplier, outer to inner.
        technology: Prices every class.

    Raises:
        InputError: An attribute is not understood or not supported, or the meshes do not nest.
    """
    levels = []
    for node, inner in pairwise(nodes):
        level = _level(node, technology)
        if inner.mesh_x % node.mesh_x or inner.mesh_y % node.mesh_y:
            raise InputError(
                f"architecture: {inner.name!r} ({inner.mesh_x} x {inner.mesh_y}) does not nest in {node.name!r} "
                f"({node.mesh_x} x {node.mesh_y})"
            )
        levels.append(replace(level, fanout_x=inner.mesh_x // node.mesh_x, fanout_y=inner.mesh_y // node.mesh_y))
    return tuple(levels)


def _level(node: Node, technology: Technology) -> StorageLevel:
    where, values = f"attributes of {node.name!r}", node.attributes
    for key, value in values.items():
        if key in _NEUTRAL:
            if value not in _NEUTRAL[key]:
                raise InputError(f"{where}: {key}={value!r} is not supported, allowed {_NEUTRAL[key][0]!r}")
        elif key not in _KNOWN and key not in _CARRIED:
            raise unknown_name(f"key in {where}", key, [*_KNOWN, *_CARRIED, *_NEUTRAL])
    word_bits = _number(_first(values, _WORD), where, "word-bits") or 16
    width = _number(_first(values, _WIDTH), where, "width")
    block = _number(_first(values, _BLOCK), where, "block-size")
    if block is None:
        block = 1 if width is None else max(1, width // word_bits)
    depth = _number(_first(values, _DEPTH), where, "depth")
    capacity = _capacity(values, where, depth, block, word_bits)
    is_dram = node.component.lower() == "dram"
    price = technology.component(
        str(values.get("subclass", node.component)) if "subclass" in values else node.component,
        depth=capacity // block if capacity is not None and not is_dram else 1,
        width=width if width is not None else block * word_bits,
        attributes=values,
    )
    read_bw, write_bw = values.get("read_bandwidth"), values.get("write_bandwidth")
    if "bandwidth" in values and read_bw is None and write_bw is None:
        # Timeloop splits the old, common figure in half.
        read_bw = write_bw = as_number(values["bandwidth"], f"{where}: bandwidth") / 2
    level = StorageLevel(
        node.name,
        capacity_words=capacity,
        word_bits=word_bits,
        block_size=block,
        read_bw=_bandwidth(read_bw, where, "read_bandwidth"),
        write_bw=_bandwidth(write_bw, where, "write_bandwidth"),
        shared_bw=_bandwidth(values.get("shared_bandwidth"), where, "shared_bandwidth"),
        multiple_buffering=as_number(values.get("multiple_buffering", 1), f"{where}: multiple_buffering"),
        min_utilization=as_number(values.get("min_utilization", 0), f"{where}: min_utilization"),
        read_pj=price.read_pj,
        write_pj=price.write_pj,
        area_um2=price.area_um2,
        leakage_pj=price.leakage_pj,
        component=node.component,
        attributes={key: values[key] for key in _CARRIED if key in values},
    )
    if "vector_access_energy" in values:
        energy = as_number(values["vector_access_energy"], f"{where}: vector_access_energy")
        level = replace(
            level, read_pj=energy, write_pj=energy, attributes={**level.attributes, "vector_access_energy": energy}
        )
    return level


def _capacity(values: Mapping[str, Any], where: str, depth: int | None, block: int, word_bits: int) -> int | None:
    entries = _number(values.get("entries"), where, "entries")
    if entries is not None:
        return entries
    if depth is not None:
        return depth * block
    size = values.get("sizeKB")
    return None if size is None else int(as_number(size, f"{where}: sizeKB") * 1024 * 8) // word_bits


def build_compute(node: Node, technology: Technology) -> Compute:
    """Builds the multiplier.

    Raises:
        InputError: The innermost node is no multiplier.
    """
    if not node.is_compute:
        raise InputError(f"architecture: the innermost node {node.name!r} is a {node.component}, allowed a MAC")
    where = f"attributes of {node.name!r}"
    width = _number(_first(node.attributes, (*_WORD, *_WIDTH)), where, "datawidth") or 16
    kind = str(node.attributes.get("subclass", node.component))
    price = technology.component(kind, depth=1, width=width, attributes=node.attributes)
    carried = {key: node.attributes[key] for key in _CARRIED if key in node.attributes}
    return Compute(node.name, price.read_pj, price.area_um2, price.leakage_pj, width, node.component, carried)


def read_ert(section: Any) -> dict[str, dict[str, float]]:
    """Reads an energy table: component (last part of its name, no range) to action to pJ.

    An action with several argument values counts as its dearest.
    """
    result: dict[str, dict[str, float]] = {}
    for i, table in enumerate(as_list(_tables(section, "ERT"), "ERT.tables")):
        data = normalise(table, f"ERT.tables[{i}]", ("name", "actions"))
        actions: dict[str, float] = {}
        for action in as_list(data.get("actions"), f"ERT.tables[{i}].actions"):
            entry = normalise(action, f"ERT.tables[{i}].actions", ("name", "arguments", "energy"))
            energy = entry.get("energy")
            if isinstance(energy, bool) or not isinstance(energy, int | float):
                raise InputError(f"ERT of {data.get('name')!r}: energy of {entry.get('name')!r} is {energy!r}")
            name = str(entry.get("name"))
            actions[name] = max(actions.get(name, 0.0), float(energy))
        result[_last(str(data.get("name")))] = actions
    return result


def read_art(section: Any) -> dict[str, float]:
    """Reads an area table: component to um2."""
    result = {}
    for i, table in enumerate(as_list(_tables(section, "ART"), "ART.tables")):
        data = normalise(table, f"ART.tables[{i}]", ("name", "area"))
        if isinstance(data.get("area"), bool) or not isinstance(data.get("area"), int | float):
            raise InputError(f"ART of {data.get('name')!r}: area is {data.get('area')!r}")
        result[_last(str(data.get("name")))] = float(data["area"])
    return result


def _tables(section: Any, what: str) -> Any:
    return normalise(section, what, ("version", "tables")).get("tables")


def _last(name: str) -> str:
    return name.rsplit(".", 1)[-1].split("[")[0]


def apply_tables(
    levels: tuple[StorageLevel, ...],
    compute: Compute,
    ert: Mapping[str, Mapping[str, float]] | None,
    art: Mapping[str, float] | None,
) -> tuple[tuple[StorageLevel, ...], Compute]:
    """Replaces energies and areas by user tables; actions a table leaves out cost nothing, as in Timeloop.

    Raises:
        InputError: A component has no table.
    """
    if ert is not None:
        priced = []
        for level in levels:
            actions = _entry(ert, level.name, "ERT")
            if "vector_access_energy" not in level.attributes:
                level = replace(
                    level,
                    read_pj=actions.get("read", 0.0),
                    write_pj=actions.get("write", 0.0),
                    update_pj=actions.get("update"),
                )
            priced.append(replace(level, leakage_pj=actions.get("leak", 0.0)))
        levels = tuple(priced)
        actions = _entry(ert, compute.name, "ERT")
        energy = next((actions[name] for name in ("compute", "mac_random", "mac") if name in actions), 0.0)
        compute = replace(compute, mac_pj=energy, leakage_pj=actions.get("leak", 0.0))
    if art is not None:
        levels = tuple(replace(level, area_um2=_entry(art, level.name, "ART")) for level in levels)
        compute = replace(compute, area_um2=_entry(art, compute.name, "ART"))
    return levels, compute


def _entry(tables: Mapping[str, Any], name: str, what: str) -> Any:
    if name not in tables:
        raise unknown_name(f"component in {what} (needed by the architecture)", name, tables)
    return tables[name]


def _first(values: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((values[name] for name in names if name in values), None)


def _number(value: Any, where: str, key: str) -> int | None:
    return None if value is None else as_integer(value, f"{where}: {key}")


def _bandwidth(value: Any, where: str, key: str) -> float | None:
    return None if value is None else as_number(value, f"{where}: {key}")

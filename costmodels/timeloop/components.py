"""Timeloop's component attributes and its ERT and ART tables, as storage levels and a multiplier."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from itertools import pairwise
from typing import Any

from accelgym.costmodels.architecture.machine import Compute, StorageLevel
from accelgym.costmodels.components.laws import ComponentCost
from accelgym.costmodels.components.technologies import COMPONENT_CLASSES, Technology
from accelgym.costmodels.errors import InputError, shown, unknown_name, warn_input
from accelgym.costmodels.files.timeloop_yaml.document import as_integer, as_list, as_number, as_table, normalise
from accelgym.costmodels.files.timeloop_yaml.expressions import Scope
from accelgym.costmodels.timeloop.attributes import BLOCK, DEPTH, NEUTRAL, PRICING, READ, SPARSE, WIDTH, WORD
from accelgym.costmodels.timeloop.nodes import Node

__all__ = ["apply_tables", "build_compute", "build_levels", "component_name", "read_art", "read_ert", "share_rows"]

_FAMILIES = (
    ("dram", "DRAM"),
    ("sram", "SRAM"),
    ("smartbuffer_rf", "regfile"),
    ("reg", "regfile"),
    ("smartbuffer", "SRAM"),
    ("storage", "SRAM"),
    ("fpmac", "fpmac"),
    ("mac", "intmac"),
    ("compute", "intmac"),
)
"""Parts of class names and the classes that price such a component where its own is not known."""
_ACTIONS = {
    "read": ("random_read", "read"),
    "write": ("random_fill", "random_write", "fill", "write"),
    "update": ("random_update", "random_write", "update", "write"),
    "compute": ("mac_random", "mult_random", "mac", "mult", "compute"),
}
"""What an ERT may call an action, the name that Timeloop looks for first in front."""
_SUMMARISED = ("max_energy", "min_energy", "average_energy")
"""Energies of an action in a summary, over its arguments."""


def build_levels(nodes: Sequence[Node], technology: Technology, *, priced: bool = False) -> tuple[StorageLevel, ...]:
    """Builds the storage levels; energies and areas come from the technology.

    Args:
        nodes: Memories, then the multiplier, outer to inner.
        technology: Prices every class.
        priced: Whether an energy table follows, so that classes without a law are open.

    Raises:
        InputError: An attribute asks for what is not modelled, a class has no price, or the meshes do not nest.
    """
    if nodes[0].mesh_x * nodes[0].mesh_y > 1:
        raise InputError(f"architecture: there are several of the outermost memory {nodes[0].name!r}, allowed one")
    levels = []
    for node, inner in pairwise(nodes):
        level = _level(node, technology, priced)
        if inner.mesh_x % node.mesh_x or inner.mesh_y % node.mesh_y:
            raise InputError(
                f"architecture: {inner.name!r} ({inner.mesh_x} x {inner.mesh_y}) does not nest in {node.name!r} "
                f"({node.mesh_x} x {node.mesh_y})"
            )
        levels.append(replace(level, fanout_x=inner.mesh_x // node.mesh_x, fanout_y=inner.mesh_y // node.mesh_y))
    return tuple(levels)


def _level(node: Node, technology: Technology, priced: bool) -> StorageLevel:
    where, values = f"attributes of {node.name!r}", _understood(node)
    word_bits = _number(_first(values, WORD), where, "word-bits") or 16
    width = _number(_first(values, WIDTH), where, "width")
    block, cluster = _row(node)
    if cluster > 1:
        warn_input(
            f"{node.name!r}: cluster_size={cluster}: each instance bears 1/{cluster} of an access, which is exact when "
            "all instances of a cluster are in use"
        )
    depth = _number(_first(values, DEPTH), where, "depth")
    capacity = _capacity(values, where, depth, block, word_bits)
    price = _price(
        node,
        technology,
        depth=max(1, capacity // block) if capacity is not None and not node.is_dram else 1,
        width=width if width is not None else block * cluster * word_bits,
        priced=priced,
    )
    read_bw, write_bw = values.get("read_bandwidth"), values.get("write_bandwidth")
    if "bandwidth" in values:
        # Timeloop splits the old, common figure in half.
        half = as_number(values["bandwidth"], f"{where}: bandwidth") / 2
        read_bw, write_bw = (half if stated is None else stated for stated in (read_bw, write_bw))
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
        attributes=_carried(values),
    )
    if "vector_access_energy" in values:
        energy = as_number(values["vector_access_energy"], f"{where}: vector_access_energy") / cluster
        level = replace(
            level, read_pj=energy, write_pj=energy, attributes={**level.attributes, "vector_access_energy": energy}
        )
    return level


def _understood(node: Node) -> dict[str, Any]:
    """Returns the attributes that have a value; says which are not modelled.

    Raises:
        InputError: One of them asks for a feature that is not modelled.
    """
    values = {key: value for key, value in node.attributes.items() if value is not None}
    for key, value in values.items():
        if key in NEUTRAL and value not in NEUTRAL[key]:
            why = " (sparsity)" if any(part in key for part in SPARSE) else ""
            raise InputError(
                f"attributes of {node.name!r}: {key}={shown(value)} is not supported{why}, allowed {NEUTRAL[key][0]!r}"
            )
    unknown = sorted(set(values) - READ - PRICING - set(NEUTRAL) - node.inherited)
    for key in unknown:
        if get_close_matches(key, READ, 1, 0.8):  # a slip would change counts
            raise unknown_name(f"key in attributes of {node.name!r}", key, [*READ, *PRICING])
    gated = [key for key in ("has_power_gating", "power_gated_at") if values.get(key) not in (None, False, node.name)]
    if gated:
        warn_input(f"attributes of {node.name!r}: {gated[0]} without effect, instances leak where they are in use")
    if unknown:
        warn_input(f"attributes of {node.name!r} without effect: {', '.join(map(repr, unknown))}")
    return values


def _carried(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the plain attributes that only price a component, for export."""
    dropped = {*NEUTRAL, "version", "subclass"} | READ
    kept = {key: value for key, value in values.items() if key not in dropped and isinstance(value, str | int | float)}
    if "subclass" in values:
        kept["subclass"] = values["subclass"]
    return kept


def _price(node: Node, technology: Technology, *, depth: int, width: int, priced: bool) -> ComponentCost:
    """Prices a node by its subclass or class, else by the family its name tells; instances of a cluster share it."""
    values = {key: value for key, value in node.attributes.items() if value is not None}
    kinds = [str(values["subclass"])] if "subclass" in values else []
    kinds.append(node.component)
    known = next(filter(None, map(_law, kinds)), None)
    if kinds[0].lower() not in COMPONENT_CLASSES:
        if known is None and not priced:
            raise unknown_name("component class", kinds[0], COMPONENT_CLASSES)
        how = "its ERT prices it" if priced else f"priced as {known} (an ERT states prices)"
        warn_input(f"{node.name!r}: no law prices the class {kinds[0]!r}; {how}")
    if known is None:
        return ComponentCost(0.0, 0.0, 0.0, 0.0)
    try:
        cost = technology.component(known, depth=depth, width=width, attributes=values)
    except InputError:
        if not priced:
            raise
        return ComponentCost(0.0, 0.0, 0.0, 0.0)
    where = f"attributes of {node.name!r}"
    energy = as_number(values.get("energy_scale", 1), f"{where}: energy_scale")
    area = as_number(values.get("area_scale", 1), f"{where}: area_scale")
    share = _cluster(node)
    return ComponentCost(
        cost.read_pj * energy / share,
        cost.write_pj * energy / share,
        cost.area_um2 * area / share,
        cost.leakage_pj * energy / share,
    )


def _law(kind: str) -> str | None:
    """Returns the class whose law prices a class: itself, or that of its family."""
    if kind.lower() in COMPONENT_CLASSES:
        return kind
    return next((family for part, family in _FAMILIES if part in kind.lower()), None)


def _row(node: Node) -> tuple[int, int]:
    """Returns how a row of a memory is divided: words of an access, and instances that share the row.

    Raises:
        InputError: They do not make up the width.
    """
    where, values = f"attributes of {node.name!r}", node.attributes
    word_bits = _number(_first(values, WORD), where, "word-bits") or 16
    width = _number(_first(values, WIDTH), where, "width")
    block = _number(_first(values, BLOCK), where, "block-size")
    cluster = _number(values.get("cluster_size"), where, "cluster-size")
    if width is None:
        return block or 1, cluster or 1
    words, rest = divmod(width, word_bits)
    part = (block or 1) * (cluster or 1)
    if rest or (block and words % part) or (block and cluster and words != part):
        stated = "".join(f" and {key} {n}" for key, n in (("block-size", block), ("cluster-size", cluster)) if n)
        default = "" if _first(values, WORD) is not None else " (unless stated)"
        raise InputError(f"{where}: width {width} does not go with word-bits {word_bits}{default}{stated}")
    if block is None:
        return max(1, words // part), cluster or 1
    cluster = words // block
    if (node.mesh_x * node.mesh_y) % cluster:
        raise InputError(
            f"{where}: width {width} holds {cluster} blocks of {block} words, for {node.mesh_x * node.mesh_y} instances"
        )
    return block, cluster


def _cluster(node: Node) -> int:
    """Instances that share one physical row."""
    return 1 if node.is_compute else _row(node)[1]


def _capacity(values: Mapping[str, Any], where: str, depth: int | None, block: int, word_bits: int) -> int | None:
    entries = _number(values.get("entries"), where, "entries")
    if entries is not None:
        return entries
    if depth is not None:
        return depth * block
    size = values.get("sizeKB")
    return None if size is None else int(as_number(size, f"{where}: sizeKB") * 1024 * 8) // word_bits


def build_compute(node: Node, technology: Technology, *, priced: bool = False) -> Compute:
    """Builds the multiplier.

    Args:
        node: The innermost node.
        technology: Prices every class.
        priced: Whether an energy table follows, so that classes without a law are open.

    Raises:
        InputError: The innermost node is no multiplier, or has no price.
    """
    values = {key: value for key, value in node.attributes.items() if value is not None}
    if not node.is_compute and (not priced or any(key in values for key in (*DEPTH, "entries", "sizeKB"))):
        raise InputError(f"architecture: the innermost node {node.name!r} is a {node.component}, allowed a MAC")
    where = f"attributes of {node.name!r}"
    width = _number(_first(values, (*WORD, *WIDTH, "multiplier_width")), where, "datawidth") or 16
    price = _price(node, technology, depth=1, width=width, priced=priced)
    carried = _carried(values)
    return Compute(node.name, price.read_pj, price.area_um2, price.leakage_pj, width, node.component, carried)


def read_ert(section: Any, what: str = "ERT") -> dict[str, dict[str, float]]:
    """Reads an energy table or its summary: component (last part of its name, no range) to action to pJ.

    An action with several argument values counts as its dearest.
    """
    result: dict[str, dict[str, float]] = {}
    for i, table in enumerate(_tables(section, what)):
        where = f"{what}.tables[{i}]"
        data = normalise(table, where, ("name", "actions", "primitive_estimation(s)", "primitive_estimations"))
        actions = result.setdefault(component_name(str(data.get("name"))), {})
        for action in as_list(data.get("actions"), f"{where}.actions"):
            entry = normalise(action, f"{where}.actions", ("name", "arguments", "energy", *_SUMMARISED))
            name = str(entry.get("name"))
            stated = entry.get("energy", entry.get("max_energy"))
            energy = _amount(stated, f"{what} of {data.get('name')!r}: energy of {name!r}")
            actions[name] = max(actions.get(name, 0.0), energy)
    return result


def read_art(section: Any, what: str = "ART") -> dict[str, float]:
    """Reads an area table or its summary: component to um2."""
    result = {}
    for i, table in enumerate(_tables(section, what)):
        where = f"{what}.tables[{i}]"
        data = normalise(table, where, ("name", "area", "primitive_estimation(s)", "primitive_estimations"))
        name = str(data.get("name"))
        result[component_name(name)] = _amount(data.get("area"), f"{what} of {name!r}: area")
    return result


def share_rows(ert: Mapping[str, Mapping[str, float]], nodes: Sequence[Node]) -> dict[str, Mapping[str, float]]:
    """Divides the energies of a clustered memory among its instances, for a table that prices physical rows."""
    sizes = {node.name: _cluster(node) for node in nodes}
    return {
        name: {action: energy / sizes.get(name, 1) for action, energy in actions.items()}
        for name, actions in ert.items()
    }


def _tables(section: Any, what: str) -> list[Any]:
    data = normalise(section, what, ("version", "tables", "table_summary"))
    tables = data.get("tables", data.get("table_summary"))
    if what == "ERT" and isinstance(tables, Mapping):  # v0.2: component to action to energies
        return [{"name": name, "actions": list(_actions(actions, name))} for name, actions in tables.items()]
    return as_list(tables, f"{what}.tables")


def _actions(actions: Any, component: Any) -> Iterator[dict[str, Any]]:
    """Yields the actions of a table of v0.2 as later versions list them."""
    for action, energies in as_table(actions, f"ERT.tables.{component}").items():
        for entry in energies if isinstance(energies, list) else [energies]:
            yield {**as_table(entry, f"ERT.tables.{component}.{action}"), "name": action}


def _amount(value: Any, where: str) -> float:
    amount = as_number(Scope().resolve(value, where), where)
    if amount < 0:
        raise InputError(f"{where} is {amount!r}, allowed numbers >= 0")
    return amount


def component_name(name: str) -> str:
    """Returns the last part of a component's path without its range: ``top.PE[0..3].Rf[1..4]`` gives ``Rf``."""
    return re.sub(r"\[[^\]]*\]", "", name).rsplit(".", 1)[-1].strip()


def apply_tables(
    levels: tuple[StorageLevel, ...],
    compute: Compute,
    ert: Mapping[str, Mapping[str, float]] | None,
    art: Mapping[str, float] | None,
) -> tuple[tuple[StorageLevel, ...], Compute]:
    """Replaces energies and areas by user tables.

    Raises:
        InputError: A component has no table.

    Warns:
        InputWarning: A table leaves out an action, which costs nothing here; Timeloop prices it from tables of its own.
    """
    if ert is not None:
        priced = []
        for level in levels:
            actions = _entry(ert, level.name, "ERT")
            if "vector_access_energy" not in level.attributes:
                read, write, update = (_energy(actions, kind, level.name) for kind in ("read", "write", "update"))
                level = replace(level, read_pj=read, write_pj=write, update_pj=None if update == write else update)
            priced.append(replace(level, leakage_pj=actions.get("leak", 0.0)))
        levels = tuple(priced)
        actions = _entry(ert, compute.name, "ERT")
        energy = _energy(actions, "compute", compute.name)
        compute = replace(compute, mac_pj=energy, leakage_pj=actions.get("leak", 0.0))
    if art is not None:
        levels = tuple(replace(level, area_um2=_entry(art, level.name, "ART")) for level in levels)
        compute = replace(compute, area_um2=_entry(art, compute.name, "ART"))
    return levels, compute


def _energy(actions: Mapping[str, float], kind: str, component: str) -> float:
    """Returns the energy of a kind of action by the first name that the table has."""
    for name in _ACTIONS[kind]:
        if name in actions:
            return actions[name]
    names = ", ".join(_ACTIONS[kind])
    warn_input(f"ERT of {component!r}: none of {names}; here such an action costs nothing")
    return 0.0


def _entry(tables: Mapping[str, Any], name: str, what: str) -> Any:
    if name not in tables:
        raise unknown_name(f"component in {what} (needed by the architecture)", name, tables)
    return tables[name]


def _first(values: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((values[name] for name in names if values.get(name) is not None), None)


def _number(value: Any, where: str, key: str) -> int | None:
    return None if value is None else as_integer(value, f"{where}: {key}")


def _bandwidth(value: Any, where: str, key: str) -> float | None:
    return None if value is None else as_number(value, f"{where}: {key}")

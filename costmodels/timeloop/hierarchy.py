"""The ``architecture`` section: v0.3 trees and v0.4 node lists, as one chain of nodes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.timeloop.document import Tagged, as_integer, as_list, as_table, normalise, resolve

__all__ = ["COMPUTE_CLASSES", "Node", "read_hierarchy"]

COMPUTE_CLASSES = ("mac", "intmac", "fpmac", "compute")
_RANGE = re.compile(r"^(?P<name>.*?)(?:\[(?P<low>\d+)\.\.(?P<high>\d+)\])?$")


@dataclass
class Node:
    """A memory or multiplier, with the size of the mesh of its instances."""

    name: str
    component: str
    attributes: dict[str, Any]
    mesh_x: int
    """Instances along x, over the whole machine."""
    mesh_y: int
    aliases: tuple[str, ...] = ()
    """Containers that v0.4 mappings name as targets of the fan-out into this node."""
    constraints: dict[str, Any] = field(default_factory=dict)
    """Constraints written inside the node or its containers, v0.4."""
    spatial_constraints: list[tuple[str, Any]] = field(default_factory=list)
    spreads: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Instances along x and y that each of ``aliases`` adds, v0.4."""

    @property
    def is_compute(self) -> bool:
        """Whether this is the multiplier."""
        return self.component.lower() in COMPUTE_CLASSES


def read_hierarchy(section: Any, variables: Mapping[str, Any]) -> tuple[str, list[Node]]:
    """Reads either version.

    Returns:
        Name of the machine and its nodes, outer to inner.

    Raises:
        InputError: A key is not understood, or the machine branches.
    """
    data = normalise(section, "architecture", ("version", "subtree", "local", "nodes", "variables"))
    if ("nodes" in data) == ("subtree" in data):
        raise InputError("architecture needs either 'subtree' (v0.3) or 'nodes' (v0.4)")
    if "nodes" in data:
        return _flat(data["nodes"], variables)
    nodes = list(_tree(data, 1, {}, "architecture"))
    roots = as_list(data.get("subtree"), "architecture.subtree")
    return (_split(str(roots[0].get("name")))[0] if roots else "architecture"), nodes


def _split(name: str) -> tuple[str, int]:
    match = _RANGE.match(name)
    assert match is not None  # the pattern matches any string
    if match["low"] is None:
        return name, 1
    return match["name"], int(match["high"]) - int(match["low"]) + 1


def _tree(data: Mapping[str, Any], count: int, inherited: dict[str, Any], where: str) -> Iterator[Node]:
    for i, entry in enumerate(as_list(data.get("local"), f"{where}.local")):
        local = normalise(entry, f"{where}.local[{i}]", ("name", "class", "attributes"))
        name, times = _split(str(local.get("name")))
        attributes = {**inherited, **_attributes(local, f"{where}.{name}")}
        yield _place(name, str(local.get("class")), attributes, count * times, f"{where}.{name}")
    branches = as_list(data.get("subtree"), f"{where}.subtree")
    if len(branches) > 1:
        names = [branch.get("name") for branch in branches]
        raise InputError(f"{where}.subtree branches into {names}; one memory hierarchy is supported")
    for branch in branches:
        inner = normalise(branch, f"{where}.subtree", ("name", "attributes", "local", "subtree"))
        name, times = _split(str(inner.get("name")))
        attributes = {**inherited, **_attributes(inner, f"{where}.{name}")}
        yield from _tree(inner, count * times, attributes, f"{where}.{name}")


def _attributes(data: Mapping[str, Any], where: str) -> dict[str, Any]:
    raw = as_table(data.get("attributes"), f"{where}.attributes")
    return {str(key).replace("-", "_"): value for key, value in raw.items()}


def _place(name: str, component: str, attributes: dict[str, Any], count: int, where: str) -> Node:
    """Lays instances out on a mesh: ``meshX`` columns, all in one row unless stated."""
    count = as_integer(attributes.pop("instances", count), f"{where}.instances")
    given_x, given_y = (
        None if value is None else as_integer(value, f"{where}.{key}")
        for key, value in (("meshX", attributes.pop("meshX", None)), ("meshY", attributes.pop("meshY", None)))
    )
    mesh_x = given_x if given_x is not None else count // (given_y or 1)
    if mesh_x < 1 or count % mesh_x or (given_y is not None and mesh_x * given_y != count):
        raise InputError(f"{where}: {count} instances do not fill meshX={given_x!r}, meshY={given_y!r}")
    return Node(name, component, attributes, mesh_x, count // mesh_x)


_NODE_KEYS = (
    "name",
    "class",
    "subclass",
    "attributes",
    "spatial",
    "constraints",
    "sparse_optimizations",
    "enabled",
    "required_actions",
)


def _flat(nodes: Any, variables: Mapping[str, Any]) -> tuple[str, list[Node]]:
    chain = list(_entries(nodes))
    result: list[Node] = []
    mesh = [1, 1]
    inherited: dict[str, Any] = {}
    waiting: list[str] = []
    wishes: list[tuple[str, Any]] = []
    spreads: dict[str, tuple[int, int]] = {}
    name = "architecture"
    for position, entry in enumerate(chain):
        data = normalise(entry, f"architecture.nodes[{position}]", _NODE_KEYS)
        where = f"architecture.{data.get('name')}"
        if data.get("enabled") is False:
            continue
        if data.get("sparse_optimizations"):
            raise InputError(f"{where}.sparse_optimizations: sparse machines are not supported")
        fan = normalise(data.get("spatial") or {}, f"{where}.spatial", ("meshX", "meshY"))
        width, height = (
            as_integer(resolve(fan.get(key, 1), variables, f"{where}.spatial.{key}"), f"{where}.spatial.{key}")
            for key in ("meshX", "meshY")
        )
        mesh = [mesh[0] * width, mesh[1] * height]
        own = {key: resolve(value, variables, f"{where}.{key}") for key, value in _attributes(data, where).items()}
        constraints = as_table(data.get("constraints"), f"{where}.constraints")
        spreads[str(data.get("name"))] = (width, height)
        if entry.tag == "Container":
            if position == 0:
                name = str(data.get("name"))
            inherited.update(own)
            waiting.append(str(data.get("name")))
            wishes.append((str(data.get("name")), constraints))
            continue
        # The class says how a component behaves, the subclass (when given) how it is priced.
        node = Node(str(data.get("name")), str(data.get("class")), {**inherited, **own}, mesh[0], mesh[1])
        if data.get("subclass"):
            node.attributes["subclass"] = data["subclass"]
        node.aliases, waiting = (*waiting, node.name), []
        node.spatial_constraints, wishes = wishes, []
        node.constraints, node.spreads, spreads = dict(constraints), spreads, {}
        result.append(node)
    return name, result


def _entries(nodes: Any) -> Iterator[Tagged]:
    for node in as_list(nodes, "architecture.nodes"):
        if not isinstance(node, Tagged):
            raise InputError(f"architecture.nodes: {node!r} has no tag, allowed: !Container, !Component, !Hierarchical")
        if node.tag == "Nothing":
            continue
        if node.tag == "Hierarchical":
            yield from _entries(node.get("nodes"))
        elif node.tag in ("Container", "Component"):
            yield node
        else:
            raise InputError(
                f"architecture.nodes: !{node.tag} is not supported, "
                "allowed: !Container, !Component, !Hierarchical, !Nothing"
            )

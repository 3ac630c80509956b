"""The ``architecture`` section, v0.3 trees, v0.4 node lists and the lists of before, as one chain of nodes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from accelgym.costmodels.errors import InputError, shown, warn_input
from accelgym.costmodels.files.timeloop_yaml.document import as_integer, as_list, as_table, normalise
from accelgym.costmodels.files.timeloop_yaml.expressions import Scope
from accelgym.costmodels.files.timeloop_yaml.text import Tagged
from accelgym.costmodels.timeloop.attributes import READ, SPELLINGS
from accelgym.costmodels.timeloop.nodes import Branch, Node, known_roles, without_place_holders

__all__ = ["read_hierarchy"]

_RANGE = re.compile(r"\s*\[\s*(\d{1,9})\s*\.\.\s*(\d{1,9})\s*\]\s*(?=\.|$)")
_NETWORKS = ("xy_noc", "legacy", "reductiontree", "simplemulticast", "noc", "wire", "router")


def read_hierarchy(section: Any, scope: Scope) -> tuple[str, list[Node]]:
    """Reads any version.

    Args:
        section: The section.
        scope: Names that expressions may use.

    Returns:
        Name of the machine and its nodes, outer to inner, without place holders.

    Raises:
        InputError: A key is not understood, or the machine branches.
    """
    keys = ("version", "subtree", "local", "nodes", "variables", "storage", "arithmetic")
    data = normalise(section, "architecture", keys)
    kinds = sum(key in data for key in ("subtree", "nodes", "storage"))
    if kinds > 1 or (not kinds and "local" not in data):
        raise InputError("architecture needs one of 'subtree' or 'local' (v0.3), 'nodes' (v0.4), 'storage' (v0.1)")
    if "nodes" in data:
        name, nodes = _Flat(scope).read(data["nodes"])
    elif "storage" in data:
        name, nodes = "architecture", list(_lists(data, scope))
    else:
        nodes = list(_tree(data, 1, {}, scope, "architecture"))
        nodes.sort(key=lambda node: node.is_compute)  # Timeloop takes the multiplier from any place
        roots = as_list(data.get("subtree"), "architecture.subtree")
        name = _split(str(as_table(roots[0], "architecture.subtree[0]").get("name")))[0] if roots else "architecture"
    return name, without_place_holders(known_roles(nodes, skips="nodes" not in data))


def _split(name: str) -> tuple[str, int]:
    """Returns a name without its ranges, and how many instances they make: of a path, of all its parts."""
    count = math.prod(int(high) - int(low) + 1 for low, high in _RANGE.findall(name))
    return _RANGE.sub("", name), count


# -- v0.3 ------------------------------------------------------------------------------------------------------

_LOCAL_KEYS = ("name", "class", "subclass", "attributes", "required_actions", "enabled", "area_scale", "energy_scale")


def _tree(data: Mapping[str, Any], count: int, inherited: dict[str, Any], scope: Scope, where: str) -> Iterator[Node]:
    listed = [
        normalise(entry, f"{where}.local[{i}]", _LOCAL_KEYS)
        for i, entry in enumerate(as_list(data.get("local"), f"{where}.local"))
    ]
    # The flattened form writes whole paths, and those of v0.3 the deepest first.
    listed.sort(key=lambda local: _split(str(local.get("name")))[0].count("."))
    for local in listed:
        name, times = _split(str(local.get("name")))
        name = name.rsplit(".", 1)[-1]
        if not _enabled(local, scope, f"{where}.{name}") or _is_network(local, name):
            continue
        own = _attributes(local, scope.within(inherited), f"{where}.{name}")
        node = _place(name, str(local.get("class")), {**inherited, **own}, count * times, f"{where}.{name}")
        node.inherited = frozenset(inherited) - set(own)
        unread = [] if node.is_compute else [key for key in sorted(node.inherited & READ) if key in node.attributes]
        for key in unread:
            del node.attributes[key]
        unread = [key for key in unread if not any(key in group and own.keys() & set(group) for group in SPELLINGS)]
        if unread:
            warn_input(
                f"{where}.{name}: {', '.join(map(repr, unread))} of its subtree without effect, Timeloop reads what "
                "the component itself states (v0.3)"
            )
        yield node
    branches = as_list(data.get("subtree"), f"{where}.subtree")
    if len(branches) > 1:
        names = [as_table(branch, f"{where}.subtree").get("name") for branch in branches]
        raise InputError(f"{where}.subtree branches into {shown(names)}; one memory hierarchy is supported")
    for branch in branches:
        inner = normalise(
            branch, f"{where}.subtree", ("name", "attributes", "local", "subtree", "required_actions", "enabled")
        )
        name, times = _split(str(inner.get("name")))
        own = _attributes(inner, scope.within(inherited), f"{where}.{name}")
        placed = ("meshX", "meshY", "instances")  # of the subtree, not of its components
        attributes = {**inherited, **{key: value for key, value in own.items() if key not in placed}}
        yield from _tree(inner, count * times, attributes, scope, f"{where}.{name}")


def _enabled(data: Mapping[str, Any], scope: Scope, where: str) -> bool:
    value = scope.resolve(data.get("enabled"), f"{where}.enabled")
    return value is None or value not in (False, 0, "False", "false")


def _is_network(data: Mapping[str, Any], name: str) -> bool:
    kind = str(data.get("class")).lower()
    if kind not in _NETWORKS:
        return False
    warn_input(f"{name!r} ({data.get('class')}) is left out: networks are not modelled, they cost nothing")
    return True


def _attributes(data: Mapping[str, Any], scope: Scope, where: str) -> dict[str, Any]:
    """Evaluates the attributes of a node; text that only pricing tools read may stay as it is."""
    raw = as_table(data.get("attributes"), f"{where}.attributes")
    own = {str(key).replace("-", "_"): value for key, value in raw.items()}
    for key in ("area_scale", "energy_scale", "subclass"):
        if data.get(key) is not None:
            own[key] = data[key]
    inner = scope.within(own)
    result = {}
    for key, value in own.items():
        try:
            result[key] = inner.resolve(value, f"{where}.{key}")
        except InputError:
            if key in READ:
                raise
            result[key] = value
    return result


def _place(name: str, component: str, attributes: dict[str, Any], count: int, where: str) -> Node:
    """Lays instances out on a mesh: ``meshX`` columns, all in one row unless stated."""
    stated = attributes.pop("instances", None)
    count = as_integer(count if stated is None else stated, f"{where}.instances")
    given_x, given_y = (
        None if value is None else as_integer(value, f"{where}.{key}")
        for key, value in (("meshX", attributes.pop("meshX", None)), ("meshY", attributes.pop("meshY", None)))
    )
    mesh_x = given_x if given_x is not None else count // (given_y or 1)
    if mesh_x < 1 or count % mesh_x or (given_y is not None and mesh_x * given_y != count):
        raise InputError(f"{where}: {count} instances do not fill meshX={given_x!r}, meshY={given_y!r}")
    return Node(name, component, attributes, mesh_x, count // mesh_x)


# -- before v0.2: storage from the inside out, and the arithmetic ----------------------------------------------


def _lists(data: Mapping[str, Any], scope: Scope) -> Iterator[Node]:
    for i, entry in reversed(list(enumerate(as_list(data["storage"], "arch.storage")))):
        own = _attributes({"attributes": entry}, scope, f"arch.storage[{i}]")
        name = str(own.pop("name", f"storage{i}"))
        dram = str(own.get("technology")).lower() == "dram"
        kind = str(own.pop("class", "DRAM" if dram else "SRAM" if "sizeKB" in own else "regfile"))
        yield _place(name, kind, own, 1, f"arch.{name}")
    own = _attributes({"attributes": data.get("arithmetic")}, scope, "arch.arithmetic")
    name, kind = str(own.pop("name", "MAC")), str(own.pop("class", "intmac"))
    yield _place(name, kind, own, 1, f"arch.{name}")


# -- v0.4 ------------------------------------------------------------------------------------------------------

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
    "area_scale",
    "energy_scale",
    "networks",
)
_SEQUENCES = ("Hierarchical", "Pipelined")


class _Flat:
    """Walks a v0.4 node list outer to inner and keeps what the nodes inside inherit."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.result: list[Node] = []
        self.mesh = (1, 1)
        self.inherited: dict[str, Any] = {}
        self.waiting: list[str] = []
        self.wishes: list[tuple[str, Any]] = []
        self.spreads: dict[str, tuple[int, int]] = {}
        self.known: dict[str, Any] = {}
        self.name: str | None = None

    def read(self, nodes: Any) -> tuple[str, list[Node]]:
        """Returns the name of the outermost container and the nodes."""
        listed = as_list(nodes, "architecture.nodes")
        self.scope = self.scope.within(dict(_announced(listed)))
        self.walk(listed, ())
        return self.name or "architecture", self.result

    def walk(self, nodes: Sequence[Any], branches: tuple[Branch, ...]) -> None:
        """Adds the nodes of a list."""
        for node in nodes:
            if not isinstance(node, Tagged):
                raise InputError(
                    f"architecture.nodes: {shown(node)} has no tag, allowed: !Container, !Component, !Hierarchical"
                )
            if node.tag in _SEQUENCES:
                self.walk(as_list(node.get("nodes"), f"!{node.tag}"), branches)
            elif node.tag == "Parallel":
                self.parallel(as_list(node.get("nodes"), "!Parallel"), branches)
            elif node.tag == "Nothing" or (node.tag == "Component" and "nothing" in str(node.get("class"))):
                self.nothing(node, branches)
            elif node.tag in ("Container", "Component"):
                self.leaf(node, branches)
            else:
                raise InputError(
                    f"architecture.nodes: !{node.tag} is not supported, "
                    "allowed: !Container, !Component, !Hierarchical, !Parallel, !Pipelined, !Nothing"
                )

    def parallel(self, nodes: Sequence[Any], branches: tuple[Branch, ...]) -> None:
        """Adds branches one after the other: a tensor takes one of them and bypasses the rest."""
        peers = [Branch() for _ in nodes]
        for node, branch in zip(nodes, peers, strict=True):
            branch.peers = peers
            outside = dict(self.inherited)
            self.walk([node], (*branches, branch))
            self.inherited = outside

    def nothing(self, node: Tagged, branches: tuple[Branch, ...]) -> None:
        """Notes the tensors that bypass all other branches."""
        wishes = as_table(node.get("constraints"), "!Nothing.constraints")
        for branch in branches:
            branch.wishes.append(wishes.get("dataspace"))

    def leaf(self, entry: Tagged, branches: tuple[Branch, ...]) -> None:
        """Adds a component, or notes what a container gives to those inside it."""
        data = normalise(entry, f"architecture.nodes[{len(self.known)}]", _NODE_KEYS)
        name = str(data.get("name"))
        where = f"architecture.{name}"
        scope = self.scope.within(self.known).within(self.inherited)
        if not _enabled(data, scope, where) or (entry.tag == "Component" and _is_network(data, name)):
            return
        if name in self.known:
            raise InputError(f"architecture: two nodes are named {name!r}")
        if data.get("sparse_optimizations"):
            raise InputError(f"{where}.sparse_optimizations: sparse machines are not supported")
        if data.get("networks"):
            warn_input(f"{where}.networks is left out: networks are not modelled, they cost nothing")
        own = _attributes(data, scope, where)
        for key in ("meshX", "meshY", "instances"):
            if key in own:
                raise InputError(f"{where}.attributes.{key}: v0.4 states fan-outs under 'spatial' (meshX, meshY)")
        inner = scope.within(own)
        spread = self.fan_out(data, inner, where)
        if branches and spread != (1, 1):
            raise InputError(f"{where}: a fan-out below !Parallel is not supported")
        self.mesh = (self.mesh[0] * spread[0], self.mesh[1] * spread[1])
        self.spreads[name] = spread
        self.known[name] = {
            "name": name,
            "attributes": own,
            "spatial": dict(zip(("meshX", "meshY"), spread, strict=True)),
        }
        constraints = _resolved(as_table(data.get("constraints"), f"{where}.constraints"), inner, where)
        for branch in branches:
            branch.names.append(name)
            branch.wishes.append(constraints.get("dataspace"))
        self.waiting.append(name)
        if entry.tag == "Container":
            if len(self.known) == 1:
                self.name = name
            self.inherited.update({key: value for key, value in own.items() if key != "subclass"})
            self.wishes.append((name, constraints))
            return
        # The class says how a component behaves, the subclass (when given) how it is priced.
        node = Node(name, str(data.get("class")), {**self.inherited, **own}, *self.mesh, tuple(self.waiting))
        node.constraints, node.branches = constraints, branches
        node.inherited = frozenset(self.inherited) - set(own)
        node.spatial_constraints, node.spreads = self.wishes, self.spreads
        self.waiting, self.wishes, self.spreads = [], [], {}
        self.result.append(node)

    @staticmethod
    def fan_out(data: Mapping[str, Any], scope: Scope, where: str) -> tuple[int, int]:
        """Evaluates ``spatial``: instances along x and y."""
        fan = normalise(data.get("spatial") or {}, f"{where}.spatial", ("meshX", "meshY"))
        x, y = (
            as_integer(scope.resolve(fan.get(key, 1), f"{where}.spatial.{key}"), f"{where}.spatial.{key}")
            for key in ("meshX", "meshY")
        )
        return x, y


def _announced(nodes: Sequence[Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields what expressions may ask of a node by its name, as it is written, for those that stand before it."""
    for node in nodes:
        if not isinstance(node, Tagged):
            continue
        if isinstance(node.get("nodes"), list):
            yield from _announced(node["nodes"])
        if isinstance(node.get("name"), str):
            parts = (node.get("attributes"), node.get("spatial"))
            own, spread = (part if isinstance(part, Mapping) else {} for part in parts)
            yield (
                node["name"],
                {
                    "name": node["name"],
                    "attributes": {str(key).replace("-", "_"): value for key, value in own.items()},
                    "spatial": {"meshX": 1, "meshY": 1, **spread},
                },
            )


def _resolved(constraints: Mapping[str, Any], scope: Scope, where: str) -> dict[str, Any]:
    """Evaluates the numbers of constraints; factors and orders have a grammar of their own."""
    result = {}
    for kind, body in constraints.items():
        if isinstance(body, Mapping) and isinstance(body.get("split"), str):
            body = {**body, "split": scope.resolve(body["split"], f"{where}.constraints.{kind}.split")}
        result[str(kind)] = body
    return result

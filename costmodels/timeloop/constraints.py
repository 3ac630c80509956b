"""Mapspace constraints: sections of their own, and constraints inside v0.4 nodes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.architecture.machine import Architecture, Constraint
from accelgym.costmodels.errors import InputError, shown, unknown_name, warn_input
from accelgym.costmodels.files.timeloop_yaml.document import as_integer, as_list, as_number, as_table, normalise
from accelgym.costmodels.timeloop.directives import (
    UNSUPPORTED,
    Targets,
    directive_kind,
    read_limits,
    read_split,
    refuse_unsupported,
    split_permutation,
)
from accelgym.costmodels.timeloop.nodes import Node

__all__ = ["ConstraintReader"]

_ENTRY_KEYS = (
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
_MACROS = (
    "factors_only",
    "keep_only",
    "bypass_only",
    "maximize_dims",
    "maximize_dims_capacity",
    "must_iterate_over_dataspaces",
    "no_iteration_over_dataspaces",
    *UNSUPPORTED,
)
_NODE_KINDS = ("temporal", "spatial", "dataspace", "max_overbooked_proportion")


@dataclass(frozen=True)
class ConstraintReader:
    """Reads the constraints on mappings of one machine."""

    problem: LoopNest
    architecture: Architecture
    nodes: Sequence[Node]
    targets: Targets
    strict: bool
    """Whether a dimension that the problem lacks is an error; else it is left out with a warning, so that the
    constraints of a machine serve problems of several shapes."""

    def read(self, sections: Mapping[str, Any]) -> Iterator[Constraint]:
        """Reads ``architecture_constraints``, ``mapspace_constraints`` and the like, and constraints inside nodes.

        Raises:
            InputError: A key, target or value is not understood, or a tensor has no branch of a ``!Parallel`` node, or
                two.
        """
        stated = list(self._entries(sections))
        for where, kind, data in stated:
            target = data.get("target")
            if kind != "spatial" and isinstance(target, str) and target in self.targets.place_holders:
                continue
            found = self._constraint(self._expanded(data, where), kind, where)
            spreads = next((node.spreads for node in self.nodes if target in node.spreads), {})
            yield from _directed(found, str(target), spreads, where)
        for node in self.nodes:
            for target, wishes in [*node.spatial_constraints, (node.name, node.constraints)]:
                yield from self._node(target, wishes, node.spreads)
            gone = self._other_branches(node, [data for _, kind, data in stated if kind == "bypass"])
            if gone:
                yield Constraint(node.name, "bypass", bypass=gone)

    def _entries(self, sections: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
        for section, entries in sections.items():
            listed = _targets_of(entries, section) if isinstance(entries, Mapping) else entries
            for i, entry in enumerate(as_list(listed, section)):
                where = f"{section}[{i}]"
                data = normalise(entry, where, (*_ENTRY_KEYS, *_MACROS))
                if not isinstance(data.get("target"), str | int):
                    raise InputError(f"{where}.target is {shown(data.get('target'))}, allowed: a name")
                if data.get("type") == "max_overbooked_proportion":
                    refuse_unsupported(data, where)
                    continue
                yield where, directive_kind(data, where), data | {"target": str(data["target"])}

    def _node(
        self, target: str, wishes: Mapping[str, Any], spreads: Mapping[str, tuple[int, int]]
    ) -> Iterator[Constraint]:
        for kind, body in normalise(wishes, f"constraints of {target!r}", _NODE_KINDS).items():
            where = f"constraints of {target!r}.{kind}"
            data = self._expanded(normalise(body or {}, where, (*_ENTRY_KEYS, *_MACROS)), where)
            if all(data.get(key) in (None, [], "") for key in ("factors", "permutation", "split", "keep", "bypass")):
                continue
            holds = target in self.targets.storage
            if kind == "max_overbooked_proportion" or (not holds and kind != "spatial"):  # a container
                continue
            found = self._constraint({**data, "target": target}, directive_kind({"type": kind}, where), where)
            yield from _directed(found, target, spreads, where)

    def _other_branches(self, node: Node, stated: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
        """Returns the tensors that take another branch of a ``!Parallel`` node around a memory."""
        gone: set[str] = set()
        for branch in node.branches:
            # Inside a branch only its own tensors have to take one.
            reaching = [name for name in self.problem.tensor_names if name not in gone]
            kept = []
            for peer in branch.peers:
                outside = [data for data in stated if data["target"] in peer.names]
                kept.append({t for wish in (*peer.wishes, *outside) for t in self._kept(wish)})
            for name in reaching:
                holders = [peer for peer, tensors in zip(branch.peers, kept, strict=True) if name in tensors]
                if len(holders) != 1:
                    branches = " | ".join(", ".join(peer.names) or "!Nothing" for peer in branch.peers)
                    raise InputError(
                        f"!Parallel ({branches}): tensor {name!r} is kept in {len(holders)} branches, allowed: one "
                        f"(!Nothing {{constraints: {{dataspace: {{keep: [{name}]}}}}}} lets it pass)"
                    )
                if holders[0] is not branch:
                    gone.add(name)
        return tuple(t for t in self.problem.tensor_names if t in gone)

    def _kept(self, wish: Any) -> list[str]:
        data = as_table(wish, "dataspace")
        only = self._tensors(data.get("bypass_only"), "bypass_only")
        rest = [] if data.get("bypass_only") is None else [t for t in self.problem.tensor_names if t not in only]
        return [*self._tensors(data.get("keep"), "keep"), *self._tensors(data.get("keep_only"), "keep_only"), *rest]

    def _expanded(self, data: dict[str, Any], where: str) -> dict[str, Any]:
        """Writes the macros of the front end out.

        Raises:
            InputError: One that changes counts.
        """
        names = self.problem.tensor_names
        refuse_unsupported(data, where)
        if data.get("maximize_dims"):
            warn_input(f"{where}.maximize_dims is left out: the factors stay free")
        limits = read_limits(data.get("factors"), self.problem.dims, f"{where}.factors")
        if data.get("factors_only") is not None:
            stated = read_limits(data["factors_only"], self.problem.dims, f"{where}.factors_only")
            for dim in stated.keys() & limits.keys():
                if stated[dim] != limits[dim]:
                    raise InputError(f"{where}: factors and factors_only differ in {dim}")
            limits |= stated
            named = {self._own_name(dim) for dim in limits}
            limits |= {dim: ("=", 1) for dim in self.problem.dims if dim not in named}
        for key, closed in (("no_iteration_over_dataspaces", True), ("must_iterate_over_dataspaces", False)):
            tensors = self._tensors(data.get(key), f"{where}.{key}")
            if tensors:
                used = {d for t in self.problem.tensors if t.name in tensors for d in t.dims}
                limits |= {dim: ("=", 1) for dim in self.problem.dims if (dim in used) is closed}
        result: dict[str, Any] = {key: value for key, value in data.items() if key not in _MACROS}
        result["factors"] = limits
        for key, side in (("keep_only", "keep"), ("bypass_only", "bypass")):
            if data.get(key) is not None:
                stated_names = self._tensors(data[key], f"{where}.{key}")
                rest = [name for name in names if name not in stated_names]
                result |= (
                    {"keep": stated_names, "bypass": rest}
                    if side == "keep"
                    else {
                        "keep": rest,
                        "bypass": stated_names,
                    }
                )
        return result

    def _constraint(self, data: Mapping[str, Any], kind: str, where: str) -> Constraint:
        name = self.architecture.level_names[self.targets.level(data.get("target"), kind)]
        words = split_permutation(data.get("permutation"), f"{where}.permutation")
        order = [dim for word in words for dim in ([word] if self._own_name(word) in self.problem.dims else word)]
        self._check_dimensions(data["factors"], order, where)
        named = {self._own_name(dim): limit for dim, limit in data["factors"].items()}
        factors = {dim: limit for dim, limit in named.items() if dim in self.problem.dims}
        if data.get("default_max_factor") is not None:
            most = as_integer(data["default_max_factor"], f"{where}.default_max_factor")
            for dim in self.problem.dims:
                factors.setdefault(dim, ("<=", most))
        order, split = self._order(order, read_split(data.get("split"), where), where)
        return Constraint(
            name,
            kind,  # type: ignore[arg-type]
            factors,
            tuple(order),
            split,
            tuple(self._tensors(data.get("keep"), f"{where}.keep")),
            tuple(self._tensors(data.get("bypass"), f"{where}.bypass")),
            as_number(data.get("min", 0.0), f"{where}.min"),
        )

    def _order(self, stated: list[str], split: int | None, where: str) -> tuple[list[str], int | None]:
        """Keeps the dimensions of the problem; those left out no longer count for the split."""
        own = [self._own_name(dim) for dim in stated]
        kept = [dim for dim in own if dim in self.problem.dims]
        if len(set(kept)) != len(kept):
            raise InputError(f"{where}.permutation: a dimension appears twice in {shown(stated)}")
        if split is not None and kept and split <= len(own):
            split = sum(dim in self.problem.dims for dim in own[:split])
        return kept, split

    def _check_dimensions(self, factors: Iterable[str], order: Iterable[str], where: str) -> None:
        """Refuses dimensions that the problem lacks, or says that they are left out."""
        dims = self.problem.dims
        for named, at in ((factors, f"{where}.factors"), (order, f"{where}.permutation")):
            for dim in named:
                if self.strict and self._own_name(dim) not in dims:
                    raise unknown_name(f"dimension in {at}", dim, dims)
        lacking = [dim for dim in dict.fromkeys([*factors, *order]) if self._own_name(dim) not in dims]
        if lacking:
            names = f"{self.problem.name!r} ({', '.join(dims)})"
            warn_input(f"{where}: {', '.join(lacking)} left out, no dimensions of {names}")

    def _own_name(self, dim: str) -> str:
        """Returns the problem's name of a dimension: output channels are K in some convolutions, M in others."""
        dims = self.problem.dims
        if dim in dims or dim not in ("K", "M") or {"K", "M"} <= set(dims):
            return dim
        other = "M" if dim == "K" else "K"
        window = {"R", "S"} & set(dims) and {"P", "Q"} & set(dims)
        return other if other in dims and window else dim

    def _tensors(self, value: Any, where: str) -> list[str]:
        names: list[str] = []
        for name in map(str, as_list(value, where)):
            if name == "*":
                names.extend(t for t in self.problem.tensor_names if t not in names)
            elif name in self.problem.tensor_names:
                names.append(name)
            else:
                raise unknown_name(f"tensor in {where}", name, self.problem.tensor_names)
        return names


def _targets_of(section: Mapping[str, Any], where: str) -> Any:
    """Returns the entries of a section; v0.1 chooses among several lists by name."""
    plain = {key: value for key, value in section.items() if not str(key).startswith("constraints")}
    data = normalise(plain, where, ("targets", "version", "template"))
    entries = section.get("constraints", data.get("targets"))
    if isinstance(entries, str):
        name = f"constraints_{entries}"
        if name not in section:
            raise unknown_name(f"list of constraints in {where}", name, [str(key) for key in section])
        entries = section[name]
    return entries


def _directed(
    constraint: Constraint, target: str, spreads: Mapping[str, tuple[int, int]], where: str
) -> Iterator[Constraint]:
    """Says in which directions a spatial constraint binds: those in which its node spreads, if any.

    Nodes that spread in the same direction before the same memory make up one fan-out, in which they cannot be told
    apart.
    """
    if constraint.kind != "spatial" or target not in spreads:
        yield constraint
        return
    own = [i for i, size in enumerate(spreads[target]) if size > 1]
    for other, sizes in spreads.items():
        if other != target and any(sizes[i] > 1 for i in own):
            raise InputError(f"{where}: {other!r} spreads in the same direction; write them as one node")
    if own:
        yield replace(constraint, along=None if len(own) == 2 else ("x", "y")[own[0]])

"""Reads Timeloop inputs: v0.3 as the C++ programs take them, v0.4 as the Python front end does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from accelgym.costmodels.architecture.machine import Architecture, Constraint
from accelgym.costmodels.architecture.problem import Problem
from accelgym.costmodels.components.technologies import Technology, technology
from accelgym.costmodels.errors import InputError, unknown_name
from accelgym.costmodels.loopnest.mappings import Mappings
from accelgym.costmodels.timeloop.components import apply_tables, build_compute, build_levels, read_art, read_ert
from accelgym.costmodels.timeloop.directives import Targets, read_constraint, read_factors, read_mapping
from accelgym.costmodels.timeloop.document import as_list, as_table, merge_documents, normalise, parse_document
from accelgym.costmodels.timeloop.hierarchy import Node, read_hierarchy
from accelgym.costmodels.timeloop.problem import read_problem

__all__ = ["TimeloopInput", "read_timeloop", "read_timeloop_data"]

_SECTIONS = (
    "problem",
    "architecture",
    "mapping",
    "ERT",
    "ART",
    "architecture_constraints",
    "mapspace_constraints",
    "mapspace",
    "mapper",
    "variables",
    "globals",
    "components",
    "compound_components",
)
_NODE_CONSTRAINTS = ("temporal", "spatial", "dataspace")
_NODE_KEYS = {
    "temporal": (
        "factors",
        "permutation",
        "factors_only",
        "no_reuse",
        "rmw_first_update",
        "no_iteration_over_dataspaces",
    ),
    "spatial": ("factors", "permutation", "factors_only", "split", "no_reuse", "no_link_transfer", "maximize_dims"),
    "dataspace": ("keep", "bypass", "keep_only", "no_coalesce"),
}


@dataclass(frozen=True)
class TimeloopInput:
    """What a set of Timeloop files describes."""

    problem: Problem
    architecture: Architecture
    mappings: Mappings | None = None
    """A batch of one, when there is a ``mapping`` section."""
    mapper: dict[str, Any] = field(default_factory=dict)
    """The ``mapper`` section as it stands: settings of Timeloop's own search."""


def read_timeloop(
    *sources: str | Path, problem: Problem | None = None, prices: Technology | None = None
) -> TimeloopInput:
    """Reads files (or YAML text) that together hold problem, architecture and, optionally, a mapping.

    Args:
        sources: Paths, or texts with at least one line break.
        problem: Stands in for a ``problem`` section.
        prices: Prices components without an ERT or ART; the fitted 45 nm laws by default.

    Raises:
        InputError: A file, section, key or value is not understood; the message names it.
    """
    merged = merge_documents(parse_document(source) for source in sources)
    return read_timeloop_data(merged, problem=problem, prices=prices)


def read_timeloop_data(
    merged: Mapping[str, Any], *, problem: Problem | None = None, prices: Technology | None = None
) -> TimeloopInput:
    """Reads sections that are plain data already; see :func:`read_timeloop`."""
    for section in merged:
        if section not in _SECTIONS:
            raise unknown_name("section", section, _SECTIONS)
    for section in ("components", "compound_components"):
        if merged.get(section):
            raise InputError(f"section {section!r} is not supported; give an ERT and ART instead")
    if problem is None:
        if "problem" not in merged:
            raise InputError("no 'problem' section in the files")
        problem = read_problem(merged["problem"])
    if "architecture" not in merged:
        raise InputError("no 'architecture' section in the files")
    variables = {**as_table(merged.get("globals"), "globals"), **as_table(merged.get("variables"), "variables")}
    flat = "nodes" in as_table(merged["architecture"], "architecture")
    name, nodes = read_hierarchy(merged["architecture"], variables)
    if len(nodes) < 2:
        raise InputError("architecture: at least one memory and a multiplier are needed")
    prices = prices or technology()
    levels, compute = build_levels(nodes, prices), build_compute(nodes[-1], prices)
    ert = read_ert(merged["ERT"]) if "ERT" in merged else None
    art = read_art(merged["ART"]) if "ART" in merged else None
    levels, compute = apply_tables(levels, compute, ert, art)
    stated = prices.name if ert is None else "user ERT" if art is None else "user ERT and ART"
    architecture = Architecture(name, levels, compute, stated)
    targets = _targets(nodes, flat)
    constraints = tuple(_constraints(merged, nodes, problem, architecture, targets))
    architecture = replace(architecture, constraints=constraints, levels=_stores(architecture, constraints, problem))
    mappings = None
    if "mapping" in merged:
        loops = read_mapping(merged["mapping"], problem, architecture, targets)
        mappings = Mappings.from_loops(problem, architecture, [loops])
    return TimeloopInput(problem, architecture, mappings, dict(as_table(merged.get("mapper"), "mapper")))


def _targets(nodes: list[Node], flat: bool) -> Targets:
    storage = {node.name: i for i, node in enumerate(nodes[:-1])}
    if not flat:
        return Targets(storage)
    fanout = {alias: i - 1 for i, node in enumerate(nodes) if i > 0 for alias in node.aliases}
    only_y = frozenset(alias for node in nodes for alias, (x, y) in node.spreads.items() if y > x == 1)
    return Targets(storage, fanout, only_y)


def _constraints(
    merged: Mapping[str, Any], nodes: list[Node], problem: Problem, architecture: Architecture, targets: Targets
) -> Iterator[Constraint]:
    for section in ("architecture_constraints", "mapspace_constraints", "mapspace"):
        if section not in merged:
            continue
        entries = merged[section]
        if isinstance(entries, Mapping):
            entries = normalise(entries, section, ("targets", "version", "template")).get("targets")
        spreads = {alias: node.spreads for node in nodes for alias in node.spreads}
        for i, entry in enumerate(as_list(entries, section)):
            where = f"{section}[{i}]"
            found = read_constraint(entry, problem, architecture, targets, where)
            yield from _directed(found, entry["target"], spreads.get(entry["target"], {}), where)
    for node in nodes:
        for target, wishes in [*node.spatial_constraints, (node.name, node.constraints)]:
            yield from _node_constraints(target, wishes, node.spreads, problem, architecture, targets)


def _node_constraints(
    target: str,
    wishes: Mapping[str, Any],
    spreads: Mapping[str, tuple[int, int]],
    problem: Problem,
    architecture: Architecture,
    targets: Targets,
) -> Iterator[Constraint]:
    """Reads constraints written inside a v0.4 node."""
    for kind, body in normalise(wishes, f"constraints of {target!r}", _NODE_CONSTRAINTS).items():
        where = f"constraints of {target!r}.{kind}"
        data = normalise(body or {}, where, _NODE_KEYS[kind])
        for key in ("no_reuse", "rmw_first_update", "no_iteration_over_dataspaces", "maximize_dims", "no_coalesce"):
            if data.get(key):
                raise InputError(f"{where}.{key}={data[key]!r} is not supported")
        if data.get("factors_only") and data.get("factors"):
            raise InputError(f"{where}: give factors or factors_only")
        only = data.pop("factors_only", None)
        if only:
            named = read_factors(only, problem.dims, f"{where}.factors_only")
            stated = only.split() if isinstance(only, str) else only
            data["factors"] = [*stated, *(f"{dim}=1" for dim in problem.dims if dim not in named)]
        kept = data.pop("keep_only", None)
        if kept is not None:
            kept = as_list(kept, f"{where}.keep_only")
            data |= {"keep": kept, "bypass": [t for t in problem.tensor_names if t not in kept]}
        entry = {
            key: data[key]
            for key in ("factors", "permutation", "split", "keep", "bypass")
            if data.get(key) not in (None, [])
        }
        if not entry:
            continue
        found = read_constraint({"target": target, "type": kind, **entry}, problem, architecture, targets, where)
        yield from _directed(found, target, spreads, where)


def _directed(
    constraint: Constraint, target: str, spreads: Mapping[str, tuple[int, int]], where: str
) -> Iterator[Constraint]:
    """Says in which directions a spatial constraint binds: those in which its v0.4 node spreads, if any.

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


def _stores(architecture: Architecture, constraints: tuple[Constraint, ...], problem: Problem) -> tuple[Any, ...]:
    """Closes levels to the tensors that a constraint makes bypass them."""
    levels = []
    for level in architecture.levels:
        gone = {t for c in constraints if c.kind == "bypass" and c.level == level.name for t in c.bypass}
        left = frozenset(problem.tensor_names) - gone
        levels.append(replace(level, stores=left) if gone else level)
    return tuple(levels)

"""Reads Timeloop inputs: v0.3 as the C++ programs take them, v0.4 as the Python front end does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.architecture.machine import Architecture, Constraint
from accelgym.costmodels.components.technologies import Technology, technology
from accelgym.costmodels.errors import InputError, unknown_name, warn_input
from accelgym.costmodels.files.timeloop_yaml.document import (
    SUFFIXES,
    as_table,
    list_files,
    merge_documents,
    naming,
    parse_document,
)
from accelgym.costmodels.files.timeloop_yaml.expressions import Scope
from accelgym.costmodels.loopnest.mappings import Mappings
from accelgym.costmodels.timeloop.components import (
    apply_tables,
    build_compute,
    build_levels,
    read_art,
    read_ert,
    share_rows,
)
from accelgym.costmodels.timeloop.constraints import ConstraintReader
from accelgym.costmodels.timeloop.directives import Targets, read_mapping, warn_of_lists
from accelgym.costmodels.timeloop.hierarchy import read_hierarchy
from accelgym.costmodels.timeloop.nodes import Node
from accelgym.costmodels.timeloop.problem import read_problem

__all__ = [
    "SECTIONS",
    "TimeloopInput",
    "is_section",
    "names_files",
    "read_architecture_files",
    "read_timeloop",
    "read_timeloop_data",
]

SECTIONS = (
    "problem",
    "architecture",
    "arch",
    "mapping",
    "ERT",
    "ART",
    "ERT_summary",
    "ART_summary",
    "architecture_constraints",
    "mapspace_constraints",
    "constraints",
    "mapspace",
    "mapper",
    "variables",
    "globals",
    "components",
    "compound_components",
    "sparse_optimizations",
    "technology",
    "dumped_by_timeloop_front_end",
)
"""Top-level keys of Timeloop's files; any name with ``constraints`` in it is one, too."""

_TABLES = ("ERT", "ERT_summary", "ART", "ART_summary")


@dataclass(frozen=True)
class TimeloopInput:
    """Contents of a set of Timeloop files."""

    problem: LoopNest
    architecture: Architecture
    mappings: Mappings | None = None
    """A batch of one, when there is a ``mapping`` section."""
    mapper: dict[str, Any] = field(default_factory=dict)
    """The ``mapper`` section as it stands: settings of Timeloop's own search."""
    fanouts: tuple[tuple[str, str], ...] = ()
    """Per level the targets by which a mapping of these files names the x and y direction of the fan-out below."""


def read_timeloop(
    *sources: str | Path,
    problem: LoopNest | None = None,
    prices: Technology | None = None,
    defines: Mapping[str, Any] | None = None,
    root: Path | None = None,
) -> TimeloopInput:
    """Reads files (or YAML text) that together hold problem, architecture and, optionally, a mapping.

    Args:
        sources: Paths, folders of YAML files, or texts with at least one line break.
        problem: Stands in for a ``problem`` section; constraints on dimensions it lacks are left out.
        prices: Prices components without an ERT or ART; else the section ``technology`` names it, else the fitted
            45 nm laws do.
        defines: Values of the variables of files that are Jinja templates.
        root: Folder below which templates may include files; that of each file unless stated.

    Raises:
        InputError: A file, section, key or value is not understood; the message names it.
        MissingExtraError: A file is a template, and Jinja2 is not installed.

    Warns:
        InputWarning: A part of a file has no effect, or is taken in another way.
    """
    paths: list[str | Path] = []
    for source in sources:
        paths.extend([source] if isinstance(source, str) and "\n" in source else list_files(source))
    merged = merge_documents(parse_document(path, defines, root) for path in paths)
    return read_timeloop_data(merged, problem=problem, prices=prices)


def read_timeloop_data(
    merged: Mapping[str, Any], *, problem: LoopNest | None = None, prices: Technology | None = None
) -> TimeloopInput:
    """Reads sections that are plain data already; see :func:`read_timeloop`."""
    _check_sections(merged)
    own_problem = problem is None
    variables = {**as_table(merged.get("globals"), "globals"), **as_table(merged.get("variables"), "variables")}
    scope = Scope(variables)
    if problem is None:
        if "problem" not in merged:
            raise InputError("no 'problem' section in the files")
        with naming(merged, "problem"):
            problem = read_problem(merged["problem"], scope)
    section = merged.get("architecture", merged.get("arch"))
    if section is None:
        raise InputError("no 'architecture' section in the files")
    with naming(merged, "architecture", "arch"):
        inner = as_table(as_table(section, "architecture").get("variables"), "architecture.variables")
        spec = {"problem": {"instance": problem.bound}, "variables": variables}
        name, nodes = read_hierarchy(section, scope.within({"spec": spec, **inner}))
        if len(nodes) < 2:
            raise InputError("architecture: at least one memory and a multiplier are needed")
    if prices is None:
        stated = merged.get("technology")
        prices = technology() if stated is None else technology(str(stated))
    with naming(merged, *_TABLES):
        ert = read_ert(merged["ERT"]) if merged.get("ERT") else None
        if ert is None and merged.get("ERT_summary"):
            ert = read_ert(merged["ERT_summary"], "ERT_summary")
        art = read_art(merged["ART"]) if merged.get("ART") else None
        if art is None and merged.get("ART_summary"):
            art = read_art(merged["ART_summary"], "ART_summary")
    with naming(merged, "architecture", "arch"):
        levels = build_levels(nodes, prices, priced=ert is not None)
        compute = build_compute(nodes[-1], prices, priced=ert is not None)
    with naming(merged, *_TABLES):
        levels, compute = apply_tables(levels, compute, None if ert is None else share_rows(ert, nodes), art)
    stated = prices.name if ert is None else "user ERT" if art is None else "user ERT and ART"
    architecture = Architecture(name, levels, compute, stated)
    targets = _targets(nodes)
    sections = {name: part for name, part in merged.items() if name == "mapspace" or "constraints" in name}
    reader = ConstraintReader(problem, architecture, nodes, targets, strict=own_problem)
    with naming(merged, *(sections or ("architecture", "arch"))):
        constraints = tuple(reader.read(sections))
    architecture = replace(architecture, constraints=constraints, levels=_stores(architecture, constraints, problem))
    mappings = None
    if merged.get("mapping"):
        with naming(merged, "mapping"):
            loops = read_mapping(merged["mapping"], problem, architecture, targets)
            if "nodes" not in section:
                warn_of_lists(merged["mapping"])
            mappings = Mappings.from_loops(problem, architecture, [loops])
    with naming(merged, "mapper"):
        settings = dict(as_table(merged.get("mapper"), "mapper"))
    return TimeloopInput(problem, architecture, mappings, settings, _fanouts(nodes, targets))


def read_architecture_files(name: str, problem: LoopNest) -> Architecture:
    """Reads a machine that one argument names, for a problem from elsewhere.

    Args:
        name: Paths of YAML files, templates or folders, separated by commas; values of the variables of templates
            follow a question mark: ``top.yaml.jinja2?architecture=eyeriss_like&problem=conv.yaml``.
        problem: Its dimensions and tensors are those that constraints may name.

    Raises:
        InputError: An error in a file, or in the variables.
    """
    paths, _, query = name.partition("?")
    defines = {}
    for pair in filter(None, query.split("&")):
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise InputError(f"architecture {name!r}: {pair!r}, allowed NAME=VALUE after the question mark")
        defines[key] = value
    sources = [Path(path.strip()) for path in paths.split(",") if path.strip()]
    return read_timeloop(*sources, problem=problem, defines=defines).architecture


def names_files(name: str) -> bool:
    """Whether an argument names Timeloop files rather than something else."""
    first = Path(name.partition("?")[0].split(",")[0].strip())
    return first.suffix.lower() in SUFFIXES or first.is_dir()


def is_section(name: str) -> bool:
    """Whether Timeloop's files may have a top-level key of this name."""
    return name in SECTIONS or "constraints" in name


def _check_sections(merged: Mapping[str, Any]) -> None:
    """Refuses sections that ask for what is not modelled, and names those without effect."""
    for section in merged:
        if not is_section(section):
            raise unknown_name("section", section, SECTIONS)
    if "architecture" in merged and "arch" in merged:
        raise InputError("sections 'architecture' and 'arch' describe the same thing, allowed: one of them")
    if _entries(merged.get("sparse_optimizations"), "targets"):
        raise InputError("section 'sparse_optimizations': sparse machines are not supported")
    priced = bool(merged.get("ERT") or merged.get("ERT_summary"))
    for section in ("components", "compound_components"):
        if _entries(merged.get(section), "classes") and not priced:
            warn_input(f"section {section!r} is left out: laws price the classes (an ERT and ART state prices)")
    if as_table(merged.get("globals"), "globals").get("expression_custom_functions"):
        warn_input("globals.expression_custom_functions is left out: functions in Python files are not called")


def _entries(section: Any, key: str) -> Any:
    return section.get(key) if isinstance(section, Mapping) else section


def _targets(nodes: list[Node]) -> Targets:
    storage = {node.name: i for i, node in enumerate(nodes[:-1])}
    flat = any(node.name in node.aliases for node in nodes)
    fanout = {} if flat else dict(storage)
    holders = set()
    for i, node in enumerate(nodes):
        for alias in node.aliases if i else ():
            fanout[alias] = i - 1
            # Timeloop's front end inserts a level without storage before each node that spreads, and its mapper
            # names that level.
            holder = f"inter_{alias}_spatial" if flat else alias
            if flat and node.spreads.get(alias, (1, 1)) != (1, 1):
                fanout[holder] = i - 1
            holders |= {name for name in (holder, alias) if name not in storage}
    only_y = set()
    for node in nodes:
        for alias, (x, y) in node.spreads.items():
            if y > x == 1:
                only_y |= {alias, f"inter_{alias}_spatial"}
    return Targets(storage, fanout, frozenset(only_y), frozenset(holders))


def _fanouts(nodes: list[Node], targets: Targets) -> tuple[tuple[str, str], ...]:
    """Returns, per level, a target of each direction of its fan-out: its own name (v0.3), or who spreads (v0.4)."""
    result = []
    for v, (node, inner) in enumerate(pairwise(nodes)):
        if targets.fanout.get(node.name) == v:
            result.append((node.name, node.name))
            continue
        x, y = (next((a for a in inner.aliases if inner.spreads[a][i] > 1), None) for i in (0, 1))
        result.append((x or y or inner.name, y or x or inner.name))
    return tuple(result)


def _stores(architecture: Architecture, constraints: tuple[Constraint, ...], problem: LoopNest) -> tuple[Any, ...]:
    """Closes levels to the tensors that a constraint makes bypass them."""
    levels = []
    for level in architecture.levels:
        gone = {t for c in constraints if c.kind == "bypass" and c.level == level.name for t in c.bypass}
        left = frozenset(problem.tensor_names) - gone
        levels.append(replace(level, stores=left) if gone else level)
    return tuple(levels)

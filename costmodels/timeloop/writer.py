"""Writes Timeloop v0.3 inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from accelgym.costmodels.architecture.machine import Architecture, Constraint, StorageLevel
from accelgym.costmodels.architecture.problem import Problem
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.loopnest.mappings import Mappings
from accelgym.costmodels.timeloop.problem import problem_section

__all__ = ["timeloop_document", "write_timeloop"]


def write_timeloop(problem: Problem, architecture: Architecture, mappings: Mappings | None = None, row: int = 0) -> str:
    """Writes problem, architecture, energies, areas, constraints and one mapping as YAML text, v0.3.

    ``timeloop-model`` reads it as it stands; :func:`read_timeloop` gives the same objects back, but for constraints
    on one direction of a fan-out, which v0.3 can only say by splitting the dimensions between x and y.

    Args:
        problem: The problem.
        architecture: The machine.
        mappings: A batch with the mapping to write.
        row: Its position.
    """
    document = timeloop_document(problem, architecture, mappings, row)
    return yaml.safe_dump(document, sort_keys=False, default_flow_style=None, width=120)


def timeloop_document(
    problem: Problem, architecture: Architecture, mappings: Mappings | None = None, row: int = 0
) -> dict[str, Any]:
    """Returns what :func:`write_timeloop` writes, as plain data."""
    document: dict[str, Any] = {
        "problem": problem_section(problem),
        "architecture": {"version": 0.3, "subtree": [_tree(architecture)]},
        "ERT": {"version": 0.3, "tables": _energies(architecture)},
        "ART": {"version": 0.3, "tables": _areas(architecture)},
    }
    constraints = [_constraint(x, problem) for x in _without_directions(architecture.constraints, problem)]
    stated = {(c.level, tensor) for c in architecture.constraints if c.kind == "bypass" for tensor in c.bypass}
    for level in architecture.levels:
        gone = [t for t in problem.tensor_names if not level.may_store(t) and (level.name, t) not in stated]
        if gone:
            kept = [t for t in problem.tensor_names if level.may_store(t)]
            constraints.append({"target": level.name, "type": "bypass", "keep": kept, "bypass": gone})
    if constraints:
        document["architecture_constraints"] = {"targets": constraints}
    if mappings is not None:
        document["mapping"] = _directives(problem, architecture, mappings, row)
    return document


def _tree(architecture: Architecture) -> dict[str, Any]:
    """Nests one subtree per fan-out; names carry the number of instances per parent."""
    root: dict[str, Any] = {"name": architecture.name, "local": []}
    node, mesh_x = root, 1
    for i, level in enumerate(architecture.levels):
        node["local"].append({"name": level.name, "class": level.component, "attributes": _attributes(level, mesh_x)})
        mesh_x *= level.fanout_x
        if level.fanout > 1:
            inner: dict[str, Any] = {"name": f"below_{level.name}[0..{level.fanout - 1}]", "local": []}
            node["subtree"] = [inner]
            node = inner
        if i + 1 == len(architecture.levels):
            compute = architecture.compute
            attributes = {"datawidth": compute.word_bits, "meshX": mesh_x, **compute.attributes}
            node["local"].append({"name": compute.name, "class": compute.component, "attributes": attributes})
    return root


def _attributes(level: StorageLevel, mesh_x: int) -> dict[str, Any]:
    result: dict[str, Any] = {
        "width": level.word_bits * level.block_size,
        "word-bits": level.word_bits,
        "block-size": level.block_size,
        "meshX": mesh_x,
    }
    if level.capacity_words is not None:
        if level.capacity_words % level.block_size:
            result["entries"] = level.capacity_words
        else:
            result["depth"] = level.capacity_words // level.block_size
    optional = {
        "read_bandwidth": level.read_bw,
        "write_bandwidth": level.write_bw,
        "shared_bandwidth": level.shared_bw,
        "multiple-buffering": level.multiple_buffering if level.multiple_buffering != 1 else None,
        "min-utilization": level.min_utilization or None,
    }
    result |= {key: value for key, value in optional.items() if value is not None}
    return result | dict(level.attributes)


def _energies(architecture: Architecture) -> list[dict[str, Any]]:
    tables = []
    for level in architecture.levels:
        actions = {"read": level.read_pj, "write": level.write_pj, "leak": level.leakage_pj}
        if level.update_pj is not None:
            actions["update"] = level.update_pj
        tables.append(_table(architecture, level.name, actions))
    compute = architecture.compute
    tables.append(_table(architecture, compute.name, {"compute": compute.mac_pj, "leak": compute.leakage_pj}))
    return tables


def _table(architecture: Architecture, name: str, actions: dict[str, float]) -> dict[str, Any]:
    rows = [{"name": action, "arguments": {}, "energy": energy} for action, energy in actions.items()]
    return {"name": f"{architecture.name}.{name}", "actions": rows}


def _areas(architecture: Architecture) -> list[dict[str, Any]]:
    parts = [(level.name, level.area_um2) for level in architecture.levels]
    parts.append((architecture.compute.name, architecture.compute.area_um2))
    return [{"name": f"{architecture.name}.{name}", "area": area} for name, area in parts]


def _without_directions(constraints: Sequence[Constraint], problem: Problem) -> list[Constraint]:
    """Rewrites constraints on one direction of a fan-out as v0.3 can say them: a dimension lies along x or y.

    A dimension that is open in both directions cannot be pinned, so that limits on one of them are left out.
    """
    result = [x for x in constraints if x.along is None]
    for level in dict.fromkeys(x.level for x in constraints if x.along is not None):
        sides: dict[str, dict[str, tuple[str, int]]] = {"x": {}, "y": {}}
        for constraint in constraints:
            if constraint.level == level and constraint.along is not None:
                sides[constraint.along] |= constraint.factors
        closed = {side: {d for d, limit in factors.items() if limit == ("=", 1)} for side, factors in sides.items()}
        factors = {d: ("=", 1) for d in problem.dims if d in closed["x"] & closed["y"]}
        along = {
            "x": [d for d in problem.dims if d in closed["y"] - closed["x"]],
            "y": [d for d in problem.dims if d in closed["x"] - closed["y"]],
        }
        for side, dims in along.items():
            factors |= {d: sides[side][d] for d in dims if d in sides[side]}
        rest = [d for d in problem.dims if d not in along["x"] and d not in along["y"]]
        pinned = all(d in factors or problem.bound[d] == 1 for d in rest)
        order = (*along["x"], *along["y"], *rest) if pinned else ()
        result.append(Constraint(level, "spatial", factors, order, len(along["x"]) if pinned else None))
    return result


def _constraint(constraint: Constraint, problem: Problem) -> dict[str, Any]:
    """Writes what a constraint says about the dimensions the problem has."""
    result: dict[str, Any] = {"target": constraint.level, "type": constraint.kind}
    factors = [f"{dim}{how}{value}" for dim, (how, value) in constraint.factors.items() if dim in problem.dims]
    if factors:
        result["factors"] = " ".join(factors)
    permutation = [dim for dim in constraint.permutation if dim in problem.dims]
    if permutation:
        result["permutation"] = permutation
    if constraint.split is not None:
        result["split"] = constraint.split
    if constraint.kind == "bypass":
        result |= {"keep": list(constraint.keep), "bypass": list(constraint.bypass)}
    if constraint.minimum:
        result["min"] = constraint.minimum
    return result


def _directives(problem: Problem, architecture: Architecture, mappings: Mappings, row: int) -> list[dict[str, Any]]:
    loops = mappings.loops(row)
    directives = []
    for v, level in enumerate(architecture.levels):
        here = {kind: [x for x in loops if (x.level, x.kind) == (v, kind)] for kind in ("temporal", "x", "y")}
        directives.append(_directive(problem, level.name, "temporal", here["temporal"]))
        if level.fanout > 1:
            # The dimensions along x come first in the permutation, and the split says how many they are.
            directive = _directive(problem, level.name, "spatial", [*here["y"], *here["x"]])
            clash = {x.dim for x in here["x"]} & {x.dim for x in here["y"]}
            if clash:
                dim = problem.dims[min(clash)]
                raise InputError(
                    f"{dim} lies along x and y below {level.name!r}; Timeloop takes one factor per fan-out"
                )
            directives.append({**directive, "split": len(here["x"])})
        if mappings.keep is not None:
            pairs = list(zip(problem.tensor_names, mappings.keep[row, v], strict=True))
            sides = {"keep": [t for t, kept in pairs if kept], "bypass": [t for t, kept in pairs if not kept]}
            directives.append({"target": level.name, "type": "bypass", **sides})
    return directives


def _directive(problem: Problem, target: str, kind: str, loops: list[Any]) -> dict[str, Any]:
    factors = dict.fromkeys(problem.dims, "1")
    for loop in loops:
        residual = f",{loop.residual}" if loop.residual != loop.bound else ""
        factors[problem.dims[loop.dim]] = f"{loop.bound}{residual}"
    inner_first = [problem.dims[loop.dim] for loop in reversed(loops)]
    order = [*inner_first, *(dim for dim in problem.dims if dim not in inner_first)]
    return {
        "target": target,
        "type": kind,
        "factors": " ".join(f"{dim}={bound}" for dim, bound in factors.items()),
        "permutation": list(order) if any(len(dim) > 1 for dim in order) else "".join(order),
    }

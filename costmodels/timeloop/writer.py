"""Writes Timeloop v0.3 inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import yaml

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.architecture.machine import Architecture, Constraint, StorageLevel
from accelgym.costmodels.arrays import to_numpy
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.loopnest.mappings import Mappings
from accelgym.costmodels.timeloop.names import ExportNames
from accelgym.costmodels.timeloop.problem import problem_section

__all__ = ["timeloop_document", "write_constraints", "write_timeloop"]

_MEMORIES = ("DRAM", "SRAM", "regfile", "smartbuffer", "storage")
_COMPUTES = ("mac", "compute")
_LARGEST = 2**31 - 1
_HEADER = (
    "Written by AccelGym, Timeloop v0.3. Run it: timeloop-model FILE -o FOLDER",
    "timeloop-model extrapolates from two iterations of every loop and lets neighbours forward words over links. For",
    "every iteration and no links, as in AccelGym's default count, set TIMELOOP_DISABLE_TEMPORAL_EXTRAPOLATION=1,",
    "TIMELOOP_DISABLE_SPATIAL_EXTRAPOLATION=1 and TIMELOOP_DISABLE_LINK_TRANSFERS=1.",
)


def write_timeloop(
    problem: LoopNest,
    architecture: Architecture,
    mappings: Mappings | None = None,
    row: int = 0,
    notes: Sequence[str] = (),
) -> str:
    """Writes problem, architecture, energies, areas and one mapping, or the constraints, as YAML text, v0.3.

    With a mapping ``timeloop-model`` (HEAD, 4cf6d4c) reads it as it stands. Without one it holds the constraints for
    ``timeloop-mapper``, but for limits on one direction of a fan-out, which v0.3 can only say by splitting the
    dimensions between x and y. :func:`read_timeloop` gives the same objects back; names that Timeloop refuses are
    replaced (see :class:`~accelgym.costmodels.timeloop.names.ExportNames`), and the comments on top say by what.

    Args:
        problem: The problem.
        architecture: The machine.
        mappings: A batch with the mapping to write.
        row: Its position.
        notes: Further comments on top of the file, one line each.

    Raises:
        InputError: v0.3 cannot say it: a dimension along x and y of one fan-out, more dimensions than letters, or a
            bound beyond 2**31 - 1.
    """
    document = timeloop_document(problem, architecture, mappings, row)
    comments = [f"# {line}" for line in (*_HEADER, *ExportNames.of(problem, architecture).comments, *notes)]
    body = yaml.safe_dump(document, sort_keys=False, default_flow_style=None, width=120)
    return "\n".join([*comments, body])


def timeloop_document(
    problem: LoopNest, architecture: Architecture, mappings: Mappings | None = None, row: int = 0
) -> dict[str, Any]:
    """Returns what :func:`write_timeloop` writes, as plain data."""
    names = ExportNames.of(problem, architecture)
    problem, architecture = names.rename_problem(problem), names.rename_architecture(architecture)
    if mappings is not None:
        mappings = replace(mappings, problem=problem, architecture=architecture)
    document: dict[str, Any] = {
        "problem": problem_section(problem),
        "architecture": {"version": 0.3, "subtree": [_tree(architecture)]},
        "ERT": {"version": 0.3, "tables": _energies(architecture)},
        "ART": {"version": 0.3, "tables": _areas(architecture)},
    }
    if mappings is not None:
        # timeloop-model compares constraints with the mapping and refuses some that it keeps: none are written.
        return document | {"mapping": _directives(problem, architecture, mappings, row)}
    constraints = _constraints(problem, architecture)
    if constraints:
        document["architecture_constraints"] = {"targets": constraints}
    return document


def write_constraints(problem: LoopNest, architecture: Architecture) -> str | None:
    """Writes the constraints of a machine as YAML text for ``timeloop-mapper``, ``None`` if it has none.

    They stay out of a file with a mapping, see :func:`write_timeloop`; limits on one direction of a fan-out are said
    by splitting the dimensions between x and y.
    """
    names = ExportNames.of(problem, architecture)
    found = _constraints(names.rename_problem(problem), names.rename_architecture(architecture))
    section = {"architecture_constraints": {"targets": found}}
    comment = "# Written by AccelGym: constraints for timeloop-mapper; timeloop-model needs none.\n"
    return comment + yaml.safe_dump(section, sort_keys=False, default_flow_style=None, width=120) if found else None


def _constraints(problem: LoopNest, architecture: Architecture) -> list[dict[str, Any]]:
    """Constraints, and a bypass for every tensor that a level may not store."""
    constraints = [_constraint(x, problem) for x in _without_directions(architecture.constraints, problem)]
    stated = {(c.level, tensor) for c in architecture.constraints if c.kind == "bypass" for tensor in c.bypass}
    for level in architecture.levels:
        gone = [t for t in problem.tensor_names if not level.may_store(t) and (level.name, t) not in stated]
        if gone:
            kept = [t for t in problem.tensor_names if level.may_store(t)]
            constraints.append({"target": level.name, "type": "bypass", "keep": kept, "bypass": gone})
    return constraints


def _tree(architecture: Architecture) -> dict[str, Any]:
    """Nests one subtree per fan-out; names carry the number of instances per parent.

    ``meshX`` is the number of columns over the whole machine; components do not inherit it.
    """
    root: dict[str, Any] = {"name": architecture.name, "local": []}
    node, mesh_x = root, 1
    for i, level in enumerate(architecture.levels):
        entry = {"name": level.name, "class": _memory_class(level), "attributes": _attributes(level, mesh_x)}
        node["local"].append(entry)
        mesh_x *= level.fanout_x
        if level.fanout > 1:
            inner: dict[str, Any] = {"name": f"below_{level.name}[0..{level.fanout - 1}]", "local": []}
            node["subtree"] = [inner]
            node = inner
        if i + 1 == len(architecture.levels):
            compute = architecture.compute
            component = compute.component if any(x in compute.component for x in _COMPUTES) else "compute"
            attributes = {"datawidth": compute.word_bits, "meshX": mesh_x, **_pricing(compute.attributes)}
            node["local"].append({"name": compute.name, "class": component, "attributes": attributes})
    return root


def _memory_class(level: StorageLevel) -> str:
    """A class that Timeloop takes: it skips unknown ones, and only a DRAM may leave its size out."""
    if level.capacity_words is None:
        return level.component if "DRAM" in level.component else "DRAM"
    return level.component if any(x in level.component for x in _MEMORIES) else "storage"


def _pricing(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Carried attributes but those that would beat the ERT."""
    return {key: value for key, value in attributes.items() if key != "vector_access_energy"}


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
    return result | _pricing(level.attributes)


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


def _without_directions(constraints: Sequence[Constraint], problem: LoopNest) -> list[Constraint]:
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


def _constraint(constraint: Constraint, problem: LoopNest) -> dict[str, Any]:
    """Writes what a constraint says about the dimensions the problem has."""
    result: dict[str, Any] = {"target": constraint.level, "type": constraint.kind}
    factors = [f"{dim}{how}{value}" for dim, (how, value) in constraint.factors.items() if dim in problem.dims]
    if factors:
        result["factors"] = " ".join(factors)
    permutation = "".join(dim for dim in constraint.permutation if dim in problem.dims)
    if permutation:
        result["permutation"] = permutation
    if constraint.split is not None:
        result["split"] = constraint.split
    if constraint.kind == "bypass":
        result |= {"keep": list(constraint.keep), "bypass": list(constraint.bypass)}
    if constraint.minimum:
        result["min"] = constraint.minimum
    return result


def _directives(problem: LoopNest, architecture: Architecture, mappings: Mappings, row: int) -> list[dict[str, Any]]:
    """Writes the mapping; every level states what it keeps, since only that takes a tensor out of it."""
    loops = mappings.loops(row)
    for dim, bound in problem.bound.items():
        if bound > _LARGEST:
            raise InputError(f"problem {problem.name!r}: bound {bound} of {dim}, Timeloop takes at most {_LARGEST}")
    everything = np.array([[level.may_store(t) for t in problem.tensor_names] for level in architecture.levels])
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
        kept = everything[v] if mappings.keep is None else everything[v] & to_numpy(mappings.keep[row, v])
        pairs = list(zip(problem.tensor_names, kept, strict=True))
        sides = {"keep": [t for t, k in pairs if k], "bypass": [t for t, k in pairs if not k]}
        directives.append({"target": level.name, "type": "bypass", **sides})
    return directives


def _directive(problem: LoopNest, target: str, kind: str, loops: list[Any]) -> dict[str, Any]:
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
        "permutation": "".join(order),
    }

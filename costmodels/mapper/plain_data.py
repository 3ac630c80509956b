"""Problems and machines as plain data and back, with nothing lost: orders of jobs, and what results belong to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from accelgym.costmodels.architecture.loop_nest import LoopNest, Tensor
from accelgym.costmodels.architecture.machine import Architecture, Compute, Constraint, StorageLevel

__all__ = ["machine_from_plain", "machine_to_plain", "problem_from_plain", "problem_to_plain"]


def problem_to_plain(problem: LoopNest) -> dict[str, Any]:
    """Returns a problem as data for JSON."""
    return asdict(problem)


def problem_from_plain(data: Mapping[str, Any]) -> LoopNest:
    """Inverse of :func:`problem_to_plain`, also after a way through JSON."""
    tensors = tuple(
        Tensor(t["name"], tuple(tuple((d, c) for d, c in axis) for axis in t["axes"]), t["read_write"])
        for t in data["tensors"]
    )
    options = {key: tuple(value) for key, value in data["options"].items()}
    return LoopNest(data["name"], tuple(data["dims"]), tuple(data["bounds"]), tensors, data["kind"], options)


def machine_to_plain(machine: Architecture) -> dict[str, Any]:
    """Returns a machine as data for JSON."""
    data = asdict(machine)
    for level in data["levels"]:
        level["stores"] = None if level["stores"] is None else sorted(level["stores"])
    return data


def machine_from_plain(data: Mapping[str, Any]) -> Architecture:
    """Inverse of :func:`machine_to_plain`, also after a way through JSON."""
    levels = (
        StorageLevel(**level | {"stores": None if level["stores"] is None else frozenset(level["stores"])})
        for level in data["levels"]
    )
    constraints = (
        Constraint(
            **entry
            | {
                "factors": {dim: (how, value) for dim, (how, value) in entry["factors"].items()},
                **{key: tuple(entry[key]) for key in ("permutation", "keep", "bypass")},
            }
        )
        for entry in data["constraints"]
    )
    parts = {"levels": tuple(levels), "compute": Compute(**data["compute"]), "constraints": tuple(constraints)}
    return Architecture(**dict(data) | parts)

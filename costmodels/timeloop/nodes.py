"""The nodes of a machine, and which of them are levels of its memory hierarchy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import pairwise
from typing import Any

from accelgym.costmodels.errors import InputError, shown, warn_input
from accelgym.costmodels.timeloop.attributes import DEPTH

__all__ = ["Branch", "Node", "known_roles", "without_place_holders"]

_MEMORIES = ("dram", "sram", "regfile", "smartbuffer", "storage")
"""Timeloop takes any class whose name contains one of these for a memory, any case."""
_COMPUTE = ("mac", "compute")


@dataclass
class Branch:
    """One branch of a ``!Parallel`` node: a tensor kept in it bypasses the others."""

    names: list[str] = field(default_factory=list)
    wishes: list[Any] = field(default_factory=list)
    """The ``dataspace`` constraints written in its nodes."""
    peers: list[Branch] = field(default_factory=list, repr=False)
    """All branches of the ``!Parallel`` node, this one included."""


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
    """Targets of the fan-out into this node: v0.4 containers, or levels around a place holder that stores nothing."""
    constraints: dict[str, Any] = field(default_factory=dict)
    """Constraints written inside the node, v0.4."""
    spatial_constraints: list[tuple[str, Any]] = field(default_factory=list)
    """Constraints written inside its containers, v0.4."""
    spreads: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Instances along x and y that each of ``aliases`` adds."""
    inherited: frozenset[str] = frozenset()
    """Attributes that only its containers state."""
    branches: tuple[Branch, ...] = ()
    """Branches of ``!Parallel`` nodes in which it lies, the outermost first."""

    @property
    def is_compute(self) -> bool:
        """Whether this is a multiplier."""
        kind = self.component.lower()
        return not any(name in kind for name in _MEMORIES) and any(name in kind for name in _COMPUTE)

    @property
    def is_memory(self) -> bool:
        """Whether this is a memory, by its class or because it states a size."""
        sized = any(self.attributes.get(key) is not None for key in (*DEPTH, "entries", "sizeKB"))
        return sized or any(name in self.component.lower() for name in (*_MEMORIES, "register"))

    @property
    def is_dram(self) -> bool:
        """Whether this is a DRAM, by its class or its technology."""
        return "dram" in self.component.lower() or str(self.attributes.get("technology")).lower() == "dram"

    @property
    def is_place_holder(self) -> bool:
        """Whether this stores nothing and stands for a fan-out, as Timeloop's front end writes it."""
        return self.component.lower() == "dummy_storage" or self.attributes.get("entries") == 0


def known_roles(nodes: Sequence[Node], *, skips: bool) -> list[Node]:
    """Returns memories and the multiplier.

    Args:
        nodes: All components.
        skips: Whether others are left out, as Timeloop does with files of v0.3; its front end of v0.4 refuses them.
    """
    multipliers = [node.name for node in nodes if node.is_compute]
    if len(multipliers) > 1:
        raise InputError(f"architecture: {shown(multipliers)} are multipliers, allowed: one")
    result = []
    for i, node in enumerate(nodes):
        # The outermost must be a memory; the innermost may be a multiplier of any class, which an ERT prices.
        if node.is_memory or node.is_compute or i == 0 or (not multipliers and i == len(nodes) - 1):
            result.append(node)
            continue
        what = f"class {shown(node.component)} is neither a memory nor a multiplier"
        if not skips or get_close_matches(node.component.lower(), (*_MEMORIES, *_COMPUTE), 1, 0.75):
            allowed = ", ".join((*_MEMORIES, *_COMPUTE))
            raise InputError(f"architecture.{node.name}: {what}, allowed: names with {allowed}")
        warn_input(f"architecture: {node.name!r} is left out: {what}")
    return result


def without_place_holders(nodes: Sequence[Node]) -> list[Node]:
    """Joins fan-outs that lie around a level without storage."""
    result: list[Node] = []
    skipped: list[Node] = []
    for node in nodes:
        if node.is_place_holder:
            skipped.append(node)
            continue
        if skipped:
            chain = [*result[-1:], *skipped, node]
            for outer, inner in pairwise(chain):
                sizes = (inner.mesh_x // outer.mesh_x, inner.mesh_y // outer.mesh_y)
                node.spreads[outer.name] = sizes
            node.aliases = tuple(node.spreads)
            skipped = []
        result.append(node)
    return result

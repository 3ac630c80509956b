"""A machine: storage levels from the outside in, the fan-out below each, and the multipliers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from accelgym.costmodels.errors import InputError, unknown_name

__all__ = ["LEAKAGES", "Architecture", "Compute", "Constraint", "Leakage", "Slot", "StorageLevel"]

Leakage = Literal["instances_in_use", "whole_chip"]
LEAKAGES: tuple[Leakage, ...] = ("instances_in_use", "whole_chip")

_SLOWEST = 1e-9
"""Words per cycle: a layer of 2**53 words takes finite cycles behind it."""


@dataclass(frozen=True)
class StorageLevel:
    """One kind of memory. Energies are per physical access of ``block_size`` words; all figures per instance."""

    name: str
    capacity_words: int | None = None
    """``None`` is unlimited. Divided by ``multiple_buffering`` before tiles are fitted."""
    word_bits: int = 16
    block_size: int = 1
    """Words per physical access."""
    read_bw: float | None = None
    """Words per cycle towards the inner level; ``None`` is unlimited."""
    write_bw: float | None = None
    """Words per cycle of fills and updates together."""
    shared_bw: float | None = None
    """Words per cycle of reads, fills and updates together."""
    multiple_buffering: float = 1.0
    min_utilization: float = 0.0
    """Smallest admissible share of the capacity in use."""
    read_pj: float = 0.0
    write_pj: float = 0.0
    """Fills; also updates unless ``update_pj`` is given."""
    update_pj: float | None = None
    area_um2: float = 0.0
    leakage_pj: float = 0.0
    """Per cycle and instance; :attr:`Architecture.leakage` says which instances leak."""
    fanout_x: int = 1
    """Instances of the next inner level (or of the multiplier) in a row below one instance of this level."""
    fanout_y: int = 1
    stores: frozenset[str] | None = None
    """Tensors this memory may hold; ``None`` is all. A per-tensor memory names one."""
    component: str = "storage"
    """Class of the component, as energy and area laws and Timeloop know it."""
    attributes: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Further attributes of the source description, kept for export."""

    def __post_init__(self) -> None:
        where = f"storage level {self.name!r}"
        for key, low in (("word_bits", 1), ("block_size", 1), ("fanout_x", 1), ("fanout_y", 1)):
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise InputError(f"{where}: {key} is {value!r}, allowed integers >= {low}")
        if self.capacity_words is not None and self.capacity_words < 1:
            raise InputError(f"{where}: capacity_words is {self.capacity_words!r}, allowed >= 1 or none")
        for key in ("read_bw", "write_bw", "shared_bw", "multiple_buffering"):
            value = getattr(self, key)
            if value is not None and not value >= _SLOWEST:
                raise InputError(f"{where}: {key} is {value!r}, allowed >= {_SLOWEST:g}")
        for key in ("read_pj", "write_pj", "update_pj", "area_um2", "leakage_pj", "min_utilization"):
            value = getattr(self, key)
            if value is not None and not (value >= 0 and math.isfinite(value)):
                raise InputError(f"{where}: {key} is {value!r}, allowed finite and >= 0")

    @property
    def fanout(self) -> int:
        """Instances of the next inner level below one instance of this level."""
        return self.fanout_x * self.fanout_y

    @property
    def ports(self) -> tuple[tuple[tuple[str, ...], float | None], ...]:
        """Kinds of access that share a bandwidth, and that bandwidth in words per cycle."""
        return (
            (("reads",), self.read_bw),
            (("fills", "updates"), self.write_bw),
            (("reads", "fills", "updates"), self.shared_bw),
        )

    @property
    def tile_capacity(self) -> int | None:
        """Words that tiles may occupy."""
        return None if self.capacity_words is None else int(self.capacity_words / self.multiple_buffering)

    def may_store(self, tensor: str) -> bool:
        """Whether a tensor may be kept here."""
        return self.stores is None or tensor in self.stores


@dataclass(frozen=True)
class Compute:
    """The multiply-accumulate unit."""

    name: str = "MAC"
    mac_pj: float = 0.0
    area_um2: float = 0.0
    leakage_pj: float = 0.0
    """Per cycle and instance; counts only where the whole chip leaks."""
    word_bits: int = 16
    component: str = "intmac"
    attributes: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Slot:
    """A place for one loop per dimension: the time loops of a level, or one direction of its fan-out."""

    level: int
    kind: Literal["temporal", "x", "y"]


@dataclass(frozen=True)
class Constraint:
    """Constraint on the mappings of one level, as in Timeloop's constraint files."""

    level: str
    kind: Literal["temporal", "spatial", "bypass", "utilization"]
    factors: Mapping[str, tuple[str, int]] = field(default_factory=dict, hash=False)
    """Dimension to (``"="``, ``"<="`` or ``">="``, value); ``("=", 0)`` means the whole bound."""
    permutation: tuple[str, ...] = ()
    """Innermost dimensions first; dimensions not named are free."""
    split: int | None = None
    """How many leading dimensions of ``permutation`` lie along x; the rest lies along y."""
    keep: tuple[str, ...] = ()
    bypass: tuple[str, ...] = ()
    minimum: float = 0.0
    """Smallest utilisation, for ``kind == "utilization"``."""
    along: Literal["x", "y"] | None = None
    """Direction of the fan-out that a spatial constraint is about, where the source tells them apart (v0.4)."""


@dataclass(frozen=True)
class Architecture:
    """A memory hierarchy with a fan-out between any two neighbouring levels.

    ``levels[0]`` is the outermost memory, of which there is one. Below each instance of ``levels[i]`` lie
    ``fanout_x * fanout_y`` instances of ``levels[i+1]``; below the last level lie the multipliers.
    """

    name: str
    levels: tuple[StorageLevel, ...]
    compute: Compute = field(default_factory=Compute)
    technology: str = "unspecified"
    constraints: tuple[Constraint, ...] = ()
    leakage: Leakage = "instances_in_use"
    """Which instances leak, in every cycle. ``instances_in_use``: of each memory those that the mapping uses, at
    least one, whether they hold anything or not; no multiplier (Timeloop, ``buffer.cpp``: idle instances are power
    gated). ``whole_chip``: all instances of all memories and multipliers."""

    def __post_init__(self) -> None:
        if self.leakage not in LEAKAGES:
            raise unknown_name(f"leakage of architecture {self.name!r}", self.leakage, LEAKAGES)
        if not self.levels:
            raise InputError(f"architecture {self.name!r} has no storage level")
        names = [*(level.name for level in self.levels), self.compute.name]
        if len(set(names)) != len(names):
            raise InputError(f"architecture {self.name!r}: names of levels and multiplier repeat in {names}")
        for constraint in self.constraints:
            self.position(constraint.level)

    @property
    def level_names(self) -> tuple[str, ...]:
        """Names of the levels, outer to inner."""
        return tuple(level.name for level in self.levels)

    def position(self, name: str) -> int:
        """Index of a level by name.

        Raises:
            InputError: No such level.
        """
        if name not in self.level_names:
            raise unknown_name(f"storage level of architecture {self.name!r}", name, self.level_names)
        return self.level_names.index(name)

    def instances(self, level: int) -> int:
        """How many instances of a level exist; ``level == len(levels)`` asks for the multipliers."""
        return math.prod(outer.fanout for outer in self.levels[:level])

    @property
    def num_multipliers(self) -> int:
        """Multipliers of the whole machine."""
        return self.instances(len(self.levels))

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """Places for loops in nest order: per level its time loops, then y, then x of its fan-out.

        A direction of extent 1 has no slot.
        """
        slots = []
        for i, level in enumerate(self.levels):
            slots.append(Slot(i, "temporal"))
            if level.fanout_y > 1:
                slots.append(Slot(i, "y"))
            if level.fanout_x > 1:
                slots.append(Slot(i, "x"))
        return tuple(slots)

    def slot(self, level: int, kind: Literal["temporal", "x", "y"]) -> int | None:
        """Position of a slot, ``None`` when that direction has extent 1."""
        slot = Slot(level, kind)
        return self.slots.index(slot) if slot in self.slots else None

    @property
    def area_um2(self) -> float:
        """Area of all memories and multipliers."""
        memories = sum(level.area_um2 * self.instances(i) for i, level in enumerate(self.levels))
        return memories + self.compute.area_um2 * self.num_multipliers

    @property
    def whole_leakage_pj(self) -> float:
        """Leakage of all memories and multipliers per cycle, in use or not."""
        memories = sum(level.leakage_pj * self.instances(i) for i, level in enumerate(self.levels))
        return memories + self.compute.leakage_pj * self.num_multipliers

    @property
    def leaks(self) -> bool:
        """Whether any instance that :attr:`leakage` charges leaks."""
        if self.leakage == "whole_chip":
            return self.whole_leakage_pj > 0
        return any(level.leakage_pj > 0 for level in self.levels)

    def cycle_leakage_pj(self, used: Sequence[Any]) -> Any:
        """Leakage per cycle of a mapping, as :attr:`leakage` says.

        Args:
            used: Instances of each level that the mapping uses, at least 1: numbers, or arrays of one shape.
        """
        if self.leakage == "whole_chip":
            return self.whole_leakage_pj
        return sum(
            level.leakage_pj * count for level, count in zip(self.levels, used, strict=False) if level.leakage_pj
        )

    def with_level(self, name: str, **changes: Any) -> Architecture:
        """Returns a copy with fields of one level replaced."""
        at = self.position(name)
        level = replace(self.levels[at], **changes)
        return replace(self, levels=(*self.levels[:at], level, *self.levels[at + 1 :]))

"""Decisions that make a design: size of a memory, bypass of a tensor, slot of a prime factor, next loop of a level."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Decision", "FactorPlacement", "LoopChoice", "MemorySize", "TensorBypass"]


@dataclass(frozen=True)
class MemorySize:
    """The words of a memory of the machine; choices are positions in ``words``."""

    level: int
    words: tuple[int, ...]


@dataclass(frozen=True)
class TensorBypass:
    """Whether a level holds a tensor; choices are 0 (keep) and 1 (bypass)."""

    level: int
    tensor: int


@dataclass(frozen=True)
class FactorPlacement:
    """The slot in which one prime factor of a bound becomes (part of) a loop; choices are slots."""

    dim: int
    prime: int
    slots: tuple[int, ...]
    """Slots that may take it, outer to inner; the first takes what is placed nowhere else."""
    repeats: bool
    """Whether the decision before places an equal factor of the same dimension."""


@dataclass(frozen=True)
class LoopChoice:
    """The next time loop of a level, from the innermost outwards; choices are dimensions."""

    level: int
    dims: tuple[int, ...]
    """Dimensions whose position is free at this level."""
    digit: int
    """How many of them lie further inside."""


Decision = MemorySize | TensorBypass | FactorPlacement | LoopChoice

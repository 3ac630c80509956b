"""Spaces of hyperparameters: what a sweep may draw, declared beside each agent as ``hyperparameters``.

The name of an entry is that of an option of the agent; ``mix.step`` is the entry ``step`` of its option ``mix``.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from accelgym.costmodels.errors import InputError

__all__ = ["Choice", "Hyperparameter", "Hyperparameters", "Real", "Whole", "as_options", "draw_setting", "move_weights"]


@dataclass(frozen=True)
class Real:
    """A number between two ends, drawn evenly, or evenly in its logarithm."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        _check(self.low, self.high, self.log)

    def draw(self, rng: np.random.Generator) -> float:
        """Returns a random value, rounded to four digits, which a table shows in full."""
        ends = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        value = float(rng.uniform(*ends))
        return float(f"{math.exp(value) if self.log else value:.4g}")


@dataclass(frozen=True)
class Whole:
    """A whole number between two ends, both included."""

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        _check(self.low, self.high, self.log)

    def draw(self, rng: np.random.Generator) -> int:
        """Returns a random value."""
        if not self.log:
            return int(rng.integers(self.low, self.high + 1))
        # Every whole number gets the logarithmic length of the half-open interval that begins at it.
        return min(int(math.exp(rng.uniform(math.log(self.low), math.log(self.high + 1)))), self.high)


@dataclass(frozen=True)
class Choice:
    """One of several values without an order."""

    values: tuple[Any, ...]

    def draw(self, rng: np.random.Generator) -> Any:
        """Returns a random value."""
        return self.values[int(rng.integers(len(self.values)))]


Hyperparameter = Real | Whole | Choice
Hyperparameters = Mapping[str, Hyperparameter]


def move_weights(*moves: str) -> dict[str, Hyperparameter]:
    """Returns the relative frequencies of moves as entries of the option ``mix``."""
    return {f"mix.{move}": Real(0.02, 1.0, log=True) for move in moves}


def draw_setting(agent: str, space: Hyperparameters, index: int, *, seed: int = 0) -> dict[str, Any]:
    """Returns one random setting; the first ones stay what they are when more are drawn.

    Args:
        agent: Name of the agent; settings of different agents are independent.
        space: Of its hyperparameters.
        index: Which setting, from 0.
        seed: Of the sweep.
    """
    rng = np.random.default_rng([seed, index, zlib.crc32(agent.encode())])
    return {name: parameter.draw(rng) for name, parameter in space.items()}


def as_options(setting: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a setting as options of the agent: entries with a dot become a table."""
    options: dict[str, Any] = {}
    for name, value in setting.items():
        key, _, entry = name.partition(".")
        if entry:
            options.setdefault(key, {})[entry] = value
        else:
            options[key] = value
    return options


def _check(low: float, high: float, log: bool) -> None:
    if not low < high or (log and not low > 0):
        raise InputError(f"hyperparameter from {low} to {high}: allowed a rising range{', above 0' if log else ''}")

"""Random numbers that belong to a row: a function of (seed, row, draw), whatever else is drawn and by whom."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["RowStreams", "mix"]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_DRAWS = 64
"""Draws that an attempt may make."""

UintArray = npt.NDArray[np.uint64]


def mix(values: npt.NDArray[Any]) -> UintArray:
    """Hashes 64-bit integers: the finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014), a bijection."""
    x = np.asarray(values).astype(np.uint64)
    with np.errstate(over="ignore"):
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))


@dataclass(frozen=True)
class RowStreams:
    """A stream of random numbers for each of some rows.

    Draws are numbered; rows whose draw was refused draw again with the next ``attempt``.
    """

    keys: UintArray
    """State of each row's SplitMix64 generator, shape ``(rows,)``."""
    attempt: int = 0

    @classmethod
    def of(cls, seed: int, rows: npt.NDArray[np.int64]) -> RowStreams:
        """Opens the streams of rows under a seed."""
        with np.errstate(over="ignore"):
            base = mix(np.array([seed], dtype=np.int64).view(np.uint64) + _GOLDEN)
            return cls(mix(base ^ mix(rows.astype(np.uint64) + _GOLDEN)))

    def again(self, rows: npt.NDArray[Any]) -> RowStreams:
        """Returns the streams of some rows for their next attempt."""
        return RowStreams(self.keys[rows], self.attempt + 1)

    def uniform(self, draw: int) -> npt.NDArray[np.float64]:
        """Returns the numbers in [0, 1) of a draw, multiples of 2**-53, shape ``(rows,)``."""
        assert 0 <= draw < _DRAWS
        with np.errstate(over="ignore"):
            state = self.keys + np.uint64(self.attempt * _DRAWS + draw + 1) * _GOLDEN
        return np.asarray((mix(state) >> np.uint64(11)).astype(np.float64) * 2.0**-53)

    def integers(self, draw: int, low: int, high: int) -> npt.NDArray[np.int64]:
        """Returns integers from ``low`` to ``high``, both included."""
        return low + np.floor(self.uniform(draw) * (high - low + 1)).astype(np.int64)

    def log_integers(self, draw: int, low: int, high: int) -> npt.NDArray[np.int64]:
        """Returns integers from ``low`` to ``high``, each octave as likely as the others and even within itself.

        That is log-uniform to 6 %, and takes no logarithm, whose last bit differs between machines.
        """
        ratio = (high + 1) / low
        octaves = math.frexp(ratio)[1] - 1
        place = self.uniform(draw) * (octaves + (ratio / 2.0**octaves - 1.0))
        octave = np.floor(place)
        value = low * np.ldexp(1.0 + (place - octave), octave.astype(np.int64))
        return np.asarray(np.clip(np.floor(value).astype(np.int64), low, high), dtype=np.int64)

    def choice(self, draw: int, weights: tuple[float, ...]) -> npt.NDArray[np.int64]:
        """Returns indices, each as likely as its weight."""
        bounds = np.cumsum(np.asarray(weights, dtype=np.float64))
        places = np.searchsorted(bounds[:-1] / bounds[-1], self.uniform(draw), side="right")
        return np.asarray(places, dtype=np.int64)

"""Unified ordinal vectors: levels of a knob as vectors of few buckets, and heads that score levels through them.

AIrchitect v2 (Seo et al., DATE 2025) represents a level by how far it lies beyond the boundary of each bucket. Its
released code encodes with ``exp(-d)``, truncates boundaries to integers and decodes with the inverse of ``1 - exp(-d)``
on raw logits, so that encoding and decoding are no inverses (12.5 % of the levels come back from 16 buckets). Here both
follow from one definition.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import InputError, unknown_name

__all__ = ["HEADS", "Head", "LevelCode", "OrdinalCode", "level_code"]

FloatArray = npt.NDArray[np.float64]

Head = Literal["uov", "softmax", "regression"]
HEADS: tuple[str, ...] = get_args(Head)

_REGRESSION_SPREAD = 0.05
"""Standard deviation of the regression head, as a share of the range of levels."""


@dataclass(frozen=True)
class OrdinalCode:
    """The unified ordinal vector of the levels ``0 .. levels - 1``, consistent in both directions.

    With buckets of width ``w = levels / buckets`` and lower boundaries ``b_i = i w``, the vector of ``y`` is
    ``t_i = 1 - exp(-(y - b_i) / w)`` where ``y >= b_i``, else 0. It rises with ``y`` in every entry.

    Attributes:
        levels: Number of levels.
        buckets: Length of the vector, at most the number of levels.

    Raises:
        InputError: Fewer than one level or bucket, or more buckets than levels.
    """

    levels: int
    buckets: int

    def __post_init__(self) -> None:
        if self.levels < 1 or not 1 <= self.buckets <= self.levels:
            raise InputError(f"buckets is {self.buckets}, allowed: 1..{max(self.levels, 1)}, the number of levels")

    @property
    def width(self) -> float:
        """Levels in a bucket."""
        return self.levels / self.buckets

    @cached_property
    def boundaries(self) -> FloatArray:
        """Lower boundaries, shape ``(buckets,)``."""
        return np.asarray(np.arange(self.buckets) * self.width, dtype=np.float64)

    def encode(self, level: npt.ArrayLike) -> FloatArray:
        """Returns the vectors of levels, fractions of one too; shape ``(..., buckets)``."""
        beyond = np.asarray(level, dtype=np.float64)[..., None] - self.boundaries
        return np.asarray(np.where(beyond > 0, -np.expm1(-np.maximum(beyond, 0.0) / self.width), 0.0), dtype=np.float64)

    def decode(self, vector: npt.ArrayLike) -> FloatArray:
        """Returns the levels of vectors, the inverse of :meth:`encode`: read off the last entry that is not 0."""
        given = np.asarray(vector, dtype=np.float64)
        last = np.where(given > 0, np.arange(self.buckets), 0).max(axis=-1)
        entry = np.take_along_axis(given, last[..., None], axis=-1)[..., 0]
        return np.asarray(self.boundaries[last] - self.width * np.log1p(-entry))


@dataclass(frozen=True)
class LevelCode:
    """Scores of levels as a linear function of a head's outputs ``z``: ``z @ table.T + offset``.

    Attributes:
        table: Shape ``(levels, outputs)``.
        offset: Shape ``(levels,)``.
    """

    table: FloatArray
    offset: FloatArray


def level_code(head: str, levels: int, buckets: int) -> LevelCode:
    """Returns how a head's outputs score the levels of a knob.

    ``uov``: outputs are the logits of a unified ordinal vector ``u``. A level scores minus the Kullback-Leibler
    divergence of its own vector from ``u`` (each entry a Bernoulli variable), up to what all levels share. That is
    linear in the logits, and largest for ``y`` where ``u`` is the vector of ``y``, so that the most likely level
    decodes what :meth:`OrdinalCode.encode` encodes. ``softmax``: an output each. ``regression``: one output, the
    level as a share of the range, under a normal distribution of fixed width.

    Args:
        head: One of :data:`HEADS`.
        levels: Number of levels.
        buckets: Of ``uov``; more than there are levels count as that many.

    Raises:
        InputError: No such head, or no bucket.
    """
    if head == "uov":
        vectors = OrdinalCode(levels, min(buckets, levels)).encode(np.arange(levels))
        inside = np.clip(vectors, 1e-300, 1.0)
        outside = np.clip(1.0 - vectors, 1e-300, 1.0)
        return LevelCode(vectors, -(vectors * np.log(inside) + (1.0 - vectors) * np.log(outside)).sum(axis=1))
    if head == "softmax":
        return LevelCode(np.eye(levels), np.zeros(levels))
    if head == "regression":
        place = np.arange(levels) / max(levels - 1, 1)
        precision = 1.0 / _REGRESSION_SPREAD**2
        return LevelCode(precision * place[:, None], -0.5 * precision * place**2)
    raise unknown_name("head", head, HEADS)

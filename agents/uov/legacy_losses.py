"""Losses and the ordinal encoding that AIrchitect v2 released, with their faults.

:class:`LegacyOrdinalCode` is no code: encoding and decoding are not inverses. A level beyond the upper boundary ``b``
of a bucket by ``d`` gets the entry ``exp(-d)``, others 0, with ``2.71828`` for ``e`` and boundaries cut to integers;
decoding reads ``1 - exp(-d)``, with boundaries as they are, off the largest of the raw outputs, which were trained as
logits. With 16 buckets, and fractions cut off, 8 of the 64 levels come back from their own vectors. The consistent
form is :class:`~accelgym.agents.uov.ordinal.OrdinalCode`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from accelgym.costmodels.errors import InputError

__all__ = ["LegacyOrdinalCode", "focal_loss", "supervised_contrast"]

FloatArray = npt.NDArray[np.float32]

_E = 2.71828
_LARGEST = 0.999
"""Entries are cut to this before they are decoded."""
_ALPHA = 0.75
"""Weight of entries above 0 in the focal loss; those that are 0 weigh the rest."""
_TEMPERATURE = 0.07
"""Of the products that the contrastive loss compares."""


@dataclass(frozen=True)
class LegacyOrdinalCode:
    """The released encoding of the levels ``0 .. levels - 1``.

    Attributes:
        levels: Number of levels.
        buckets: Length of a vector.

    Raises:
        InputError: No bucket, or more than levels.
    """

    levels: int
    buckets: int

    def __post_init__(self) -> None:
        if not 1 <= self.buckets <= self.levels:
            raise InputError(f"buckets is {self.buckets}, allowed: 1..{self.levels}, the number of levels")

    @cached_property
    def boundaries(self) -> FloatArray:
        """Upper boundaries, shape ``(buckets,)``."""
        step = (self.levels - 1) / self.buckets
        return (step * (np.arange(self.buckets) + 1)).astype(np.float32)

    def encode(self, level: npt.ArrayLike) -> FloatArray:
        """Returns the vectors of levels, shape ``(..., buckets)``; those of the first bucket are 0 throughout."""
        # The release casts boundaries to the type of the labels, which are integers.
        beyond = np.asarray(level, dtype=np.int64)[..., None] - self.boundaries.astype(np.int64)
        return np.where(beyond > 0, _E ** -np.maximum(beyond, 0).astype(np.float32), 0.0).astype(np.float32)

    def decode(self, vector: npt.ArrayLike) -> FloatArray:
        """Returns fractions of levels, shape of ``vector`` without its last axis."""
        given = np.asarray(vector, dtype=np.float32)
        largest = given.argmax(axis=-1)
        entry = np.take_along_axis(given, largest[..., None], axis=-1)[..., 0]
        return np.asarray(self.boundaries[largest] - np.log1p(-np.clip(entry, 0.0, _LARGEST)), dtype=np.float32)


def focal_loss(outputs: Tensor, vectors: Tensor) -> Tensor:
    """Returns the released unified focal loss, the mean over rows and buckets.

    Args:
        outputs: Logits, shape ``(rows, buckets)``.
        vectors: Of :meth:`LegacyOrdinalCode.encode`, likewise.
    """
    p = torch.sigmoid(outputs)
    plain = functional.binary_cross_entropy(p, vectors, reduction="none")
    weight = torch.where(vectors > 0, _ALPHA * (vectors - p).abs(), (1.0 - _ALPHA) * p)
    return (weight * plain).mean()


def supervised_contrast(features: Tensor, labels: Tensor) -> Tensor:
    """Returns the supervised contrastive loss as released: equal labels attract, features are not normalised.

    Khosla et al. (NeurIPS 2020), ``L_out``, one view a row; a row that is alone with its label counts 0 in the mean.

    Args:
        features: Shape ``(rows, features)``.
        labels: Class of each row, shape ``(rows,)``.
    """
    itself = torch.eye(len(features), dtype=torch.bool)
    similarity = (features @ features.T / _TEMPERATURE).masked_fill(itself, -torch.inf)
    log_p = similarity - torch.logsumexp(similarity, dim=1, keepdim=True)
    pairs = (labels[:, None] == labels[None]) & ~itself
    total = torch.where(pairs, log_p, 0.0).sum(dim=1)
    return -(total / pairs.sum(dim=1).clamp(min=1)).mean()

"""Mappings by their coordinates along the axes of a map space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Candidates"]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Candidates:
    """A batch of mappings: index factorisation with spatial split, permutation and bypass."""

    factors: Ints
    """Shape ``(slots, dims, n)``."""
    codes: Ints
    """Order of each level but the innermost, see :class:`.permutation.Permutation`; shape ``(levels - 1, n)``."""
    keep: Bools
    """Shape ``(levels, tensors, n)``."""

    def __len__(self) -> int:
        return int(self.factors.shape[2])

    def take(self, rows: Ints | slice) -> Candidates:
        """Returns some of them."""
        return Candidates(self.factors[:, :, rows], self.codes[:, rows], self.keep[:, :, rows])

    def repeat(self, times: int) -> Candidates:
        """Repeats each one."""
        return Candidates(
            np.repeat(self.factors, times, axis=2),
            np.repeat(self.codes, times, axis=1),
            np.repeat(self.keep, times, axis=2),
        )

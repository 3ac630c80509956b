"""Groups of weights that each choose the type that fits them best."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.datatypes.block_scaling import BlockFormat
from accelgym.costmodels.datatypes.codebooks import CodebookFormat
from accelgym.costmodels.datatypes.datatype import Codes, Datatype, Values
from accelgym.costmodels.errors import InputError

__all__ = ["GroupMixture", "MixedGroups"]

_Scalar = TypeVar("_Scalar", bound=np.generic)


class MixedGroups(NamedTuple):
    """Values in groups of different types.

    Attributes:
        choices: Index of each group's type, shape ``(..., groups)``.
        scales: Scale codes, shape ``(..., groups)``.
        codes: Codes of the chosen types, shape ``(..., n)``.
    """

    choices: Codes
    scales: Codes
    codes: Codes


@dataclass(frozen=True)
class GroupMixture:
    """One element type for every group, out of a few of 3 or 4 bits.

    For every group along the last axis, each candidate quantises it by the rules of ``BlockFormat``; the one with
    the smallest sum of squared errors (in float64) is chosen, the first of equals. The arithmetic sees one type,
    ``union``, a codebook of all values of all candidates, which ``union_codes`` translates to.

    Args:
        name: Name for messages and records.
        candidates: The types, 2 to 16, of at most 8 bits and without infinities or NaN.
        scale: Type of the scales.
        group_size: Values a group.
    """

    name: str
    candidates: tuple[Datatype, ...]
    scale: Datatype
    group_size: int = 128

    def __post_init__(self) -> None:
        if not 2 <= len(self.candidates) <= 16:
            raise InputError(f"mixture {self.name!r}: {len(self.candidates)} candidates, allowed 2..16")
        for candidate in self.candidates:
            if candidate.bits > 8 or candidate.has_nan or candidate.has_infinity:
                raise InputError(
                    f"mixture {self.name!r}: candidate {candidate.name!r}, allowed: finite types of 8 bits or less"
                )

    @cached_property
    def formats(self) -> tuple[BlockFormat, ...]:
        """The block format of each candidate."""
        return tuple(BlockFormat(f"{self.name}/{c.name}", c, self.scale, self.group_size) for c in self.candidates)

    def bits_per_value(self, choices: npt.ArrayLike) -> float:
        """Mean storage for one value in full groups: element, share of the scale and of the index of the type."""
        element = float(np.mean(np.array([c.bits for c in self.candidates])[self._check(choices)]))
        return element + (self.scale.bits + (len(self.candidates) - 1).bit_length()) / self.group_size

    def quantise(self, values: npt.ArrayLike) -> MixedGroups:
        """Chooses a type for every group along the last axis and encodes.

        Args:
            values: Shape ``(..., n)``, finite.

        Raises:
            InputError: An empty shape, an infinity or NaN.
        """
        array = np.asarray(values, dtype=np.float64)
        tried = [block.quantise(array) for block in self.formats]
        starts = np.arange(0, array.shape[-1], self.group_size)
        errors = []
        for block, (codes, scales) in zip(self.formats, tried, strict=True):
            squared = (block.dequantise(codes, scales) - array) ** 2
            errors.append(np.add.reduceat(squared, starts, axis=-1))
        choices = np.argmin(np.stack(errors), axis=0).astype(np.int64)
        codes = np.stack([codes for codes, _ in tried])
        scales = np.stack([scales for _, scales in tried])
        chosen = self._spread(choices, array.shape[-1])
        return MixedGroups(
            choices,
            np.take_along_axis(scales, choices[None], axis=0)[0],
            np.take_along_axis(codes, chosen[None], axis=0)[0],
        )

    def dequantise(self, groups: MixedGroups) -> Values:
        """Returns the values, exactly, shape ``(..., n)``.

        Raises:
            InputError: Codes outside their types.
        """
        elements = self.union.decode(self.union_codes(groups.choices, groups.codes))
        return np.asarray(elements * self._spread(self.scale.decode(groups.scales), elements.shape[-1]))

    @cached_property
    def union(self) -> CodebookFormat:
        """All values of all candidates in ascending order."""
        values = sorted({float(v) for candidate in self.candidates for v in candidate.values + 0.0})
        return CodebookFormat(f"{self.name}/union", tuple(values))

    @cached_property
    def union_table(self) -> Codes:
        """Union code of each candidate's codes, shape ``(candidates, 2**bits)``; -1 beyond a narrower candidate."""
        table = np.full((len(self.candidates), 1 << max(c.bits for c in self.candidates)), -1, dtype=np.int64)
        for row, candidate in zip(table, self.candidates, strict=True):
            row[: 1 << candidate.bits] = self.union.encode(candidate.values)
        return table

    def union_codes(self, choices: npt.ArrayLike, codes: npt.ArrayLike) -> Codes:
        """Translates codes of the chosen types to codes of ``union``.

        Args:
            choices: Shape ``(..., groups)``.
            codes: Shape ``(..., n)``.

        Raises:
            InputError: An index of no candidate, or a code outside the chosen type.
        """
        array = np.asarray(codes)
        chosen = self._spread(self._check(choices), array.shape[-1])
        if array.size and not 0 <= array.min() <= array.max() < self.union_table.shape[1]:
            raise InputError(f"mixture {self.name!r}: code {array.min()}..{array.max()}, allowed: codes of the types")
        translated = self.union_table[chosen, array]
        if (translated < 0).any():
            raise InputError(f"mixture {self.name!r}: a code is wider than the type its group has chosen")
        return np.asarray(translated)

    def _check(self, choices: npt.ArrayLike) -> Codes:
        array = np.asarray(choices)
        if array.size and not 0 <= array.min() <= array.max() < len(self.candidates):
            raise InputError(
                f"mixture {self.name!r}: type {array.min()}..{array.max()}, allowed 0..{len(self.candidates) - 1}"
            )
        return array

    def _spread(self, per_group: npt.NDArray[_Scalar], length: int) -> npt.NDArray[_Scalar]:
        """Repeats what a group has over its values."""
        return np.repeat(per_group, self.group_size, axis=-1)[..., :length]

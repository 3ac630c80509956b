"""Formats given by a list of values: NF4 and other tables, learned or published."""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import ClassVar

import numpy as np

from accelgym.costmodels.datatypes.datatype import Codes, Datatype, Kind, Lattice, Values
from accelgym.costmodels.datatypes.exact import Exact, Fields, Overflow, Rounding, Special, rounds_up
from accelgym.costmodels.errors import InputError

__all__ = ["CodebookFormat"]

_SPAN_BITS = 28
"""Widest integers that entries may need: products of two, at most 56 bits, stay exact in int64."""
_LARGEST = 2.0**500
"""Products of two entries neither overflow nor vanish in float64."""


@dataclass(frozen=True, repr=False)
class CodebookFormat(Datatype):
    """Code ``i`` stands for ``entries[i]``.

    All entries are integers times one power of two, ``2**quantum_exponent``; ``Fields`` hold that integer, so the
    decoder in hardware is a small table of integers. Encoding takes the nearest entry (values outside saturate);
    a tie goes to the entry of even rank in ascending order, unless ``ties_up`` says otherwise. Toward zero takes the
    neighbour of smaller magnitude, the positive one of two equals.

    Args:
        name: Name in the registry.
        entries: 2 to 256 different finite values, in the order of their codes. If their number is no power of
            two, the codes left over repeat the last entry and are never produced.
        ties_up: For the midpoint after each entry in ascending order, whether it goes to the entry above.
    """

    kind: ClassVar[Kind] = Kind.CODEBOOK

    name: str
    entries: tuple[float, ...]
    ties_up: tuple[bool, ...] | None = None

    def __post_init__(self) -> None:
        where = f"datatype {self.name!r}"
        object.__setattr__(self, "entries", tuple(float(v) + 0.0 for v in self.entries))
        if not 2 <= len(self.entries) <= 256:
            raise InputError(f"{where}: {len(self.entries)} entries, allowed 2..256")
        bad = [v for v in self.entries if not math.isfinite(v) or abs(v) > _LARGEST or 0 < abs(v) < 1 / _LARGEST]
        if bad:
            raise InputError(f"{where}: entry {bad[0]!r}, allowed: zero and magnitudes from 2**-500 to 2**500")
        if len(set(self.entries)) < len(self.entries):
            raise InputError(f"{where}: entries repeat, allowed: different values")
        if self.ties_up is not None and len(self.ties_up) != len(self.entries) - 1:
            raise InputError(f"{where}: {len(self.ties_up)} tie rules, allowed: {len(self.entries) - 1}")
        if self.significand_bits > _SPAN_BITS:
            raise InputError(
                f"{where}: entries need {self.significand_bits} bits as integers of one quantum, "
                f"allowed {_SPAN_BITS}: round them to fewer bits"
            )

    @property
    def bits(self) -> int:  # type: ignore[override]
        return (len(self.entries) - 1).bit_length()

    @cached_property
    def quantum_exponent(self) -> int:
        # The denominator of a float is a power of two.
        denominator = max(Fraction(v).denominator for v in self.entries)
        numerators = [int(Fraction(v) * denominator) for v in self.entries]
        common = math.gcd(*numerators)
        return (common & -common).bit_length() - denominator.bit_length()

    @cached_property
    def integers(self) -> tuple[int, ...]:
        """The entries divided by ``2**quantum_exponent``."""
        return tuple(int(Fraction(v) / Fraction(2) ** self.quantum_exponent) for v in self.entries)

    @property
    def significand_bits(self) -> int:
        return max(abs(i) for i in self.integers).bit_length()

    @property
    def max(self) -> float:
        return max(self.entries)

    @property
    def _overflows(self) -> tuple[Overflow, ...]:
        return (Overflow.SATURATE,)

    @cached_property
    def _order(self) -> Codes:
        """Codes in ascending order of their values."""
        return np.argsort(np.array(self.entries), kind="stable").astype(np.int64)

    @cached_property
    def _ascending(self) -> tuple[Fraction, ...]:
        return tuple(sorted(Fraction(v) for v in self.entries))

    def _tie_up(self, rank: int) -> bool:
        return rank % 2 == 1 if self.ties_up is None else self.ties_up[rank]

    def fields(self, code: int) -> Fields:
        integer = self.integers[min(code, len(self.entries) - 1)]
        return Fields(integer < 0, abs(integer), self.quantum_exponent)

    def encode_exact(
        self,
        value: Exact | Fraction | float,
        rounding: str = Rounding.NEAREST_EVEN,
        overflow: str = Overflow.SATURATE,
        draw: Fraction | None = None,
    ) -> int:
        mode, _ = self._modes(rounding, overflow)
        number = Exact.of(value)
        if number.special is Special.NAN:
            raise self._no_nan()
        last = len(self.entries) - 1
        if number.special is Special.INFINITE or not self._ascending[0] < number.value < self._ascending[last]:
            below = number.negative if number.special is Special.INFINITE else number.value <= self._ascending[0]
            return int(self._order[0 if below else last])
        rank = bisect.bisect_right(self._ascending, number.value) - 1
        lower, upper = self._ascending[rank : rank + 2]
        if number.value != lower:
            threshold, tie_up = (lower + upper) / 2, self._tie_up(rank)
            # Ranks ascend from the most negative entry, so toward zero is upwards on that side.
            inward = mode is Rounding.TOWARD_ZERO and abs(upper) <= abs(lower)
            rank += inward or rounds_up(number.value, lower, upper, threshold, tie_up, mode, draw)
        return int(self._order[rank])

    @cached_property
    def _lattice(self) -> Lattice:
        points = np.array([float(v) for v in self._ascending])
        ties = np.array([self._tie_up(rank) for rank in range(points.size - 1)])
        return Lattice(points, (points[1:] + points[:-1]) / 2, ties)

    def _encode(self, values: Values, rounding: Rounding, overflow: Overflow, uniform: Values | None) -> Codes:
        if np.isnan(values).any():
            raise self._no_nan()
        return np.asarray(self._order[self._lattice.index(values, rounding, uniform)])

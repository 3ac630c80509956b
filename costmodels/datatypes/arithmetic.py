"""Multiply-add as a processing element does it, bit for bit."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.datatypes.datatype import Codes, Datatype, Kind, Values
from accelgym.costmodels.datatypes.exact import Overflow, Rounding
from accelgym.costmodels.datatypes.integers import IntegerFormat
from accelgym.costmodels.datatypes.round_to_odd import multiply_add_to_odd, sum_to_odd
from accelgym.costmodels.errors import InputError

__all__ = ["FusedMultiplyAdd"]

_FLOAT64_BITS = 53
_CHUNK = 1 << 13  # Outputs worked on at a time: their temporaries stay in the cache.


@dataclass(frozen=True)
class FusedMultiplyAdd:
    """``psum + input * weight`` with one rounding, in the type of the partial sum.

    Float and posit partial sums: the product is exact, the sum is exact, and the sum is rounded once, to nearest
    even unless said otherwise. Specials and signed zeros follow IEEE 754: infinity times zero and opposite
    infinities give NaN, an exact sum of zero is +0 unless both terms are -0, the sign of a zero product is that
    of the factors; zeros of integers and codebooks are +0. Results beyond the largest value become infinite
    (``overflow="infinity"``) or saturate.

    Integer partial sums: products and sums are exact integers; the result wraps at the width of the partial sum
    (``overflow="wrap"``, hardware's default) or saturates at every step. The quantum of the partial sum must be the
    product of the operands' quanta, so nothing is ever rounded. Wrapping sums do not depend on their order.

    Args:
        input: Type of the moving operand.
        weight: Type of the stationary operand.
        psum: Type of the partial sum.
        overflow: ``"wrap"`` for integers and ``"infinity"`` for the others when None; ``"saturate"`` for all.
        rounding: Rounding of float and posit partial sums, ``"nearest_even"`` or ``"toward_zero"``.

    Raises:
        InputError: Types that do not go together, with the reason.
    """

    input: Datatype
    weight: Datatype
    psum: Datatype
    overflow: str | None = None
    rounding: str = Rounding.NEAREST_EVEN

    def __post_init__(self) -> None:
        name = f"multiply-add {self.input.name} x {self.weight.name} -> {self.psum.name}"
        if self.psum.kind is Kind.CODEBOOK:
            raise InputError(f"{name}: a codebook cannot hold partial sums, allowed: integer, float, posit")
        if self.rounding not in (Rounding.NEAREST_EVEN, Rounding.TOWARD_ZERO):
            raise InputError(f"{name}: rounding {self.rounding!r}, allowed: nearest_even, toward_zero")
        allowed = (self._default_overflow, Overflow.SATURATE)
        if self.overflow is not None and self.overflow not in allowed:
            raise InputError(f"{name}: overflow {self.overflow!r}, allowed: {', '.join(allowed)}")
        if self.is_integer and self._wide_product:
            # Products of integer sums are made in float64.
            widths = self.input.significand_bits + self.weight.significand_bits
            raise InputError(f"{name}: significands of {widths} bits in all, allowed {_FLOAT64_BITS}")
        operands = (self.input, self.weight)
        if self.is_integer:
            if any(t.has_nan or t.has_infinity for t in operands):
                raise InputError(f"{name}: an integer partial sum cannot hold the infinities and NaNs of its operands")
            quantum = self.input.quantum_exponent + self.weight.quantum_exponent
            if quantum != self.psum.quantum_exponent:
                raise InputError(
                    f"{name}: products are multiples of 2**{quantum}, the partial sum of "
                    f"2**{self.psum.quantum_exponent}: give it fraction_bits={-quantum}"
                )
            return
        if not self.psum.has_nan and (
            any(t.has_nan or t.has_infinity for t in operands) or self.overflow != Overflow.SATURATE
        ):
            raise InputError(f"{name}: a partial sum without NaN needs finite operands and overflow 'saturate'")

    @property
    def is_integer(self) -> bool:
        """Whether partial sums are integers."""
        return self.psum.kind is Kind.INTEGER

    @property
    def _default_overflow(self) -> Overflow:
        return Overflow.WRAP if self.is_integer else Overflow.INFINITY

    @property
    def overflow_rule(self) -> Overflow:
        """The overflow rule in force."""
        return self._default_overflow if self.overflow is None else Overflow(self.overflow)

    def step_exact(self, psum: int, input: int, weight: int) -> int:
        """One multiply-add on codes with exact arithmetic: the definition of ``step``."""
        product = self.input.decode_exact(input) * self.weight.decode_exact(weight)
        total = product + self.psum.decode_exact(psum)
        return self.psum.encode_exact(total, self.rounding, self.overflow_rule)

    def step(self, psum: npt.ArrayLike, input: npt.ArrayLike, weight: npt.ArrayLike) -> Codes:
        """One multiply-add on codes; shapes broadcast.

        Raises:
            InputError: A code outside its type.
        """
        codes = np.broadcast_arrays(self.psum.check(psum), self.input.check(input), self.weight.check(weight))
        flat = [array.reshape(-1) for array in codes]
        result = np.empty(flat[0].shape, dtype=np.int64)
        for start in range(0, result.size, _CHUNK):
            p, a, b = (array[start : start + _CHUNK] for array in flat)
            values = self._step(self.psum.decode(p), self.input.decode(a), self.weight.decode(b))
            result[start : start + _CHUNK] = self._codes(values)
        return result.reshape(codes[0].shape)

    def dot(
        self,
        inputs: npt.ArrayLike,
        weights: npt.ArrayLike,
        start: npt.ArrayLike | None = None,
        order: npt.ArrayLike | None = None,
    ) -> Codes:
        """Chains multiply-adds along the last axis, one after the other.

        Args:
            inputs: Codes, shape ``(..., n)``.
            weights: Codes, shape ``(..., n)``; the leading axes broadcast against those of the inputs.
            start: Codes of the partial sums to start from, broadcast against the leading axes; zero when None.
            order: A permutation of ``0 .. n-1``: the order in which terms are added; ascending when None.

        Returns:
            Codes of the partial sums, of the leading shape.

        Raises:
            InputError: Codes outside their types, lengths that differ, or an order that is no permutation.
        """
        left, right = self.input.decode(inputs), self.weight.decode(weights)
        if left.shape[-1:] != right.shape[-1:] or left.ndim == 0:
            raise InputError(f"dot: last axes of shapes {left.shape} and {right.shape} differ, allowed: equal lengths")
        if order is not None:
            permutation = np.asarray(order)
            if not np.array_equal(np.sort(permutation), np.arange(left.shape[-1])):
                raise InputError(f"dot: order is no permutation of 0..{left.shape[-1] - 1}")
            left, right = left[..., permutation], right[..., permutation]
        psum = self.psum.decode(self.psum.zero() if start is None else start)
        shape = np.broadcast_shapes(left.shape[:-1], right.shape[:-1], psum.shape)
        psum = np.broadcast_to(psum, shape)
        for i in range(left.shape[-1]):
            psum = self._step(psum, left[..., i], right[..., i])
        return self._codes(psum)

    def _codes(self, psum: Values) -> Codes:
        # Exact: the step that made the values has rounded them.
        return self.psum.encode(psum, overflow=self.overflow_rule)

    def _step(self, psum: Values, input: Values, weight: Values) -> Values:
        """One multiply-add on values; returns values of the partial sum's type."""
        if self.is_integer:
            return self._integer_step(psum, input, weight)
        with np.errstate(invalid="ignore"):
            if self._wide_product:
                total = multiply_add_to_odd(input, weight, psum)
            else:
                total = sum_to_odd(np.asarray(input * weight), psum)
        return self.psum.round(total, self.rounding, self.overflow_rule)

    def _integer_step(self, psum: Values, input: Values, weight: Values) -> Values:
        # Sums of a product and a partial sum may need 54 bits as floats; as int64 they are exact.
        scale = 2.0**-self.psum.quantum_exponent
        total = np.asarray(input * weight * scale).astype(np.int64) + np.asarray(psum * scale).astype(np.int64)
        return self._psum_integers.decode(self._fit(total))

    @property
    def _psum_integers(self) -> IntegerFormat:
        assert isinstance(self.psum, IntegerFormat)
        return self.psum

    def _fit(self, totals: Codes) -> Codes:
        """Codes of exact integer sums after overflow."""
        psum = self._psum_integers
        if self.overflow_rule is Overflow.SATURATE:
            totals = np.clip(totals, psum.lowest, psum.highest)
        return psum.wrap(totals)

    @property
    def _wide_product(self) -> bool:
        """Whether a product may need more bits than float64 has."""
        return self.input.significand_bits + self.weight.significand_bits > _FLOAT64_BITS

    @cached_property
    def _largest_product(self) -> int:
        """Largest magnitude of a product, in quanta."""
        largest = 1
        for operand in (self.input, self.weight):
            largest *= int(Fraction(operand.max_magnitude) / Fraction(2) ** operand.quantum_exponent)
        return largest

    def matmul(self, inputs: npt.ArrayLike, weights: npt.ArrayLike) -> Codes:
        """Chains along the reduction axis for all outputs, in ascending order from zero.

        Args:
            inputs: Codes, shape ``(m, n)``.
            weights: Codes, shape ``(n, k)``.

        Returns:
            Codes of the partial sums, shape ``(m, k)``.

        Raises:
            InputError: Codes outside their types, or shapes that do not fit.
        """
        left, right = self.input.decode(inputs), self.weight.decode(weights)
        if left.ndim != 2 or right.ndim != 2 or left.shape[1] != right.shape[0]:
            raise InputError(f"matmul: shapes {left.shape} and {right.shape}, allowed: (m, n) and (n, k)")
        wraps = self.is_integer and self.overflow_rule is Overflow.WRAP
        if wraps and self._largest_product * max(left.shape[1], 1) < 1 << _FLOAT64_BITS:
            # Every partial sum is an integer below 2**53 quanta, so float64 makes no error in any order.
            exact = left @ right * 2.0**-self.psum.quantum_exponent
            return self._fit(exact.astype(np.int64))
        start = float(self.psum.decode(self.psum.zero()))
        result = np.empty((left.shape[0], right.shape[1]), dtype=np.int64)
        rows = max(1, _CHUNK // max(right.shape[1], 1))
        for first in range(0, left.shape[0], rows):
            part = np.ascontiguousarray(left[first : first + rows].T)
            psum = np.full((part.shape[1], right.shape[1]), start)
            for i in range(part.shape[0]):
                psum = self._step(psum, part[i, :, None], right[i])
            result[first : first + rows] = self._codes(psum)
        return result

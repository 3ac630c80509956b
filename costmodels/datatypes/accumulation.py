"""Accumulation over passes through the array, with block scales, bit for bit."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.datatypes.arithmetic import FusedMultiplyAdd
from accelgym.costmodels.datatypes.datatype import Codes, Datatype, Kind, Values
from accelgym.costmodels.datatypes.exact import Exact, Overflow
from accelgym.costmodels.datatypes.integers import IntegerFormat
from accelgym.costmodels.datatypes.round_to_odd import sum_to_odd
from accelgym.costmodels.errors import InputError

__all__ = ["PassAccumulator", "array_matmul"]

ScaleCode = tuple[Datatype, int]
ScaleCodes = tuple[Datatype, npt.ArrayLike]


@dataclass(frozen=True)
class PassAccumulator:
    """Adds the partial sum of one pass through the array to the accumulation buffer.

    Equal integer types add modulo their width. All other pairs work in the accumulation type with one rounding an
    operation, to nearest even, overflow to infinity (IEEE 754): the partial sum is converted; with block scales,
    the converted scales are multiplied left to right and then with the partial sum; the result is added to the
    buffer. The first pass writes this term without adding.

    Args:
        psum: Type of the partial sums.
        accumulator: Type of the buffer: the integer type of the partial sums, or a float format with NaN.

    Raises:
        InputError: Types that do not go together.
    """

    psum: Datatype
    accumulator: Datatype

    def __post_init__(self) -> None:
        name = f"accumulation {self.psum.name} -> {self.accumulator.name}"
        if self.accumulator.kind is Kind.INTEGER:
            if self.psum != self.accumulator:
                raise InputError(f"{name}: an integer buffer holds partial sums of its own type, {self.psum.name}")
        elif self.accumulator.kind is not Kind.FLOAT or not self.accumulator.has_nan:
            raise InputError(f"{name}: allowed: an integer type, or a float format with NaN")

    def add_exact(self, buffer: int | None, psum: int, scales: tuple[ScaleCode, ...] = ()) -> int:
        """One addition on codes with exact arithmetic: the definition of ``add``."""
        target = self.accumulator
        if target.kind is Kind.INTEGER:
            self._refuse(scales)
            total = self.psum.decode_exact(psum)
            total = total if buffer is None else target.decode_exact(buffer) + total
            return target.encode_exact(total, overflow=Overflow.WRAP)

        def rounded(value: Exact | Fraction) -> Exact:
            return target.decode_exact(target.encode_exact(value, overflow=Overflow.INFINITY))

        term = rounded(self.psum.decode_exact(psum))
        if scales:
            scale, *others = (rounded(datatype.decode_exact(code)) for datatype, code in scales)
            for other in others:
                scale = rounded(scale * other)
            term = rounded(scale * term)
        total = term if buffer is None else target.decode_exact(buffer) + term
        return target.encode_exact(total, overflow=Overflow.INFINITY)

    def add(self, buffer: npt.ArrayLike | None, psum: npt.ArrayLike, scales: tuple[ScaleCodes, ...] = ()) -> Codes:
        """Adds partial sums to the buffer; shapes broadcast.

        Args:
            buffer: Codes of the accumulation type; None for the first pass.
            psum: Codes of the partial sums.
            scales: Pairs (type, codes), for example the scales of the input block and of the weight block.

        Returns:
            The new contents of the buffer, codes.

        Raises:
            InputError: Scales with an integer buffer, or codes outside their types.
        """
        target = self.accumulator
        if isinstance(target, IntegerFormat):
            self._refuse(scales)
            added = target.check(psum)
            return added if buffer is None else target.wrap(target.check(buffer) + added)
        with np.errstate(invalid="ignore"):
            term = self._rounded(self.psum.decode(psum))
            if scales:
                scale, *others = (self._rounded(datatype.decode(codes)) for datatype, codes in scales)
                for other in others:
                    scale = self._rounded(scale * other)
                term = self._rounded(scale * term)
            total = term if buffer is None else sum_to_odd(target.decode(buffer), term)
        return target.encode(total, overflow=Overflow.INFINITY)

    def _rounded(self, values: Values) -> Values:
        return self.accumulator.round(values, overflow=Overflow.INFINITY)

    def _refuse(self, scales: tuple[object, ...]) -> None:
        if scales:
            raise InputError(f"accumulation in {self.accumulator.name}: block scales need a float buffer")


def array_matmul(
    multiply_add: FusedMultiplyAdd,
    inputs: npt.ArrayLike,
    weights: npt.ArrayLike,
    rows: int,
    accumulator: Datatype | None = None,
    input_scales: ScaleCodes | None = None,
    weight_scales: ScaleCodes | None = None,
) -> Codes:
    """Matrix product as an array with ``rows`` rows computes it.

    The reduction axis is cut into passes of ``rows`` terms, ascending. A pass chains its multiply-adds from zero,
    row 0 first; in the last pass, rows without data multiply zeros. The result of each pass goes through a
    ``PassAccumulator``, in ascending order.

    Args:
        multiply_add: Arithmetic of a processing element.
        inputs: Codes, shape ``(m, n)``.
        weights: Codes, shape ``(n, k)``.
        rows: Terms a pass; the block size where there are scales.
        accumulator: Type of the buffer; that of the partial sums when None.
        input_scales: Scale type and codes of shape ``(m, ceil(n / rows))``.
        weight_scales: Scale type and codes of shape ``(ceil(n / rows), k)``.

    Returns:
        Codes of the accumulation type, shape ``(m, k)``.

    Raises:
        InputError: Shapes or types that do not fit, ``rows`` below 1, or zeros needed in a type without zero.
    """
    left, right = np.asarray(inputs), np.asarray(weights)
    if rows < 1:
        raise InputError(f"array_matmul: rows is {rows!r}, allowed: 1 and more")
    if left.ndim != 2 or right.ndim != 2 or left.shape[1] != right.shape[0] or not left.shape[1]:
        shapes = f"{left.shape} and {right.shape}"
        raise InputError(f"array_matmul: shapes {shapes}, allowed: (m, n) and (n, k) with n at least 1")
    missing = -left.shape[1] % rows
    if missing:
        left = np.pad(left, ((0, 0), (0, missing)), constant_values=multiply_add.input.zero())
        right = np.pad(right, ((0, missing), (0, 0)), constant_values=multiply_add.weight.zero())
    count = left.shape[1] // rows
    expected = ((left.shape[0], count), (count, right.shape[1]))
    for name, given, shape in zip(("input", "weight"), (input_scales, weight_scales), expected, strict=True):
        if given is not None and np.shape(given[1]) != shape:
            raise InputError(f"array_matmul: {name}_scales of shape {np.shape(given[1])}, allowed: {shape}")
    passes = PassAccumulator(multiply_add.psum, multiply_add.psum if accumulator is None else accumulator)
    buffer: Codes | None = None
    for i in range(count):
        part = slice(i * rows, (i + 1) * rows)
        scales: list[ScaleCodes] = []
        if input_scales is not None:
            scales.append((input_scales[0], np.asarray(input_scales[1])[:, i, None]))
        if weight_scales is not None:
            scales.append((weight_scales[0], np.asarray(weight_scales[1])[i]))
        buffer = passes.add(buffer, multiply_add.matmul(left[:, part], right[part]), tuple(scales))
    assert buffer is not None
    return buffer

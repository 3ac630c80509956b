"""How large operands may be for the sums of a layer to stay finite."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.datatypes import Datatype, Kind
from accelgym.costmodels.systolic.config import SystolicConfig
from accelgym.costmodels.workloads.layer import Layer

__all__ = ["MagnitudeSplit", "finite_codes", "product_exponent", "scale_exponent", "smallest_magnitude"]

Codes = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def finite_codes(datatype: Datatype) -> Codes:
    """Returns the codes of finite numbers by ascending magnitude."""
    codes = np.flatnonzero(np.isfinite(datatype.values))
    return np.asarray(codes[np.argsort(np.abs(datatype.values[codes]), kind="stable")], dtype=np.int64)


def smallest_magnitude(datatype: Datatype) -> float:
    """Returns the smallest magnitude above zero."""
    magnitudes = np.abs(datatype.values[finite_codes(datatype)])
    return float(magnitudes[magnitudes > 0][0])


def product_exponent(config: SystolicConfig, layer: Layer) -> float:
    """Returns the binary logarithm of the largest product for which no sum of the layer overflows.

    One factor of two is left for the roundings. Integer sums wrap and have no bound.
    """
    if config.psum.kind is not Kind.FLOAT:
        return math.inf
    # Each pass is scaled on its own: only its rows add up in the type of the partial sums.
    terms = layer.C // layer.groups * layer.R * layer.S if config.scale is None else config.rows
    return math.log2(config.psum.max) - math.log2(terms) - 1


def scale_exponent(config: SystolicConfig, layer: Layer) -> float:
    """Returns the binary logarithm of the largest product of block scales for which no sum overflows."""
    largest = math.log2(config.rows * config.input.max_magnitude * config.weight.max_magnitude)
    psum = min(largest, math.log2(config.psum.max))
    passes = -(-layer.C // layer.groups // config.rows) * layer.R * layer.S
    return math.log2(config.accumulation.max) - max(psum, 0) - math.log2(passes) - 1


@dataclass(frozen=True)
class MagnitudeSplit:
    """Bounds of two factors, one pair a term of the reduction: the product never exceeds the bound of the sums."""

    left: Floats
    """Binary logarithm of the largest magnitude, shape ``(terms,)``; infinite without a bound."""
    right: Floats

    @classmethod
    def draw(
        cls, bound: float, left: Datatype, right: Datatype, terms: int, generator: np.random.Generator
    ) -> MagnitudeSplit:
        """Divides a bound: what one factor of a term may use of its range, the other may not.

        Args:
            bound: Binary logarithm of the largest product.
            left: Format of the first factor.
            right: Format of the second factor.
            terms: Terms of the reduction.
            generator: Source of randomness.
        """
        ends = [(math.log2(smallest_magnitude(t)), math.log2(t.max_magnitude)) for t in (left, right)]
        (low, high), (other_low, other_high) = ends
        if high + other_high <= bound:
            free = np.full(terms, math.inf)
            return cls(free, free)
        first, last = max(low, bound - other_high), min(high, bound - other_low)
        of_left = generator.uniform(min(first, last), last, size=terms)
        return cls(of_left, bound - of_left)

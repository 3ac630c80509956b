"""Powers and logarithms against 40 digits, and on another processor."""

from __future__ import annotations

import hashlib
from decimal import Decimal, localcontext

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from processors import OLDER_PROCESSOR, answer

from accelgym.costmodels.components import laws
from accelgym.costmodels.maestro.physical import _even_powers
from accelgym.costmodels.rounded import log2, power

NUMBERS = st.floats(1e-30, 1e30)


def exact(function):
    """A number of 40 digits, rounded."""
    with localcontext() as context:
        context.prec = 40
        return float(function())


@given(NUMBERS, st.floats(-4.0, 4.0))
def test_powers_are_rounded_correctly(base, exponent):
    assert power(base, exponent) == exact(lambda: (Decimal(exponent) * Decimal(base).ln()).exp())


@given(NUMBERS)
def test_logarithms_are_rounded_correctly(number):
    assert log2(number) == exact(lambda: Decimal(number).ln() / Decimal(2).ln())


@given(st.floats(1 - 1e-6, 1 + 1e-6))
def test_logarithms_near_zero_are_rounded_correctly(number):
    assert log2(number) == exact(lambda: Decimal(number).ln() / Decimal(2).ln())


def test_sizes_of_memories_which_libraries_round_each_in_its_way():
    sizes = 2.0 * np.arange(1, 3000)
    for exponent in (0.535, 0.468):
        expected = [exact(lambda s=size, e=exponent: (Decimal(e) * Decimal(s).ln()).exp()) for size in sizes]
        np.testing.assert_array_equal(power(sizes, exponent), expected)


def test_shapes_and_ends():
    assert power(2.0, [1.0, 0.5, -1.0]).tolist() == [2.0, 2.0**0.5, 0.5]
    assert power([[0.0, 1.0], [4.0, 9.0]], 0.5).tolist() == [[0.0, 1.0], [2.0, 3.0]]
    assert power(1e200, 2.0) == np.inf
    assert power(1e-200, 2.0) == 0.0
    assert power(2.0, 3.0).shape == log2(8.0).shape == ()
    assert power(np.full(20_001, 8.0), 1 / 3).shape == (20_001,)
    assert log2(2.0 ** np.arange(-50, 50)).tolist() == list(range(-50, 50))


def digest():
    """Of every power that costs rest on: of memories, and of components of other sizes and nodes."""
    found = [_even_powers(0.02, 0.535), _even_powers(0.03, 0.468)]
    depths, nodes = (512, 768, 3000, 54_000), (12, 28, 65)
    for depth in depths:
        for node in nodes:
            cost = laws.sram(depth, 2048, node_nm=node)
            found.append(np.array([cost.read_pj, cost.write_pj, cost.area_um2, cost.leakage_pj]))
    return hashlib.sha256(np.concatenate(found).tobytes()).hexdigest()


def test_another_processor_has_the_same_bits():
    assert answer(__file__, "t.digest()", OLDER_PROCESSOR) == digest()

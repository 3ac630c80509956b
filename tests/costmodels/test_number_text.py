"""Numbers written in machine code are those that ``repr`` writes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelgym.costmodels.files.number_text import append_cells

pytest.importorskip("numba", reason="the extra 'fast' is not installed")

EDGES = (0.0, -0.0, 1e-4, 9.999e-5, 1e-5, 1e15, 1e16, 9999999999999998.0, 5e-324, 2.2250738585072014e-308, -3.5, 1e22)


def written(column: np.ndarray, shown: np.ndarray | None = None) -> list[str]:
    count = len(column)
    data, starts = np.frombuffer(b"x,a,b", dtype=np.uint8), np.full(count, 2)
    shown = np.ones(count, dtype=bool) if shown is None else shown
    words = [b"1,", b"0,overflow"]
    text = append_cells(data, starts, starts + 3, [column, column], shown, words, np.where(shown, 0, 1)).decode()
    return text.split("\r\n")[:-1]


def expected(column: np.ndarray) -> list[str]:
    return [f"a,b,{number!r},{number!r},1," for number in column.tolist()]


def test_doubles_of_all_exponents_are_as_repr_writes_them():
    bits = np.random.default_rng(0).integers(0, 2**63 - 1, 20_000)
    doubles = bits.view(np.float64)
    powers = np.array([float(f"{digit}e{e}") for e in range(-323, 308) for digit in (1, 5, 9)])
    for column in (doubles[np.isfinite(doubles)], 2.0 ** np.arange(-1074, 1024), powers, np.array(EDGES)):
        assert written(column) == expected(column)
        assert written(-column) == expected(-column)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=50))
def test_any_doubles(numbers):
    column = np.array(numbers)
    assert written(column) == expected(column)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=50))
def test_any_integers(numbers):
    column = np.array(numbers, dtype=np.int64)
    assert written(column) == expected(column)


def test_rows_that_are_not_shown_have_empty_cells():
    assert written(np.array([1.5, 2.5]), np.array([True, False])) == ["a,b,1.5,1.5,1,", "a,b,,,0,overflow"]

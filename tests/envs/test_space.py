"""Spaces: encoding, checking and sampling."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelgym.costmodels.errors import InputError
from accelgym.envs import Parameter, Space

SPACE = Space((Parameter("pes", (1, 2, 8)), Parameter("flow", ("dla", "eye"), ordered=False)))


@given(st.integers(0, 2), st.integers(0, 1))
def test_decode_and_encode_are_inverse(pes, flow):
    assert (SPACE.encode(SPACE.decode([pes, flow])) == [pes, flow]).all()


def test_samples_cover_the_space_and_nothing_else():
    designs = SPACE.sample(np.random.default_rng(0), 500)
    assert len(np.unique(SPACE.check(designs), axis=0)) == SPACE.cardinality == 6


@pytest.mark.parametrize(
    ("designs", "message"),
    [
        ([[0, 0, 0]], r"shape \(1, 3\), expected \(n, 2\)"),
        ([[0.5, 0]], "dtype float64"),
        ([[0, 1], [3, 0]], r"design 1: index 3 of parameter 'pes' is out of range, allowed 0\.\.2"),
    ],
)
def test_designs_outside_the_space_are_refused(designs, message):
    with pytest.raises(InputError, match=message):
        SPACE.check(designs)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"pes": 3, "flow": "dla"}, r"'pes' is 3, allowed 1, 2, 8"),
        ({"pes": 1}, "'flow' is missing"),
        ({"pes": 1, "flw": "dla"}, "did you mean 'flow'"),
    ],
)
def test_values_outside_the_space_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        SPACE.encode(values)

"""Machine code gives the array code's bits, for mappings that mean something and others."""

import copy
import pickle

import numpy as np
import pytest

from accelgym.costmodels import kernels
from accelgym.costmodels.architecture import LoopNest
from accelgym.costmodels.loopnest import LoopnestModel, Mappings, sample_mappings
from accelgym.costmodels.timeloop.presets import preset

PROBLEMS = {
    "conv": LoopNest.conv("conv", K=16, C=8, P=12, Q=12, R=3, S=3),
    "strided": LoopNest.conv("strided", N=2, K=4, C=1, P=6, Q=6, R=5, S=3, stride=(2, 2)),
    "gemm": LoopNest.gemm("gemm", I=12, J=64, L=20),
}


@pytest.fixture
def compiled_at_once(monkeypatch):
    pytest.importorskip("numba", reason="the extra 'fast' is not installed")
    monkeypatch.setattr(kernels, "WORTH_COMPILING", 0)


def spoilt(mappings: Mappings) -> Mappings:
    """Makes rows bad in all the ways there are."""
    factors, ranks = mappings.factors.copy(), mappings.ranks.copy()
    factors[..., ::20] = 0
    factors[1, 0, 1::20] *= 2
    factors[0, 0, 2::20] = -2
    ranks[0, 0, 3::20] = len(mappings.problem.dims)
    ranks[0, 0, 4::20] = -1
    ranks[1, 0, 5::20] = ranks[1, 1, 5::20]
    ranks[1, 1, 6::20] += 64
    return Mappings(mappings.problem, mappings.architecture, factors, ranks)


@pytest.mark.parametrize("name", PROBLEMS)
def test_compiled_mappings_have_the_same_bits(name, compiled_at_once, monkeypatch):
    problem, machine = PROBLEMS[name], preset("eyeriss_thistle")
    mappings = sample_mappings(problem, machine, 2500, np.random.default_rng(0))
    narrow = Mappings(problem, machine, mappings.factors.astype(np.uint16), mappings.ranks.astype(np.int8))
    model = LoopnestModel(problem, machine)
    batches = (mappings, spoilt(mappings), mappings[7:20], mappings[::3], narrow, mappings[:0])
    found = [model.evaluate(batch) for batch in batches]
    monkeypatch.setattr(kernels, "WORTH_COMPILING", float("inf"))
    for batch, compiled in zip(batches, found, strict=True):
        plain = model.evaluate(batch)
        np.testing.assert_array_equal(compiled.reason, plain.reason)
        for column in ("latency_cycles", "energy_pj", "power_mw", "area_um2"):
            a, b = getattr(compiled, column), getattr(plain, column)
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a[plain.valid], b[plain.valid], err_msg=column)
        assert list(compiled.breakdown) == list(plain.breakdown)
        for column, values in plain.breakdown.items():
            assert compiled.breakdown[column].dtype == values.dtype, column
            np.testing.assert_array_equal(compiled.breakdown[column][plain.valid], values[plain.valid], err_msg=column)


def test_models_with_machine_code_are_copied(compiled_at_once):
    problem, machine = PROBLEMS["gemm"], preset("eyeriss_thistle")
    mappings = sample_mappings(problem, machine, 50, np.random.default_rng(0))
    model = LoopnestModel(problem, machine)
    expected = model.evaluate(mappings).energy_pj
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(other.evaluate(mappings).energy_pj, expected)

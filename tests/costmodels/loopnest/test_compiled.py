"""The compiled ranking path gives what the model gives."""

from __future__ import annotations

import numpy as np
import pytest

from accelgym.costmodels import kernels
from accelgym.costmodels.architecture import LoopNest
from accelgym.costmodels.errors import InputError, MissingExtraError
from accelgym.costmodels.loopnest import LoopnestModel, sample_mappings
from accelgym.costmodels.loopnest.compiled import compile_score
from accelgym.costmodels.timeloop.presets import preset, preset_names

CONV = LoopNest.conv("k", K=32, C=16, P=28, Q=14, R=3, S=3, stride=(2, 1))
GEMM = LoopNest.gemm("g", I=24, J=36, L=48, batch=2)


def batch_and_score(problem, machine, count=3000):
    batch = sample_mappings(problem, machine, count, np.random.default_rng(5))
    model = LoopnestModel(problem, machine)
    return model, batch, model.score(batch.factors.astype(np.float64), batch.ranks.astype(np.float64))


@pytest.mark.parametrize("name", preset_names())
def test_numba_gives_the_bits_of_numpy(name):
    model, batch, expected = batch_and_score(GEMM, preset(name))
    assert 0 < expected[2].sum() < len(batch)
    for found, wanted in zip(compile_score(model)(batch.factors, batch.ranks), expected, strict=True):
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)


def test_windows_and_every_dtype_give_the_bits_of_numpy():
    model, batch, expected = batch_and_score(CONV, preset("eyeriss_thistle"), 20_000)
    score = compile_score(model)
    for dtype in (np.int64, np.float64, np.uint8, np.int32, np.float32):
        for found, wanted in zip(score(batch.factors.astype(dtype), batch.ranks.astype(dtype)), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)
    # Columns that are not contiguous, and none at all.
    for found, wanted in zip(score(batch.factors[..., ::3], batch.ranks[..., ::3]), expected, strict=True):
        np.testing.assert_array_equal(found, wanted[::3])
    assert [len(result) for result in score(batch.factors[..., :0], batch.ranks[..., :0])] == [0, 0, 0]


def test_tensors_give_tensors():
    torch = pytest.importorskip("torch")
    model, batch, expected = batch_and_score(GEMM, preset("eyeriss_thistle"))
    found = compile_score(model)(torch.from_numpy(batch.factors.copy()), torch.from_numpy(batch.ranks.copy()))
    for tensor, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(tensor.numpy(), wanted)


def test_a_wrong_shape_is_named():
    model, batch, _ = batch_and_score(GEMM, preset("eyeriss_thistle"), 10)
    with pytest.raises(InputError, match=r"ranks has the shape .*, allowed: .*slots, dims, n"):
        compile_score(model)(batch.factors, batch.ranks[:, :-1])


def test_what_is_missing_is_named(monkeypatch):
    import sys

    monkeypatch.setattr(kernels, "is_available", lambda: False)
    monkeypatch.setitem(sys.modules, "torch", None)
    model = LoopnestModel(GEMM, preset("eyeriss_thistle"))
    with pytest.raises(MissingExtraError, match=r"accelgym\[fast"):
        compile_score(model)
    with pytest.raises(MissingExtraError, match=r"'cuda'.*accelgym\[agents"):
        compile_score(model, device="cuda")


@pytest.mark.slow
@pytest.mark.parametrize("problem", [CONV, GEMM], ids=["conv", "gemm"])
def test_torch_equals_numpy(problem, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(kernels, "is_available", lambda: False)
    # A machine without blocks or bandwidths: float32 rounding may move a ceiling by one.
    model, batch, _ = batch_and_score(problem, preset("eyeriss_thistle"))
    factors, ranks = batch.factors.astype(np.float32), batch.ranks.astype(np.float32)
    energy, cycles, valid = model.score(factors, ranks)
    fused = compile_score(model)(torch.from_numpy(factors), torch.from_numpy(ranks))
    np.testing.assert_allclose(fused[0].numpy(), energy, rtol=1e-6)
    np.testing.assert_allclose(fused[1].numpy(), cycles, rtol=1e-6)
    np.testing.assert_array_equal(fused[2].numpy(), valid)

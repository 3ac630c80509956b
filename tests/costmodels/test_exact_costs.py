"""The last guard: no valid cost is without meaning, whatever a model says."""

import numpy as np
import pytest
import torch

from accelgym.costmodels.costs import EXACT_LIMIT, Costs, Reason


def costs(latency, energy, valid=None, xp=np):
    latency, energy = xp.asarray(latency), xp.asarray(energy)
    good = xp.ones(latency.shape, dtype=bool if xp is np else torch.bool) if valid is None else xp.asarray(valid)
    reason = xp.where(good, 0, int(Reason.CAPACITY))
    reason = reason.astype(np.int8) if xp is np else reason.to(torch.int8)
    return Costs(latency, energy, xp.ones_like(energy), xp.ones_like(energy), good, reason, "m", "1", "t")


@pytest.mark.parametrize("xp", [np, torch])
def test_what_is_no_exact_count_is_no_valid_cost(xp):
    latency = [1.0, 0.0, -5.0, 3.0, 3.0, 3.0, 3.0, float(EXACT_LIMIT), float("inf"), float("nan")]
    energy = [1.0, 1.0, 1.0, -8.5e20, 0.0, 2.0 * EXACT_LIMIT, float("nan"), 1.0, 1.0, 1.0]
    found = costs(latency, energy, xp=xp)
    good = [True, False, False, False, True, False, False, True, False, False]
    assert found.valid.tolist() == good
    assert found.reason.tolist() == [0 if ok else int(Reason.OVERFLOW) for ok in good]
    assert found.reason.dtype == (np.int8 if xp is np else torch.int8)


def test_rows_that_are_invalid_keep_their_reason():
    found = costs([1.0, 0.0, np.nan], [1.0, 0.0, 1.0], valid=[True, False, True])
    assert found.valid.tolist() == [True, False, False]
    assert found.reason.tolist() == [0, int(Reason.CAPACITY), int(Reason.OVERFLOW)]


def test_good_batches_are_as_the_model_made_them():
    latency = np.array([[3, 4]])
    found = costs(latency, np.array([[1.5, 0.0]]))
    assert found.valid.all()
    assert found.latency_cycles is latency
    assert costs(np.zeros(0), np.zeros(0)).valid.shape == (0,)

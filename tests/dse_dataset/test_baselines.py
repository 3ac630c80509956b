"""Scores of simple predictors."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from accelgym.dse_dataset.baselines import score_dataset
from accelgym.dse_dataset.load import load_dataset
from accelgym.dse_dataset.recipes.catalogue import build_recipe, spec_from


def whole_landscape(folder, split):
    data = load_dataset(folder)
    recipe = build_recipe(spec_from(data.manifest["recipe"]))
    arrays = data.arrays(split)
    found = np.empty((len(arrays["row"]), 768))
    for rows, objectives in recipe.landscapes(arrays):
        found[rows] = objectives
    return recipe, arrays, found


def test_landscapes_have_their_labels_as_minima(dataset):
    recipe, arrays, found = whole_landscape(dataset, "test")
    assert np.array_equal(found.min(axis=1), arrays["best_objective"])
    assert np.array_equal(found.argmin(axis=1), recipe.design_numbers(arrays))
    assert np.array_equal((found == found.min(axis=1, keepdims=True)).sum(axis=1), arrays["tied_designs"])


def test_the_constant_is_the_best_one_and_scored_as_it_is(dataset):
    _, _, learnt = whole_landscape(dataset, "train")
    _, arrays, scored = whole_landscape(dataset, "test")
    ratio = learnt / learnt.min(axis=1, keepdims=True)
    chosen = np.log(np.where(np.isfinite(ratio), ratio, 10.0)).mean(axis=0).argmin()
    mine = scored[:, chosen] / scored.min(axis=1)
    score = score_dataset(dataset)
    constant = score.baselines[0]
    assert constant.optimal == pytest.approx((mine <= 1 + 1e-9).mean())
    assert constant.infeasible == pytest.approx(1 - np.isfinite(mine).mean())
    assert constant.regret == pytest.approx(np.exp(np.log(mine[np.isfinite(mine)]).mean()) - 1)
    assert score.median_ties == np.median(arrays["tied_designs"])
    assert [b.name for b in score.baselines] == ["constant", "gradient boosting", "nearest neighbours"]
    assert all(b.regret >= 0 and b.worst >= b.regret for b in score.baselines)

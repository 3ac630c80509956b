"""Scores of simple predictors."""

import json
from pathlib import Path

import numpy as np
import pytest

import accelgym.dse_dataset

pytest.importorskip("sklearn")

from accelgym.dse_dataset.baselines import score_dataset
from accelgym.dse_dataset.load import load_dataset
from accelgym.dse_dataset.recipes.catalogue import build_recipe, spec_from

SAMPLES = Path(accelgym.dse_dataset.__path__[0]) / "samples"


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


def test_accelerators_are_evaluated_one_by_one():
    data = load_dataset(SAMPLES / "accelerators")
    recipe = build_recipe(spec_from(data.manifest["recipe"]))
    arrays = data.arrays("validation")
    label = recipe.knob_labels(arrays)
    names = [knob.name for knob in recipe.knobs]
    largest = label.copy()
    largest[:, [names.index("rows"), names.index("columns")]] = 7
    found = recipe.objectives_of(arrays, np.stack([label, largest], axis=1))
    assert found[:, 0].tolist() == arrays["best_cycles"].tolist()
    assert np.isinf(found[:, 1]).all()  # 32 x 32 takes more than any of the budgets.


@pytest.mark.slow
def test_baselines_of_accelerators_name_designs():
    score = score_dataset(SAMPLES / "accelerators")
    data = load_dataset(SAMPLES / "accelerators")
    recipe = build_recipe(spec_from(data.manifest["recipe"]))
    train, test = data.arrays("train"), data.arrays("test")
    labels = recipe.knob_labels(train)
    values = recipe.objectives_of(train, np.tile(labels, (len(labels), 1, 1)))
    ratio = values / train["best_cycles"][:, None]
    chosen = labels[np.log(np.where(np.isfinite(ratio), ratio, 10.0)).sum(axis=0).argmin()]
    mine = recipe.objectives_of(test, chosen[None, None])[:, 0] / test["best_cycles"]
    constant = score.baselines[0]
    assert constant.optimal == (mine <= 1 + 1e-9).mean()
    assert constant.infeasible == np.isinf(mine).mean()
    assert constant.regret == pytest.approx(np.exp(np.log(mine[np.isfinite(mine)]).mean()) - 1)
    assert [b.name for b in score.baselines] == ["constant", "gradient boosting", "nearest neighbours"]


def test_predictors_of_searches_see_each_argument():
    data = load_dataset(SAMPLES / "searched")
    recipe = build_recipe(spec_from(data.manifest["recipe"]))
    arrays = data.arrays("train")
    found = recipe.predictor_inputs(arrays)
    assert set(found) == {"env", *recipe.spec.vary}
    for row, text in enumerate(arrays["arguments_json"]):
        for key in recipe.spec.vary:
            assert found[key][row] == json.loads(text)[key]
    assert found["budget"].dtype.kind == "f"

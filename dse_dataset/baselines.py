"""How far simple predictors get on a dataset: the floor that a learned policy has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import InputError, MissingExtraError
from accelgym.dse_dataset.input_encoding import InputEncoder
from accelgym.dse_dataset.load import load_dataset
from accelgym.dse_dataset.recipes.base import Recipe
from accelgym.dse_dataset.recipes.catalogue import build_recipe, spec_from

__all__ = ["BaselineScore", "DatasetScore", "score_dataset"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_MOST_ROWS = 20_000
"""Rows that a baseline learns from, and rows it is scored on."""
_NEIGHBOURS = 5
_TREES = 100
_FEW = 16
"""Values up to which a choice is a class for the trees; more are a number."""
_CANDIDATES, _CANDIDATE_ROWS = 16, 64
"""Most frequent labels among which a constant is chosen, and rows on which, where designs are evaluated one by one."""
_INFEASIBLE = 10.0
"""Ratio that an infeasible design counts as when the constant is chosen."""
_OPTIMAL = 1e-9


@dataclass(frozen=True)
class BaselineScore:
    """How a predictor does on rows it has not seen."""

    name: str
    optimal: float | None
    """Share of rows in which it names a design that ties for the best; ``None`` for predictors of a value."""
    infeasible: float | None
    """Share of rows in which it names an infeasible one."""
    regret: float
    """Geometric mean, over the feasible ones, of the ratio to the best objective, less 1; for predictors of a value of
    the ratio between prediction and value, the larger over the smaller, less 1."""
    worst: float
    """Largest ratio less 1."""


@dataclass(frozen=True)
class DatasetScore:
    """What a dataset holds, and the baselines' scores."""

    name: str
    rows: int
    bytes: int
    split: str
    """Scored split."""
    median_ties: float | None
    baselines: tuple[BaselineScore, ...]


def score_dataset(folder: Path | str, split: str = "test") -> DatasetScore:
    """Fits a constant, gradient boosting and nearest neighbours on ``train`` and scores them on another split.

    Where all rows choose values of the same knobs they predict the design, else (mappings, measurements, searches) the
    value of the recipe's ``value_column``. At most 20,000 rows of each split are used, the first ones.

    Raises:
        InputError: No dataset, or an empty split.
        MissingExtraError: scikit-learn is not installed.
    """
    data = load_dataset(folder)
    if data.manifest["recipe"] is None:
        raise InputError(f"{folder}: was pooled from searches; there is no label to predict")
    recipe = build_recipe(spec_from(data.manifest["recipe"]))
    parts = [data.arrays(name, most_rows=_MOST_ROWS) for name in ("train", split)]
    inputs = [recipe.predictor_inputs(part) for part in parts]
    encoder = InputEncoder.of(inputs[0], list(inputs[0]))
    features = [encoder.encode(part, warn=False) for part in inputs]
    ties = float(np.median(parts[1]["tied_designs"])) if "tied_designs" in parts[1] else None
    score = _score_designs if recipe.design_factors else _score_knobs if recipe.knobs else _score_values
    with _one_thread():
        scores = score(recipe, parts, features)
    size = sum(shard["bytes"] for shard in data.manifest["shards"])
    return DatasetScore(data.manifest["name"], sum(data.splits.values()), size, split, ties, tuple(scores))


def _learners() -> Any:
    try:
        from sklearn import ensemble, neighbors
    except ImportError as error:
        raise MissingExtraError("a baseline", "scikit-learn", "data") from error
    return ensemble, neighbors


def _one_thread() -> AbstractContextManager[Any]:
    """Keeps the trees to one thread: the same sums everywhere, and no threads that wait for each other."""
    _learners()
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[Any] = threadpool_limits(1)
    return limits


def _scaled(features: list[FloatArray]) -> list[FloatArray]:
    mean, spread = features[0].mean(axis=0), features[0].std(axis=0)
    return [(f - mean) / np.where(spread > 0, spread, 1.0) for f in features]


# -- designs -------------------------------------------------------------------------------------------------------


def _score_designs(
    recipe: Recipe, parts: Sequence[dict[str, npt.NDArray[Any]]], features: list[FloatArray]
) -> list[BaselineScore]:
    """Scores designs against the landscape of each row."""
    labels = recipe.design_numbers(parts[0])
    predicted = {"constant": np.full(len(features[1]), _best_constant(recipe, parts[0]))}
    predicted |= _learnt(labels, recipe.design_factors, features)
    ratios = {name: np.empty(len(features[1])) for name in predicted}
    for rows, objectives in recipe.landscapes(parts[1]):
        best = objectives.min(axis=1)
        for name, designs in predicted.items():
            ratios[name][rows] = objectives[np.arange(len(rows)), designs[rows]] / best
    return [_design_score(name, ratio) for name, ratio in ratios.items()]


def _score_knobs(
    recipe: Recipe, parts: Sequence[dict[str, npt.NDArray[Any]]], features: list[FloatArray]
) -> list[BaselineScore]:
    """Scores designs that are evaluated one by one."""
    factors = tuple(len(knob.values) for knob in recipe.knobs)
    labels = np.ravel_multi_index(tuple(recipe.knob_labels(parts[0]).T), factors)

    def ratios(arrays: dict[str, npt.NDArray[Any]], designs: IntArray) -> FloatArray:
        found = recipe.objectives_of(arrays, np.stack(np.unravel_index(designs, factors), axis=-1))
        return found / np.asarray(arrays[recipe.objective_column], dtype=np.float64)[:, None]

    # Every evaluation builds a task: the constant is the best of a few labels on a few rows.
    known, counts = np.unique(labels, return_counts=True)
    frequent = known[np.argsort(-counts, kind="stable")[:_CANDIDATES]]
    first = {name: values[:_CANDIDATE_ROWS] for name, values in parts[0].items()}
    ratio = ratios(first, np.tile(frequent, (len(first["row"]), 1)))
    constant = frequent[np.argmin(np.log(np.where(np.isfinite(ratio), ratio, _INFEASIBLE)).sum(axis=0))]
    predicted = {"constant": np.full(len(features[1]), constant)} | _learnt(labels, factors, features)
    scored = ratios(parts[1], np.stack(list(predicted.values()), axis=1))
    return [_design_score(name, column) for name, column in zip(predicted, scored.T, strict=True)]


def _learnt(labels: IntArray, factors: tuple[int, ...], features: list[FloatArray]) -> dict[str, IntArray]:
    """Returns the designs that gradient boosting and nearest neighbours name, as numbers over the factors."""
    ensemble, neighbors = _learners()
    heads = []
    for values, factor in zip(np.unravel_index(labels, factors), factors, strict=True):
        if len(np.unique(values)) == 1:
            heads.append(np.full(len(features[1]), values[0]))
        elif factor <= _FEW:
            tree = ensemble.HistGradientBoostingClassifier(max_iter=_TREES, random_state=0, early_stopping=False)
            heads.append(tree.fit(features[0], values).predict(features[1]))
        else:
            tree = ensemble.HistGradientBoostingRegressor(max_iter=_TREES, random_state=0, early_stopping=False)
            guess = np.rint(tree.fit(features[0], values).predict(features[1])).astype(np.int64)
            heads.append(np.clip(guess, 0, factor - 1))
    near, far = _scaled(features)
    count = min(_NEIGHBOURS, len(near))
    found = neighbors.NearestNeighbors(n_neighbors=count).fit(near).kneighbors(far, return_distance=False)
    return {
        "gradient boosting": np.ravel_multi_index(tuple(heads), factors),
        "nearest neighbours": _most_common(labels[found]),
    }


def _best_constant(recipe: Recipe, arrays: dict[str, npt.NDArray[Any]]) -> int:
    """The design with the least geometric mean ratio to the best on the rows to learn from."""
    total: FloatArray | float = 0.0
    for _, objectives in recipe.landscapes(arrays):
        ratio = objectives / objectives.min(axis=1, keepdims=True)
        total = total + np.log(np.where(np.isfinite(ratio), ratio, _INFEASIBLE)).sum(axis=0)
    return int(np.argmin(total))


def _most_common(votes: IntArray) -> IntArray:
    """The most frequent entry of each row, the earliest of those that are as frequent."""
    count = (votes[:, :, None] == votes[:, None, :]).sum(axis=2)
    return np.asarray(votes[np.arange(len(votes)), count.argmax(axis=1)])


def _design_score(name: str, ratio: FloatArray) -> BaselineScore:
    feasible = ratio[np.isfinite(ratio)]
    regret = float(np.exp(np.log(feasible).mean()) - 1) if len(feasible) else float("inf")
    worst = float(feasible.max() - 1) if len(feasible) else float("inf")
    return BaselineScore(
        name, float((ratio <= 1 + _OPTIMAL).mean()), float(1 - len(feasible) / len(ratio)), regret, worst
    )


# -- values --------------------------------------------------------------------------------------------------------


def _score_values(
    recipe: Recipe, parts: Sequence[dict[str, npt.NDArray[Any]]], features: list[FloatArray]
) -> list[BaselineScore]:
    ensemble, neighbors = _learners()
    learnt, truth = (np.log(part[recipe.value_column].astype(np.float64)) for part in parts)
    good, there = np.isfinite(learnt), np.isfinite(truth)
    learnt, truth = learnt[good], truth[there]
    features = [features[0][good], features[1][there]]
    near, far = _scaled(features)
    tree = ensemble.HistGradientBoostingRegressor(max_iter=_TREES, random_state=0, early_stopping=False)
    knn = neighbors.KNeighborsRegressor(min(_NEIGHBOURS, len(near)), weights="distance")
    predicted = {
        "constant": np.full(len(truth), np.median(learnt)),
        "gradient boosting": tree.fit(features[0], learnt).predict(features[1]),
        "nearest neighbours": knn.fit(near, learnt).predict(far),
    }
    scores = []
    for name, values in predicted.items():
        error = np.abs(values - truth)
        scores.append(BaselineScore(name, None, None, float(np.exp(error.mean()) - 1), float(np.exp(error.max()) - 1)))
    return scores

"""Measured hardware: gradient boosting against a small network on a dataset of preset ``synthesis``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from accelgym.agents.proxy import log_errors
from accelgym.costmodels.errors import InputError
from accelgym.dse_dataset.input_encoding import InputEncoder, input_names
from accelgym.experiments.measured_hardware import SAMPLE, load_measured
from accelgym.experiments.proxy.learners import LEARNERS
from accelgym.experiments.statistics import rank_correlation

__all__ = ["MeasuredRow", "measured_study"]

_TARGETS = {
    "area_nand2": "estimated_area_nand2",
    "critical_path_ps": "estimated_path_ps",
    "rtl_cycles": "model_cycles",
    "energy_pj": None,
}
"""Measured columns, and what the closed forms of the ``systolic`` model say of them, where the rows hold it."""
_FOLDS = 5


@dataclass(frozen=True)
class MeasuredRow:
    """Cross-validated error of one predictor of one measured quantity."""

    target: str
    predictor: str
    rows: int
    rmse: float
    """Root mean square of the logarithm of the ratio."""
    rank: float


def measured_study(folder: Path = SAMPLE, seed: int = 0) -> list[MeasuredRow]:
    """Predicts every row from the others, in five folds drawn over all splits together.

    An accelerator stands in one row only, so that folds share none.

    Raises:
        InputError: Another dataset, or fewer rows than folds.
    """
    data, arrays = load_measured(folder, list(_TARGETS))
    count = len(arrays["row"])
    if count < _FOLDS:
        raise InputError(f"{folder}: has {count} rows, allowed >= {_FOLDS}")
    features = InputEncoder.of(arrays, input_names(data.columns)).encode(arrays, warn=False)
    fold = np.random.default_rng(seed).permutation(count) % _FOLDS
    rows = []
    for target, closed in _TARGETS.items():
        truth = np.log(arrays[target].astype(np.float64))
        guesses = {"constant": np.empty(count)} | {name: np.empty(count) for name in LEARNERS}
        for part in range(_FOLDS):
            learn, test = fold != part, fold == part
            guesses["constant"][test] = truth[learn].mean()
            for name, fit in LEARNERS.items():
                guesses[name][test] = fit(features[learn], truth[learn], seed)(features[test])
        if closed is not None:
            guesses["closed form"] = np.log(arrays[closed].astype(np.float64))
        for name, values in guesses.items():
            rank = 0.0 if name == "constant" else rank_correlation(values, truth)
            rows.append(MeasuredRow(target, name, count, log_errors(values, truth), rank))
    return rows

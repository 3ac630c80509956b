"""The predictors that are compared, and the error they are compared by."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from accelgym.agents.proxy import FitOptions, ProxyNetwork
from accelgym.costmodels.errors import MissingExtraError

__all__ = ["LEARNERS", "seconds_per_row"]

FloatArray = npt.NDArray[np.float64]
Predictor = Callable[[FloatArray], FloatArray]


def _boosting(features: FloatArray, targets: FloatArray, seed: int) -> Predictor:
    try:
        from sklearn.ensemble import HistGradientBoostingRegressor
        from threadpoolctl import threadpool_limits
    except ImportError as error:
        raise MissingExtraError("the study of proxies", "scikit-learn", "data") from error
    # Leaves of few rows: measured data are few.
    trees = HistGradientBoostingRegressor(
        max_iter=300, learning_rate=0.1, min_samples_leaf=5, early_stopping=False, random_state=seed
    )
    with threadpool_limits(1):
        trees.fit(features, targets)

    def predict(rows: FloatArray) -> FloatArray:
        with threadpool_limits(1):
            return np.asarray(trees.predict(rows), dtype=np.float64)

    return predict


def _network(features: FloatArray, targets: FloatArray, seed: int) -> Predictor:
    network = ProxyNetwork.fitted(features, targets[:, None], FitOptions(steps=600), seed)
    return lambda rows: network.predict(rows)[:, 0]


LEARNERS: dict[str, Callable[[FloatArray, FloatArray, int], Predictor]] = {
    "gradient boosting": _boosting,
    "network": _network,
}
"""Take features, logarithms of one cost and a seed."""


def seconds_per_row(predict: Predictor, features: FloatArray, batch: int) -> float:
    """Measures CPU seconds a row at a batch size, for about a tenth of a second."""
    rows = np.resize(features, (batch, features.shape[1]))
    predict(rows)
    start, done = time.process_time(), 0
    while time.process_time() - start < 0.1:
        predict(rows)
        done += batch
    return (time.process_time() - start) / done

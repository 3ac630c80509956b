"""Adaptation to a cost model or a technology that is seen in about ten samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.agents.proxy import FitOptions, LinearAdaptation, ProxyNetwork, fine_tune, log_errors, meta_train
from accelgym.costmodels.maestro.designs import Dataflow, ResourceDesigns
from accelgym.costmodels.maestro.model import MaestroModel
from accelgym.costmodels.maestro.physical import PhysicalModel
from accelgym.costmodels.maestro.technology import FREEPDK45
from accelgym.dse_dataset.layers import draw_log_uniform
from accelgym.dse_dataset.streams import RowStreams
from accelgym.experiments.statistics import rank_correlation

__all__ = ["COSTS", "SAMPLES", "FewShotRow", "few_shot_study"]

FloatArray = npt.NDArray[np.float64]

COSTS = ("energy_pj", "latency_cycles")
SAMPLES = (5, 10, 20, 50)
_SOURCES = 16
"""Technologies with their bandwidths that are known."""
_KNOWN_ROWS, _TEST_ROWS = 12_000, 2000
_WIDTH = 64
_INNER_RATE, _INNER_STEPS = 2e-3, 40
_PRICES = (
    "mac_energy_pj",
    "sram_read_pj",
    "sram_write_pj",
    "dram_pj",
    "wire_pj_per_mm",
    "leakage_mw_per_mm2",
    "sram_area_um2",
)
"""Prices that differ between technologies, each by a factor of 1/4 to 4."""


@dataclass(frozen=True)
class FewShotRow:
    """One adaptation."""

    cost: str
    target: str
    method: str
    samples: int
    seed: int
    rmse: float
    """Root mean square of the logarithm of the ratio, on designs that were not seen."""
    rank: float


def technology(rng: np.random.Generator, name: str) -> PhysicalModel:
    """Draws a technology around FreePDK45, with the bandwidths of its NoC and its DRAM."""
    prices = {price: getattr(FREEPDK45, price) * 4 ** rng.uniform(-1, 1) for price in _PRICES}
    exponents = {
        key: getattr(FREEPDK45, key) * rng.uniform(0.8, 1.2) for key in ("sram_read_exponent", "sram_write_exponent")
    }
    return PhysicalModel(
        noc_bw=int(2 ** rng.integers(4, 9)),
        dram_bw=int(2 ** rng.integers(2, 7)),
        tech=replace(FREEPDK45, name=name, **prices, **exponents),
    )


def targets(rng: np.random.Generator) -> dict[str, Any]:
    """Returns what is new: a technology like the known ones, one beyond their range, and another cost model."""
    beyond = {price: getattr(FREEPDK45, price) * (8.0 if price == "dram_pj" else 1.0) for price in _PRICES}
    return {
        "a technology of the range": technology(rng, "new"),
        "beyond the range (DRAM 8 x, NoC 8, DRAM 2 bytes/cycle)": PhysicalModel(
            noc_bw=8, dram_bw=2, tech=replace(FREEPDK45, name="beyond", **beyond)
        ),
        "another cost model (`maestro`)": MaestroModel(),
    }


def designs(seed: int, count: int) -> ResourceDesigns:
    """Draws layers on no grid with PEs and buffers, dataflow ``dla``, valid under all models; shape ``(count,)``."""
    drawn = 2 * count
    layers = draw_log_uniform(RowStreams.of(seed, np.arange(drawn)))
    layers = layers.take(np.flatnonzero(layers.legal))
    rng = np.random.default_rng(seed)
    columns = layers.columns() | {
        "dataflow": np.full(len(layers), int(Dataflow.DLA)),
        "num_pes": np.rint(2 ** rng.uniform(0, 7, len(layers))).astype(np.int64),
        "buffer_level": rng.integers(1, 13, len(layers)),
    }
    found = ResourceDesigns(**columns)
    valid = np.asarray(MaestroModel().evaluate(found).valid) & np.asarray(PhysicalModel().evaluate(found).valid)
    kept = np.flatnonzero(valid)[:count]
    assert len(kept) == count, "twice as many draws do not suffice"
    return ResourceDesigns(**{name: column[kept] for name, column in columns.items()})


def features_of(rows: ResourceDesigns) -> FloatArray:
    """Returns logarithms of the shape and of the knobs, and whether the layer is depthwise; shape ``(rows, 9)``."""
    names = ("K", "C", "Y", "X", "R", "S", "num_pes", "buffer_level")
    logs = [np.log2(np.asarray(getattr(rows, name), dtype=np.float64)) for name in names]
    return np.column_stack((*logs, np.asarray(rows.depthwise, dtype=np.float64)))


def few_shot_study(seed: int) -> list[FewShotRow]:
    """Pretrains on known technologies and adapts to new ones, for every cost and number of samples."""
    known, test = designs(2 * seed, _KNOWN_ROWS), designs(2 * seed + 1, _TEST_ROWS)
    seen, unseen = features_of(known), features_of(test)
    rng = np.random.default_rng(seed)
    sources = [technology(rng, f"known-{i}") for i in range(_SOURCES)]
    rows: list[FewShotRow] = []
    for cost in COSTS:
        logs = np.stack([_logs(model, known, cost) for model in sources], axis=1)
        options = FitOptions(width=_WIDTH, steps=4000, batch=256)
        heads = ProxyNetwork.fitted(seen, logs, options, seed)
        mean = ProxyNetwork.fitted(seen, logs.mean(axis=1, keepdims=True), options, seed)
        reptile = meta_train(
            [(seen, column) for column in logs.T],
            width=_WIDTH,
            samples=20,
            rounds=300,
            steps=10,
            learning_rate=_INNER_RATE,
            seed=seed,
        )
        for target, model in targets(np.random.default_rng(10_000 + seed)).items():
            truth = _logs(model, test, cost)
            labels = _logs(model, known, cost)
            draw = np.random.default_rng((seed, len(rows))).permutation(_KNOWN_ROWS)
            for samples in SAMPLES:
                given = draw[:samples]
                for method, predict in _methods(seen[given], labels[given], heads, mean, reptile, seed).items():
                    found = predict(unseen)
                    error, rank = log_errors(found, truth), rank_correlation(found, truth)
                    rows.append(FewShotRow(cost, target, method, samples, seed, error, rank))
    return rows


def _methods(
    features: FloatArray,
    labels: FloatArray,
    heads: ProxyNetwork,
    mean: ProxyNetwork,
    reptile: ProxyNetwork,
    seed: int,
) -> dict[str, Callable[[FloatArray], FloatArray]]:
    scratch = ProxyNetwork.fitted(features, labels[:, None], FitOptions(width=_WIDTH, steps=200), seed)
    tuned, meta = (
        fine_tune(network, features, labels, steps=_INNER_STEPS, learning_rate=_INNER_RATE)
        for network in (mean, reptile)
    )
    linear = LinearAdaptation.fitted(heads, features, labels)
    moved = float((labels - mean.predict(features)[:, 0]).mean())
    return {
        "network from scratch": lambda x: scratch.predict(x)[:, 0],
        "linear from scratch": _ridge(features, labels),
        "mean of the known, moved": lambda x: mean.predict(x)[:, 0] + moved,
        "fine-tuning of that": lambda x: tuned.predict(x)[:, 0],
        "Reptile, fine-tuned": lambda x: meta.predict(x)[:, 0],
        "linear adaptation": linear.predict,
    }


def _ridge(features: FloatArray, labels: FloatArray) -> Callable[[FloatArray], FloatArray]:
    """Linear in the logarithms of the inputs: a power law, held back a little."""
    mean, spread = features.mean(axis=0), np.where(features.std(axis=0) > 0, features.std(axis=0), 1.0)
    z = (features - mean) / spread
    level = labels.mean()
    weights = np.linalg.solve(z.T @ z + 0.1 * np.eye(z.shape[1]), z.T @ (labels - level))
    return lambda x: np.asarray((x - mean) / spread @ weights + level)


def _logs(model: Any, rows: ResourceDesigns, cost: str) -> FloatArray:
    found = model.evaluate(rows)
    return np.asarray(np.log(np.asarray(getattr(found, cost), dtype=np.float64)))

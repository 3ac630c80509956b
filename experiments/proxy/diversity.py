"""Data from one agent against data pooled from several, after ArchGym (Krishnan et al., ISCA 2023, section 7)."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelgym.agents import search
from accelgym.agents.proxy import design_arrays, log_errors
from accelgym.costmodels.workloads import Layer, Workload
from accelgym.dse_dataset.input_encoding import InputEncoder
from accelgym.envs.hwgen import HwGenTask
from accelgym.envs.space import Designs, Space
from accelgym.experiments.proxy.learners import LEARNERS, seconds_per_row
from accelgym.experiments.statistics import rank_correlation

__all__ = ["AGENTS", "DiversityRow", "diversity_study"]

FloatArray = npt.NDArray[np.float64]

AGENTS = ("random", "aco", "annealing", "ga")
_EVALUATIONS = 400
"""Rows that each proxy learns from."""
_UNSEEN = 400
"""Designs of each test set."""


@dataclass(frozen=True)
class DiversityRow:
    """Errors of one learner on data of one origin."""

    data: str
    learner: str
    seed: int
    distinct: int
    """Different designs among the rows that it learnt from."""
    random_rmse: float
    """Root mean square of the logarithm of the ratio, on designs drawn uniformly."""
    random_rank: float
    searched_rmse: float
    """On designs that all agents proposed with another seed."""
    searched_rank: float
    exact_s: float
    """CPU seconds a design of the exact model, on the random designs."""
    proxy_s: float
    """CPU seconds a design, one at a time."""
    proxy_batch_s: float
    """CPU seconds a design, 4096 at a time."""


def task() -> HwGenTask:
    """A convolution and a product on generated systolic hardware; its cycles are counted exactly, array by array."""
    layers = [Layer.conv("conv", K=32, C=16, H=8, R=3), Layer.gemm("gemm", M=16, K=64, C=128)]
    return HwGenTask(workload_object=Workload.chain("conv and gemm", layers))


def diversity_study(seed: int) -> list[DiversityRow]:
    """Trains on each agent's evaluations and on as many pooled from all; the cost is the latency in cycles."""
    hardware = task()
    rng = np.random.default_rng(seed)
    start = time.process_time()
    uniform = hardware.space.sample(rng, _UNSEEN)
    uniform_log = np.log(hardware.evaluate(uniform).costs["latency_cycles"])
    exact_s = (time.process_time() - start) / _UNSEEN
    runs = {name: search(hardware, name, budget=_EVALUATIONS, seed=seed) for name in AGENTS}
    share = _UNSEEN // len(AGENTS)
    others = [search(hardware, name, budget=share, seed=1000 + seed) for name in AGENTS]
    searched = np.concatenate([run.designs for run in others]).astype(np.int64)
    searched_log = np.log(np.concatenate([run.costs["latency_cycles"] for run in others]))
    sources = {name: (run.designs.astype(np.int64), np.log(run.costs["latency_cycles"])) for name, run in runs.items()}
    quarter = [np.sort(rng.choice(_EVALUATIONS, _EVALUATIONS // len(AGENTS), replace=False)) for _ in AGENTS]
    sources["pooled"] = (
        np.concatenate([sources[name][0][rows] for name, rows in zip(AGENTS, quarter, strict=True)]),
        np.concatenate([sources[name][1][rows] for name, rows in zip(AGENTS, quarter, strict=True)]),
    )
    names = [p.name for p in hardware.space.parameters]
    # One encoding for all: an agent that never tried a format should not have fewer features for it.
    encoder = InputEncoder.of(design_arrays(hardware.space, _every_value(hardware.space)), names)
    encoded = {
        key: encoder.encode(design_arrays(hardware.space, designs), warn=False) for key, (designs, _) in sources.items()
    }
    tests = [encoder.encode(design_arrays(hardware.space, x), warn=False) for x in (uniform, searched)]
    rows = []
    for data, (designs, truth) in sources.items():
        for learner, fit in LEARNERS.items():
            predict = fit(encoded[data], truth, seed)
            found = [predict(features) for features in tests]
            rows.append(
                DiversityRow(
                    data=data,
                    learner=learner,
                    seed=seed,
                    distinct=len(np.unique(designs, axis=0)),
                    random_rmse=log_errors(found[0], uniform_log),
                    random_rank=rank_correlation(found[0], uniform_log),
                    searched_rmse=log_errors(found[1], searched_log),
                    searched_rank=rank_correlation(found[1], searched_log),
                    exact_s=exact_s,
                    proxy_s=seconds_per_row(predict, tests[0], 1),
                    proxy_batch_s=seconds_per_row(predict, tests[0], 4096),
                )
            )
    return rows


def _every_value(space: Space) -> Designs:
    """Returns designs in which every value of every parameter occurs."""
    return np.minimum(np.arange(int(space.nvec.max()))[:, None], space.nvec - 1)

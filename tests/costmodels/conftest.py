"""Designs for the tests of the MAESTRO models: the golden tables, and random ones."""

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest

from accelgym.costmodels.maestro.designs import Dataflow, ResourceDesigns

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "maestro"
DIMS = ("K", "C", "Y", "X", "R", "S")


def _golden_rows(name: str) -> list[dict[str, str]]:
    with gzip.open(GOLDEN / f"{name}.csv.gz", "rt", newline="") as file:
        return list(csv.DictReader(file))


def _designs_of(rows: list[dict[str, str]]) -> ResourceDesigns:
    def column(name: str) -> np.ndarray:
        return np.array([int(row[name]) for row in rows])

    return ResourceDesigns(
        **{dim: column(dim) for dim in DIMS},
        depthwise=np.array([row["layer_type"] == "DSCONV" for row in rows]),
        dataflow=np.array([Dataflow[row["dataflow"].upper()] for row in rows]),
        num_pes=column("num_pes"),
        buffer_level=column("buffer_level"),
        noc_bw=column("noc_bw"),
    )


def _random_designs(
    rng: np.random.Generator, count: int, dataflow: Dataflow, *, largest: int = 30, noc_bw: int | None = None
) -> ResourceDesigns:
    """Small layers with many corner cases: single rows, columns and channels, tiles larger than the layer."""

    def small(top: int) -> np.ndarray:
        return np.where(rng.random(count) < 0.3, rng.integers(1, 4, count), rng.integers(1, top, count))

    R, S = rng.integers(1, 6, count), rng.integers(1, 6, count)
    depthwise = dataflow is Dataflow.DPT
    return ResourceDesigns(
        K=np.ones(count, int) if depthwise else small(largest),
        C=small(largest),
        Y=R - 1 + small(largest * 2 // 3),
        X=S - 1 + small(largest * 2 // 3),
        R=R,
        S=S,
        depthwise=np.full(count, depthwise),
        dataflow=np.full(count, int(dataflow)),
        num_pes=small(24),
        buffer_level=small(14),
        noc_bw=None if noc_bw is None else np.full(count, noc_bw),
    )


@pytest.fixture(scope="session")
def golden_rows():
    return _golden_rows


@pytest.fixture(scope="session")
def designs_of():
    return _designs_of


@pytest.fixture(scope="session")
def random_designs():
    return _random_designs

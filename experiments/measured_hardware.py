"""Accelerators that were generated, simulated and synthesised: rows of datasets of preset ``synthesis``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import accelgym.dse_dataset
from accelgym.costmodels.errors import InputError
from accelgym.dse_dataset.load import LabelledDataset, load_dataset

__all__ = ["SAMPLE", "load_measured"]

SAMPLE = Path(accelgym.dse_dataset.__path__[0]) / "samples" / "synthesis"
"""The shipped dataset."""


def load_measured(folder: Path, needed: Sequence[str]) -> tuple[LabelledDataset, dict[str, npt.NDArray[Any]]]:
    """Reads a dataset, and its columns over all splits together.

    Args:
        folder: Of the dataset.
        needed: Columns that it has to have.

    Raises:
        InputError: Another dataset.
    """
    data = load_dataset(folder)
    names = [column.name for column in data.columns]
    for name in needed:
        if name not in names:
            raise InputError(f"{folder}: has no column {name!r}; allowed: datasets of preset 'synthesis'")
    parts = [data.arrays(split) for split, rows in data.splits.items() if rows]
    return data, {name: np.concatenate([part[name] for part in parts]) for name in names}

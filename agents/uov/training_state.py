"""What both trainings share: a folder that belongs to one, and the state from which a killed one goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from accelgym.agents.checkpoint import read_checkpoint, write_checkpoint
from accelgym.agents.uov.checkpoint import SCHEMA
from accelgym.agents.uov.schema import Schema
from accelgym.agents.uov.training_log import TrainingLog
from accelgym.costmodels.files.lock import folder_lock
from accelgym.costmodels.files.strict_model import StrictModel

__all__ = ["load_state", "save_state", "training_card", "training_folder", "training_identity"]

_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


def training_identity(
    schema: Schema, settings: StrictModel, data: Mapping[str, Any], rows: Mapping[str, int]
) -> dict[str, Any]:
    """Returns what makes a training the one that it is, as plain data."""
    identity = {
        "schema": schema.to_json(),
        "settings": settings.model_dump(mode="json"),
        "data": dict(data),
        "rows": dict(rows),
    }
    return dict(json.loads(json.dumps(identity, sort_keys=True, default=str)))


def training_card(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what weights say of the training that they are from."""
    return {"training": identity["settings"], "data": identity["data"], "rows": identity["rows"]}


@contextmanager
def training_folder(out: Path, identity: dict[str, Any], threads: int) -> Iterator[TrainingLog]:
    """Holds a folder for one training, with so many threads of torch meanwhile.

    Raises:
        InputError: The folder holds another training, or another process holds the folder.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with folder_lock(out):
            log = TrainingLog(out, identity)
            yield log
            log.close()
    finally:
        torch.set_num_threads(before)


def save_state(
    path: Path, kind: str, about: Mapping[str, Any], parameters: Mapping[str, Tensor], optimiser: torch.optim.Optimizer
) -> None:
    """Writes parameters and the moments that Adam, or AdamW, keeps of them.

    Args:
        path: The file.
        kind: See :func:`~accelgym.agents.checkpoint.write_checkpoint`.
        about: Plain data, with the whole ``epochs`` that were made.
        parameters: By name.
        optimiser: Of the parameters.
    """
    arrays = {f"parameters/{name}": parameter.detach().numpy() for name, parameter in parameters.items()}
    for name, parameter in parameters.items():
        arrays |= {f"{key}/{name}": value.numpy() for key, value in optimiser.state[parameter].items()}
    write_checkpoint(path, kind, SCHEMA, dict(about), arrays)


def load_state(path: Path, kind: str, parameters: Mapping[str, Tensor], optimiser: torch.optim.Optimizer) -> int:
    """Puts a saved state in place, if there is one; returns the whole epochs that were made."""
    if not path.exists():
        return 0
    about, arrays = read_checkpoint(path, kind, SCHEMA)
    for name, parameter in parameters.items():
        parameter.data.copy_(torch.from_numpy(np.array(arrays[f"parameters/{name}"])))
        if f"step/{name}" in arrays:  # A parameter that the stage does not touch has no moments.
            moments = {key: torch.from_numpy(np.array(arrays[f"{key}/{name}"])) for key in _MOMENTS}
            optimiser.state[parameter] = moments
    return int(about["epochs"])

"""What a training leaves beside its weights: manifest, metrics, TensorBoard."""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from accelgym.agents.event_writer import event_writer
from accelgym.costmodels.errors import MissingExtraError
from accelgym.costmodels.files.json_file import read_json, write_json
from accelgym.costmodels.files.same_run import require_same_run

__all__ = ["TrainingLog"]


class TrainingLog:
    """Metrics after every epoch, in a folder that belongs to one training.

    ``manifest.json`` holds what identifies the training (data, schema, settings), versions, and the processor time so
    far; ``metrics.jsonl`` a line an epoch. With the package tensorboard the same goes to ``tensorboard/``.

    Args:
        out: The folder.
        identity: Plain data.

    Raises:
        InputError: The folder belongs to another training.
    """

    def __init__(self, out: Path, identity: dict[str, Any]) -> None:
        self._path, self._metrics = out / "manifest.json", out / "metrics.jsonl"
        self._data: dict[str, Any] = {"identity": identity, "versions": _versions(), "cpu_s": 0.0}
        if self._path.exists():
            found = read_json(self._path)
            require_same_run(out, "training", found["identity"], identity)
            self._data = found | {"versions": _versions()}
        write_json(self._path, self._data)
        try:
            self._board = event_writer(out)
        except MissingExtraError:
            self._board = None

    def add(self, row: dict[str, Any], *, cpu_s: float, step: int) -> None:
        """Notes the metrics of an epoch."""
        self._data["cpu_s"] += cpu_s
        with self._metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row | {"cpu_s": round(cpu_s, 2)}) + "\n")
        write_json(self._path, self._data)
        if self._board is not None:
            for name, value in row.items():
                if name not in ("stage", "epoch"):
                    self._board.add_scalar(f"stage{row['stage']}/{name}", value, step)

    def close(self) -> None:
        """Ends the log."""
        if self._board is not None:
            self._board.close()


def _versions() -> dict[str, str]:
    names = ("accelgym", "numpy", "torch")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}

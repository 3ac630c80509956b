"""Results of runs, kept by the content of all that they depend on."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

from accelgym.costmodels.errors import InputError, warn_input
from accelgym.costmodels.files.json_file import write_sealed
from accelgym.costmodels.files.private_folder import make_private, read_private

__all__ = ["KeptResults", "Reason", "RunResult"]


class Reason(IntEnum):
    """Why a design has no result; stored as a small integer code in the costs of an outcome."""

    OK = 0
    REFUSED = 1
    """It does not fulfil what the configuration requires, and was not simulated."""
    NOT_STARTED = 2
    """The system did not start the program: no fault of the design, hence tried again next time."""
    TIMEOUT = 3
    """It ran past the time limit and was killed with all its descendants."""
    EXIT_CODE = 4
    """It ended with an exit code other than 0."""
    SIGNAL = 5
    """A signal ended it: a crash, the limit of file sizes, or a lack of memory."""
    NO_OUTPUT = 6
    """It ended well and left no such file."""
    UNREADABLE = 7
    """The file does not hold the number."""
    OUT_OF_RANGE = 8
    """The number, or the objective, is not finite or cannot be."""


@dataclass(frozen=True)
class RunResult:
    """What became of one run."""

    reason: Reason
    outputs: Mapping[str, float] = field(default_factory=dict)
    """By name; empty unless all were read."""
    seconds: float = 0.0
    """Wall seconds."""
    detail: str = ""
    """Words of the failure, with the end of what the simulator printed."""


class KeptResults:
    """A folder with a sealed file per run.

    A file is written in one step when its run ends, so that a kill loses the runs under way and none that is over. One
    that is damaged, of another key, or that another user may have written is not believed, and its run is done again.

    Args:
        folder: The folder; made when the first result is kept. Where it cannot be written, results last as long as
            this process, with a warning.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._is_writable = True

    def read(self, key: str) -> RunResult | None:
        """Returns the result of a run, ``None`` where there is none."""
        with contextlib.suppress(InputError, KeyError, TypeError, ValueError, AttributeError):
            data = read_private(self._path(key))
            if data["key"] == key:
                outputs = {str(name): float(value) for name, value in data["outputs"].items()}
                return RunResult(Reason(data["reason"]), outputs, float(data["seconds"]), str(data["detail"]))
        return None

    def write(self, key: str, result: RunResult) -> None:
        """Keeps the result of a run that began."""
        if not self._is_writable:
            return
        data = {"key": key, "reason": int(result.reason), "outputs": dict(result.outputs)}
        path = self._path(key)
        try:
            make_private(self.folder)
            make_private(path.parent)
            write_sealed(path, data | {"seconds": result.seconds, "detail": result.detail})
        except (OSError, InputError) as error:
            self._is_writable = False
            warn_input(
                f"{self.folder}: results of the simulator cannot be kept ({error}); they last as long as this run"
            )

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"

"""TensorBoard's files of events."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from accelgym.costmodels.errors import MissingExtraError

__all__ = ["event_writer"]


def event_writer(out: Path) -> Any:
    """Returns a ``SummaryWriter`` of the folder ``tensorboard`` in a folder of results.

    Raises:
        MissingExtraError: The package is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingExtraError("a file of events", "tensorboard", "agents") from error
    return SummaryWriter(str(out / "tensorboard"))

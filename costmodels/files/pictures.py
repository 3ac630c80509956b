"""Figures without a window: their pixels, and files of them (extra ``report``)."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import MissingExtraError
from accelgym.costmodels.files.whole_file import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["as_image", "empty_figure", "save_figure"]


def empty_figure(width: float, height: float) -> Figure:
    """Returns a figure to draw on.

    Args:
        width: Inches.
        height: Inches.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("drawing", "matplotlib", "report") from error
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def as_image(figure: Figure) -> npt.NDArray[np.uint8]:
    """Returns a figure of :func:`empty_figure` as an RGB image, shape ``(height, width, 3)``, uint8."""
    canvas: Any = figure.canvas
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def save_figure(figure: Figure, path: Path, dpi: int = 120) -> None:
    """Writes a figure, whole or not at all, and the folders above it.

    Args:
        figure: Of matplotlib.
        path: The file; its suffix says in which format.
        dpi: Pixels an inch.

    Raises:
        InputError: The file cannot be written.
    """
    kind, content = path.suffix.lower().removeprefix("."), BytesIO()
    # A PNG would otherwise name the version of matplotlib.
    figure.savefig(content, format=kind, dpi=dpi, metadata={"Software": None} if kind == "png" else None)
    write_whole(path, content.getvalue())

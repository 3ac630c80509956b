"""Distorted images of characters, rendered from the fonts inside matplotlib."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import MissingExtraError

__all__ = ["CHARACTERS", "IMAGE_SIZE", "TEST_IMAGES", "glyph_images", "glyph_test_images"]

Images = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]

CHARACTERS = (
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt"
    "\u03b1\u03b2\u03b3\u03b4\u03b6\u03b7\u03b8\u03bb\u03bc\u03be\u03c0\u03c6\u03c8\u03c9"
    "\u0393\u0394\u0398\u039b\u039e\u03a0\u03a3\u03a6\u03a8\u03a9"
)
"""One class each: digits, Latin letters whose cases differ in shape (as EMNIST merges them), Greek letters."""
FONTS = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique"),
    *("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic"),
    *("DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique", "DejaVuSansMono-BoldOblique"),
    *("STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta"),
)
IMAGE_SIZE = 24
"""Height and width in pixels."""
TEST_IMAGES = 10_000

_CANVAS = 48
"""Height and width of a rendered character before it is distorted."""
_FONT_PIXELS = 38
_TEST_SEED = 20_000


def glyph_images(rng: np.random.Generator, count: int) -> tuple[Images, Labels]:
    """Draws images: a random character in a random font, turned, sheared, scaled, moved, bent, with noise.

    Args:
        rng: Source of randomness.
        count: Number of images.

    Returns:
        Images of shape ``(count, 1, IMAGE_SIZE, IMAGE_SIZE)``, about 0 (paper) to 1 (ink), and the class of each,
        shape ``(count,)``.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    glyphs = _glyphs()
    labels = rng.integers(len(CHARACTERS), size=count)
    fonts = rng.integers(len(FONTS), size=count)
    images = np.empty((count, 1, IMAGE_SIZE, IMAGE_SIZE), dtype=np.float32)
    for start in range(0, count, 1000):
        part = slice(start, min(start + 1000, count))
        images[part, 0] = _distorted(glyphs[labels[part], fonts[part]], rng)
    return images, labels


@cache
def glyph_test_images() -> tuple[Images, Labels]:
    """Returns the :data:`TEST_IMAGES` test images and their classes, always the same ones; read-only."""
    images, labels = glyph_images(np.random.default_rng(_TEST_SEED), TEST_IMAGES)
    images.flags.writeable = labels.flags.writeable = False
    return images, labels


@cache
def _glyphs() -> npt.NDArray[np.float32]:
    """Every character in every font, shape ``(characters, fonts, canvas, canvas)``."""
    try:
        import matplotlib
        from matplotlib.ft2font import FT2Font
    except ImportError as error:
        raise MissingExtraError("rendering the test images", "matplotlib", "report") from error
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    table = np.zeros((len(CHARACTERS), len(FONTS), _CANVAS, _CANVAS), dtype=np.float32)
    for column, name in enumerate(FONTS):
        font = FT2Font(str(folder / f"{name}.ttf"))
        font.set_size(_FONT_PIXELS, 72)
        for row, character in enumerate(CHARACTERS):
            font.set_text(character, 0.0)
            font.draw_glyphs_to_bitmap(antialiased=True)
            bitmap = np.asarray(font.get_image(), dtype=np.float32)[:_CANVAS, :_CANVAS] / 255
            top, left = ((_CANVAS - size) // 2 for size in bitmap.shape)
            table[row, column, top : top + bitmap.shape[0], left : left + bitmap.shape[1]] = bitmap
    return table


def _distorted(glyphs: npt.NDArray[np.float32], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Samples canvases of shape ``(n, canvas, canvas)`` at image size, by a random map from pixels to the canvas."""
    n = len(glyphs)

    def uniform(low: float, high: float) -> npt.NDArray[np.float32]:
        return rng.uniform(low, high, size=(n, 1, 1)).astype(np.float32)

    angle, shear = uniform(-0.35, 0.35), uniform(-0.3, 0.3)
    height, width = uniform(0.85, 1.35), uniform(0.85, 1.35)
    grid = (np.arange(IMAGE_SIZE, dtype=np.float32) + 0.5) / IMAGE_SIZE * 2 - 1
    y, x = grid[None, :, None], grid[None, None, :]
    # A slow wave bends the strokes.
    y = y + uniform(-0.12, 0.12) * np.sin(np.pi * (x + uniform(0, 2)))
    x = x + uniform(-0.12, 0.12) * np.sin(np.pi * (y + uniform(0, 2)))
    turned_y = np.cos(angle) * y + np.sin(angle) * x
    turned_x = -np.sin(angle) * y + np.cos(angle) * x + shear * turned_y
    rows = (turned_y * height + uniform(-0.2, 0.2) + 1) / 2 * _CANVAS - 0.5
    columns = (turned_x * width + uniform(-0.2, 0.2) + 1) / 2 * _CANVAS - 0.5
    images = _bilinear(glyphs, rows.astype(np.float32), columns.astype(np.float32))
    contrast = uniform(0.45, 1.0)
    noise = rng.normal(size=images.shape).astype(np.float32) * uniform(0.02, 0.22)
    return images * contrast + noise


def _bilinear(
    images: npt.NDArray[np.float32], rows: npt.NDArray[np.float32], columns: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Interpolates between the four pixels around each position; 0 outside."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    last = padded.shape[1] - 2
    rows, columns = np.clip(rows + 1, 0, last), np.clip(columns + 1, 0, last)
    top, left = rows.astype(np.int64), columns.astype(np.int64)
    down, right = rows - top, columns - left
    index = np.arange(len(images))[:, None, None]
    upper = padded[index, top, left] * (1 - right) + padded[index, top, left + 1] * right
    lower = padded[index, top + 1, left] * (1 - right) + padded[index, top + 1, left + 1] * right
    return np.asarray(upper * (1 - down) + lower * down, dtype=np.float32)

"""Labelled images and the teacher's answers to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from accelgym.costmodels.errors import InputError
from accelgym.envs.accuracy.glyphs import CHARACTERS, glyph_images
from accelgym.envs.accuracy.reference_models import REFERENCE_MODELS
from accelgym.envs.accuracy.user_data import read_labelled
from accelgym.envs.accuracy.user_model import load_network

__all__ = ["ImageTask", "file_task", "glyph_task"]

_SEEDS = {"train": 41_000, "validation": 42_000, "test": 43_000}
_BATCH = 500
_VALIDATION = 5
"""Of a user's training images one in so many is set aside, to choose by."""


@dataclass(frozen=True)
class ImageTask:
    """Images to learn from, to choose by and to report on, and the logits of a frozen teacher."""

    name: str
    images: dict[str, Tensor]
    """``train``, ``validation`` and ``test``: ``(n, channels, size, size)``."""
    labels: dict[str, Tensor]
    """``(n,)``."""
    logits: Tensor
    """Of the teacher on the training images, ``(n, classes)``."""
    teacher_accuracy: dict[str, float]
    """Shares of validation and test images."""

    @property
    def classes(self) -> int:
        """Number of classes."""
        return int(self.logits.shape[1])

    @property
    def channels(self) -> int:
        """Channels of the images."""
        return int(self.images["train"].shape[1])

    @property
    def size(self) -> int:
        """Height and width of the images."""
        return int(self.images["train"].shape[2])


def glyph_task(train: int = 3000, test: int = 2000) -> ImageTask:
    """Returns rendered characters with the shipped ``glyph_cnn``, which ``tools/train_reference_models.py`` trained.

    Args:
        train: Images to learn from.
        test: Images to choose by, and as many to report on.
    """
    counts = {"train": train, "validation": test, "test": test}
    drawn = {name: glyph_images(np.random.default_rng(_SEEDS[name]), count) for name, count in counts.items()}
    return _task("glyphs", drawn, REFERENCE_MODELS["glyph_cnn"].module(), len(CHARACTERS), "glyph_cnn")


def file_task(train: Sequence[Path], test: Sequence[Path], teacher: str, weights: Path | None) -> ImageTask:
    """Returns images of files, CIFAR-10's binary form or NumPy archives, with a user's teacher.

    Args:
        train: Files to learn from; every fifth image is set aside to choose by.
        test: Files to report on.
        teacher: ``FILE.pt2`` or ``package:factory``.
        weights: Weights of the teacher in safetensors; its own where None.

    Raises:
        InputError: A file that cannot be read, images of several shapes or not square, labels that the teacher does
            not know, or a teacher that does not run on them.
    """
    parts = {"train": _joined(train), "test": _joined(test)}
    shapes = {part[0].shape[1:] for part in parts.values()}
    if len(shapes) > 1:
        raise InputError(f"{train[0]} and {test[0]}: images of shapes {sorted(shapes)}, allowed one shape")
    images, labels = parts["train"]
    if len(images) < 2 * _VALIDATION:
        raise InputError(f"{train[0]}: {len(images)} images, allowed at least {2 * _VALIDATION}")
    aside = np.arange(len(images)) % _VALIDATION == 0
    drawn = {
        "train": (images[~aside], labels[~aside]),
        "validation": (images[aside], labels[aside]),
        "test": parts["test"],
    }
    classes = 1 + max(int(part[1].max()) for part in parts.values())
    return _task(str(train[0]), drawn, load_network(teacher, weights), classes, teacher)


def _joined(paths: Sequence[Path]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    parts: list[tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]] = []
    for path in paths:
        inputs, labels = read_labelled(path)
        images = np.asarray(inputs, dtype=np.float32) / (255 if inputs.dtype == np.uint8 else 1)
        if images.ndim != 4 or images.shape[2] != images.shape[3]:
            raise InputError(f"{path}: images of shape {images.shape[1:]}, allowed (channels, size, size)")
        if parts and images.shape[1:] != parts[0][0].shape[1:]:
            raise InputError(f"{path}: images of shape {images.shape[1:]}, those before it {parts[0][0].shape[1:]}")
        if labels.min() < 0:
            raise InputError(f"{path}: label {int(labels.min())}, allowed >= 0")
        parts.append((images.astype(np.float32), labels))
    return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])


def _task(name: str, drawn: dict[str, tuple[Any, Any]], teacher: Any, classes: int, teacher_name: str) -> ImageTask:
    images = {key: torch.from_numpy(np.ascontiguousarray(x)) for key, (x, _) in drawn.items()}
    labels = {key: torch.from_numpy(np.ascontiguousarray(y)) for key, (_, y) in drawn.items()}
    logits = {key: _answers(teacher, x, teacher_name) for key, x in images.items()}
    known = logits["train"].shape[-1]
    if logits["train"].ndim != 2 or classes > known:
        raise InputError(
            f"teacher {teacher_name!r}: answers of shape {tuple(logits['train'].shape[1:])}, needed {classes} classes"
        )
    right = {key: float((logits[key].argmax(1) == labels[key]).double().mean()) for key in ("validation", "test")}
    return ImageTask(name, images, labels, logits["train"], right)


def _answers(teacher: Any, images: Tensor, name: str) -> Tensor:
    try:
        with torch.no_grad():
            parts = images.split(_BATCH)  # type: ignore[no-untyped-call]
            return torch.cat([teacher(part) for part in parts]).float()
    except (RuntimeError, TypeError, ValueError, AssertionError) as error:
        first = str(error).strip().split("\n", 1)[0]
        raise InputError(
            f"teacher {name!r} does not run on images of shape {tuple(images.shape[1:])}: {first}"
        ) from None

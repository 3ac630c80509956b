"""Labelled data of a user: NumPy archives, folders of images, CIFAR-10's binary files. Nothing is unpickled."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import InputError, MissingExtraError

__all__ = ["read_labelled"]

Inputs = npt.NDArray[np.generic]
Labels = npt.NDArray[np.int64]

_INPUT_KEYS, _TARGET_KEYS = ("inputs", "x", "images", "data"), ("targets", "y", "labels")
_IMAGES = {".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".pgm"}
_CIFAR_SIDE = 32
_CIFAR_RECORD = 1 + 3 * _CIFAR_SIDE**2
_CIFAR_CLASSES = 10


def read_labelled(path: Path) -> tuple[Inputs, Labels]:
    """Reads examples and what they are.

    - ``*.npz``: arrays ``inputs`` (or ``x``, ``images``, ``data``) and ``targets`` (or ``y``, ``labels``).
    - A folder with a subfolder of images for each class; classes are numbered in the order of their names.
    - CIFAR-10's binary form: ``*.bin``, or a folder of them: records of a label and 3x32x32 bytes.

    Images become ``(examples, channels, height, width)`` float32 in 0..1.

    Raises:
        InputError: Naming the file, what it holds and what is allowed.
    """
    if path.is_dir():
        binary = sorted(path.glob("*.bin"))
        if binary:
            test = [p for p in binary if "test" in p.name] or binary
            parts = [_cifar(p) for p in test]
            return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])
        return _folder(path)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if path.suffix == ".npz":
        return _archive(path)
    if path.suffix == ".bin":
        return _cifar(path)
    raise InputError(f"{path}: allowed are .npz, a folder of images by class, or CIFAR-10's .bin")


def _archive(path: Path) -> tuple[Inputs, Labels]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            inputs, targets = (_array(path, archive, keys) for keys in (_INPUT_KEYS, _TARGET_KEYS))
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: no NumPy archive of plain arrays: {error}") from error
    if not np.issubdtype(targets.dtype, np.integer):
        raise InputError(f"{path}: targets are {targets.dtype}, allowed: integers")
    if len(inputs) != len(targets) or not len(targets):
        raise InputError(f"{path}: {len(inputs)} inputs and {len(targets)} targets, allowed: as many, at least one")
    return inputs, targets.astype(np.int64)


def _array(path: Path, archive: np.lib.npyio.NpzFile, keys: tuple[str, ...]) -> Inputs:
    for key in keys:
        if key in archive.files:
            array: Inputs = archive[key]
            return array
    raise InputError(f"{path}: arrays {', '.join(archive.files) or 'none'}, needed: one of {', '.join(keys)}")


def _cifar(path: Path) -> tuple[Inputs, Labels]:
    raw = np.fromfile(path, dtype=np.uint8)
    if not raw.size or raw.size % _CIFAR_RECORD:
        raise InputError(f"{path}: {raw.size} bytes, allowed: records of {_CIFAR_RECORD} (CIFAR-10's binary form)")
    records = raw.reshape(-1, _CIFAR_RECORD)
    labels = records[:, 0].astype(np.int64)
    if labels.max() >= _CIFAR_CLASSES:
        row = int((labels >= _CIFAR_CLASSES).argmax())
        raise InputError(f"{path}: record {row} has label {labels[row]}, allowed 0..{_CIFAR_CLASSES - 1}")
    images = records[:, 1:].reshape(-1, 3, _CIFAR_SIDE, _CIFAR_SIDE).astype(np.float32) / 255
    return images, labels


def _folder(path: Path) -> tuple[Inputs, Labels]:
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise MissingExtraError("reading images", "Pillow", "report") from error
    classes = sorted(p for p in path.iterdir() if p.is_dir())
    files = [(p, label) for label, c in enumerate(classes) for p in sorted(c.iterdir()) if p.suffix.lower() in _IMAGES]
    if not files:
        raise InputError(f"{path}: no images, allowed: a subfolder of {', '.join(sorted(_IMAGES))} for each class")
    images = []
    for file, _ in files:
        try:
            with Image.open(file) as image:
                mode = "L" if image.mode in ("1", "L", "I;16") else "RGB"
                pixels = np.asarray(image.convert(mode), dtype=np.float32) / 255
        except (UnidentifiedImageError, OSError) as error:
            raise InputError(f"{file}: no readable image: {error}") from error
        images.append(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))
        if images[-1].shape != images[0].shape:
            raise InputError(f"{file}: shape {images[-1].shape}, allowed: that of {files[0][0]}, {images[0].shape}")
    return np.stack(images), np.array([label for _, label in files], dtype=np.int64)

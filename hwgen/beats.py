"""Memory beats: words of elements packed into the width of a port."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["from_beats", "to_beats"]

Codes = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


def to_beats(words: Codes, bits: int, port_bits: int) -> Bytes:
    """Packs words of elements into beats of whole bytes, shape ``(words * beats, bytes)``."""
    count, lanes = words.shape
    shifts = np.arange(bits)
    stream = ((words[:, :, None] >> shifts) & 1).astype(np.uint8).reshape(count, lanes * bits)
    beats = -(-lanes * bits // port_bits)
    padded = np.zeros((count, beats * port_bits), dtype=np.uint8)
    padded[:, : lanes * bits] = stream
    return np.packbits(padded.reshape(count * beats, port_bits), axis=1, bitorder="little")


def from_beats(image: Bytes, lanes: int, bits: int, port_bits: int) -> Codes:
    """Unpacks what :func:`to_beats` packs, shape ``(words, lanes)``."""
    beats = -(-lanes * bits // port_bits)
    stream = np.unpackbits(image, axis=1, bitorder="little", count=port_bits)
    stream = stream.reshape(-1, beats * port_bits)[:, : lanes * bits].reshape(-1, lanes, bits)
    return np.asarray((stream.astype(np.int64) << np.arange(bits)).sum(axis=2))

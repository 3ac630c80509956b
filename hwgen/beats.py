"""Memory beats: words of elements packed into the width of a port."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["from_beats", "to_beats"]

Codes = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


def to_beats(fields: Sequence[tuple[Codes, int]], port_bits: int) -> Bytes:
    """Packs words into beats of whole bytes.

    Args:
        fields: Parts of the words, the lowest first: elements of shape ``(words, lanes)`` and their bits.
        port_bits: Bits of a beat.

    Returns:
        Shape ``(words * beats, bytes)``.
    """
    stream = np.concatenate([_bits(elements, bits) for elements, bits in fields], axis=1)
    count, length = stream.shape
    beats = -(-length // port_bits)
    padded = np.zeros((count, beats * port_bits), dtype=np.uint8)
    padded[:, :length] = stream
    return np.packbits(padded.reshape(count * beats, port_bits), axis=1, bitorder="little")


def _bits(elements: Codes, bits: int) -> Bytes:
    count, lanes = elements.shape
    return ((elements[:, :, None] >> np.arange(bits)) & 1).astype(np.uint8).reshape(count, lanes * bits)


def from_beats(image: Bytes, lanes: int, bits: int, port_bits: int) -> Codes:
    """Unpacks words of one field, shape ``(words, lanes)``."""
    beats = -(-lanes * bits // port_bits)
    stream = np.unpackbits(image, axis=1, bitorder="little", count=port_bits)
    stream = stream.reshape(-1, beats * port_bits)[:, : lanes * bits].reshape(-1, lanes, bits)
    return np.asarray((stream.astype(np.int64) << np.arange(bits)).sum(axis=2))

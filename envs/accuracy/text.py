"""Text that ships with Python: the language reference behind ``help()``, cut into windows of characters."""

from __future__ import annotations

import hashlib
from functools import cache

import numpy as np
import numpy.typing as npt

__all__ = ["CONTEXT", "SYMBOLS", "characters", "text_windows"]

Tokens = npt.NDArray[np.int64]

SYMBOLS = "\n" + "".join(map(chr, range(32, 127)))
"""The alphabet; a token is a position in it, and what is not in it reads as a space."""
CONTEXT = 64
"""Characters that the model sees."""

_TEST_SHARE = 8


@cache
def characters(*, test: bool) -> Tokens:
    """Returns the text of ``pydoc_data.topics`` as tokens, shape ``(characters,)``.

    Every eighth topic, by a hash of its name, is for tests: which it is does not change with the version of Python,
    although the text does.

    Args:
        test: The topics for tests; the others otherwise.
    """
    from pydoc_data.topics import topics

    chosen = []
    for name in sorted(topics):
        of_test = hashlib.sha256(name.encode()).digest()[0] % _TEST_SHARE == 0
        if of_test == test:
            chosen.append(topics[name])
    position = {symbol: index for index, symbol in enumerate(SYMBOLS)}
    blank = position[" "]
    return np.array([position.get(symbol, blank) for symbol in "\n".join(chosen)], dtype=np.int64)


def text_windows(count: int | None = None) -> tuple[Tokens, Tokens]:
    """Returns test windows one after the other and what follows each character, both of shape ``(count, CONTEXT)``.

    Args:
        count: Number of windows, spread over the text; all when None.
    """
    text = characters(test=True)
    windows = (len(text) - 1) // CONTEXT
    inputs = text[: windows * CONTEXT].reshape(windows, CONTEXT)
    targets = text[1 : windows * CONTEXT + 1].reshape(windows, CONTEXT)
    if count is not None and count < windows:
        chosen = np.arange(count) * windows // count
        return inputs[chosen], targets[chosen]
    return inputs, targets

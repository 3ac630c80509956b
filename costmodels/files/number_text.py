"""Rows of a table as text, numbers as ``repr`` writes them, in machine code (extra ``fast``).

The shortest decimal that reads back as a double is found as in R. Giulietti, "The Schubfach way to render doubles"
(2021): an interval of two units in the last place is scaled by a power of ten, of which 128 bits are enough.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["append_cells"]

_LEAST, _MOST = -292, 324
"""Exponents of the powers of ten that scale any finite double."""
_WIDEST = 26
"""Characters of a number and its comma, at most."""

Bytes = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]


def append_cells(
    data: Bytes,
    starts: Integers,
    ends: Integers,
    columns: Sequence[npt.NDArray[Any]],
    shown: npt.NDArray[np.bool_],
    words: Sequence[bytes],
    word: npt.NDArray[np.int64],
) -> bytes:
    r"""Appends numbers and a word to lines.

    Args:
        data: Text that holds the lines.
        starts: Where each line starts.
        ends: Where it ends.
        columns: int64 or finite float64, a number per line.
        shown: Lines whose numbers are written; the cells of others are empty.
        words: What may come last.
        word: Which of them comes last on each line.

    Returns:
        The lines, each ended by ``\r\n``.
    """
    bits = np.ascontiguousarray([column.view(np.int64) for column in columns])
    real = np.array([column.dtype.kind == "f" for column in columns])
    ends_of_words = np.cumsum([0, *map(len, words)])
    flat = np.frombuffer(b"".join(words), dtype=np.uint8)
    room = int((ends - starts).sum()) + len(starts) * (len(columns) * _WIDEST + max(map(len, words)) + 3)
    out = np.empty(room, dtype=np.uint8)
    length = _writer()(data, starts, ends, bits, real, shown, flat, ends_of_words, word, out, *_powers())
    return out[:length].tobytes()


@cache
def _powers() -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """High and low halves of the powers of ten, scaled to 128 bits and rounded up."""
    found = []
    for exponent in range(_LEAST, _MOST + 1):
        shift = 127 - (exponent * 1741647 >> 19)
        up, down = 10 ** max(exponent, 0) << max(shift, 0), 10 ** max(-exponent, 0) << max(-shift, 0)
        found.append(-(-up // down))
    return (
        np.array([power >> 64 for power in found], dtype=np.uint64),
        np.array([power & (2**64 - 1) for power in found], dtype=np.uint64),
    )


@cache
def _writer() -> Callable[..., int]:
    """Compiles the loop over lines."""
    import numba
    from numba import int64, uint64

    half, low_half = np.uint64(32), np.uint64(0xFFFFFFFF)
    zero, one, two, four, ten, forty = (np.uint64(x) for x in (0, 1, 2, 4, 10, 40))
    fraction, hidden = np.uint64(2**52 - 1), np.uint64(2**52)

    @numba.njit
    def high(a: Any, b: Any) -> Any:
        """Upper half of a product of 64-bit numbers."""
        a1, a0, b1, b0 = a >> half, a & low_half, b >> half, b & low_half
        middle = a1 * b0 + (a0 * b0 >> half)
        other = a0 * b1 + (middle & low_half)
        return a1 * b1 + (middle >> half) + (other >> half)

    @numba.njit
    def scaled(g1: Any, g0: Any, c: Any) -> Any:
        """Upper 64 bits of a 192-bit product, the last one set if anything was cut off."""
        low = g1 * c
        total = low + high(g0, c)
        upper = high(g1, c) + (one if total < low else zero)
        return upper | (one if total > one else zero)

    @numba.njit
    def shortest(bits: Any, upper: Any, lower: Any) -> Any:
        """Digits and exponent of ten of a positive double."""
        exponent, c = int64(bits >> 52), uint64(bits) & fraction
        closer = c == zero and exponent > 1
        if exponent > 0:
            c |= hidden
            q = exponent - 1075
            if 0 <= -q < 53 and c & ((one << uint64(-q)) - one) == zero:
                return c >> uint64(-q), int64(0)
        else:
            q = int64(-1074)
        odd = c & one
        k = (q * 1262611 - (524031 if closer else 0)) >> 22
        h = uint64(q + (-k * 1741647 >> 19) + 1)
        g1, g0 = upper[-k - _LEAST], lower[-k - _LEAST]
        least = scaled(g1, g0, (four * c - two + (one if closer else zero)) << h) + odd
        value = scaled(g1, g0, four * c << h)
        most = scaled(g1, g0, (four * c + two) << h) - odd
        s = value // four
        if s >= ten:
            tens = s // ten
            below, above = least <= forty * tens, forty * tens + forty <= most
            if below != above:
                return tens + (one if above else zero), k + 1
        below, above = least <= four * s, four * s + four <= most
        if below != above:
            return s + (one if above else zero), k
        middle = four * s + two
        up = value > middle or (value == middle and s & one == one)
        return s + (one if up else zero), k

    @numba.njit
    def put_digits(digits: Any, count: int, out: Any, at: int) -> None:
        for i in range(count - 1, -1, -1):
            rest = digits // ten
            out[at + i] = 48 + int64(digits - rest * ten)
            digits = rest

    @numba.njit
    def length_of(digits: Any) -> int:
        count = 1
        while digits >= ten:
            digits //= ten
            count += 1
        return count

    @numba.njit
    def put_real(bits: Any, out: Any, at: int, upper: Any, lower: Any) -> Any:
        """Writes a double as ``repr`` does; returns where it ends."""
        if bits < 0:
            out[at] = 45
            at += 1
            bits &= 0x7FFFFFFFFFFFFFFF
        if bits == 0:
            out[at], out[at + 1], out[at + 2] = 48, 46, 48
            return at + 3
        digits, k = shortest(bits, upper, lower)
        while digits % ten == zero:
            digits //= ten
            k += 1
        count = length_of(digits)
        point = count + k
        if -4 < point <= 16:
            if point <= 0:
                out[at], out[at + 1] = 48, 46
                for i in range(-point):
                    out[at + 2 + i] = 48
                put_digits(digits, count, out, at + 2 - point)
                return at + 2 - point + count
            if count <= point:
                put_digits(digits, count, out, at)
                for i in range(count, point):
                    out[at + i] = 48
                out[at + point], out[at + point + 1] = 46, 48
                return at + point + 2
            put_digits(digits, count, out, at + 1)
            for i in range(point):
                out[at + i] = out[at + i + 1]
            out[at + point] = 46
            return at + count + 1
        put_digits(digits, count, out, at + 1)
        out[at] = out[at + 1]
        at += 1
        if count > 1:
            out[at] = 46
            at += count
        power = point - 1
        out[at], out[at + 1] = 101, 43 if power >= 0 else 45
        power = abs(power)
        width = 3 if power >= 100 else 2
        put_digits(uint64(power), width, out, at + 2)
        return at + 2 + width

    @numba.njit
    def put_whole(value: Any, out: Any, at: int) -> Any:
        if value < 0:
            out[at] = 45
            at += 1
        digits = uint64(value) if value >= 0 else zero - uint64(value)
        count = length_of(digits)
        put_digits(digits, count, out, at)
        return at + count

    @numba.njit(nogil=True)
    def write(
        data: Any,
        starts: Any,
        ends: Any,
        bits: Any,
        real: Any,
        shown: Any,
        words: Any,
        ends_of_words: Any,
        word: Any,
        out: Any,
        upper: Any,
        lower: Any,
    ) -> int:
        at = 0
        for i in range(len(starts)):
            for j in range(starts[i], ends[i]):
                out[at] = data[j]
                at += 1
            for column in range(len(real)):
                out[at] = 44
                at += 1
                if shown[i]:
                    if real[column]:
                        at = put_real(bits[column, i], out, at, upper, lower)
                    else:
                        at = put_whole(bits[column, i], out, at)
            out[at] = 44
            at += 1
            for j in range(ends_of_words[word[i]], ends_of_words[word[i] + 1]):
                out[at] = words[j]
                at += 1
            out[at], out[at + 1] = 13, 10
            at += 2
        return at

    compiled: Callable[..., int] = write
    return compiled

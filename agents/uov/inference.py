"""The network on NumPy arrays, as fast as it goes there: predicting needs no torch, whose import takes longer.

The same function as :mod:`~accelgym.agents.uov.network`, in other products of matrices:

* A token of an input follows from that input alone, of which a batch has few distinct values. What the first block
  makes of it before it attends is worked out once for each and looked up for the rows.
* What a head compares, ``(x Q) (y K)^T``, is ``x (Q K^T) y^T``, and what it gives, ``w (y V) O``, is ``(w y) (V O)``.
  The products in brackets are formed once, so that the tokens themselves are keys and values, for encoder and decoder.
* A head's outputs score levels by a linear function, which is multiplied into its weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.agents.uov.network import NetworkSize, Parameters
from accelgym.agents.uov.ordinal import LevelCode

__all__ = ["NumpyNetwork", "TokenTable"]

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

_SAFE = 60.0
"""Attention up to this, either way, needs no shift before the exponential."""


@dataclass(frozen=True)
class TokenTable:
    """Distinct tokens of some rows, before the first block attends."""

    x: FloatArray
    """Shape ``(tokens, width)``."""
    normed: FloatArray
    """Normalised, likewise."""
    asked: FloatArray
    """Shape ``(tokens, heads * width)``."""
    index: IntArray
    """Which of them a row has, shape ``(rows, tokens of a row)``."""


@dataclass(frozen=True)
class _Attention:
    """Matrices of a block, formed once."""

    asks: FloatArray
    """``Q K^T`` of each head, scaled, side by side: shape ``(width, heads * width)``."""
    asks_bias: FloatArray
    gives: FloatArray
    """``V O`` of each head, one below the other: shape ``(heads * width, width)``."""
    gives_bias: FloatArray

    @classmethod
    def of(cls, heads: int, q: Any, k: Any, v: Any, out: Any) -> _Attention:
        """From weights and biases of queries, keys, values and the output; a bias of keys changes no attention."""
        (qw, qb), (kw, _), (vw, vb), (ow, ob) = ([a.astype(np.float64) for a in pair] for pair in (q, k, v, out))
        part = qw.shape[1] // heads
        cut = [slice(h * part, (h + 1) * part) for h in range(heads)]
        asks = [(qw[:, c] @ kw[:, c].T * part**-0.5, qb[c] @ kw[:, c].T * part**-0.5) for c in cut]
        return cls(
            np.concatenate([a for a, _ in asks], axis=1).astype(np.float32),
            np.concatenate([b for _, b in asks]).astype(np.float32),
            np.concatenate([vw[:, c] @ ow[c] for c in cut]).astype(np.float32),
            (vb @ ow + ob).astype(np.float32),
        )

    def ask(self, x: FloatArray) -> FloatArray:
        found = x.reshape(-1, x.shape[-1]) @ self.asks
        found += self.asks_bias
        return found

    def attend(self, asked: FloatArray, keys: FloatArray) -> FloatArray:
        """Returns what is added to each place, shape ``(rows, places, width)``.

        Args:
            asked: Of :meth:`ask`, shape ``(rows or 1, places * heads, width)``.
            keys: Tokens to attend to, shape ``(rows, tokens, width)``.
        """
        weights = asked @ keys.swapaxes(1, 2)
        flat = weights.reshape(-1, keys.shape[1])
        if not max(flat.max(initial=0.0), -flat.min(initial=0.0)) < _SAFE:
            flat -= flat.max(axis=1, keepdims=True)
        np.exp(flat, out=flat)
        # The sum along a short axis is slow; this one comes as a product, repeated along it.
        flat /= flat @ np.ones((len(flat.T), len(flat.T)), dtype=np.float32)
        seen = (weights @ keys).reshape(-1, len(self.gives))
        found = seen @ self.gives
        found += self.gives_bias
        return np.asarray(found.reshape(len(keys), -1, keys.shape[2]), dtype=np.float32)


@dataclass(frozen=True)
class NumpyNetwork:
    """A trained network.

    Attributes:
        parameters: Arrays by name.
        size: Of the network.
        codes: How each knob's head scores levels.
        widths: Features of each token.
    """

    parameters: Parameters
    size: NetworkSize
    codes: Sequence[LevelCode]
    widths: Sequence[int]

    @cached_property
    def _encoder(self) -> list[_Attention]:
        found = []
        for block in range(self.size.encoder_blocks):
            w, b = self._pair(f"encoder.{block}.qkv")
            q, k, v = zip(np.split(w, 3, axis=1), np.split(b, 3), strict=True)
            found.append(_Attention.of(self.size.heads, q, k, v, self._pair(f"encoder.{block}.out")))
        return found

    @cached_property
    def _decoder(self) -> list[_Attention]:
        found = []
        for block in range(self.size.decoder_blocks):
            w, b = self._pair(f"decoder.{block}.kv")
            k, v = zip(np.split(w, 2, axis=1), np.split(b, 2), strict=True)
            q, out = (self._pair(f"decoder.{block}.{name}") for name in ("q", "out"))
            found.append(_Attention.of(self.size.heads, q, k, v, out))
        return found

    @cached_property
    def _scores(self) -> list[tuple[FloatArray, FloatArray]]:
        found = []
        for knob, code in enumerate(self.codes):
            weight, bias = self._pair(f"head.{knob}")
            table = code.table.T
            found.append(((weight @ table).astype(np.float32), (bias @ table + code.offset).astype(np.float32)))
        return found

    @cached_property
    def _tokens(self) -> list[tuple[FloatArray, FloatArray, FloatArray, FloatArray]]:
        """Range, weight and bias of each token; features are centred and scaled by the weights."""
        p, found = self.parameters, []
        weight, bias = self._pair("tokens")
        for i, width in enumerate(self.widths):
            low, high, mean, scale = (p[f"features.{name}"][i, :width] for name in ("low", "high", "mean", "scale"))
            scaled = weight[i, :width].astype(np.float64) * scale[:, None]
            found.append((low, high, scaled.astype(np.float32), (bias[i] - mean @ scaled).astype(np.float32)))
        return found

    def table(self, tokens: Sequence[tuple[FloatArray, IntArray]]) -> TokenTable:
        """Returns the distinct tokens of some rows.

        Args:
            tokens: For each token of a row the distinct features, shape ``(distinct, features)``, and which of them
                each row has, shape ``(rows,)``.
        """
        parts, index, start = [], [], 0
        for (features, which), (low, high, weight, bias) in zip(tokens, self._tokens, strict=True):
            parts.append(np.minimum(np.maximum(features, low), high) @ weight + bias)
            index.append(which + start)
            start += len(features)
        x = np.concatenate(parts)
        normed = self._norm(0, x)
        return TokenTable(x, normed, self._encoder[0].ask(normed), np.stack(index, axis=1))

    def encode(self, table: TokenTable, rows: slice) -> FloatArray:
        """Returns the encoded tokens of some rows, shape ``(rows, tokens, width)``."""
        index = table.index[rows]
        x, normed, asked = (np.take(part, index, axis=0) for part in (table.x, table.normed, table.asked))
        for block, attention in enumerate(self._encoder):
            if block:
                normed = self._norm(block, x)
                asked = attention.ask(normed)
            x += attention.attend(asked.reshape(len(x), -1, self.size.width), normed)
            self._forward(f"encoder.{block}", x)
        return np.asarray(x, dtype=np.float32)

    def log_best(self, encoded: FloatArray) -> FloatArray:
        """Predicts the logarithm of the best objective, centred and scaled, shape ``(rows,)``."""
        mean = encoded.mean(axis=1)
        direct, straight = self._pair("best.direct")
        return np.asarray(self._layers("best", mean) + (mean @ direct + straight), dtype=np.float32)[:, 0]

    def logits(self, encoded: FloatArray, chosen: Sequence[IntArray], knob: int) -> FloatArray:
        """Returns scores of the levels of a knob, shape ``(rows, prefixes, levels)``.

        Args:
            encoded: Of :meth:`encode`.
            chosen: Level of each knob before it, shape ``(rows, prefixes)`` each.
            knob: Which.
        """
        p = self.parameters
        x = p["queries"][knob][None, None]
        for before, levels in enumerate(chosen):
            x = x + p[f"chosen.{before}"][levels]
        for block, attention in enumerate(self._decoder):
            asked = attention.ask(x).reshape(len(x), -1, self.size.width)
            x = x + attention.attend(asked, encoded)
            self._forward(f"decoder.{block}", x)
        weight, bias = self._scores[knob]
        found = x.reshape(-1, self.size.width) @ weight
        found += bias
        return np.asarray(found.reshape(*x.shape[:2], -1), dtype=np.float32)

    def _pair(self, name: str) -> tuple[FloatArray, FloatArray]:
        p: Mapping[str, Any] = self.parameters
        return p[f"{name}.weight"], p[f"{name}.bias"]

    def _norm(self, block: int, x: FloatArray) -> FloatArray:
        weight, bias = self._pair(f"encoder.{block}.norm")
        width = x.shape[-1]
        flat = x.reshape(-1, width)
        centred = flat - (flat @ np.full((width, 1), 1.0 / width, dtype=np.float32))
        variance = np.einsum("ij,ij->i", centred, centred) / width
        centred /= np.sqrt(variance + np.float32(1e-5))[:, None]
        centred *= weight
        centred += bias
        return centred.reshape(x.shape)

    def _layers(self, name: str, x: FloatArray) -> FloatArray:
        (up, up_bias), (down, down_bias) = self._pair(f"{name}.up"), self._pair(f"{name}.down")
        hidden = x.reshape(-1, x.shape[-1]) @ up
        hidden += up_bias
        np.maximum(hidden, 0.0, out=hidden)
        found = hidden @ down
        found += down_bias
        return np.asarray(found.reshape(*x.shape[:-1], -1), dtype=np.float32)

    def _forward(self, name: str, x: FloatArray) -> None:
        x += self._layers(name, x)

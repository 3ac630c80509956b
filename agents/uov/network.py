"""The network: an encoder over the tokens of one row, and a decoder with one query for each knob.

Attention runs over the tokens of a row and never over the rows of a batch, so that an answer does not depend on what
else is asked. Only what attention compares is normalised: along the residual stream features are logarithms of sizes
and ratios, whose sums are what costs are made of, and normalising them costs accuracy (with norms everywhere a policy
of AIrchitect's layers names an optimum in 80 % of the rows, without in 95 %, after the same steps).

The code is a pure function of tensors, which torch trains; :mod:`~accelgym.agents.uov.inference` answers with NumPy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.agents.uov.operations import Operations

__all__ = [
    "EMBEDDING",
    "NetworkSize",
    "decode",
    "embed",
    "encode",
    "initial_parameters",
    "predict_log_best",
    "remember",
    "summary",
]

FloatArray = npt.NDArray[np.float32]
Parameters = Mapping[str, Any]

EMBEDDING = 64
"""Length of the vectors that the contrastive stage compares."""


@dataclass(frozen=True)
class NetworkSize:
    """How large a network is."""

    width: int = 64
    """Of a token."""
    heads: int = 4
    encoder_blocks: int = 2
    decoder_blocks: int = 1
    encoder_hidden: int = 128
    """Hidden units between two layers of an encoder block's feed-forward part."""
    decoder_hidden: int = 256

    def to_json(self) -> dict[str, int]:
        """Returns the sizes by name."""
        return asdict(self)


def initial_parameters(
    size: NetworkSize, tokens: tuple[int, int], levels: Sequence[int], outputs: Sequence[int], seed: int
) -> dict[str, FloatArray]:
    """Draws the parameters.

    Args:
        size: Of the network.
        tokens: Tokens and features of the widest.
        levels: Values of each knob.
        outputs: Outputs of each knob's head.
        seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    found: dict[str, FloatArray] = {}
    d = size.width

    def linear(name: str, rows: int, columns: int, *, gain: float = 1.0, copies: tuple[int, ...] = ()) -> None:
        drawn = rng.standard_normal((*copies, rows, columns)) * gain * rows**-0.5
        found[f"{name}.weight"] = drawn.astype(np.float32)
        found[f"{name}.bias"] = np.zeros((*copies, columns), dtype=np.float32)

    linear("tokens", tokens[1], d, copies=(tokens[0],))
    for block in range(size.encoder_blocks):
        name = f"encoder.{block}"
        found[f"{name}.norm.weight"], found[f"{name}.norm.bias"] = np.ones(d, np.float32), np.zeros(d, np.float32)
        linear(f"{name}.qkv", d, 3 * d)
        linear(f"{name}.out", d, d, gain=0.5)
        linear(f"{name}.up", d, size.encoder_hidden, gain=1.4)
        linear(f"{name}.down", size.encoder_hidden, d, gain=0.5)
    linear("contrast", d, EMBEDDING)
    linear("best.up", d, size.decoder_hidden, gain=1.4)
    linear("best.down", size.decoder_hidden, 1)
    linear("best.direct", d, 1)
    found["queries"] = rng.standard_normal((len(levels), d)).astype(np.float32)
    for knob, count in enumerate(levels):
        found[f"chosen.{knob}"] = rng.standard_normal((count, d)).astype(np.float32) * np.float32(0.5)
    for block in range(size.decoder_blocks):
        name = f"decoder.{block}"
        linear(f"{name}.q", d, d)
        linear(f"{name}.kv", d, 2 * d)
        linear(f"{name}.out", d, d)
        linear(f"{name}.up", d, size.decoder_hidden, gain=1.4)
        linear(f"{name}.down", size.decoder_hidden, d)
    for knob, count in enumerate(outputs):
        linear(f"head.{knob}", d, count)
    return found


def _linear(p: Parameters, name: str, x: Any) -> Any:
    flat = x.reshape(-1, x.shape[-1]) @ p[f"{name}.weight"]
    flat += p[f"{name}.bias"]
    return flat.reshape(*x.shape[:-1], flat.shape[-1])


def _split(x: Any, heads: int) -> Any:
    """``(rows, places, width)`` to ``(rows, heads, places, width / heads)``."""
    rows, places, width = x.shape
    return x.reshape(rows, places, heads, width // heads).swapaxes(1, 2)


def _joined(x: Any) -> Any:
    rows, heads, places, part = x.shape
    return x.swapaxes(1, 2).reshape(rows, places, heads * part)


def encode(ops: Operations, p: Parameters, size: NetworkSize, features: Any) -> Any:
    """Returns the encoded tokens, shape ``(rows, tokens, width)``.

    Args:
        ops: Of the arrays' kind.
        p: Parameters.
        size: Of the network.
        features: Scaled features, shape ``(rows, tokens, features)``.
    """
    x = (features.swapaxes(0, 1) @ p["tokens.weight"]).swapaxes(0, 1) + p["tokens.bias"]
    for block in range(size.encoder_blocks):
        name, d = f"encoder.{block}", size.width
        qkv = _linear(p, f"{name}.qkv", ops.layer_norm(x, p[f"{name}.norm.weight"], p[f"{name}.norm.bias"]))
        parts = [_split(qkv[..., i * d : (i + 1) * d], size.heads) for i in range(3)]
        x = x + _linear(p, f"{name}.out", _joined(ops.attention(*parts)))
        hidden = ops.relu(_linear(p, f"{name}.up", x))
        x = x + _linear(p, f"{name}.down", hidden)
    return x


def summary(encoded: Any) -> Any:
    """Returns the mean over tokens, shape ``(rows, width)``."""
    return encoded.mean(1)


def embed(p: Parameters, encoded: Any) -> Any:
    """Returns vectors for the contrastive stage, shape ``(rows, EMBEDDING)``, not normalised."""
    return _linear(p, "contrast", summary(encoded))


def predict_log_best(ops: Operations, p: Parameters, encoded: Any) -> Any:
    """Predicts the logarithm of the best objective, centred and scaled, shape ``(rows,)``."""
    mean = summary(encoded)
    return (_linear(p, "best.down", ops.relu(_linear(p, "best.up", mean))) + _linear(p, "best.direct", mean))[:, 0]


def remember(p: Parameters, size: NetworkSize, encoded: Any) -> list[tuple[Any, Any]]:
    """Returns keys and values of the encoded tokens for each block of the decoder."""
    found = []
    for block in range(size.decoder_blocks):
        kv = _linear(p, f"decoder.{block}.kv", encoded)
        found.append((_split(kv[..., : size.width], size.heads), _split(kv[..., size.width :], size.heads)))
    return found


def decode(
    ops: Operations,
    p: Parameters,
    size: NetworkSize,
    memory: Sequence[tuple[Any, Any]],
    chosen: Sequence[Any],
    knobs: Sequence[int],
) -> list[Any]:
    """Returns the outputs of some knobs' heads, given the knobs before; shape ``(rows, prefixes, outputs)`` each.

    Queries see the tokens, not one another.

    Args:
        ops: Of the arrays' kind.
        p: Parameters.
        size: Of the network.
        memory: Of :func:`remember`.
        chosen: Value of each knob before the last of ``knobs``, integers of shape ``(rows, prefixes)``.
        knobs: Knobs to decide, ascending.
    """
    rows, prefixes = len(memory[0][0]), chosen[0].shape[1] if len(chosen) else 1
    query, queries = 0.0, []
    for knob in range(knobs[-1] + 1):
        if knob in knobs:
            queries.append(ops.broadcast(query + p["queries"][knob], (rows, prefixes, size.width)))
        if knob < knobs[-1]:
            query = query + p[f"chosen.{knob}"][chosen[knob]]
    x = queries[0] if len(queries) == 1 else ops.concatenate(queries)
    for block, (key, value) in enumerate(memory):
        name = f"decoder.{block}"
        asked = _split(_linear(p, f"{name}.q", x), size.heads)
        x = x + _linear(p, f"{name}.out", _joined(ops.attention(asked, key, value)))
        hidden = ops.relu(_linear(p, f"{name}.up", x))
        x = x + _linear(p, f"{name}.down", hidden)
    return [_linear(p, f"head.{knob}", x[:, i * prefixes : (i + 1) * prefixes]) for i, knob in enumerate(knobs)]

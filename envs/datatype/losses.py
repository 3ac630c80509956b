"""What each layer loses in each format alone: measured on shipped networks, guessed for networks without weights."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.json_file import read_sealed
from accelgym.costmodels.quantization import quantise
from accelgym.costmodels.workloads import Layer, LayerKind, load_workload
from accelgym.envs.datatype.options import OPTIONS, Option

__all__ = ["NATS", "POINTS", "LossTable", "measured_networks", "measured_table", "proxy_table"]

Ints = npt.NDArray[np.int64]

NATS = 1e-4
"""Unit of losses of cross-entropy, and of the proxy."""
POINTS = 0.01
"""Unit of losses of accuracy: percent of the test examples."""

_TABLES = "accelgym.envs.accuracy"
_LAYER_FIELDS = ("N", "K", "C", "P", "Q", "R", "S", "groups")
_PROXY_SHAPE, _PROXY_SEED = (64, 256), 50_000


@dataclass(frozen=True)
class LossTable:
    """Losses by layer and option, which are added up."""

    label: str
    """``measured``, or ``proxy``: nothing of it is an accuracy."""
    network: str
    layers: tuple[str, ...]
    nests: tuple[tuple[Layer, ...], ...]
    """Loop nests of each layer for one example: two of an attention."""
    options: tuple[Option, ...]
    losses: dict[str, Ints]
    """Shape ``(layers, options)``, none negative: ``cross_entropy`` in :data:`NATS` and ``accuracy`` in :data:`POINTS`,
    or ``proxy``."""
    examples: int = 0
    value: float = float("nan")
    """Accuracy in percent, or perplexity, in float32."""


def _folder() -> Path:
    return Path(str(files(_TABLES))) / "tables"


def measured_networks() -> tuple[str, ...]:
    """Returns the networks that have a table."""
    return tuple(sorted(path.stem for path in _folder().glob("*.json")))


@cache
def measured_table(network: str) -> LossTable:
    """Reads the table of a shipped network, as ``tools/measure_losses.py`` wrote it.

    Raises:
        InputError: There is none, or it is damaged.
    """
    path = _folder() / f"{network}.json"
    data = read_sealed(path)
    found = tuple(Option(*entry) for entry in data["options"])
    return LossTable(
        "measured",
        network,
        tuple(data["layers"]),
        tuple(tuple(_layer(fields) for fields in nests) for nests in data["nests"]),
        found,
        {name: np.array(rows, dtype=np.int64) for name, rows in data["losses"].items()},
        int(data["examples"]),
        float(data["value"]),
    )


def layer_fields(layer: Layer) -> dict[str, Any]:
    """Returns a loop nest as plain data."""
    plain = {name: getattr(layer, name) for name in ("name", *_LAYER_FIELDS)}
    pairs = {name: list(getattr(layer, name)) for name in ("stride", "padding", "dilation")}
    return {**plain, **pairs, "kind": str(layer.kind), "parameters": layer.weights_are_parameters}


def _layer(fields: dict[str, Any]) -> Layer:
    given = {name: fields[name] for name in ("name", *_LAYER_FIELDS)}
    given |= {name: tuple(fields[name]) for name in ("stride", "padding", "dilation")}
    return Layer(kind=LayerKind(fields["kind"]), weights_are_parameters=fields["parameters"], **given)


def proxy_table(name: str) -> LossTable:
    """Returns the noise of products of normally distributed operands, the same for every layer: no accuracy.

    Args:
        name: A network of the zoo, or a network file.

    Raises:
        InputError: No such network, or one without convolutions and products.
    """
    workload = load_workload(name)
    layers = workload.compute_layers
    if not layers:
        raise InputError(f"workload {workload.name!r} has no convolution or GEMM to choose types for")
    row = np.array([round(_noise(option) / NATS) for option in OPTIONS], dtype=np.int64)
    table = np.broadcast_to(row, (len(layers), len(OPTIONS)))
    names = tuple(layer.name for layer in layers)
    return LossTable("proxy", workload.name, names, tuple((x,) for x in layers), OPTIONS, {"proxy": table})


@cache
def _noise(option: Option) -> float:
    """Noise over signal of a product of two standard normal operands."""
    values = np.random.default_rng(_PROXY_SEED).standard_normal(_PROXY_SHAPE)
    formats = option.formats
    total = 0.0
    for form in (formats.weight, formats.input):
        assert form is not None
        total += float(((quantise(values, form).values() - values) ** 2).sum() / (values**2).sum())
    return total

"""A learned cost model: inputs by name in, costs by name out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from accelgym.agents.checkpoint import read_checkpoint, write_checkpoint
from accelgym.agents.private_stream import PrivateStream
from accelgym.agents.proxy.network import FitOptions, ProxyNetwork
from accelgym.costmodels.errors import DamagedFileError, InputError, unknown_name
from accelgym.dse_dataset.input_encoding import InputEncoder

__all__ = ["WEIGHTS", "Proxy", "log_errors"]

FloatArray = npt.NDArray[np.float64]
Arrays = Mapping[str, npt.NDArray[Any]]

WEIGHTS = "proxy.safetensors"
"""Name of the file in a folder of a trained proxy."""
_KIND, _SCHEMA = "proxy", 1


@dataclass(frozen=True)
class Proxy:
    """A network that predicts costs, positive numbers, from inputs that are numbers or names.

    It is a stand-in for search, never a source of labels or regrets: no bound holds for what it says.
    """

    encoder: InputEncoder
    targets: tuple[str, ...]
    """Costs that it predicts."""
    network: ProxyNetwork
    about: Mapping[str, Any] = field(default_factory=dict)
    """What it was trained on, plain data."""

    @classmethod
    def fitted(
        cls,
        arrays: Arrays,
        inputs: Sequence[str],
        targets: Sequence[str],
        *,
        seed: int = 0,
        options: FitOptions | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> Proxy:
        """Learns from rows.

        Args:
            arrays: Columns by name, shape ``(rows,)``.
            inputs: Names of the inputs.
            targets: Names of the costs; those that are not positive and finite teach nothing.
            seed: Of the training.
            options: How the network learns.
            about: What the rows are.

        Raises:
            InputError: A column is missing, or a target has no positive number.
        """
        encoder = InputEncoder.of(arrays, inputs)
        logs = np.stack([log_costs(arrays, name) for name in targets], axis=1)
        for name, column in zip(targets, logs.T, strict=True):
            if not np.isfinite(column).any():
                raise InputError(f"column {name!r} has no positive number to learn from")
        network = ProxyNetwork.fitted(encoder.encode(arrays, warn=False), logs, options or FitOptions(), seed)
        return cls(encoder, tuple(targets), network, dict(about or {}))

    def predict(self, arrays: Arrays, *, warn: bool = True) -> dict[str, FloatArray]:
        """Returns costs by name, shape ``(rows,)``.

        Args:
            arrays: Columns by name.
            warn: Whether to warn of inputs outside the range that was learnt from.

        Raises:
            InputError: An input is missing or of another kind.
        """
        logs = self.network.predict(self.encoder.encode(arrays, warn=warn))
        return {name: np.exp(logs[:, column]) for column, name in enumerate(self.targets)}

    def save(self, folder: Path) -> None:
        """Writes the weights into a folder."""
        network = self.network
        note = {
            "encoder": self.encoder.to_json(),
            "targets": self.targets,
            "width": network.width,
            "trained": dict(self.about),
        }
        tensors = {name: values.numpy() for name, values in network.state_dict().items()}
        write_checkpoint(folder / WEIGHTS, _KIND, _SCHEMA, note, tensors)

    @classmethod
    def load(cls, path: Path | str) -> Proxy:
        """Reads a proxy.

        Args:
            path: A file of weights, or the folder that holds ``proxy.safetensors``.

        Raises:
            InputError: There is none, or of another kind or schema.
            DamagedFileError: It was changed.
        """
        path = Path(path)
        path = path / WEIGHTS if path.is_dir() else path
        note, tensors = read_checkpoint(path, _KIND, _SCHEMA)
        try:
            encoder = InputEncoder.from_json(note["encoder"])
            # Weights are drawn, from torch's global generator, before they are replaced.
            with PrivateStream(0).active():
                network = ProxyNetwork(encoder.size, len(note["targets"]), int(note["width"]))
            network.load_state_dict({name: torch.from_numpy(values) for name, values in tensors.items()})
            return cls(encoder, tuple(note["targets"]), network, note["trained"])
        except (KeyError, TypeError, RuntimeError) as error:
            raise DamagedFileError(f"{path}: its weights are not of its network ({error})") from error


def log_costs(arrays: Arrays, name: str) -> FloatArray:
    """Returns the logarithms of a column of costs, NaN where it is not positive and finite.

    Raises:
        InputError: No such column, or no numbers.
    """
    if name not in arrays:
        raise unknown_name("column", name, arrays)
    values = np.asarray(arrays[name])
    if values.dtype.kind not in "iuf":
        raise InputError(f"column {name!r} holds no numbers, and a proxy predicts numbers")
    costs = values.astype(np.float64)
    good = np.isfinite(costs) & (costs > 0)
    return np.where(good, np.log(np.where(good, costs, 1.0)), np.nan)


def log_errors(predicted: FloatArray, truth: FloatArray) -> float:
    """Returns the root mean square of the logarithm of the ratio: 0.01 is about one percent.

    Args:
        predicted: Logarithms, shape ``(rows,)``.
        truth: Logarithms likewise; rows where they are not finite do not count.
    """
    known = np.isfinite(truth)
    return float(np.sqrt(np.mean((predicted[known] - truth[known]) ** 2)))

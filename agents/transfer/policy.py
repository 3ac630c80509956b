"""A trained policy: its weights, the knobs it decides, and the inputs it has seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from accelgym.agents.checkpoint import read_checkpoint, write_checkpoint
from accelgym.agents.interface import interface_of, require_interface, warn_outside
from accelgym.agents.private_stream import PrivateStream
from accelgym.agents.transfer.network import TransferNetwork
from accelgym.agents.transfer.rollout import Player
from accelgym.costmodels.errors import DamagedFileError, InputError
from accelgym.envs.task import Task

__all__ = ["WEIGHTS", "TransferPolicy"]

WEIGHTS = "policy.safetensors"
"""Name of the file in a folder of a trained policy."""
_KIND, _SCHEMA = "transfer policy", 1
_SLACK = 1e-6


@dataclass(frozen=True)
class TransferPolicy:
    """Weights and what they were trained for."""

    network: TransferNetwork
    interface: Any
    """Knobs and their values (:func:`~accelgym.agents.interface.interface_of`); it acts on tasks that have the same."""
    low: npt.NDArray[np.float32]
    """Least value of each input column that a decision of a training task showed, shape ``(inputs,)``."""
    high: npt.NDArray[np.float32]
    """Largest value likewise."""
    about: Mapping[str, Any]
    """How it was trained, plain data."""

    @classmethod
    def untrained(cls, tasks: list[Task], width: int) -> TransferPolicy:
        """Returns a policy that is uniform over what masks leave, for tasks of one kind.

        Weights come from torch's global generator. Inputs are standardised over the tasks' decisions.

        Args:
            tasks: What it will be trained on.
            width: Hidden units.
        """
        seen = np.concatenate([Player(task).first_observations() for task in tasks])
        network = TransferNetwork(seen.shape[1], tasks[0].action_factors, width)
        network.standardise(seen)
        return cls(network, interface_of(tasks[0]), seen.min(axis=0), seen.max(axis=0), {})

    def player(self, task: Task) -> Player:
        """Returns what plays the task's episodes for this policy.

        Inputs outside the range that was trained on are a warning, with the range.

        Raises:
            InputError: The task has other knobs, or shows something else.
        """
        require_interface(self.interface, task, "the policy decides")
        player = Player(task)
        if player.inputs != self.network.inputs or task.action_factors != self.network.factors:
            raise InputError(
                f"the policy sees {self.network.inputs} numbers and chooses among {self.network.factors}, "
                f"{task!r} shows {player.inputs} and offers {task.action_factors}"
            )
        # Features alone: what else is seen is relative to the task, within [-1, 1] everywhere.
        seen = slice(player.inputs - player.features, None)
        warn_outside(task, self.low[seen], self.high[seen], "what the policy was trained on", slack=_SLACK)
        return player

    def save(self, folder: Path, about: Mapping[str, Any]) -> None:
        """Writes the weights into a folder.

        Args:
            folder: The folder.
            about: How they were trained, plain data.
        """
        note = {
            "interface": self.interface,
            "inputs": self.network.inputs,
            "factors": self.network.factors,
            "width": self.network.width,
            "trained": dict(about),
        }
        tensors = {f"network.{name}": values.numpy() for name, values in self.network.state_dict().items()}
        write_checkpoint(folder / WEIGHTS, _KIND, _SCHEMA, note, tensors | {"low": self.low, "high": self.high})

    @classmethod
    def load(cls, path: Path | str) -> TransferPolicy:
        """Reads a policy.

        Args:
            path: A file of weights, or the folder that holds ``policy.safetensors``.

        Raises:
            InputError: There is none, or of another kind or schema.
            DamagedFileError: It was changed.
        """
        path = Path(path)
        if path.is_dir():
            if not (path / WEIGHTS).exists():
                inner = sorted(p.parent.name for p in path.glob(f"*/{WEIGHTS}"))
                hint = f"; allowed: one of its folders {', '.join(inner)}" if inner else ""
                raise InputError(f"{path}: holds no {WEIGHTS}, which accelgym train ppo writes at its end{hint}")
            path = path / WEIGHTS
        note, tensors = read_checkpoint(path, _KIND, _SCHEMA)
        try:
            # Weights are drawn, from torch's global generator, before they are replaced.
            with PrivateStream(0).active():
                network = TransferNetwork(int(note["inputs"]), tuple(note["factors"]), int(note["width"]))
            low, high = tensors.pop("low"), tensors.pop("high")
            state = {name.removeprefix("network."): torch.from_numpy(values) for name, values in tensors.items()}
            network.load_state_dict(state)
            return cls(network, note["interface"], low, high, note["trained"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise DamagedFileError(f"{path}: its weights are not of its network ({error})") from error

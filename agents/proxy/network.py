"""A small network from features to logarithms of costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from accelgym.agents.private_stream import PrivateStream
from accelgym.costmodels.errors import InputError

__all__ = ["FitOptions", "ProxyNetwork"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class FitOptions:
    """How a network learns; set once, not tuned."""

    width: int = 64
    """Hidden units of each of two layers."""
    steps: int = 3000
    """Minibatches."""
    batch: int = 128
    learning_rate: float = 4e-3
    """Of Adam at the start; falls to zero as half a cosine."""
    weight_decay: float = 1e-4

    def __post_init__(self) -> None:
        for name in ("width", "steps", "batch"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}, allowed >= 1")
        if not self.learning_rate > 0:
            raise InputError(f"learning_rate is {self.learning_rate}, allowed > 0")


class ProxyNetwork(nn.Module):
    """Two hidden layers; inputs and outputs are standardised inside.

    Args:
        inputs: Features.
        outputs: Costs.
        width: Hidden units.
    """

    mean: torch.Tensor
    spread: torch.Tensor
    level: torch.Tensor
    scale: torch.Tensor

    def __init__(self, inputs: int, outputs: int, width: int) -> None:
        super().__init__()
        self.inputs, self.outputs, self.width = inputs, outputs, width
        for name, size in (("mean", inputs), ("level", outputs)):
            self.register_buffer(name, torch.zeros(size))
        for name, size in (("spread", inputs), ("scale", outputs)):
            self.register_buffer(name, torch.ones(size))
        self.body = nn.Sequential(nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.head = nn.Linear(width, outputs)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Returns logarithms of costs, shape ``(rows, outputs)``."""
        hidden: torch.Tensor = self.body((features - self.mean) / self.spread)
        logs: torch.Tensor = self.head(hidden) * self.scale + self.level
        return logs

    def predict(self, features: FloatArray) -> FloatArray:
        """Returns logarithms of costs ``(rows, outputs)`` of features ``(rows, inputs)``."""
        with torch.no_grad():
            logs = self(torch.from_numpy(features.astype(np.float32)))
        return np.asarray(logs.numpy(), dtype=np.float64)

    @classmethod
    def fitted(cls, features: FloatArray, targets: FloatArray, options: FitOptions, seed: int) -> ProxyNetwork:
        """Learns from rows.

        Args:
            features: Shape ``(rows, inputs)``.
            targets: Logarithms of costs, shape ``(rows, outputs)``; an entry that is not finite is left out.
            options: How.
            seed: Of weights and minibatches.
        """
        known = np.isfinite(targets)
        if not known.any(axis=0).all():
            raise InputError("a target has no finite value to learn from")
        stream = PrivateStream(seed)
        with stream.active():
            network = cls(features.shape[1], targets.shape[1], options.width)
            network.standardise(features, targets)
            network.fit(features, targets, options, np.random.default_rng(seed))
        return network

    def standardise(self, features: FloatArray, targets: FloatArray) -> None:
        """Fixes the scales of inputs and outputs."""
        whole = np.where(np.isfinite(targets), targets, np.nan)
        pairs = {
            "mean": features.mean(axis=0),
            "spread": _positive(features.std(axis=0)),
            "level": np.nanmean(whole, axis=0),
            "scale": _positive(np.nanstd(whole, axis=0)),
        }
        for name, values in pairs.items():
            getattr(self, name).copy_(torch.from_numpy(values.astype(np.float32)))

    def fit(self, features: FloatArray, targets: FloatArray, options: FitOptions, rng: np.random.Generator) -> None:
        """Trains all weights on the mean squared error of standardised logarithms."""
        seen = torch.from_numpy(features.astype(np.float32))
        wanted = torch.from_numpy(np.nan_to_num(targets, posinf=0.0, neginf=0.0).astype(np.float32))
        known = torch.from_numpy(np.isfinite(targets).astype(np.float32))
        optimiser = torch.optim.AdamW(
            self.parameters(), options.learning_rate, weight_decay=options.weight_decay, fused=True
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, options.steps)
        size = min(options.batch, len(seen))
        for _ in range(options.steps):
            rows = torch.from_numpy(rng.choice(len(seen), size, replace=False))
            error = (self(seen[rows]) - wanted[rows]) / self.scale
            loss = (known[rows] * error**2).sum() / known[rows].sum().clamp(min=1.0)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()


def _positive(spread: FloatArray) -> FloatArray:
    return np.where(spread > 1e-9, spread, 1.0)

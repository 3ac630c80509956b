"""From cost models that are known to one that is seen in a few samples only."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from accelgym.agents.private_stream import PrivateStream
from accelgym.agents.proxy.network import ProxyNetwork
from accelgym.costmodels.errors import InputError

__all__ = ["LinearAdaptation", "fine_tune", "meta_train"]

FloatArray = npt.NDArray[np.float64]

_STRENGTHS = 10.0 ** np.arange(-4.0, 3.5, 0.5)
"""Ridge strengths that are tried."""
_INPUT_SCALE = 0.1
"""Of the standardised inputs among the regressors: they are held back a hundred times as much as the known models. Of
0, 0.1, 0.3 and 1 the best on one seed of the study in docs/proxy.md."""


@dataclass(frozen=True)
class LinearAdaptation:
    """A ridge regression on what a network predicts for all the cost models that it knows.

    Energies of technologies are sums of the same counts at other prices, and latencies of cost models differ by what
    bounds them, so that a new one is nearly a combination of known ones. With ``z`` the logarithms that the network
    predicts for the known models and ``x`` its standardised inputs, the prediction is
    ``b + a mean(z) + w (z - mean(z)) + v x``. The average of the known models, moved, is free; a ridge draws ``a`` to 1
    and ``w`` and ``v`` to 0. Its strength is that with the least leave-one-out error, in closed form (Allen's PRESS).
    """

    network: ProxyNetwork
    weights: FloatArray
    """Of a constant, the mean, the departures from it and the inputs; shape ``(2 + known models + inputs,)``."""

    @classmethod
    def fitted(cls, network: ProxyNetwork, features: FloatArray, targets: FloatArray) -> LinearAdaptation:
        """Adapts to samples of a new cost model.

        Args:
            network: Predicts one cost under several models, one output each.
            features: Of the samples, shape ``(samples, inputs)``.
            targets: Logarithms of the cost under the new model, shape ``(samples,)``.

        Raises:
            InputError: Fewer than three samples.
        """
        if len(features) < 3:
            raise InputError(f"{len(features)} samples, allowed >= 3")
        design = _regressors(network, features)
        best, chosen = np.inf, np.zeros(design.shape[1])
        for strength in _STRENGTHS:
            # The constant and the slope are hardly held back; the slope is drawn to 1.
            ridge = np.full(design.shape[1], strength)
            ridge[:2] = 1e-8, strength * 1e-2
            prior = np.zeros(design.shape[1])
            prior[1] = 1.0
            inverse = np.linalg.inv(design.T @ design + np.diag(ridge))
            weights = prior + inverse @ design.T @ (targets - design @ prior)
            hat = np.einsum("ij,jk,ik->i", design, inverse, design)
            press = float(np.mean(((targets - design @ weights) / np.maximum(1 - hat, 1e-9)) ** 2))
            if press < best:
                best, chosen = press, weights
        return cls(network, chosen)

    def predict(self, features: FloatArray) -> FloatArray:
        """Returns logarithms of the cost, shape ``(rows,)``."""
        return np.asarray(_regressors(self.network, features) @ self.weights)


def _regressors(network: ProxyNetwork, features: FloatArray) -> FloatArray:
    logs = network.predict(features)
    mean = logs.mean(axis=1, keepdims=True)
    inputs = (features - network.mean.numpy()) / network.spread.numpy()
    return np.concatenate((np.ones_like(mean), mean, logs - mean, _INPUT_SCALE * inputs), axis=1)


def fine_tune(
    network: ProxyNetwork, features: FloatArray, targets: FloatArray, *, steps: int, learning_rate: float
) -> ProxyNetwork:
    """Returns a network that went on learning from samples, all weights, all samples a step; Adam.

    Args:
        network: Of one output; it stays as it is.
        features: Shape ``(samples, inputs)``.
        targets: Logarithms, shape ``(samples,)``.
        steps: Steps.
        learning_rate: Of Adam.
    """
    if network.outputs != 1:
        raise InputError(f"the network predicts {network.outputs} costs, allowed: 1")
    tuned = deepcopy(network)
    with PrivateStream(0).active():
        _descend(tuned, features, targets, torch.optim.Adam(tuned.parameters(), learning_rate, fused=True), steps)
    return tuned


def meta_train(
    tasks: Sequence[tuple[FloatArray, FloatArray]],
    *,
    width: int,
    samples: int,
    rounds: int,
    steps: int,
    learning_rate: float,
    seed: int,
) -> ProxyNetwork:
    """Learns weights from which a few samples of any task are enough: Reptile (Nichol, Achiam and Schulman, 2018).

    Every round draws a task and some of its rows, takes a few steps of gradient descent on them, and moves the weights
    a part of the way there; the part falls linearly from 1 to 0.

    Args:
        tasks: Features ``(rows, inputs)`` and logarithms of one cost ``(rows,)`` under each known model.
        width: Hidden units.
        samples: Rows of a round.
        rounds: Rounds.
        steps: Steps in a round.
        learning_rate: Of the descent in a round; use the same to adapt.
        seed: Of weights, tasks and rows.
    """
    if not tasks:
        raise InputError("there is no task to learn from")
    rng = np.random.default_rng(seed)
    with PrivateStream(seed).active():
        network = ProxyNetwork(tasks[0][0].shape[1], 1, width)
        network.standardise(
            np.concatenate([features for features, _ in tasks]), np.concatenate([y for _, y in tasks])[:, None]
        )
        for turn in range(rounds):
            features, targets = tasks[int(rng.integers(len(tasks)))]
            rows = rng.choice(len(features), min(samples, len(features)), replace=False)
            inner = deepcopy(network)
            optimiser = torch.optim.Adam(inner.parameters(), learning_rate, betas=(0.0, 0.999), fused=True)
            _descend(inner, features[rows], targets[rows], optimiser, steps)
            with torch.no_grad():
                for weight, found in zip(network.parameters(), inner.parameters(), strict=True):
                    weight.add_(found - weight, alpha=1 - turn / rounds)
    return network


def _descend(
    network: ProxyNetwork, features: FloatArray, targets: FloatArray, optimiser: torch.optim.Optimizer, steps: int
) -> None:
    seen = torch.from_numpy(features.astype(np.float32))
    wanted = torch.from_numpy(targets.astype(np.float32))
    for _ in range(steps):
        loss = (((network(seen)[:, 0] - wanted) / network.scale) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

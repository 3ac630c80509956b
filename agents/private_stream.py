"""Private streams of the global random generators, for libraries that draw from them, on one thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

__all__ = ["PrivateStream"]


class PrivateStream:
    """Lets code that draws from torch's and NumPy's global generators draw from a stream of its own instead.

    Agents that run in turns, or beside a user's code, neither disturb nor depend on each other. Their networks are
    small: threads that share the work wait for each other longer than they work, the more so beside other searches,
    and sums would depend on how many they are. Torch has one thread inside the block.

    Args:
        seed: Seed of the stream.
    """

    def __init__(self, seed: int) -> None:
        self._torch = torch.Generator().manual_seed(seed).get_state()
        self._numpy = np.random.RandomState(np.random.MT19937(seed)).get_state()

    @contextmanager
    def active(self) -> Iterator[None]:
        """Continues the stream inside the block; outside, the global generators are as they were before."""
        # Stable-Baselines3 shuffles its minibatches with NumPy's legacy generator.
        outer = torch.random.get_rng_state(), np.random.get_state()  # noqa: NPY002
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        torch.random.set_rng_state(self._torch)
        np.random.set_state(self._numpy)  # noqa: NPY002
        try:
            yield
        finally:
            self._torch, self._numpy = torch.random.get_rng_state(), np.random.get_state()  # noqa: NPY002
            torch.random.set_rng_state(outer[0])
            np.random.set_state(outer[1])  # noqa: NPY002
            torch.set_num_threads(threads)

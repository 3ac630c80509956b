"""Accuracy oracles: one question, ``accuracy(assignment)``, several ways to answer it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.json_file import write_sealed
from accelgym.costmodels.files.private_folder import read_private
from accelgym.costmodels.quantization import LayerQuantization
from accelgym.costmodels.systolic.config import SystolicConfig
from accelgym.costmodels.workloads.layer import Layer
from accelgym.envs.accuracy.inference import Inference, Session
from accelgym.envs.accuracy.network import TracedNetwork
from accelgym.hwgen.cache import content_key, default_cache_folder

__all__ = ["Accuracy", "AccuracyOracle", "MeasuredOracle"]

_VERSION = "1"
"""Of the arithmetic of inference: raise it when the same assignment may give another number."""
_FEWEST_CLASSES = 2


@dataclass(frozen=True)
class Accuracy:
    """What an assignment of formats is worth."""

    value: float
    """In the unit of ``metric``."""
    metric: str
    """``top1_percent`` (more is better), ``perplexity`` (less is better), or ``proxy_...`` where nothing was run."""
    cross_entropy: float
    """Nats an example or token; ``nan`` for proxies."""
    standard_error: float
    """Of ``value``, as a sample of all data of its kind; 0 for proxies."""
    examples: int
    cpu_seconds: float
    """What the answer cost when it was found."""
    cached: bool = False
    """Whether it was found before."""


class AccuracyOracle(Protocol):
    """Says what the layers of a network may be stored in, and what that costs in accuracy."""

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Layers that formats are assigned to."""
        ...

    def accuracy(self, assignment: Mapping[str, LayerQuantization]) -> Accuracy:
        """Returns the accuracy with these formats; layers that are not mentioned stay in float32."""
        ...


class MeasuredOracle:
    """Runs the network on data.

    Answers are kept by content under ``$ACCELGYM_CACHE`` or ``~/.cache/accelgym``: everything that decides them, the
    weights and the data included, is in the key. Assignments that share the formats of the first layers share their
    evaluation.

    Args:
        network: The network.
        inputs: One array for each input of the network, examples first.
        targets: Classes, shape ``(examples,)``; or tokens, shape ``(examples, length)``, then the metric is perplexity.
        calibration: One array for each input: data for scales, not among the inputs.
        config: The accelerator whose bits are wanted; None for the fast mode.
        reconstruction: As for :class:`Inference`.
        smoothing: As for :class:`Inference`.
        batch: Examples evaluated at a time; all when None. Only one batch shares prefixes.
        keep: Whether answers are kept on disk.

    Raises:
        InputError: Data that does not fit the network, or infinities or NaN in the calibration data.
    """

    def __init__(
        self,
        network: TracedNetwork,
        inputs: Sequence[npt.NDArray[np.generic]],
        targets: npt.NDArray[np.int64],
        calibration: Sequence[npt.NDArray[np.generic]],
        *,
        config: SystolicConfig | None = None,
        reconstruction: bool = False,
        smoothing: float | None = None,
        batch: int | None = None,
        keep: bool = True,
    ) -> None:
        examples = len(targets)
        if not examples or any(len(x) != examples for x in inputs):
            lengths = ", ".join(str(len(x)) for x in inputs)
            raise InputError(f"module {network.name!r}: {lengths} inputs for {examples} targets, allowed: one each")
        self.network, self.targets, self.config = network, np.array(targets, dtype=np.int64), config
        self.inference = Inference(network, _tensors(calibration), reconstruction=reconstruction, smoothing=smoothing)
        self._inputs = _tensors(inputs)
        size = network.batch or batch or examples
        if network.batch is not None:  # What is left over does not count.
            examples -= examples % size
            if not examples:
                raise InputError(f"module {network.name!r}: {len(targets)} examples, allowed: {size} and multiples")
            self.targets = self.targets[:examples]
        self._parts = [slice(start, start + size) for start in range(0, examples, size)]
        self._sessions: dict[int, Session] = {}
        self._keep = keep
        self._calibration = [np.asarray(x) for x in calibration]

    @property
    def layer_names(self) -> tuple[str, ...]:
        return self.network.layer_names

    @property
    def metric(self) -> str:
        """Unit of the answers."""
        return "top1_percent" if self.targets.ndim == 1 else "perplexity"

    def layers(self) -> dict[str, tuple[Layer, ...]]:
        """Returns the loop nests of every layer for one example."""
        return self.inference.layers()

    def accuracy(self, assignment: Mapping[str, LayerQuantization]) -> Accuracy:
        """Measures the accuracy, or takes it from the cache.

        Raises:
            InputError: A layer that does not exist, or formats that it cannot use.
        """
        path = default_cache_folder() / "accuracy" / f"{self._key(assignment)}.json"
        if self._keep:
            try:
                return replace(Accuracy(**read_private(path)["accuracy"]), cached=True)
            except (InputError, KeyError, TypeError):
                pass
        start = time.process_time()
        losses, right = self.examples(assignment)
        found = self._summary(losses, right, time.process_time() - start)
        if self._keep:
            with contextlib.suppress(InputError):  # A folder that cannot be written to is no error.
                write_sealed(path, {"accuracy": asdict(found)})
        return found

    def examples(
        self, assignment: Mapping[str, LayerQuantization]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Returns the cross-entropy of every example and the share that is classified rightly, means over its tokens.

        Raises:
            InputError: Outputs that are no scores of the targets' classes.
        """
        losses, right = [], []
        for index, part in enumerate(self._parts):
            targets = torch.from_numpy(self.targets[part])
            logits = self._session(index, part).outputs(assignment).float()
            self._check(logits, targets)
            loss = torch.nn.functional.cross_entropy(logits.movedim(-1, 1), targets, reduction="none").double()
            hit = (logits.argmax(dim=-1) == targets).double()
            axes = tuple(range(1, loss.ndim))
            losses.append((loss.mean(dim=axes) if axes else loss).numpy())
            right.append((hit.mean(dim=axes) if axes else hit).numpy())
        return np.concatenate(losses), np.concatenate(right)

    @property
    def layers_run(self) -> int:
        """Layers evaluated so far, over all batches."""
        return sum(session.layers_run for session in self._sessions.values())

    def _session(self, index: int, part: slice) -> Session:
        if len(self._parts) > 1:
            return self.inference.session([x[part] for x in self._inputs], self.config)
        if index not in self._sessions:
            self._sessions[index] = self.inference.session([x[part] for x in self._inputs], self.config)
        return self._sessions[index]

    def _check(self, logits: Tensor, targets: Tensor) -> None:
        name, shape = self.network.name, tuple(logits.shape)
        if shape[:-1] != tuple(targets.shape) or shape[-1] < _FEWEST_CLASSES:
            raise InputError(
                f"module {name!r}: outputs of shape {shape} for targets of shape {tuple(targets.shape)}, allowed: one "
                "score a class for each target"
            )
        if int(targets.min()) < 0 or int(targets.max()) >= shape[-1]:
            raise InputError(
                f"module {name!r}: targets {int(targets.min())}..{int(targets.max())}, allowed 0..{shape[-1] - 1}"
            )

    def _summary(self, losses: npt.NDArray[np.float64], right: npt.NDArray[np.float64], seconds: float) -> Accuracy:
        n = len(losses)
        entropy = float(losses.mean())
        if self.metric == "top1_percent":
            share = float(right.mean())
            value, error = 100 * share, 100 * math.sqrt(share * (1 - share) / n)
        else:
            value = math.exp(min(entropy, 700.0))
            error = value * float(losses.std()) / math.sqrt(n)
        return Accuracy(value, self.metric, entropy, error, n, seconds)

    def _key(self, assignment: Mapping[str, LayerQuantization]) -> str:
        formats = self.inference.check(assignment)
        options = [self.inference.reconstruction, self.inference.smoothing, [(p.start, p.stop) for p in self._parts]]
        config = None if self.config is None else self.config.model_dump(mode="json")
        text = json.dumps([[f.model_dump(mode="json") for f in formats], options, config], sort_keys=True)
        return content_key("accuracy", _VERSION, self._digest, text)

    @cached_property
    def _digest(self) -> str:
        """Hash of the network and of all data."""
        found = hashlib.sha256(self.network.digest().encode())
        for array in (*(x.numpy() for x in self._inputs), self.targets, *self._calibration):
            found.update(f"{array.shape} {array.dtype}".encode() + np.ascontiguousarray(array).tobytes())
        return found.hexdigest()


def _tensors(arrays: Sequence[npt.NDArray[np.generic]]) -> list[Tensor]:
    """Returns arrays as tensors: float32 for floats, int64 for integers."""
    return [
        torch.from_numpy(np.array(x, dtype=np.float32 if np.issubdtype(x.dtype, np.floating) else np.int64))
        for x in arrays
    ]

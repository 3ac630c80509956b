"""Stand-ins for accuracy that need no evaluation: errors of single layers on the calibration data, added up."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from accelgym.costmodels.errors import InputError, unknown_name
from accelgym.costmodels.quantization import LayerQuantization
from accelgym.envs.accuracy.inference import Inference
from accelgym.envs.accuracy.network import NetworkLayer
from accelgym.envs.accuracy.oracle import Accuracy

__all__ = ["PROXIES", "ProxyOracle"]

_SEED = 40_000


@dataclass(frozen=True)
class _Watched:
    """One layer of the float network on the calibration data."""

    layer: NetworkLayer
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    output: Tensor
    gradient: Tensor
    """Of each example's loss, at the output."""


def _noise(watched: _Watched, error: Tensor) -> float:
    """Noise over signal of a layer's output."""
    signal = float((watched.output.double() ** 2).sum())
    return float((error.double() ** 2).sum()) / signal if signal else 0.0


def _fisher(watched: _Watched, error: Tensor) -> float:
    """Half the mean square of each example's gradient times error.

    The second-order change of the cross-entropy, with the Fisher matrix for its Hessian.
    """
    change = (watched.gradient * error).double().flatten(1).sum(dim=1)
    return 0.5 * float((change**2).mean())


PROXIES: dict[str, Callable[[_Watched, Tensor], float]] = {"sqnr": _noise, "fisher": _fisher}
"""What an assignment's layers add up: ``sqnr`` (stated in dB, more is better), ``fisher`` (nats, less is better)."""


class ProxyOracle:
    """Adds up the errors that each layer makes alone, all others in float32. Nothing of it is an accuracy.

    Args:
        inference: The network and its calibration data.
        calibration: The same data again.
        proxy: A key of :data:`PROXIES`.

    Raises:
        InputError: No such proxy.
    """

    def __init__(self, inference: Inference, calibration: list[Tensor], proxy: str = "fisher") -> None:
        if proxy not in PROXIES:
            raise unknown_name("proxy", proxy, PROXIES)
        self.inference, self.proxy = inference, proxy
        self._examples = len(calibration[0])
        self._watched = _watch(inference, calibration)
        self._errors: dict[tuple[str, str], float] = {}

    @property
    def layer_names(self) -> tuple[str, ...]:
        return self.inference.network.layer_names

    def accuracy(self, assignment: Mapping[str, LayerQuantization]) -> Accuracy:
        """Returns the proxy, named as such.

        Raises:
            InputError: A layer that does not exist, or formats that it cannot use.
        """
        start = time.process_time()
        formats = self.inference.check(assignment)
        total = sum(self.layer_error(name, form) for name, form in zip(self.layer_names, formats, strict=True))
        value = total if self.proxy == "fisher" else float(-10 * np.log10(max(total, 1e-30)))
        unit = "nats" if self.proxy == "fisher" else "db"
        seconds = time.process_time() - start
        return Accuracy(value, f"proxy_{self.proxy}_{unit}", float("nan"), 0.0, self._examples, seconds)

    def layer_error(self, name: str, formats: LayerQuantization) -> float:
        """Returns what one layer adds."""
        key = (name, formats.model_dump_json())
        if key not in self._errors:
            watched = self._watched[name]
            with torch.no_grad():
                prepared = self.inference.prepared(watched.layer, formats)
                target: Any = watched.layer.node.target
                output = prepared.run(
                    lambda: target(*watched.args, **watched.kwargs), watched.args, watched.kwargs, None
                )
                is_float = formats == LayerQuantization()
                self._errors[key] = 0.0 if is_float else PROXIES[self.proxy](watched, output - watched.output)
        return self._errors[key]


def _watch(inference: Inference, inputs: list[Tensor]) -> dict[str, _Watched]:
    """Runs the float network forwards and backwards.

    Labels are drawn from its own predictions, as the Fisher matrix has it.
    """
    network = inference.network
    layers = {layer.node.name: layer for layer in network.layers}
    values: dict[str, Any] = dict(zip(network.inputs, inputs, strict=True))
    found = {}
    with torch.enable_grad():
        for node in network.nodes:
            layer = layers.get(node.name)
            if layer is None:
                values[node.name] = network.call(node, values)
                continue
            args, kwargs = network.arguments(node, values)
            target: Any = node.target
            prepared = inference.prepared(layer, LayerQuantization())
            output = prepared.run(partial(target, *args, **kwargs), args, kwargs, None)
            if not output.requires_grad:
                output = output.detach().requires_grad_()
            output.retain_grad()
            values[node.name] = output
            found[layer.name] = layer, _detached(args), _detached(kwargs), output
        logits = values[network.output]
        if not isinstance(logits, Tensor) or not logits.is_floating_point():
            raise InputError(f"module {network.name!r}: the first output is no array of scores")
        chances = torch.softmax(logits.detach(), dim=-1).reshape(-1, logits.shape[-1])
        labels = torch.multinomial(chances, 1, generator=torch.Generator().manual_seed(_SEED))[:, 0]
        loss = torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels, reduction="sum")
        torch.autograd.backward(loss)
    return {
        name: _Watched(layer, args, kwargs, output.detach(), _gradient(output))
        for name, (layer, args, kwargs, output) in found.items()
    }


def _gradient(output: Tensor) -> Tensor:
    return torch.zeros_like(output) if output.grad is None else output.grad.detach()


def _detached(arguments: Any) -> Any:
    return tree_map(lambda x: x.detach() if isinstance(x, Tensor) else x, arguments)

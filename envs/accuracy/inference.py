"""Runs a network with any assignment of formats, re-using what the last assignment had in common with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from accelgym.costmodels.errors import InputError, unknown_name
from accelgym.costmodels.quantization import LayerQuantization, ScaleSharing, TensorFormat, calibrate, quantise
from accelgym.costmodels.systolic.config import SystolicConfig
from accelgym.costmodels.workloads.layer import Layer
from accelgym.envs.accuracy.network import CONVOLUTIONS, NetworkLayer, TracedNetwork
from accelgym.envs.accuracy.operators import PreparedLayer, attention_products, compute_layers
from accelgym.envs.accuracy.weights import reconstruct, smoothing_divisors

__all__ = ["Inference"]

_SAMPLES = 1 << 15
"""Values of an activation that its calibration sees, evenly spread; the largest magnitude is always among them."""


class Inference:
    """Quantised inference on one traced network.

    Scales of activations are found on the float network. Vector operations (norms, softmax, activations, residuals)
    stay in float32.

    Args:
        network: The network.
        calibration: One tensor for each input of the network: data that the scales are found on.
        reconstruction: Choose the rounding of weights that changes the outputs of the layer least, column after column
            (Frantar et al., "GPTQ", ICLR 2023), instead of to nearest.
        smoothing: Exponent with which outliers of the activations move into the weights (Xiao et al., "SmoothQuant",
            ICML 2023): each input channel is divided by ``max|x|**s / max|w|**(1 - s)``; None leaves them.

    Raises:
        InputError: Calibration data with infinities or NaN, at whichever layer they appear.
    """

    def __init__(
        self,
        network: TracedNetwork,
        calibration: Sequence[Tensor],
        *,
        reconstruction: bool = False,
        smoothing: float | None = None,
    ) -> None:
        if smoothing is not None and not 0 <= smoothing <= 1:
            raise InputError(f"smoothing is {smoothing}, allowed 0..1")
        self.network, self.reconstruction, self.smoothing = network, reconstruction, smoothing
        self._keeps_inputs = reconstruction or smoothing is not None
        self._samples: dict[tuple[str, str], npt.NDArray[np.float64]] = {}  # By layer and operand.
        self._inputs: dict[str, Tensor] = {}
        self._shapes: dict[str, tuple[Layer, ...]] = {}
        self._prepared: dict[tuple[str, str], PreparedLayer] = {}
        self._magnitudes: dict[tuple[str, str, str], float] = {}
        size = network.batch or max(1, len(calibration[0]))
        if len(calibration[0]) < size:
            raise InputError(
                f"module {network.name!r}: {len(calibration[0])} examples to calibrate on, allowed: at least {size}, "
                "which it takes at a time"
            )
        with torch.no_grad():
            for start in range(0, len(calibration[0]) - size + 1, size):
                self._calibrate([x[start : start + size] for x in calibration])

    # -- evaluation ------------------------------------------------------------------------------------------

    def session(self, inputs: Sequence[Tensor], config: SystolicConfig | None = None) -> Session:
        """Returns evaluations of one batch.

        Args:
            inputs: One tensor for each input of the network.
            config: The accelerator whose bits are wanted; None for the fast mode.
        """
        return Session(self, inputs, config)

    def layers(self) -> dict[str, tuple[Layer, ...]]:
        """Returns the loop nests of every layer for one example: two of an attention."""
        return self._shapes

    def check(self, assignment: Mapping[str, LayerQuantization]) -> list[LayerQuantization]:
        """Returns the formats in the order of the layers; layers that are not mentioned stay in float32.

        Raises:
            InputError: A layer that does not exist.
        """
        names = self.network.layer_names
        for name in assignment:
            if name not in names:
                raise unknown_name("layer", name, names)
        return [assignment.get(name, LayerQuantization()) for name in names]

    # -- preparation -----------------------------------------------------------------------------------------

    def prepared(self, layer: NetworkLayer, formats: LayerQuantization) -> PreparedLayer:
        """Rounds the weights of a layer, once for each set of formats."""
        key = (layer.name, formats.model_dump_json())
        if key not in self._prepared:
            self._prepared[key] = self._prepare(layer, formats)
        return self._prepared[key]

    def _prepare(self, layer: NetworkLayer, formats: LayerQuantization) -> PreparedLayer:
        divisors = None
        if layer.weight is not None and self.smoothing is not None and formats.input and formats.weight:
            divisors = self._divisors(layer)
        magnitudes = {
            operand: self._magnitude(layer, operand, form, divisors)
            for operand in layer.operands
            if (form := formats.kv_cache if operand in ("key", "value", "second") else formats.input) is not None
        }
        if layer.weight is None:
            return PreparedLayer(layer, formats, magnitudes)
        weight, bias = self.network.weight_and_bias(layer)
        fixed = None
        if divisors is not None:
            weight = weight * _along(divisors, weight.ndim, self._axes(layer)[1])
        if formats.weight is not None:
            weight, fixed = self._rounded_weight(layer, weight, formats.weight, divisors)
        if bias is not None and formats.bias is not None:
            found = quantise(bias.numpy(), formats.bias, reduction_axis=0, name=f"bias of {layer.name!r}")
            bias = torch.from_numpy(found.values()).float()
        return PreparedLayer(layer, formats, magnitudes, weight, fixed, bias, divisors)

    def _axes(self, layer: NetworkLayer) -> tuple[int, int]:
        """Axes of the output channels and of the reduction in a weight."""
        return (0, 1) if layer.op in ("linear", *CONVOLUTIONS) else (-1, -2)

    def _rounded_weight(
        self, layer: NetworkLayer, weight: Tensor, form: TensorFormat, divisors: Tensor | None
    ) -> tuple[Tensor, npt.NDArray[np.float64] | None]:
        channel, reduction = self._axes(layer)
        rows = np.moveaxis(weight.numpy().astype(np.float64), (channel, reduction), (0, 1))
        name = f"weight of {layer.name!r}"
        fixed = calibrate(form, rows, name=name)
        if self.reconstruction:
            inputs = self._inputs[layer.name]
            if divisors is not None:
                inputs = inputs / _along(divisors, inputs.ndim, 1 if layer.op in CONVOLUTIONS else -1)
            rows = reconstruct(layer, rows, form, fixed, inputs)
        stored = quantise(rows, form, magnitudes=fixed, name=name)
        values = np.moveaxis(stored.values(), (0, 1), (channel, reduction))
        return torch.from_numpy(np.ascontiguousarray(values)).float(), fixed

    def _divisors(self, layer: NetworkLayer) -> Tensor | None:
        if layer.groups > 1:
            return None
        weight, _ = self.network.weight_and_bias(layer)
        axis = 1 if layer.op in CONVOLUTIONS else -1
        assert self.smoothing is not None
        return smoothing_divisors(self._inputs[layer.name], axis, weight, self._axes(layer)[1], self.smoothing)

    def _magnitude(
        self, layer: NetworkLayer, operand: str, form: TensorFormat, divisors: Tensor | None
    ) -> float | None:
        if form.scales is not ScaleSharing.TENSOR:
            calibrate(form, self._samples[layer.name, operand], reduction_axis=0, name=f"{operand} of {layer.name!r}")
            return None
        key = (layer.name, operand, form.model_dump_json())
        if key not in self._magnitudes:
            sample = self._samples[layer.name, operand]
            if divisors is not None:
                x = self._inputs[layer.name]
                sample = _sample(x / _along(divisors, x.ndim, 1 if layer.op in CONVOLUTIONS else -1))
            found = calibrate(form, sample, name=f"{operand} of {layer.name!r}")
            assert found is not None
            self._magnitudes[key] = float(found.reshape(-1)[0])
        return self._magnitudes[key]

    # -- calibration -----------------------------------------------------------------------------------------

    def _calibrate(self, inputs: Sequence[Tensor]) -> None:
        network = self.network
        layers = {layer.node.name: layer for layer in network.layers}
        values: dict[str, Any] = dict(zip(network.inputs, inputs, strict=True))
        for index, node in enumerate(network.nodes):
            layer = layers.get(node.name)
            if layer is None:
                values[node.name] = network.call(node, values)
            else:
                values[node.name] = self._watch(layer, *network.arguments(node, values))
            for source in network.sources(node):
                if network.last_use.get(source) == index:
                    values.pop(source, None)

    def _watch(self, layer: NetworkLayer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Evaluates a layer in float32 and keeps what its operands are like."""
        network = self.network
        batch = len(args[1] if layer.op == "addmm" else args[0])
        if layer.is_attention:

            def product(left: Tensor, right: Tensor, first: str, second: str) -> Tensor:
                self._keep(layer, first, left)
                self._keep(layer, second, right)
                return left @ right

            self._shapes[layer.name] = compute_layers(layer, tuple(_first(a, batch) for a in args), kwargs, ())
            return attention_products(args, kwargs, product)
        x = args[1] if layer.op == "addmm" else args[0]
        self._keep(layer, "input", x)
        if layer.weight is None:
            self._keep(layer, "second", args[2 if layer.op == "addmm" else 1])
        elif self._keeps_inputs:
            known = self._inputs.get(layer.name)
            self._inputs[layer.name] = x if known is None else torch.cat((known, x))
        shape = tuple(args[2 if layer.op == "addmm" else 1].shape)
        if layer.op not in CONVOLUTIONS or layer.op == "conv2d":
            self._shapes[layer.name] = compute_layers(layer, tuple(_first(a, batch) for a in args), kwargs, shape)
        if layer.weight is None:
            target: Any = layer.node.target
            return target(*args, **kwargs)
        weight, bias = network.weight_and_bias(layer)
        plain = PreparedLayer(layer, LayerQuantization(), {}, weight, None, bias)
        return plain.run(lambda: None, args, kwargs, None)

    def _keep(self, layer: NetworkLayer, operand: str, x: Tensor) -> None:
        if not bool(torch.isfinite(x).all()):
            place = [int(i) for i in torch.nonzero(~torch.isfinite(x))[0]]
            raise InputError(
                f"module {self.network.name!r}: {operand} of layer {layer.name!r} is {float(x[tuple(place)])} at "
                f"{place} on the calibration data, allowed: finite values"
            )
        known = self._samples.get((layer.name, operand))
        self._samples[layer.name, operand] = _sample(x) if known is None else np.concatenate((known, _sample(x)))


class Session:
    """Evaluations of one batch with one assignment after the other.

    Args:
        inference: The network.
        inputs: One tensor for each input of the network.
        config: The accelerator whose bits are wanted; None for the fast mode.
    """

    def __init__(self, inference: Inference, inputs: Sequence[Tensor], config: SystolicConfig | None = None) -> None:
        self.inference, self.inputs, self.config = inference, tuple(inputs), config
        self._stack: list[tuple[LayerQuantization, int, dict[str, Any]]] = []
        self.layers_run = 0
        """Layers evaluated so far: what sharing prefixes saves shows here."""

    def outputs(self, assignment: Mapping[str, LayerQuantization]) -> Tensor:
        """Returns the first output of the network.

        Raises:
            InputError: A layer that does not exist, or formats that a layer or the accelerator cannot use.
        """
        formats = self.inference.check(assignment)
        shared = 0
        while shared < len(self._stack) and self._stack[shared][0] == formats[shared]:
            shared += 1
        del self._stack[shared:]
        with torch.no_grad():
            return self._run(formats)

    def _run(self, formats: list[LayerQuantization]) -> Tensor:
        network = self.inference.network
        start, values = 0, dict(zip(network.inputs, self.inputs, strict=True))
        if self._stack:
            _, start, kept = self._stack[-1]
            values = dict(kept)
        layers = {layer.node.name: layer for layer in network.layers}
        for index in range(start, len(network.nodes)):
            node = network.nodes[index]
            layer = layers.get(node.name)
            if layer is None:
                values[node.name] = network.call(node, values)
            else:
                chosen = formats[len(self._stack)]
                args, kwargs = network.arguments(node, values)
                prepared = self.inference.prepared(layer, chosen)
                is_exact = self.config if chosen != LayerQuantization() else None
                target: Any = node.target
                values[node.name] = prepared.run(partial(target, *args, **kwargs), args, kwargs, is_exact)
                self.layers_run += 1
            for source in network.sources(node):
                if network.last_use.get(source) == index and source != network.output:
                    values.pop(source, None)
            if layer is not None:
                self._stack.append((formats[len(self._stack)], index + 1, dict(values)))
        result: Tensor = values[network.output]
        return result


def _sample(x: Tensor) -> npt.NDArray[np.float64]:
    flat = x.detach().reshape(-1).numpy().astype(np.float64)
    chosen = flat[:: max(1, -(-flat.size // _SAMPLES))]
    return np.concatenate((chosen, flat[[flat.argmin(), flat.argmax()]])) if flat.size else chosen


def _along(vector: Tensor, ndim: int, axis: int) -> Tensor:
    return vector.reshape([-1 if i == axis % ndim else 1 for i in range(ndim)])


def _first(value: Any, batch: int) -> Any:
    """Returns the first example of a batched argument."""
    batched = isinstance(value, Tensor) and value.ndim > 1 and len(value) == batch
    return value[:1] if batched else value

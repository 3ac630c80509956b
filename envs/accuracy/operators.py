"""Evaluates the layers of a network with quantised operands: fast in PyTorch, or bit for bit as the array does."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.quantization import LayerQuantization, TensorFormat
from accelgym.costmodels.systolic.config import SystolicConfig
from accelgym.costmodels.workloads.layer import Layer
from accelgym.envs.accuracy.network import CONVOLUTION_ARGUMENTS, CONVOLUTIONS, NetworkLayer, named_arguments
from accelgym.envs.accuracy.rounding import fake_quantise
from accelgym.hwgen.quantized_layer import quantise_layer

__all__ = ["PreparedLayer", "attention_products", "compute_layers"]

Magnitudes = Mapping[str, float | None]


@dataclass(frozen=True)
class PreparedLayer:
    """A layer with its weights rounded and the scales of its activations fixed."""

    layer: NetworkLayer
    formats: LayerQuantization
    magnitudes: Magnitudes
    """Of every operand that is quantised at run time, where its scale is fixed beforehand."""
    weight: Tensor | None = None
    """As stored."""
    weight_magnitudes: Any = None
    bias: Tensor | None = None
    divisors: Tensor | None = None
    """What smoothing divides the input channels by."""

    def run(
        self, call: Callable[[], Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], config: SystolicConfig | None
    ) -> Tensor:
        """Evaluates the layer.

        Args:
            call: The operator as it stands, for layers without quantised tensors.
            args: Its arguments.
            kwargs: Its keyword arguments.
            config: The accelerator whose bits are wanted; None for the fast mode.
        """
        if self.formats == LayerQuantization() and self.weight is None and config is None:
            result: Tensor = call()
            return result
        if self.layer.is_attention:
            return self._attention(args, kwargs, config)
        if self.layer.weight is None and self.layer.op == "addmm":
            total: Tensor = args[0] + self._product(args[1], args[2], "input", "second", config)
            return total
        if self.layer.weight is None:
            return self._product(args[0], args[1], "input", "second", config)
        return self._weighted(args, kwargs, config)

    def _form(self, operand: str) -> TensorFormat | None:
        return self.formats.kv_cache if operand in ("key", "value", "second") else self.formats.input

    def _rounded(self, operand: str, x: Tensor, axis: int, groups: int = 1) -> Tensor:
        form = self._form(operand)
        return x if form is None else fake_quantise(x, form, self.magnitudes.get(operand), axis, groups)

    def _weighted(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], config: SystolicConfig | None) -> Tensor:
        op, weight = self.layer.op, self.weight
        assert weight is not None
        x = args[1] if op == "addmm" else args[0]
        axis = 1 if op in CONVOLUTIONS else -1
        if self.divisors is not None:
            x = x / self.divisors.reshape([-1 if i == axis % x.ndim else 1 for i in range(x.ndim)])
        if op in ("linear", *CONVOLUTIONS):
            rows, bias = weight, self.bias
        else:  # The second operand stands as (reduction, channels).
            rows, bias = weight.movedim(-1, -2), self.bias
        if config is not None:
            return self._exact_weighted(x, rows, bias, args, kwargs, config)
        x = self._rounded("input", x, axis, self.layer.groups)
        if op in CONVOLUTIONS:
            target: Any = self.layer.node.target
            others = {k: v for k, v in kwargs.items() if k != "bias"}
            done: Tensor = target(x, weight, bias, *args[3:], **others)
            return done
        out = x @ rows.movedim(-1, -2)
        return out if bias is None else out + bias

    def _attention(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], config: SystolicConfig | None) -> Tensor:
        def product(left: Tensor, right: Tensor, first: str, second: str) -> Tensor:
            return self._product(left, right, first, second, config)

        return attention_products(args, kwargs, product)

    def _product(self, left: Tensor, right: Tensor, first: str, second: str, config: SystolicConfig | None) -> Tensor:
        """``left @ right`` with both operands quantised."""
        if left.ndim == 1:
            return self._product(left[None], right, first, second, config).squeeze(-1 if right.ndim == 1 else -2)
        if right.ndim == 1:
            return self._product(left, right[:, None], first, second, config).squeeze(-1)
        if config is None:
            return self._rounded(first, left, -1) @ self._rounded(second, right, -2)
        batch = np.broadcast_shapes(tuple(left.shape[:-2]), tuple(right.shape[:-2]))
        x = left.expand(*batch, *left.shape[-2:]).reshape(-1, *left.shape[-2:])
        w = right.expand(*batch, *right.shape[-2:]).reshape(-1, *right.shape[-2:])
        groups, rows, terms = x.shape
        layer = Layer.gemm(self.layer.name, M=rows, K=w.shape[-1], C=terms, batch=groups)
        image = x.movedim(-1, -2).reshape(1, groups * terms, rows, 1)
        filters = w.movedim(-1, -2).reshape(groups * w.shape[-1], terms, 1, 1)
        out = self._exact(layer, image, filters, first, second, config)
        return out.reshape(groups, -1, rows).movedim(-1, -2).reshape(*batch, rows, -1)

    def _exact_weighted(
        self,
        x: Tensor,
        rows: Tensor,
        bias: Tensor | None,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        config: SystolicConfig,
    ) -> Tensor:
        if self.layer.op in CONVOLUTIONS:
            (layer,) = compute_layers(self.layer, args, kwargs, tuple(rows.shape))
            layer, image, filters = *_padded(layer, x), rows
        else:
            flat = x.reshape(-1, x.shape[-1])
            layer = Layer.gemm(self.layer.name, M=len(flat), K=len(rows), C=flat.shape[1])
            image, filters = flat.T.reshape(1, flat.shape[1], -1, 1), rows[:, :, None, None]
        out = self._exact(layer, image, filters, "input", "weight", config)
        if self.layer.op not in CONVOLUTIONS:
            out = out[0, :, :, 0].T.reshape(*x.shape[:-1], -1)
            return out if bias is None else out + bias
        return out if bias is None else out + bias[:, None, None]

    def _exact(
        self, layer: Layer, image: Tensor, filters: Tensor, first: str, second: str, config: SystolicConfig
    ) -> Tensor:
        forms = self._form(first), self.formats.weight if second == "weight" else self._form(second)
        if forms[0] is None or forms[1] is None:
            raise InputError(
                f"layer {layer.name!r}: the bit-exact mode needs formats of both operands, has {self.formats.name}"
            )
        for field in ("psum_type", "accumulation_type"):
            wanted = getattr(self.formats, field)
            if wanted not in (None, getattr(config, field)):
                raise InputError(
                    f"layer {layer.name!r}: {field} {wanted}, allowed: the accelerator's {getattr(config, field)}"
                )
        fixed = self.weight_magnitudes if second == "weight" else _column(self.magnitudes.get(second), 4)
        if second == "weight" and fixed is not None and np.ndim(fixed) == 2:
            fixed = np.asarray(fixed)[:, :, None, None]
        lowered = quantise_layer(
            config,
            layer,
            image.numpy(),
            filters.numpy(),
            forms[0],
            forms[1],
            input_magnitudes=_column(self.magnitudes.get(first), 5),
            weight_magnitudes=fixed,
        )
        return torch.from_numpy(lowered.outputs()).float()


def _padded(layer: Layer, x: Tensor) -> tuple[Layer, Tensor]:
    """Returns a convolution and its image, padded beforehand where the windows do not reach both edges alike."""
    if (layer.input_height, layer.input_width) == tuple(x.shape[2:]):
        return layer, x
    (py, px), padded = layer.padding, replace(layer, padding=(0, 0))
    image = torch.nn.functional.pad(x, (px, px, py, py))
    return padded, image[:, :, : padded.input_height, : padded.input_width]


def _column(magnitude: float | None, axes: int) -> Any:
    return None if magnitude is None else np.full((1,) * axes, magnitude)


def attention_products(
    args: tuple[Any, ...], kwargs: Mapping[str, Any], product: Callable[[Tensor, Tensor, str, str], Tensor]
) -> Tensor:
    """Evaluates a scaled dot-product attention through two products, as PyTorch defines it.

    Args:
        args: Arguments of the operator.
        kwargs: Its keyword arguments.
        product: Evaluates ``left @ right``, given also the names of the operands.
    """
    names = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")
    given = named_arguments(names, args, kwargs)
    query, key, value = given["query"], given["key"], given["value"]
    if given.get("enable_gqa"):
        repeats = query.shape[-3] // key.shape[-3]
        key, value = key.repeat_interleave(repeats, dim=-3), value.repeat_interleave(repeats, dim=-3)
    scale = given.get("scale") or 1 / math.sqrt(query.shape[-1])
    scores = product(query, key.transpose(-1, -2), "query", "key") * scale
    mask = given.get("attn_mask")
    if given.get("is_causal"):
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else scores + mask
    return product(torch.softmax(scores, dim=-1), value, "mixture", "value")


def compute_layers(
    layer: NetworkLayer, args: tuple[Any, ...], kwargs: Mapping[str, Any], weight: tuple[int, ...]
) -> tuple[Layer, ...]:
    """Returns the loop nests of a layer for the operands at hand.

    Args:
        layer: The layer.
        args: Arguments of its operator.
        kwargs: Keyword arguments.
        weight: Shape of the second operand.

    Raises:
        InputError: A convolution of another dimension than two, or padded unevenly.
    """
    x = args[1] if layer.op == "addmm" else args[0]
    if layer.is_attention:
        batch, (rows, width), length = math.prod(x.shape[:-2]), x.shape[-2:], args[1].shape[-2]
        return (
            Layer.gemm(f"{layer.name}.scores", M=rows, K=length, C=width, batch=batch, weights_are_parameters=False),
            Layer.gemm(
                f"{layer.name}.mixture",
                M=rows,
                K=args[2].shape[-1],
                C=length,
                batch=batch,
                weights_are_parameters=False,
            ),
        )
    if layer.op not in CONVOLUTIONS:
        if layer.weight is None:
            rows, columns = (1 if x.ndim == 1 else x.shape[-2]), (1 if len(weight) == 1 else weight[-1])
            sizes: dict[str, Any] = {"M": rows, "batch": math.prod(x.shape[:-2]), "weights_are_parameters": False}
            return (Layer.gemm(layer.name, K=columns, C=x.shape[-1], **sizes),)
        columns = weight[0] if layer.op == "linear" else weight[-1]
        return (Layer.gemm(layer.name, M=math.prod(x.shape[:-1]), K=columns, C=x.shape[-1]),)
    if layer.op != "conv2d":
        raise InputError(f"layer {layer.name!r}: the array runs conv2d, not {layer.op}")
    given = named_arguments(CONVOLUTION_ARGUMENTS, args, kwargs)

    def pair(value: Any) -> tuple[int, int]:
        both = list(value) if isinstance(value, list | tuple) else [value]
        return int(both[0]), int(both[-1])

    padding, dilation = given.get("padding", 0), pair(given.get("dilation", 1))
    if padding == "same":
        reach = [d * (size - 1) for d, size in zip(dilation, weight[2:], strict=True)]
        if any(r % 2 for r in reach):
            raise InputError(f"layer {layer.name!r}: padding 'same' of a kernel {weight[2:]}, allowed: odd sizes")
        padding = [r // 2 for r in reach]
    conv = Layer.conv(
        layer.name,
        K=weight[0],
        C=x.shape[1],
        H=x.shape[2],
        W=x.shape[3],
        R=weight[2],
        S=weight[3],
        N=x.shape[0],
        stride=pair(given.get("stride", 1)),
        padding=pair(0 if padding == "valid" else padding),
        dilation=dilation,
        groups=int(given.get("groups", 1)),
    )
    return (conv,)

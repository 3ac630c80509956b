"""Common part of the importers of traced graphs: layers from tensor shapes and the edges between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.workloads.graph import GraphBuilder
from accelgym.costmodels.workloads.layer import Layer, LayerKind

__all__ = ["TracedGraph", "Value", "merge", "words"]


@dataclass(frozen=True)
class Value:
    """A tensor of a traced graph."""

    shape: tuple[int, ...]
    producers: tuple[int, ...] = ()
    """Layers it comes from; several after operations that add no layer, none for inputs and constants."""
    constant: bool = False
    """Known before the network runs: parameters, buffers and what is computed from them alone."""

    @property
    def words(self) -> int:
        """Elements."""
        return prod(self.shape)


class TracedGraph(GraphBuilder):
    """Builder whose layers come from the shapes of traced tensors.

    Views and transposes add no layer: they are a matter of address generation. Feature maps are channels
    first (rank 4 is ``N, C, H, W``); anything else is a matrix whose columns are the last axis.
    """

    def __init__(self, name: str, source: str = "") -> None:
        super().__init__(name, source)
        self._linear: set[int] = set()

    def conv(
        self,
        name: str,
        x: Value,
        weight: Value,
        out: tuple[int, ...],
        *,
        stride: Sequence[int],
        padding: Sequence[int],
        dilation: Sequence[int],
        groups: int,
    ) -> Value:
        """Adds a convolution over one to three axes; ``padding`` is the total of both sides of an axis.

        An odd total (asymmetric padding) is rounded down to an even one; the output size stays the true one.

        A three-dimensional convolution stands as the two-dimensional one that computes the same: every output frame is
        an entry of the batch (``N * frames``), and the frames under the filter are stacked as channels
        (``C * depth``). Products and filters are exact; a frame that several output frames read is read for each, and
        frames of padding are read as zeros.
        """
        axes = len(out) - 2
        if axes not in (1, 2, 3):
            raise InputError(f"layer {name!r}: {axes}-dimensional convolution, allowed: 1, 2 or 3")
        taps = weight.shape[2:]
        batch, channels = out[0], x.shape[1]
        sizes = list(zip(out[2:], taps, stride, (total // 2 for total in padding), dilation, strict=True))
        if axes == 3:
            batch, channels = batch * out[2], channels * taps[0]
            del sizes[0]
        elif axes == 1:
            sizes.append((1, 1, 1, 0, 1))
        height, width = sizes
        layer = Layer(
            name,
            LayerKind.CONV,
            N=batch,
            K=out[1],
            C=channels,
            P=height[0],
            Q=width[0],
            R=height[1],
            S=width[1],
            stride=(height[2], width[2]),
            padding=(height[3], width[3]),
            dilation=(height[4], width[4]),
            groups=groups,
            weights_are_parameters=weight.constant,
        )
        return self._result(layer, out, x, weight)

    def transposed_conv(
        self,
        name: str,
        x: Value,
        weight: Value,
        out: tuple[int, ...],
        *,
        stride: Sequence[int],
        dilation: Sequence[int],
        groups: int,
    ) -> Value:
        """Adds a transposed convolution over one to three axes; ``weight`` is ``(C, K / groups, taps ...)``.

        It is a product of every input position with all filters, a 1x1 convolution with ``K * taps`` outputs, and an
        addition of the results where they overlap (where they do not, data movement). The multiplications are those of
        the input positions with the filters, as PyTorch counts them; what a cropped border throws away is included.
        """
        axes, taps = len(out) - 2, weight.shape[2:]
        if axes not in (1, 2, 3):
            raise InputError(f"layer {name!r}: {axes}-dimensional transposed convolution, allowed: 1, 2 or 3")
        spatial = x.shape[2:]
        columns = weight.shape[1] * groups * prod(taps)
        layer = Layer(
            name,
            LayerKind.CONV,
            N=x.shape[0] * (spatial[0] if axes == 3 else 1),
            K=columns,
            C=x.shape[1],
            P=spatial[-2] if axes > 1 else spatial[0],
            Q=spatial[-1] if axes > 1 else 1,
            groups=groups,
            weights_are_parameters=weight.constant,
        )
        result = self._result(layer, (x.shape[0], columns, *spatial), x, weight)
        if prod(taps) == prod(stride) == 1:
            return Value(out, result.producers)
        apart = all(d * (tap - 1) < s for tap, s, d in zip(taps, stride, dilation, strict=True))
        kind, op = (LayerKind.PERMUTE, "depth_to_space") if apart else (LayerKind.ELEMENTWISE, "overlap_add")
        result = self.vector(f"{name}.{op}", kind, op, out, result)
        # The sum of the products: a scale and a bias for each channel move into the filters.
        self._linear.update(result.producers)
        return result

    def recurrent(
        self,
        name: str,
        op: str,
        x: Value,
        state: Sequence[Value],
        *,
        steps: int,
        batch: int,
        hidden: int,
        gates: int,
        projection: int = 0,
        constant: bool = True,
    ) -> Value:
        """Adds one direction of a recurrent layer: products with the input and with the state, and the cell.

        Rows of all steps stand in one layer, so filters count once. The products with the input are free of order; row
        ``t`` of the products with the state needs the cell's result of step ``t - 1``, which the edges, leading forward
        only, do not say: the cell is a layer of kind ``SCAN`` along P, and the workload carries a note.

        Args:
            name: Prefix of the layer names.
            op: ``lstm``, ``gru`` or ``rnn``.
            x: Input whose last axis is the features.
            state: Initial states.
            steps: Steps of a sequence.
            batch: Sequences.
            hidden: Width of the cell.
            gates: Products of width ``hidden`` for each step: LSTM 4, GRU 3, RNN 1.
            projection: Width of the projected state of an LSTM; 0 for none.
            constant: Whether the weights are parameters.

        Returns:
            The states of all steps, ``(steps, batch, projection or hidden)``.
        """
        rows, width = steps * batch, projection or hidden
        product = Layer.gemm(f"{name}.input", M=rows, K=gates * hidden, C=x.shape[-1], weights_are_parameters=constant)
        first = self._result(product, (), x)
        product = Layer.gemm(f"{name}.recurrent", M=rows, K=gates * hidden, C=width, weights_are_parameters=constant)
        second = self._result(product, (), *state)
        cell = Layer(
            f"{name}.cell", LayerKind.SCAN, N=batch, K=hidden, C=2 if op == "lstm" else 1, P=steps, op=f"{op}_cell"
        )
        result = self._result(cell, (), first, second)
        if projection:
            product = Layer.gemm(f"{name}.projection", M=rows, K=projection, C=hidden, weights_are_parameters=constant)
            result = self._result(product, (), result)
        self.note(
            "recurrent layers (LSTM, GRU, RNN): the steps are rows of one product; that a step of the product with the "
            "state waits for the step before it is not part of its cost"
        )
        return Value((steps, batch, width), result.producers)

    def matmul(self, name: str, a: Value, b: Value, out: tuple[int, ...]) -> Value:
        """Adds a matrix product with broadcast batch axes, ``(..., M, C) @ (..., C, K)``.

        Batch axes that the second operand does not have are further rows. A constant first operand takes the
        place of the second one: ``A @ B = (B^T @ A^T)^T``.
        """
        left = a.shape if len(a.shape) > 1 else (1, *a.shape)
        right = b.shape if len(b.shape) > 1 else (*b.shape, 1)
        M, C, K = left[-2], left[-1], right[-1]
        left_batch, right_batch = left[:-2], right[:-2]
        moving, fixed = a, b
        if a.constant and not b.constant:
            moving, fixed = b, a
            M, K = K, M
            left_batch, right_batch = right_batch, left_batch
        rank = max(len(left_batch), len(right_batch))
        groups = rows = 1
        for own, other in zip(_padded(right_batch, rank), _padded(left_batch, rank), strict=True):
            if own > 1:
                groups *= own
            else:
                rows *= other
        layer = Layer.gemm(name, M=rows * M, K=K, C=C, batch=groups, weights_are_parameters=fixed.constant)
        return self._result(layer, out, moving, fixed)

    def attention(self, name: str, query: Value, key: Value, value: Value, out: tuple[int, ...]) -> Value:
        """Adds scaled dot-product attention ``(..., heads, positions, width)`` as two products and a softmax.

        Query heads that share keys and values (grouped-query attention) become rows of one product.
        """
        groups = prod(key.shape[:-2])
        rows = prod(query.shape[:-1]) // groups
        context, width, value_width = key.shape[-2], query.shape[-1], value.shape[-1]
        scores = Layer.gemm(f"{name}.scores", M=rows, K=context, C=width, batch=groups, weights_are_parameters=False)
        softmax = Layer(f"{name}.softmax", LayerKind.SOFTMAX, K=context, C=context, P=rows * groups, op="softmax")
        weighted = Layer.gemm(
            f"{name}.context", M=rows, K=value_width, C=context, batch=groups, weights_are_parameters=False
        )
        x = self._result(scores, (rows * groups, context), query, key)
        x = self._result(softmax, x.shape, x)
        return self._result(weighted, out, x, value)

    def vector(
        self, name: str, kind: LayerKind, op: str, out: tuple[int, ...], *inputs: Value, axis: int | None = None
    ) -> Value:
        """Adds a vector operation with the output shape ``out``.

        Args:
            name: Layer name.
            kind: Kind of the operation.
            op: Its finer name.
            out: Output shape.
            *inputs: Tensors read; constants give no edge.
            axis: Axis that is normalised over; it becomes ``K``, all other axes rows.
        """
        if axis is not None:
            width = out[axis]
            layer = Layer(name, kind, K=width, C=width, P=prod(out) // max(width, 1), op=op)
        elif len(out) == 4:
            layer = Layer(name, kind, N=out[0], K=out[1], C=out[1], P=out[2], Q=out[3], op=op)
        else:
            width = out[-1] if out else 1
            layer = Layer(name, kind, K=width, C=width, P=prod(out[:-1]), op=op)
        return self._result(layer, out, *inputs)

    def pool(
        self,
        name: str,
        op: str,
        x: Value,
        out: tuple[int, ...],
        *,
        kernel: Sequence[int],
        stride: Sequence[int],
        padding: Sequence[int],
        dilation: Sequence[int] | None = None,
    ) -> Value:
        """Adds a pooling over the axes behind batch and channels; ``padding`` is the total of both sides.

        Frames of a three-dimensional pooling become rows: output frames are entries of the batch, and window, stride
        and padding of the height are those of the interleaved frames, so the elements read stay right.
        """
        axes = len(out) - 2
        if axes not in (1, 2, 3):
            raise InputError(f"layer {name!r}: {axes}-dimensional pooling, allowed: 1, 2 or 3")
        dilation = [1] * axes if dilation is None else dilation
        if axes == 3:
            if any(d != 1 for d in dilation):
                layer = Layer(
                    name, LayerKind.POOL, N=out[0], K=out[1], C=out[1], P=prod(out[2:]), S=prod(kernel), op=op
                )
                return self._result(layer, out, x)
            depth = kernel[0]
            out_2d = (out[0] * out[2], out[1], *out[3:])
            result = self.pool(
                name,
                op,
                x,
                out_2d,
                kernel=(depth * kernel[1], kernel[2]),
                stride=(depth * stride[1], stride[2]),
                padding=(depth * padding[1], padding[2]),
            )
            return Value(out, result.producers)
        layer = Layer(
            name,
            LayerKind.POOL,
            N=out[0],
            K=out[1],
            C=out[1],
            P=out[2],
            Q=out[3] if axes == 2 else 1,
            R=kernel[0],
            S=kernel[1] if axes == 2 else 1,
            stride=(stride[0], stride[1] if axes == 2 else 1),
            padding=(padding[0] // 2, padding[1] // 2 if axes == 2 else 0),
            dilation=(dilation[0], dilation[1] if axes == 2 else 1),
            op=op,
        )
        return self._result(layer, out, x)

    def adaptive_pool(self, name: str, op: str, x: Value, out: tuple[int, ...]) -> Value:
        """Adds a pooling to a fixed output size; nothing where the size stays."""
        if x.shape == out:
            return x
        kernel = [-(-size // target) for size, target in zip(x.shape[2:], out[2:], strict=True)]
        stride = [max(size // target, 1) for size, target in zip(x.shape[2:], out[2:], strict=True)]
        return self.pool(name, op, x, out, kernel=kernel, stride=stride, padding=[0] * len(kernel))

    def reduce(self, name: str, op: str, x: Value, out: tuple[int, ...]) -> Value:
        """Adds a reduction over some axes, as a pooling whose window is what is reduced."""
        window = x.words // max(prod(out), 1)
        layer = Layer(name, LayerKind.POOL, P=prod(out), S=window, op=op)
        return self._result(layer, out, x)

    def ends_in_compute(self, x: Value) -> bool:
        """Whether a tensor is the result of one convolution or product, into which a scale or bias can be folded."""
        return len(x.producers) == 1 and (self.layer(x.producers[0]).is_compute or x.producers[0] in self._linear)

    def _result(self, layer: Layer, out: tuple[int, ...], *inputs: Value) -> Value:
        producers = [position for x in inputs for position in x.producers]
        return Value(out, (self.add(layer, producers),))


def merge(values: Sequence[Value], shape: tuple[int, ...]) -> Value:
    """Returns the result of an operation that adds no layer."""
    producers = dict.fromkeys(position for value in values for position in value.producers)
    return Value(shape, tuple(producers), all(value.constant for value in values))


def words(text: str) -> frozenset[str]:
    """Returns the words of a text as a set; for tables of operator names."""
    return frozenset(text.split())


def _padded(batch: tuple[int, ...], rank: int) -> tuple[int, ...]:
    return (1,) * (rank - len(batch)) + batch

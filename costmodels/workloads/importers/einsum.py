"""Recognising convolutions and matrix products among affine tensor contractions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.workloads.layer import Layer, LayerKind

__all__ = ["Access", "Axis", "layer_from_accesses"]

Axis = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Access:
    """How a tensor is indexed: per axis the loop dimensions and their coefficients, which are summed."""

    name: str
    axes: tuple[Axis, ...]
    written: bool = False

    @property
    def dims(self) -> set[str]:
        """All loop dimensions of the tensor."""
        return {dim for axis in self.axes for dim, _ in axis}


@dataclass(frozen=True)
class _Window:
    """A sliding axis ``out * stride + tap * dilation`` of the input."""

    out: str
    stride: int
    tap: str | None
    dilation: int


def layer_from_accesses(name: str, bounds: Mapping[str, int], accesses: Sequence[Access]) -> Layer:
    """Returns the layer that a contraction of two tensors into a third is.

    Loops are told apart by the tensors they index, whatever their names: output, input and weights - groups;
    output and input - batch or rows; output and weights - output channels; input and weights - reduction; a sum
    of an output loop and a reduction loop - a sliding window, the first one the height. Without any window the
    contraction is a (batched) matrix product; its second read tensor, or one named after weights, is the
    second operand. Several loops of one role are multiplied together.

    Args:
        name: Name of the layer.
        bounds: Bound of every loop.
        accesses: The three tensors.

    Raises:
        InputError: The contraction is neither a convolution nor a matrix product; the message says why.
    """
    outputs = [a for a in accesses if a.written]
    reads = [a for a in accesses if not a.written]
    if len(outputs) != 1 or len(reads) != 2:
        raise _refusal(name, f"it has {len(outputs)} written and {len(reads)} read tensors instead of 1 and 2")
    output = outputs[0]
    for access in accesses:
        listed = [dim for axis in access.axes for dim, _ in axis]
        twice = {dim for dim in listed if listed.count(dim) > 1}
        if twice:
            raise _refusal(name, f"loop {sorted(twice)[0]!r} indexes {access.name!r} twice")
    if any(not _plain(axis) for axis in output.axes):
        raise _refusal(name, f"the output {output.name!r} is indexed by more than plain loops")
    sliding = [a for a in reads if any(not _plain(axis) for axis in a.axes)]
    if len(sliding) > 1:
        raise _refusal(name, "both read tensors have sliding windows")
    if sliding:
        source = sliding[0]
        weights = next(a for a in reads if a is not source)
    else:
        source, weights = reads
        if any(word in source.name.lower() for word in ("weight", "filter", "kernel")):
            source, weights = weights, source
    windows = [_window(name, axis, output, source, weights) for axis in source.axes if not _plain(axis)]
    if len(windows) > 2:
        raise _refusal(name, f"it slides along {len(windows)} axes, allowed: 0, 1 or 2")
    taken = {w.out for w in windows} | {w.tap for w in windows if w.tap is not None}
    roles: dict[str, int] = {"groups": 1, "rows": 1, "K": 1, "C": 1}
    for dim, bound in bounds.items():
        if dim in taken:
            continue
        role = _ROLES.get((dim in output.dims, dim in source.dims, dim in weights.dims))
        if role is not None:
            roles[role] *= bound
        elif bound != 1:
            where = [a.name for a in accesses if dim in a.dims]
            raise _refusal(name, f"loop {dim!r} indexes {where}, allowed: two or all three tensors")
    return _build(name, bounds, roles, windows)


_ROLES = {
    (True, True, True): "groups",
    (True, True, False): "rows",
    (True, False, True): "K",
    (False, True, True): "C",
}


def _build(name: str, bounds: Mapping[str, int], roles: Mapping[str, int], windows: list[_Window]) -> Layer:
    groups = roles["groups"]
    if not windows:
        return Layer.gemm(name, M=roles["rows"], K=roles["K"], C=roles["C"], batch=groups)
    height, width = (*windows, _Window("", 1, None, 1))[:2]
    P, Q = bounds[height.out], bounds[width.out] if width.out else 1
    return Layer(
        name,
        LayerKind.CONV,
        N=roles["rows"],
        K=roles["K"] * groups,
        C=roles["C"] * groups,
        P=P,
        Q=Q,
        R=bounds[height.tap] if height.tap else 1,
        S=bounds[width.tap] if width.tap else 1,
        stride=(height.stride, width.stride),
        dilation=(height.dilation, width.dilation),
        groups=groups,
    )


def _window(name: str, axis: Axis, output: Access, source: Access, weights: Access) -> _Window:
    outs = [(dim, coeff) for dim, coeff in axis if dim in output.dims and dim not in weights.dims]
    taps = [(dim, coeff) for dim, coeff in axis if dim in weights.dims and dim not in output.dims]
    if len(outs) != 1 or len(taps) > 1 or len(outs) + len(taps) != len(axis):
        shown = " + ".join(f"{coeff}*{dim}" for dim, coeff in axis)
        raise _refusal(
            name, f"axis {shown} of {source.name!r} is no window: allowed stride*(output loop) + dilation*(weight loop)"
        )
    tap, dilation = taps[0] if taps else (None, 1)
    return _Window(outs[0][0], outs[0][1], tap, dilation)


def _plain(axis: Axis) -> bool:
    return len(axis) == 1 and axis[0][1] == 1


def _refusal(name: str, reason: str) -> InputError:
    return InputError(f"problem {name!r} is neither a convolution nor a matrix product: {reason}")

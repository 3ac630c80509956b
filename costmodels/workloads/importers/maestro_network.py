"""Networks in the language of MAESTRO (``.m`` files)."""

from __future__ import annotations

from pathlib import Path

from accelgym.costmodels.errors import InputError, shown, warn_input
from accelgym.costmodels.workloads.graph import GraphBuilder
from accelgym.costmodels.workloads.importers.maestro_language import LayerBlock, MaestroFile, read_maestro
from accelgym.costmodels.workloads.layer import Layer, LayerKind
from accelgym.costmodels.workloads.workload import Workload

__all__ = ["import_maestro_network", "layer_of"]

_NEEDED = {
    "CONV": ("K", "C", "R", "S", "Y", "X"),
    "DSCONV": ("K", "C", "R", "S", "Y", "X"),
    "NGCONV": ("G", "K", "C", "R", "S", "Y", "X"),
    "TRCONV": ("K", "C", "R", "S", "Y", "X"),
    "FC": ("K", "C"),
    "GEMM": ("M", "N", "K"),
}
_UNPRICED = ("POOL", "LSTM", "RESIDUAL_IDENTITY")


def import_maestro_network(path: str | Path, *, name: str | None = None) -> Workload:
    """Reads a network; dataflow blocks are checked for their syntax and play no part.

    ``Y`` and ``X`` are input sizes without padding (``Y'`` and ``X'`` output sizes), so the output of a convolution
    has ``floor((Y - R) / stride) + 1`` rows. ``DSCONV`` is depthwise (``K`` is 1). ``NGCONV`` has ``G`` groups with
    ``K`` output channels each and ``C`` input channels over all of them, as the program's ResNeXt50 states it.
    ``TRCONV`` is a transposed convolution: a product of every input position with the ``K x R x S`` weights of
    ``C`` channels. ``GEMM`` is ``(M x K) @ (K x N)``, ``FC`` a product with ``K`` outputs and ``C`` inputs. The
    file states no graph: the workload has no edges.

    Args:
        path: The file.
        name: Name of the workload; that of the network when omitted.

    Raises:
        InputError: Naming file, line and column.
    """
    path = Path(path)
    found = read_maestro(path)
    if not found.layers:
        raise InputError(f"{path}:1:1: the file has no network{_hint(found)}")
    graph = GraphBuilder(name or found.network or path.stem, str(path))
    for block in found.layers:
        graph.add(layer_of(block))
    for kind, what in (
        ("NGCONV", "C counts the input channels of all groups; MAESTRO's own analysis takes it per group"),
        ("TRCONV", "a transposed convolution is counted as the product of each input position with all weights"),
    ):
        first = next((block for block in found.layers if block.type.text == kind), None)
        if first is not None:
            warn_input(f"{path}:{first.type.line}: {kind}: {what}")
    return graph.build()


def _hint(found: MaestroFile) -> str:
    return ", only a dataflow: give it to 'evaluate --model maestro --dataflow'" if found.dataflow else ""


def layer_of(block: LayerBlock) -> Layer:
    """Builds the layer of one block.

    Raises:
        InputError: Naming file, line and column.
    """
    kind = block.type.text
    if kind not in _NEEDED:
        why = "named in MAESTRO's language but analysed nowhere in it" if kind in _UNPRICED else "not understood"
        raise block.type.error(f"type {shown(kind)} is {why}, allowed: {', '.join(_NEEDED)}")
    dims = _input_sizes(block)
    allowed = {*_NEEDED[kind], "N"} | ({"Y", "X", "R", "S"} if kind == "FC" else set())
    for dim in _NEEDED[kind]:
        if dim not in dims:
            raise block.type.error(f"dimension {dim} of layer {shown(block.name.text)} is missing for type {kind}")
    for dim in dims:
        if dim not in allowed:
            raise block.places[dim].error(f"dimension {dim} has no meaning for type {kind}")
    if kind == "DSCONV" and dims["K"] != 1:
        raise block.places["K"].error(f"dimension K is {dims['K']}, allowed for type DSCONV: 1")
    try:
        return _build(block, kind, dims)
    except InputError as error:
        raise block.name.error(str(error)) from error


def _build(block: LayerBlock, kind: str, dims: dict[str, int]) -> Layer:
    name, batch = block.name.text, dims.get("N", 1)
    if kind == "GEMM":
        return Layer.gemm(name, M=dims["M"], K=dims["N"], C=dims["K"])
    K, C, Y, X = dims["K"], dims["C"], dims.get("Y", 1), dims.get("X", 1)
    R, S = dims.get("R", 1), dims.get("S", 1)
    if kind == "FC" and (Y, X, R, S) == (1, 1, 1, 1):
        return Layer.gemm(name, M=batch, K=K, C=C)
    if kind == "TRCONV":
        return Layer(name, LayerKind.CONV, N=batch, K=K * R * S, C=C, P=Y, Q=X)
    groups = {"DSCONV": C, "NGCONV": dims.get("G", 1)}.get(kind, 1)
    stride = (block.stride.get("Y", 1), block.stride.get("X", 1))
    return Layer.conv(name, N=batch, K=K * groups, C=C, H=Y, W=X, R=R, S=S, stride=stride, groups=groups)


def _input_sizes(block: LayerBlock) -> dict[str, int]:
    """The dimensions with outputs turned into inputs."""
    dims = dict(block.dims)
    for axis, window in (("Y", "R"), ("X", "S")):
        if f"{axis}'" not in dims:
            continue
        if axis in dims:
            raise block.places[f"{axis}'"].error(f"both {axis} and {axis}' are given, allowed: one of them")
        size = (dims.pop(f"{axis}'") - 1) * block.stride.get(axis, 1) + dims.get(window, 1)
        dims[axis] = size
    return dims

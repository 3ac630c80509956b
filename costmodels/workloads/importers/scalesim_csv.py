"""Topology files of SCALE-Sim, in its convolution and its GEMM form."""

from __future__ import annotations

from pathlib import Path

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.workloads.importers.csv_rows import CsvRow, read_csv, refuse_repeated_columns
from accelgym.costmodels.workloads.layer import Layer, LayerKind
from accelgym.costmodels.workloads.workload import Workload

__all__ = ["import_scalesim_csv", "is_scalesim_header"]

_CONV_COLUMNS = (
    "Layer name",
    "IFMAP Height",
    "IFMAP Width",
    "Filter Height",
    "Filter Width",
    "Channels",
    "Num Filter",
    "Strides",
    "Strides (width)",
)
_GEMM_COLUMNS = ("Layer", "M", "N", "K")


def is_scalesim_header(cells: tuple[str, ...]) -> bool:
    """Whether the first line of a table looks like a SCALE-Sim topology."""
    return bool(cells) and cells[0].lower().startswith("layer")


def import_scalesim_csv(path: str | Path, *, name: str | None = None) -> Workload:
    """Reads a topology file as SCALE-Sim 3.0 does.

    The form is told by the header: ``Layer, M, N, K`` is a list of products, anything longer a list of
    convolutions ``Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter,
    Strides``, with an optional second stride for the width. Input sizes include any padding, and the output
    size is rounded up: ``ceil((input - filter + stride) / stride)``. A convolution with ``DP`` in its name is
    depthwise: one filter over ``Channels`` channels for each of ``Num Filter`` groups. Trailing commas and a
    dense sparsity ratio (``1:1``) are allowed. The file states no graph: the workload has no edges.

    Args:
        path: The file.
        name: Name of the workload; the file name when omitted.

    Raises:
        InputError: Naming file, line and column.
    """
    path = Path(path)
    header, *body = read_csv(path)
    if not is_scalesim_header(header.cells):
        raise header.error(0, f"header starts with {header.cells[0]!r}, allowed: 'Layer name' or 'Layer'")
    refuse_repeated_columns(header)
    columns = [cell.upper() for cell in header.cells if cell]
    gemm = columns[1:4] == ["M", "N", "K"]
    if not gemm and len(columns) < len(_CONV_COLUMNS) - 1:
        raise header.error(
            len(columns),
            f"column {_CONV_COLUMNS[len(columns)]!r} is missing, allowed headers: "
            f"{', '.join(_CONV_COLUMNS[:-1])} or {', '.join(_GEMM_COLUMNS)}",
        )
    if not body:
        raise header.error(0, "no layer follows the header")
    return Workload(name or path.stem, tuple((_gemm if gemm else _conv)(row) for row in body), (), str(path))


def _gemm(row: CsvRow) -> Layer:
    M, N, K = (row.integer(i, _GEMM_COLUMNS[i]) for i in (1, 2, 3))
    _check_rest(row, 4)
    try:
        # SCALE-Sim's product is (M x K) @ (K x N).
        return Layer.gemm(_name(row), M=M, K=N, C=K)
    except InputError as error:
        raise row.error(0, str(error)) from error


def _conv(row: CsvRow) -> Layer:
    H, W, R, S, C, K, stride = (row.integer(i, _CONV_COLUMNS[i]) for i in range(1, 8))
    two_strides = len(row.cells) > 8 and row.cells[8] and ":" not in row.cells[8]
    strides = (stride, row.integer(8, _CONV_COLUMNS[8]) if two_strides else stride)
    _check_rest(row, 9 if two_strides else 8)
    for column, kernel, size in ((3, R, H), (4, S, W)):
        if kernel > size:
            raise row.error(column, f"{_CONV_COLUMNS[column]} = {kernel} exceeds the input {size}")
    groups = K if "DP" in row.cells[0] else 1
    try:
        return Layer(
            _name(row),
            LayerKind.CONV,
            K=K,
            C=C * groups,
            P=-(-(H - R) // strides[0]) + 1,
            Q=-(-(W - S) // strides[1]) + 1,
            R=R,
            S=S,
            stride=strides,
            groups=groups,
        )
    except InputError as error:
        raise row.error(0, str(error)) from error


def _name(row: CsvRow) -> str:
    if not row.cells[0]:
        raise row.error(0, "the layer has no name")
    return row.cells[0]


def _check_rest(row: CsvRow, start: int) -> None:
    for column in range(start, len(row.cells)):
        if row.cells[column] not in ("", "1:1"):
            raise row.error(column, f"{row.cells[column]!r} is not understood, allowed: nothing, or 1:1 (dense)")

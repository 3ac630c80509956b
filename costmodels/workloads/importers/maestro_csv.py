"""Layer tables of ConfuciuX and GAMMA, as their MAESTRO front ends read them: ``K,C,Y,X,R,S,T``."""

from __future__ import annotations

from pathlib import Path

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.csv_rows import CsvRow, read_csv
from accelgym.costmodels.workloads.layer import Layer
from accelgym.costmodels.workloads.workload import Workload

__all__ = ["HEADER", "import_maestro_csv", "is_maestro_header"]

HEADER = ("K", "C", "Y", "X", "R", "S", "T")
_FC, _CONV, _DEPTHWISE, _GEMM = range(4)
_TYPES = "0 (fully connected), 1 (convolution), 2 (depthwise), 3 (matrix product)"
_PRODUCTS: dict[tuple[str, ...], int] = {
    ("M", "N", "K", "0", "0", "0", "T"): _GEMM,
    ("O", "I", "0", "0", "0", "0", "T"): _FC,
}
"""Headers of GAMMA's tables of one type only."""


def is_maestro_header(cells: tuple[str, ...]) -> bool:
    """Whether the first line of a table looks like one of these."""
    names = _named(cells)
    return names in _PRODUCTS or (len(names) > 3 and set(names) <= set(HEADER))


def import_maestro_csv(path: str | Path, *, name: str | None = None, source: str | None = None) -> Workload:
    """Reads a layer table.

    ``T`` is 1 for a convolution and 2 for a depthwise one (``K`` must be 1, ``C`` channels); ``Y`` and ``X`` are
    input sizes; stride is 1 and there is no padding, so the output has ``Y - R + 1`` rows. GAMMA adds 3 for a matrix
    product, whose first three cells are ``M, N, K`` of ``(M x K) @ (K x N)``, and 0 for a fully connected layer,
    whose first two are outputs and inputs; further cells are 1. Its headers ``M,N,K,0,0,0,T`` and ``O,I,0,0,0,0,T``
    allow rows of that type only. The columns ``K,C,Y,X,R,S,T`` may stand in any order. The table states no graph:
    the workload has no edges. Layers are named ``L1``, ``L2`` ... in file order.

    Args:
        path: The file.
        name: Name of the workload; the file name when omitted.
        source: Where the shapes come from; the path when omitted.

    Raises:
        InputError: Naming file, line and column.
    """
    path = Path(path)
    rows = read_csv(path)
    header, *body = rows
    found = _named(header.cells)
    if found in _PRODUCTS:
        position = dict(zip(HEADER, range(len(HEADER)), strict=True))
    elif sorted(found) == sorted(HEADER):
        position = {column: found.index(column) for column in HEADER}
    else:
        raise header.error(0, f"header is {','.join(found)!r}, allowed: {','.join(HEADER)!r}")
    if not body:
        raise header.error(0, "no layer follows the header")
    only = _PRODUCTS.get(found)
    layers = tuple(_layer(f"L{i + 1}", row, position, only) for i, row in enumerate(body))
    return Workload(name or path.stem, layers, (), source or str(path))


def _named(cells: tuple[str, ...]) -> tuple[str, ...]:
    """The cells of a header in upper case, without trailing empty ones."""
    while cells and not cells[-1]:
        cells = cells[:-1]
    return tuple(cell.upper() for cell in cells)


def _layer(name: str, row: CsvRow, position: dict[str, int], only: int | None) -> Layer:
    extra = next((i for i, cell in enumerate(row.cells) if i >= len(HEADER) and cell), None)
    if extra is not None:
        raise row.error(extra, f"{row.cells[extra]!r} stands behind the last column")
    K, C, Y, X, R, S = (row.integer(position[column], column) for column in HEADER[:-1])
    T = row.integer(position["T"], "T", low=0)
    if T > _GEMM or only not in (None, T):
        raise row.error(position["T"], f"column 'T' is {T}, allowed: {_TYPES if only is None else only}")
    if T == _DEPTHWISE and K != 1:
        raise row.error(position["K"], f"column 'K' is {K}, allowed for a depthwise layer (T = 2): 1")
    unused = {_GEMM: ("X", "R", "S"), _FC: ("Y", "X", "R", "S")}.get(T, ())
    for column, value in zip(HEADER, (K, C, Y, X, R, S, T), strict=True):
        if column in unused and value != 1:
            raise row.error(position[column], f"column {column!r} is {value}, allowed for T = {T}: 1")
    for column, kernel, size in (("R", R, Y), ("S", S, X)):
        if kernel > size:
            raise row.error(position[column], f"kernel {column} = {kernel} exceeds the input {size}")
    try:
        if T == _GEMM:
            return Layer.gemm(name, M=K, K=C, C=Y)
        if T == _FC:
            return Layer.gemm(name, M=1, K=K, C=C)
        groups = C if T == _DEPTHWISE else 1
        return Layer.conv(name, K=C if T == _DEPTHWISE else K, C=C, H=Y, W=X, R=R, S=S, groups=groups)
    except InputError as error:
        raise row.error(0, str(error)) from error

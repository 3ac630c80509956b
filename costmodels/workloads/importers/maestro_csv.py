"""Layer tables of ConfuciuX, as read by its MAESTRO front end: ``K,C,Y,X,R,S,T``."""

from __future__ import annotations

from pathlib import Path

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.workloads.importers.csv_rows import CsvRow, read_csv
from accelgym.costmodels.workloads.layer import Layer
from accelgym.costmodels.workloads.workload import Workload

__all__ = ["HEADER", "import_maestro_csv"]

HEADER = ("K", "C", "Y", "X", "R", "S", "T")
_CONV, _DEPTHWISE = 1, 2


def import_maestro_csv(path: str | Path, *, name: str | None = None, source: str | None = None) -> Workload:
    """Reads a layer table.

    ``Y`` and ``X`` are input sizes; stride is 1 and there is no padding, so the output has ``Y - R + 1`` rows.
    ``T`` is 1 for a convolution and 2 for a depthwise one (``K`` must be 1, ``C`` channels). The table states
    no graph: the workload has no edges. Layers are named ``L1``, ``L2`` ... in file order.

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
    found = header.cells
    while found and not found[-1]:
        found = found[:-1]
    if found != HEADER:
        raise header.error(0, f"header is {','.join(found)!r}, allowed: {','.join(HEADER)!r}")
    if not body:
        raise header.error(0, "no layer follows the header")
    layers = tuple(_layer(f"L{i + 1}", row) for i, row in enumerate(body))
    return Workload(name or path.stem, layers, (), source or str(path))


def _layer(name: str, row: CsvRow) -> Layer:
    extra = next((i for i, cell in enumerate(row.cells) if i >= len(HEADER) and cell), None)
    if extra is not None:
        raise row.error(extra, f"{row.cells[extra]!r} stands behind the last column {HEADER[-1]!r}")
    K, C, Y, X, R, S, T = (row.integer(i, column) for i, column in enumerate(HEADER))
    if T not in (_CONV, _DEPTHWISE):
        raise row.error(6, f"column 'T' is {T}, allowed: {_CONV} (convolution), {_DEPTHWISE} (depthwise)")
    if T == _DEPTHWISE and K != 1:
        raise row.error(0, f"column 'K' is {K}, allowed for a depthwise layer (T = 2): 1")
    for column, kernel, size in ((4, R, Y), (5, S, X)):
        if kernel > size:
            raise row.error(column, f"kernel {HEADER[column]} = {kernel} exceeds the input {size}")
    depthwise = T == _DEPTHWISE
    try:
        return Layer.conv(name, K=C if depthwise else K, C=C, H=Y, W=X, R=R, S=S, groups=C if depthwise else 1)
    except InputError as error:
        raise row.error(0, str(error)) from error

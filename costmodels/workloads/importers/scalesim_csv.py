"""Topology files of SCALE-Sim, in its convolution and its GEMM form."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from accelgym.costmodels.errors import InputError, shown, warn_input
from accelgym.costmodels.files.csv_rows import CsvRow, read_csv
from accelgym.costmodels.workloads.graph import GraphBuilder
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
)
_GEMM_COLUMNS = ("Layer", "M", "N", "K")
_SIZES = frozenset(map(str.lower, _CONV_COLUMNS[1:7]))
_FORMS = f"{', '.join(_CONV_COLUMNS)} or {', '.join(_GEMM_COLUMNS)}"
_SAME = {
    "layer": "layer name",
    "l": "layer name",
    "name": "layer name",
    "channel": "channels",
    "num filters": "num filter",
    "stride": "strides",
    "stride height": "strides",
    "strides (height)": "strides",
    "strides (width)": "stride width",
    "batch": "batch size",
}
"""Spellings found in published files, and the one used here."""
_OPTIONAL = ("batch size", "sparsity")
_READ_GEMM = frozenset({"layer name", "m", "n", "k", *_OPTIONAL})
_READ_CONV = frozenset({*map(str.lower, _CONV_COLUMNS), "stride width", *_OPTIONAL})
_RATIO = re.compile(r"([0-9]{1,9}) *: *([0-9]{1,9})")


def is_scalesim_header(cells: tuple[str, ...]) -> bool:
    """Whether the first line of a table looks like a SCALE-Sim topology."""
    names = {_plain(cell) for cell in cells}
    return "layer name" in names and (len(names) < 4 or "ifmap width" in names or names >= {"m", "n", "k"})


def import_scalesim_csv(path: str | Path, *, name: str | None = None) -> Workload:
    """Reads a topology file as SCALE-Sim 3.0 does, except that the header says what a column is, in any order.

    A header with ``M``, ``N`` and ``K`` makes a list of products, one with ``IFMAP Height, IFMAP Width, Filter
    Height, Filter Width, Channels, Num Filter, Strides`` a list of convolutions. ``Stride width`` and ``Batch Size``
    are optional. Input sizes include any padding, and the output size is rounded up: ``ceil((input - filter +
    stride) / stride)``. A convolution with ``DP`` in its name is depthwise: ``Num Filter`` filters on each of
    ``Channels`` channels. Repeated names get a suffix. The file states no graph: the workload has no edges.

    Said in a warning: a sparsity ratio (layers are dense), columns of other names, and text behind the last comma
    or the last named column (dropped).

    Args:
        path: The file.
        name: Name of the workload; the file name when omitted.

    Raises:
        InputError: Naming file, line and column.
    """
    path = Path(path)
    header, *body = read_csv(path)
    columns = _Columns.of(header)
    if not body:
        raise header.error(0, "no layer follows the header")
    graph = GraphBuilder(name or path.stem, str(path))
    for row in body:
        columns.check(row)
        graph.add(_gemm(row, columns) if columns.gemm else _conv(row, columns))
    sparse = [row.line for row in body if columns.is_sparse(row)]
    if sparse:
        warn_input(f"{path}:{sparse[0]}: sparsity ratios are not modelled, {len(sparse)} layers are read as dense")
    _warn_of_the_rest(columns, header, body)
    return graph.build()


@dataclass(frozen=True)
class _Columns:
    """Where the header puts what."""

    position: dict[str, int]
    """By the names of :data:`_SAME`; columns without a name are left out."""
    gemm: bool

    @classmethod
    def of(cls, header: CsvRow) -> _Columns:
        names = [_plain(cell) for cell in header.cells]
        if names[1:3] == ["ifmap width", "ifmap width"] and "ifmap height" not in names:
            # The heading of SCALE-Sim's DeepBench files; SCALE-Sim itself goes by position.
            warn_input(f"{header.path}:{header.line}: the first of two columns 'IFMAP Width' is read as the height")
            names[1] = "ifmap height"
        position: dict[str, int] = {}
        for index, column in enumerate(names):
            if column in position and column in _READ_GEMM | _READ_CONV:
                raise header.error(index, f"column {header.cells[index]!r} stands twice in the header")
            if column:
                position.setdefault(column, index)
        gemm = {"m", "n", "k"} <= position.keys()
        if gemm and position.keys() >= _SIZES:
            raise header.error(0, f"the header has columns of both forms, allowed: {_FORMS}")
        for needed in _GEMM_COLUMNS if gemm else _CONV_COLUMNS:
            if _plain(needed) not in position:
                raise header.error(
                    len(names) - 1,
                    f"column {needed!r} is missing, allowed headers: {_FORMS}",
                )
        return cls(position, gemm)

    def integer(self, row: CsvRow, column: str) -> int:
        return row.integer(self.position[column.lower()], column)

    def optional(self, row: CsvRow, column: str, otherwise: int) -> int:
        return row.integer(self.position[column.lower()], column) if self.text(row, column) else otherwise

    def text(self, row: CsvRow, column: str) -> str:
        """The cell of a column, empty if the header or the row lacks it."""
        at = self.position.get(column.lower(), len(row.cells))
        return row.cells[at] if at < len(row.cells) else ""

    def unread(self, row: CsvRow) -> list[int]:
        """Positions of cells that have a text and no column that is read."""
        read = _READ_GEMM if self.gemm else _READ_CONV
        known = {index for name, index in self.position.items() if name in read}
        return [index for index, cell in enumerate(row.cells) if cell and index not in known]

    def is_sparse(self, row: CsvRow) -> bool:
        """Whether a row states a ratio other than that of a dense layer."""
        cells = [row.cells[i] for i in self.unread(row)] + [self.text(row, "Sparsity")]
        ratios = [found for cell in cells if (found := _RATIO.fullmatch(cell))]
        return any(int(found[1]) != int(found[2]) for found in ratios)

    def check(self, row: CsvRow) -> None:
        """Refuses what could change the meaning of a row."""
        ratio = self.text(row, "Sparsity")
        found = _RATIO.fullmatch(ratio)
        if ratio and not (found and 1 <= int(found[1]) <= int(found[2])):
            at = self.position["sparsity"]
            raise row.error(at, f"column 'Sparsity' is {shown(ratio)}, allowed: N:M, N of M kept, 1 <= N <= M")
        named = self.position.values()
        for index in self.unread(row):
            last = index == len(row.cells) - 1
            if index not in named and not last and not _RATIO.fullmatch(row.cells[index]):
                raise row.error(index, f"{shown(row.cells[index])} stands in a column without a name")


def _warn_of_the_rest(columns: _Columns, header: CsvRow, body: list[CsvRow]) -> None:
    """Says what was left out: once per named column, once for all trailing notes."""
    named = {index: header.cells[index] for index in columns.position.values()}
    seen: dict[str, int] = {}
    for row in body:
        for index in columns.unread(row):
            if not _RATIO.fullmatch(row.cells[index]):
                seen.setdefault(named.get(index, ""), row.line)
    for column, line in seen.items():
        what = f"column {shown(column)} is not read" if column else "text behind the last comma is dropped"
        warn_input(f"{header.path}:{line}: {what}")


def _gemm(row: CsvRow, columns: _Columns) -> Layer:
    M, N, K = (columns.integer(row, name) for name in _GEMM_COLUMNS[1:])
    try:
        # SCALE-Sim's product is (M x K) @ (K x N).
        layer = Layer.gemm(_name(row, columns), M=M, K=N, C=K)
        return replace(layer, N=columns.optional(row, "Batch Size", 1))
    except InputError as error:
        raise _placed(row, error) from error


def _conv(row: CsvRow, columns: _Columns) -> Layer:
    H, W, R, S, C, K, stride = (columns.integer(row, name) for name in _CONV_COLUMNS[1:])
    strides = (stride, columns.optional(row, "Stride width", stride))
    for column, kernel, size in (("filter height", R, H), ("filter width", S, W)):
        if kernel > size:
            raise row.error(columns.position[column], f"{column.title()} = {kernel} exceeds the input {size}")
    name = _name(row, columns)
    groups = C if "DP" in name else 1
    try:
        return Layer(
            name,
            LayerKind.CONV,
            N=columns.optional(row, "Batch Size", 1),
            K=K * groups,
            C=C,
            P=-(-(H - R) // strides[0]) + 1,
            Q=-(-(W - S) // strides[1]) + 1,
            R=R,
            S=S,
            stride=strides,
            groups=groups,
        )
    except InputError as error:
        raise _placed(row, error) from error


def _name(row: CsvRow, columns: _Columns) -> str:
    at = columns.position["layer name"]
    if at >= len(row.cells) or not row.cells[at]:
        raise row.error(at, "the layer has no name")
    return row.cells[at]


def _placed(row: CsvRow, error: InputError) -> InputError:
    return error if str(error).startswith(f"{row.path}:") else row.error(0, str(error))


def _plain(cell: str) -> str:
    """A column's name in lower case, blanks (or underscores, hyphens) collapsed, in the spelling used here."""
    name = " ".join(cell.lower().replace("_", " ").replace("-", " ").split())
    return _SAME.get(name, name)

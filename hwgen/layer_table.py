"""Layers to verify, from a table."""

from __future__ import annotations

from pathlib import Path

from accelgym.costmodels.errors import InputError, unknown_name
from accelgym.costmodels.workloads.importers.csv_rows import CsvRow, read_csv
from accelgym.costmodels.workloads.layer import Layer, LayerKind

__all__ = ["COLUMNS", "read_layers"]

COLUMNS = ("name", "kind", "N", "K", "C", "P", "Q", "R", "S", "stride", "padding", "dilation")
"""A convolution by its output size; a matrix product ``(P x C) @ (C x K)``, ``N`` of them, ignores what it lacks."""


def read_layers(path: Path) -> tuple[Layer, ...]:
    """Reads a CSV with the columns of :data:`COLUMNS` in its header, in any order.

    Stride, padding and dilation hold for both axes. Empty cells take the neutral value (1, padding 0).

    Raises:
        InputError: Naming file, line and column, and what is allowed.
    """
    header, *rows = read_csv(path)
    missing = [name for name in COLUMNS if name not in header.cells]
    if missing:
        raise header.error(0, f"column {missing[0]!r} is missing, needed: {', '.join(COLUMNS)}")
    position = {name: header.cells.index(name) for name in COLUMNS}
    if not rows:
        raise header.error(0, "there is no layer below the header")
    return tuple(_layer(row, position) for row in rows)


def _layer(row: CsvRow, position: dict[str, int]) -> Layer:
    def text(name: str) -> str:
        return row.cells[position[name]] if position[name] < len(row.cells) else ""

    def number(name: str, neutral: int = 1) -> int:
        return row.integer(position[name], name, low=neutral) if text(name) else neutral

    kinds = {str(kind): kind for kind in (LayerKind.CONV, LayerKind.GEMM)}
    if text("kind") not in kinds:
        raise row.error(position["kind"], str(unknown_name("kind", text("kind"), kinds)))
    name = text("name") or f"line{row.line}"
    try:
        if kinds[text("kind")] is LayerKind.GEMM:
            return Layer.gemm(name, M=number("P"), K=number("K"), C=number("C"), batch=number("N"))
        stride, padding, dilation = number("stride"), number("padding", 0), number("dilation")
        return Layer(
            name,
            LayerKind.CONV,
            N=number("N"),
            K=number("K"),
            C=number("C"),
            P=number("P"),
            Q=number("Q"),
            R=number("R"),
            S=number("S"),
            stride=(stride, stride),
            padding=(padding, padding),
            dilation=(dilation, dilation),
        )
    except InputError as error:
        if str(error).startswith(str(row.path)):
            raise
        raise row.error(0, str(error)) from error

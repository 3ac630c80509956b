"""Layers to run and the number formats they run with, from a table."""

from __future__ import annotations

from pathlib import Path

from accelgym.costmodels.datatypes import get_datatype
from accelgym.costmodels.errors import InputError, unknown_name
from accelgym.costmodels.files.csv_rows import CsvRow, check_length, column_positions, read_csv
from accelgym.costmodels.files.csv_table import integer
from accelgym.costmodels.systolic.operand_types import OperandTypes
from accelgym.costmodels.workloads.layer import MAX_DIM, Layer, LayerKind

__all__ = ["COLUMNS", "KINDS", "OPTIONAL_COLUMNS", "TYPE_COLUMNS", "read_layers", "read_rectify", "read_types"]

COLUMNS = ("name", "kind", "N", "K", "C", "P", "Q", "R", "S", "stride", "padding", "dilation")
"""A convolution by its output size. A matrix product is ``(P x C) @ (C x K)``, ``N`` of them with an operand pair
each; its row may end behind the last of these. Further columns are optional: :data:`OPTIONAL_COLUMNS`."""

TYPE_COLUMNS = ("input_type", "weight_type")
"""Of the formats of the accelerator, those with which the layer runs; an empty cell leaves the choice open."""

OPTIONAL_COLUMNS = ("groups", *TYPE_COLUMNS, "rectify")
"""``rectify`` 1 replaces negative outputs by zero; 0 or an empty cell keeps them."""

_MATRIX_KINDS = ("gemm", "bmm", "matmul", "linear", "fc")
_PRODUCT_COLUMNS = ("name", "kind", "N", "K", "C", "P")
_CONVOLUTION_KINDS = ("conv", "dwconv", "depthwise")
KINDS = (*_CONVOLUTION_KINDS, *_MATRIX_KINDS)
"""Values of the column ``kind``; a depthwise convolution has as many groups as input channels."""


def read_layers(path: Path) -> tuple[Layer, ...]:
    """Reads a CSV with the columns of :data:`COLUMNS` in its header, in any order.

    Stride, padding and dilation are one number for both axes, or two as in ``2x1`` (height, width). Empty cells take
    the neutral value (1, padding 0).

    Raises:
        InputError: Naming file, line and column, and what is allowed.
    """
    position, rows = _read(path)
    layers = tuple(_layer(row, position) for row in rows)
    first: dict[str, int] = {}
    for layer, row in zip(layers, rows, strict=True):
        if first.setdefault(layer.name, row.line) != row.line:
            raise row.error(position["name"], f"layer {layer.name!r} stands in line {first[layer.name]} already")
    return layers


def read_types(path: Path) -> tuple[OperandTypes, ...]:
    """Reads the number formats of the same layers; without those columns every choice is open.

    Raises:
        InputError: Naming file, line and column, and what is allowed.
    """
    position, rows = _read(path)
    return tuple(OperandTypes(*(_type(row, position.get(name)) for name in TYPE_COLUMNS)) for row in rows)


def read_rectify(path: Path) -> tuple[bool, ...]:
    """Reads which of the same layers rectify their outputs; without that column none does.

    Raises:
        InputError: Naming file, line and column, and what is allowed.
    """
    position, rows = _read(path)
    at = position.get("rectify")
    return tuple(_flag(row, at) for row in rows)


def _flag(row: CsvRow, at: int | None) -> bool:
    text = "" if at is None or at >= len(row.cells) else row.cells[at]
    if text not in ("", "0", "1"):
        raise row.error(at or 0, f"column 'rectify' is {text!r}, allowed: 0, 1 or nothing")
    return text == "1"


def _type(row: CsvRow, at: int | None) -> str | None:
    if at is None or at >= len(row.cells) or not row.cells[at]:
        return None
    try:
        return get_datatype(row.cells[at]).name
    except InputError as error:
        raise row.error(at, str(error)) from error


def _read(path: Path) -> tuple[dict[str, int], list[CsvRow]]:
    """Returns the position of every column, and the rows below the header."""
    header, *rows = read_csv(path)
    missing = [name for name in COLUMNS if name not in header.cells]
    if missing:
        raise header.error(0, f"column {missing[0]!r} is missing, needed: {', '.join(COLUMNS)}")
    position = column_positions(header)
    known = (*COLUMNS, *OPTIONAL_COLUMNS)
    for name, index in position.items():
        if name not in known:
            raise header.error(index, str(unknown_name("column", name, known)))
    if not rows:
        raise header.error(0, "there is no layer below the header")
    product_cells = 1 + max(position[name] for name in _PRODUCT_COLUMNS)
    for row in rows:
        is_product = position["kind"] < len(row.cells) and row.cells[position["kind"]].lower() in _MATRIX_KINDS
        check_length(header, row, product_cells if is_product else None)
    return position, rows


def _layer(row: CsvRow, position: dict[str, int]) -> Layer:
    def text(name: str) -> str:
        at = position.get(name, len(row.cells))
        return row.cells[at] if at < len(row.cells) else ""

    def number(name: str) -> int:
        return row.integer(position[name], name) if text(name) else 1

    def pair(name: str, neutral: int = 1) -> tuple[int, int]:
        parts = text(name).split("x") if text(name) else [str(neutral)] * 2
        numbers = [integer(part) for part in parts]
        found = [number for number in numbers if number is not None and neutral <= number <= MAX_DIM]
        if len(parts) > 2 or len(found) < len(parts):
            raise row.error(
                position[name],
                f"column {name!r} is {text(name)!r}, allowed: an integer {neutral}..{MAX_DIM}, or two as in 2x1",
            )
        return found[0], found[-1]

    kind = text("kind").lower()
    if kind not in KINDS:
        raise row.error(position["kind"], str(unknown_name("kind", kind, KINDS)))
    name = text("name") or f"line{row.line}"
    try:
        if kind in _MATRIX_KINDS:
            return Layer.gemm(name, M=number("P"), K=number("K"), C=number("C"), batch=number("N"))
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
            stride=pair("stride"),
            padding=pair("padding", 0),
            dilation=pair("dilation"),
            groups=number("groups") if kind == "conv" else number("C"),
        )
    except InputError as error:
        if str(error).startswith(str(row.path)):
            raise
        raise row.error(0, str(error)) from error

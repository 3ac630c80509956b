"""Layer tables in the columns of Voyager's and SCALE-Sim's figures, with cycles added."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from accelgym.costmodels.errors import InputError, unknown_name
from accelgym.costmodels.files.csv_table import TableWriter, read_table
from accelgym.costmodels.files.whole_file import whole_file
from accelgym.costmodels.systolic.presets import scalesim, voyager

__all__ = ["PRESETS", "evaluate_table"]

Row = dict[str, str]

_MAX_EXTENT = 2**31 - 1


def evaluate_table(source: Path, target: Path, preset: str, array: str | None = None) -> tuple[int, int]:
    """Adds cycles to the rows of a CSV.

    Args:
        source: CSV. ``voyager``: the columns unit, input_shape, weight_shape and stride, and layer; ``scalesim``:
            array_rows, array_cols, dataflow, and either gemm_M, gemm_N and gemm_K or kind and params. Other columns
            are kept.
        target: CSV to write, with ``cycles`` and, for ``voyager``, ``class`` and ``reason``.
        preset: One of :data:`PRESETS`.
        array: ``voyager``: size of the array, ``16`` or ``16x32`` (rows x columns).

    Returns:
        Rows, and rows with cycles.

    Raises:
        InputError: Naming file, line and column, or the argument, and what is allowed.
    """
    if preset not in PRESETS:
        raise unknown_name("preset", preset, PRESETS)
    columns, added, prepare = PRESETS[preset]
    evaluate = prepare(array)
    header, rows = read_table(source, columns)
    for line, row in rows:
        try:
            row.update(evaluate(row))
        except InputError as error:
            raise InputError(f"{source}: line {line}: {error}") from error
    with whole_file(target) as file:
        writer = TableWriter(file)
        names = [*(name for name in header if name not in added), *added]
        writer.row(names)
        for _, row in rows:
            writer.row([row[name] for name in names])
    return len(rows), sum(bool(row["cycles"]) for _, row in rows)


def _integer(row: Row, column: str) -> int:
    text = row[column].strip()
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:20]) <= _MAX_EXTENT:
        raise InputError(f"column {column!r} is {text!r}, allowed: integers 1..{_MAX_EXTENT}")
    return int(text)


def _extents(row: Row, column: str) -> tuple[int, ...]:
    text = row[column].strip()
    if not text:
        return ()
    parts = text.split("x")
    if not all(part.isascii() and part.isdigit() and 1 <= int(part[:20]) <= _MAX_EXTENT for part in parts):
        raise InputError(f"column {column!r} is {text!r}, expected extents as in 56x56x64")
    return tuple(map(int, parts))


def _voyager(array: str | None) -> Callable[[Row], Row]:
    match = re.fullmatch(r"([1-9][0-9]{0,3})(?:x([1-9][0-9]{0,3}))?", array or "")
    if match is None:
        raise InputError(f"--array {array!r}: preset 'voyager' needs the size of the array, as in 16 or 16x32")
    rows, columns = int(match[1]), int(match[2] or match[1])

    def evaluate(row: Row) -> Row:
        unit = row["unit"].strip()
        if unit not in voyager.UNITS:
            reason = f"no rule for the unit {unit!r}, known: {', '.join(voyager.UNITS)}"
            return {"cycles": "", "class": "unknown", "reason": reason}
        layer = voyager.VoyagerLayer(
            name=row["layer"].strip(),
            unit=unit,
            input_shape=_extents(row, "input_shape"),
            weight_shape=_extents(row, "weight_shape"),
            stride=_integer(row, "stride") if row["stride"].strip() else 1,
        )
        try:
            cost = voyager.layer_cost(layer, rows, columns)
        except InputError as error:
            # Published tables hold misprints; the other rows are still worth having.
            return {"cycles": "", "class": "unknown", "reason": str(error)}
        cycles = "" if cost.cycles is None else str(cost.cycles)
        return {"cycles": cycles, "class": cost.layer_class, "reason": cost.reason}

    return evaluate


def _scalesim(array: str | None) -> Callable[[Row], Row]:
    if array is not None:
        raise InputError(f"--array {array}: preset 'scalesim' reads it from the columns array_rows and array_cols")

    def evaluate(row: Row) -> Row:
        dataflow = row["dataflow"].strip()
        if dataflow not in scalesim.DATAFLOWS:
            raise unknown_name("dataflow", dataflow, scalesim.DATAFLOWS)
        size = _integer(row, "array_rows"), _integer(row, "array_cols")
        return {"cycles": str(int(scalesim.total_cycles(*size, dataflow, _product(row))))}

    return evaluate


def _product(row: Row) -> scalesim.MatrixProduct:
    """Reads the product from ``params``, or from the im2col view where there are none."""
    params, kind = _extents(row, "params"), row["kind"].strip()
    if not params:
        return scalesim.MatrixProduct(*(_integer(row, f"gemm_{name}") for name in "MNK"))
    if kind not in ("conv", "gemm"):
        raise unknown_name("kind", kind, ("conv", "gemm"))
    wanted = {"conv": 8, "gemm": 3}[kind]
    if len(params) != wanted:
        raise InputError(f"column 'params' is {row['params']!r}, a {kind} has {wanted} numbers")
    if kind == "gemm":
        return scalesim.MatrixProduct(*params)
    height, width, filter_height, filter_width, channels, filters, *strides = params
    return scalesim.convolution(height, width, filter_height, filter_width, channels, filters, (strides[0], strides[1]))


PRESETS: dict[str, tuple[tuple[str, ...], tuple[str, ...], Callable[[str | None], Callable[[Row], Row]]]] = {
    "voyager": (
        ("layer", "unit", "input_shape", "weight_shape", "stride"),
        ("cycles", "class", "reason"),
        _voyager,
    ),
    "scalesim": (
        ("array_rows", "array_cols", "dataflow", "kind", "params", "gemm_M", "gemm_N", "gemm_K"),
        ("cycles",),
        _scalesim,
    ),
}
"""Preset to the columns it needs, the columns it adds, and what makes its row evaluator from ``--array``."""

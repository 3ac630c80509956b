"""Resource designs and their costs as CSV, columns named as in MAESTRO's golden tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.arrays import to_numpy
from accelgym.costmodels.costs import CostModel, Costs, Reason
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.csv_blocks import PlainBlock, RowBlock, read_blocks
from accelgym.costmodels.files.csv_table import FORMULA, TableWriter, integer
from accelgym.costmodels.files.number_text import append_cells
from accelgym.costmodels.files.whole_file import whole_file
from accelgym.costmodels.kernels import is_available
from accelgym.costmodels.maestro.designs import Dataflow, ResourceDesigns

__all__ = ["evaluate_file", "write_costs"]

_INTEGERS = ("K", "C", "Y", "X", "R", "S", "num_pes", "buffer_level")
_COLUMNS = ("layer_type", "K", "C", "Y", "X", "R", "S", "dataflow", "num_pes", "buffer_level")
_LAYER_TYPES = ("CONV", "DSCONV")
_FLOWS = ("dla", "eye", "shi", "dpt")
"""The last one for DSCONV only."""
_LARGEST = 2**53
"""Larger integers are read as this one; cost models mark it as an overflow."""

_WORTH_COMPILING = 200_000
"""Rows of a file after which writing its text in machine code saves more time than compiling takes."""

_FIGURES = {
    "runtime_cycles": "latency_cycles",
    "energy_nj": "energy_nj",
    "l1_bytes": "l1_bytes",
    "l2_bytes": "l2_bytes",
    "area_um2": "area_um2",
    "power_mw": "power_mw",
    "input_l2_reads": "input_l2_reads",
    "filter_l2_reads": "filter_l2_reads",
    "output_l2_writes": "output_l2_writes",
}
"""Output column to figure of the cost model."""


def evaluate_file(model: CostModel[ResourceDesigns], source: Path, target: Path) -> tuple[int, int]:
    """Evaluates a table of designs, block by block, into a table of costs that is written whole or not at all.

    Args:
        model: A model of :class:`ResourceDesigns`.
        source: CSV with the columns ``layer_type`` (CONV or DSCONV), ``K, C, Y, X, R, S``, ``dataflow`` (dla, eye,
            shi; dpt for DSCONV), ``num_pes``, ``buffer_level`` and optionally ``noc_bw`` (elements per cycle;
            an empty cell means the model's default). Other columns are kept.
        target: CSV to write: the rows with their costs in full precision; figures of invalid rows are left empty.

    Returns:
        Number of designs, and of valid ones.

    Raises:
        InputError: Names file, line and column.
    """
    blocks = read_blocks(source, _COLUMNS)
    header, first = next(blocks)
    reader = _Reader(source)
    total = valid = 0
    with whole_file(target) as file:
        for i, (_, block) in enumerate(chain([(header, first)], blocks)):
            costs = model.evaluate(reader.designs(block, "noc_bw" in header))
            figures = _figures(costs)
            if i == 0:
                TableWriter(file).row([*_kept(header, figures), *figures, "valid", "reason"])
            whole = isinstance(block, PlainBlock) and len(_kept(header, figures)) == len(header)
            if isinstance(block, PlainBlock) and whole and not block.begins_with(FORMULA):
                # Lines without quotes are what a writer would make of their cells.
                file.write(_appended(block, costs, compiled=total >= _WORTH_COMPILING and is_available()))
            else:
                _write_rows(TableWriter(file), block.rows() if isinstance(block, PlainBlock) else block, costs)
            total += costs.valid.size
            valid += int(costs.valid.sum())
    return total, valid


class _Reader:
    """Makes designs of the blocks of a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._without_bandwidth: int | None = None
        """First line whose ``noc_bw`` is empty."""
        self._with_bandwidth = False

    def designs(self, block: PlainBlock | RowBlock, has_bandwidth: bool) -> ResourceDesigns:
        """Returns the designs of a block; raises InputError."""
        if isinstance(block, PlainBlock):
            plain = _plain_designs(block, has_bandwidth)
            if plain is not None:
                if has_bandwidth:
                    self._check_bandwidths(blank=None, given=True)
                return plain
            block = block.rows()
        path = self._path
        columns = {
            name: np.array([_integer(path, line, name, row[name]) for line, row in block], dtype=np.int64)
            for name in _INTEGERS
        }
        kinds = [_choice(path, line, "layer_type", row["layer_type"], _LAYER_TYPES) for line, row in block]
        flows = []
        for (line, row), kind in zip(block, kinds, strict=True):
            allowed = _FLOWS if kind == "DSCONV" else _FLOWS[:3]
            flows.append(Dataflow[_choice(path, line, "dataflow", row["dataflow"], allowed).upper()])
        return ResourceDesigns(
            **columns,
            depthwise=np.array([kind == "DSCONV" for kind in kinds], dtype=bool),
            dataflow=np.array(flows, dtype=np.int64),
            noc_bw=self._bandwidths(block) if has_bandwidth else None,
        )

    def _bandwidths(self, block: RowBlock) -> npt.NDArray[np.int64] | None:
        given = [line for line, row in block if row["noc_bw"].strip()]
        blank = next((line for line, row in block if not row["noc_bw"].strip()), None)
        self._check_bandwidths(blank, bool(given))
        if not given:
            return None
        return np.array([_integer(self._path, line, "noc_bw", row["noc_bw"]) for line, row in block], dtype=np.int64)

    def _check_bandwidths(self, blank: int | None, given: bool) -> None:
        """Takes note of the first line of a block without a bandwidth, and whether others have one."""
        self._with_bandwidth |= given
        if self._without_bandwidth is None:
            self._without_bandwidth = blank
        if self._with_bandwidth and self._without_bandwidth is not None:
            raise InputError(f"{self._path}: line {self._without_bandwidth}: noc_bw is empty while other rows have one")


def _plain_designs(block: PlainBlock, has_bandwidth: bool) -> ResourceDesigns | None:
    """Returns the designs of lines that are all as they should be."""
    columns = {name: block.integers(name) for name in (*_INTEGERS, *(("noc_bw",) if has_bandwidth else ()))}
    kinds, flows = block.choices("layer_type", _LAYER_TYPES), block.choices("dataflow", _FLOWS)
    if kinds is None or flows is None or any(column is None for column in columns.values()):
        return None
    depthwise = kinds == _LAYER_TYPES.index("DSCONV")
    flow = np.array([Dataflow[name.upper()] for name in _FLOWS], dtype=np.int64)[flows]
    if bool(((flow == Dataflow.DPT) & ~depthwise).any()):
        return None
    return ResourceDesigns(**columns, depthwise=depthwise, dataflow=flow)


def write_costs(path: Path, rows: list[dict[str, str]], costs: Costs) -> None:
    """Writes rows with their costs in full precision; figures of invalid rows are left empty.

    Args:
        path: CSV to write.
        rows: Cells by column name.
        costs: Their costs, shape ``(rows,)``.

    Raises:
        InputError: The file cannot be written.
    """
    figures = _figures(costs)
    with whole_file(path) as file:
        writer = TableWriter(file)
        writer.row([*_kept(rows[0] if rows else _COLUMNS, figures), *figures, "valid", "reason"])
        _write_rows(writer, list(enumerate(rows)), costs)


def _write_rows(writer: TableWriter, rows: RowBlock, costs: Costs) -> None:
    kept = _kept(rows[0][1] if rows else (), _figures(costs))
    for (_, row), cells in zip(rows, zip(*_cells(costs), strict=True), strict=True):
        writer.row([*(row[name] for name in kept), *cells])


def _appended(block: PlainBlock, costs: Costs, *, compiled: bool) -> str:
    """Returns lines with the cells of their costs."""
    figures, valid = list(_figures(costs).values()), to_numpy(costs.valid)
    plain = all(column.dtype in (np.int64, np.float64) for column in figures)
    if not compiled or not plain or not all(np.isfinite(column).all() for column in figures):
        return "\r\n".join(map(",".join, zip(block.lines, *_cells(costs), strict=True))) + "\r\n"
    codes, which = np.unique(2 * to_numpy(costs.reason).astype(np.int64) + valid, return_inverse=True)
    ends = [f"{code % 2},{_reason(code // 2)}".encode() for code in codes.tolist()]
    return append_cells(block.data, block.starts[:, 0], block.ends[:, -1], figures, valid, ends, which).decode()


def _reason(code: int) -> str:
    return "" if code == Reason.OK else Reason(code).name.lower()


def _kept(header: Iterable[str], figures: Mapping[str, Any]) -> list[str]:
    """Columns of the designs that no column of the costs takes the place of, each once."""
    return [name for name in dict.fromkeys(header) if name not in (*figures, "valid", "reason")]


def _cells(costs: Costs) -> list[list[str]]:
    """Columns of the costs as text: the figures, ``valid`` and ``reason``."""
    valid, reason = to_numpy(costs.valid), to_numpy(costs.reason)
    found = [list(map(repr, column.tolist())) for column in _figures(costs).values()]
    for i in np.flatnonzero(~valid).tolist():
        for column in found:
            column[i] = ""
    reasons = {code: _reason(code) for code in np.unique(reason).tolist()}
    why = [reasons[code] for code in reason.tolist()]
    return [*found, ["1" if one else "0" for one in valid.tolist()], why]


def _figures(costs: Costs) -> Mapping[str, np.ndarray]:
    found = {}
    for column, name in _FIGURES.items():
        if name in costs.breakdown:
            found[column] = to_numpy(costs.breakdown[name])
        elif hasattr(costs, name):
            found[column] = to_numpy(getattr(costs, name))
        elif name == "energy_nj":
            found[column] = to_numpy(costs.energy_pj) / 1000
    return found


def _integer(path: Path, line: int, column: str, text: str) -> int:
    value = integer(text)
    if value is None:
        raise InputError(f"{path}: line {line}: column {column!r} is {text!r}, expected an integer")
    return max(min(value, _LARGEST), -1)


def _choice(path: Path, line: int, column: str, text: str, allowed: tuple[str, ...]) -> str:
    if text.strip() not in allowed:
        raise InputError(f"{path}: line {line}: column {column!r} is {text!r}, allowed {', '.join(allowed)}")
    return text.strip()

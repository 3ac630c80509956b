"""Resource designs and their costs as CSV, columns named as in MAESTRO's golden tables."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from accelgym.costmodels.arrays import to_numpy
from accelgym.costmodels.costs import Costs, Reason
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.csv_table import integer, read_table
from accelgym.costmodels.files.whole_file import whole_file
from accelgym.costmodels.maestro.designs import Dataflow, ResourceDesigns

__all__ = ["read_designs", "write_costs"]

_INTEGERS = ("K", "C", "Y", "X", "R", "S", "num_pes", "buffer_level")
_COLUMNS = ("layer_type", "K", "C", "Y", "X", "R", "S", "dataflow", "num_pes", "buffer_level")
_LAYER_TYPES = ("CONV", "DSCONV")
_LARGEST = 2**53
"""Larger integers are read as this one; cost models mark it as an overflow."""

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


def read_designs(path: Path) -> tuple[list[dict[str, str]], ResourceDesigns]:
    """Reads designs.

    Args:
        path: CSV with the columns ``layer_type`` (CONV or DSCONV), ``K, C, Y, X, R, S``, ``dataflow`` (dla, eye,
            shi; dpt for DSCONV), ``num_pes``, ``buffer_level`` and optionally ``noc_bw`` (elements per cycle;
            an empty cell means the model's default). Other columns are kept.

    Returns:
        The rows as read, and the designs.

    Raises:
        InputError: Names file, line and column.
    """
    header, rows = read_table(path, _COLUMNS)
    columns = {
        name: np.array([_integer(path, line, name, row[name]) for line, row in rows], dtype=np.int64)
        for name in _INTEGERS
    }
    kinds = [_choice(path, line, "layer_type", row["layer_type"], _LAYER_TYPES) for line, row in rows]
    flows = []
    for (line, row), kind in zip(rows, kinds, strict=True):
        allowed = ("dla", "eye", "shi", "dpt") if kind == "DSCONV" else ("dla", "eye", "shi")
        flows.append(Dataflow[_choice(path, line, "dataflow", row["dataflow"], allowed).upper()])
    noc_bw = None
    if "noc_bw" in header and any(row["noc_bw"].strip() for _, row in rows):
        blank = [line for line, row in rows if not row["noc_bw"].strip()]
        if blank:
            raise InputError(f"{path}: line {blank[0]}: noc_bw is empty while other rows have one")
        noc_bw = np.array([_integer(path, line, "noc_bw", row["noc_bw"]) for line, row in rows], dtype=np.int64)
    designs = ResourceDesigns(
        **columns,
        depthwise=np.array([kind == "DSCONV" for kind in kinds], dtype=bool),
        dataflow=np.array(flows, dtype=np.int64),
        noc_bw=noc_bw,
    )
    return [row for _, row in rows], designs


def write_costs(path: Path, rows: list[dict[str, str]], costs: Costs) -> None:
    """Writes the rows with their costs in full precision; figures of invalid rows are left empty.

    Args:
        path: CSV to write.
        rows: Rows as returned by :func:`read_designs`.
        costs: Their costs, shape ``(rows,)``.

    Raises:
        InputError: The file cannot be written.
    """
    figures = _figures(costs)
    valid, reason = to_numpy(costs.valid), to_numpy(costs.reason)
    header = [name for name in (rows[0] if rows else _COLUMNS) if name not in (*figures, "valid", "reason")]
    with whole_file(path) as file:
        writer = csv.writer(file)
        writer.writerow([*header, *figures, "valid", "reason"])
        for i, row in enumerate(rows):
            shown = [repr(column[i].item()) if valid[i] else "" for column in figures.values()]
            why = "" if valid[i] else Reason(int(reason[i])).name.lower()
            writer.writerow([*(row[name] for name in header), *shown, int(valid[i]), why])


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

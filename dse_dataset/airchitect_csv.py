"""AIrchitect v2's files of 100,000 labels: read, checked against the cost model, and written in the same layout.

Released with the code of AIrchitect v2 (Seo et al., DATE 2025; commit fa36d2f, MIT licence): ``conv_dataset.csv``
with the columns ``K,C,X,Y,R,S,df,ConfigID,rewards`` and ``gemm_dataset.csv`` with ``M,N,GEMM_K,df,ConfigID,rewards``.
``ConfigID`` is ``(PEs - 1) * 12 + (buffer level - 1)``; ``rewards`` are the cycles that MAESTRO reports for it. The
columns ``X`` and ``Y`` are rows and columns, the other way around than MAESTRO names them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import InputError, shown
from accelgym.costmodels.files.csv_table import integer, read_table
from accelgym.costmodels.files.whole_file import whole_file
from accelgym.costmodels.maestro import MaestroModel
from accelgym.costmodels.maestro.designs import Dataflow, ResourceDesigns
from accelgym.costmodels.maestro.grid import grid_blocks
from accelgym.dse_dataset.columns import arrow
from accelgym.dse_dataset.layers import LayerTable
from accelgym.dse_dataset.optimum import find_optima

__all__ = [
    "CONV",
    "LEVELS",
    "PES",
    "LayerRows",
    "ReleasedCheck",
    "ReleasedRows",
    "check_released",
    "read_layers",
    "read_released",
    "refusal",
    "released_landscapes",
    "write_released",
]

PES, LEVELS = 64, 12
CONV = ("K", "C", "X", "Y", "R", "S", "df")
GEMM = ("M", "N", "GEMM_K", "df")
_FLOWS = {"dla": Dataflow.DLA, "eye": Dataflow.EYE, "shi": Dataflow.SHI}
_LARGEST = 2**31 - 1
_MOST = {"ConfigID": PES * LEVELS - 1, "num_pes": PES, "buffer_level": LEVELS, "rewards": 2**53}

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LayerRows:
    """All rows of a file, whether they are layers or not."""

    layers: LayerTable
    dataflow: IntArray
    """Values of :class:`Dataflow`."""
    lines: IntArray
    """Line of each row in the file."""
    further: Mapping[str, IntArray]
    header: tuple[str, ...]
    cells: tuple[Mapping[str, str], ...]
    """The text of each row by column."""


@dataclass(frozen=True)
class ReleasedRows:
    """The legal rows of a file of convolutions."""

    layers: LayerTable
    dataflow: IntArray
    num_pes: IntArray
    buffer_level: IntArray
    rewards: IntArray
    lines: IntArray
    """Line of each row in the file."""
    illegal: tuple[int, ...]
    """Lines that are no layers: the kernel is larger than the input, or a size is below 1."""


@dataclass(frozen=True)
class ReleasedCheck:
    """What a file of convolutions is worth under MAESTRO's model."""

    rows: int
    """Legal ones."""
    illegal: tuple[int, ...]
    """Lines that were left out."""
    without_design: tuple[int, ...]
    """Lines of layers for which MAESTRO knows no design; no figure but ``rows`` counts them."""
    repeated: int
    """Rows whose layer and dataflow stand above already."""
    reproduced: int
    """Rows whose ``rewards`` are the cycles of their label."""
    first_wrong: int | None
    """Line of the first row that is not."""
    optimal: int
    """Rows whose label is a fastest design."""
    worst: float
    """Largest ratio of a label's cycles to the fewest."""
    canonical: int
    """Rows whose label has the fewest PEs, and then the smallest buffer, of all fastest designs."""
    median_ties: float
    constant_optimal: float
    """Share of rows in which all PEs and the largest buffer are a fastest design."""
    constant_ratio: float
    """Mean ratio of their cycles to the fewest."""


def read_released(path: Path, illegal: Literal["skip", "refuse"] = "skip") -> ReleasedRows:
    """Reads a file of convolutions in the released layout, with ``ConfigID`` or ``num_pes`` and ``buffer_level``.

    Args:
        path: The file.
        illegal: What to do with rows that are no layers: the kernel is larger than the input, or a size is below 1.

    Raises:
        InputError: Wrong columns, a cell that is no integer in range, an unknown dataflow, or an illegal row that is
            to be refused; names file, line and column.
    """
    header, rows = read_table(path, ())
    if set(GEMM) <= set(header):
        raise InputError(
            f"{path}: a file of matrix products: its rewards are those of the convolutions that they were made from, "
            f"which cannot be told from it; check the file with the columns {','.join(CONV)}"
        )
    label = ("ConfigID",) if "ConfigID" in header else ("num_pes", "buffer_level")
    for name in (*CONV, *label, "rewards"):
        if name not in header:
            columns = f"{','.join(CONV)},{{ConfigID | num_pes,buffer_level}},rewards"
            raise InputError(f"{path}: line 1: column {name!r} is missing; needed: {columns}")
    found = _layer_rows(path, header, rows, (*label, "rewards"))
    layers, lines, column = found.layers, found.lines, found.further
    legal = layers.legal
    bad = tuple(lines[~legal].tolist())
    if bad and illegal == "refuse":
        raise InputError(refusal(path, bad))
    pes = column["ConfigID"] // LEVELS + 1 if "ConfigID" in column else column["num_pes"]
    levels = column["ConfigID"] % LEVELS + 1 if "ConfigID" in column else column["buffer_level"]
    return ReleasedRows(
        layers=layers.take(legal),
        dataflow=found.dataflow[legal],
        num_pes=pes[legal],
        buffer_level=levels[legal],
        rewards=column["rewards"][legal],
        lines=lines[legal],
        illegal=bad,
    )


def read_layers(path: Path, needed: Sequence[str] = CONV) -> LayerRows:
    """Reads the layers and dataflows of a file with the columns ``K,C,X,Y,R,S,df``, layers that are none too.

    Args:
        path: The file.
        needed: Columns that have to be there.

    Raises:
        InputError: A missing column, a cell that is no integer in range, or an unknown dataflow.
    """
    header, rows = read_table(path, needed)
    return _layer_rows(path, header, rows, ())


def _layer_rows(
    path: Path, header: Sequence[str], rows: Sequence[tuple[int, dict[str, str]]], further: Sequence[str]
) -> LayerRows:
    names = [*CONV[:-1], *further]
    table = np.empty((len(rows), len(names)), dtype=np.int64)
    flows = np.empty(len(rows), dtype=np.int64)
    for index, (line, row) in enumerate(rows):
        for place, name in enumerate(names):
            table[index, place] = _cell(path, line, name, row[name], _MOST.get(name, _LARGEST))
        if row["df"].strip() not in _FLOWS:
            raise InputError(f"{path}: line {line}: df is {shown(row['df'])}, allowed: {', '.join(_FLOWS)}")
        flows[index] = _FLOWS[row["df"].strip()]
    column = dict(zip(names, table.T, strict=True))
    K, C, X, Y, R, S = (column[name] for name in CONV[:-1])
    return LayerRows(
        layers=LayerTable(K, C, X, Y, R, S, np.zeros(len(rows), dtype=bool)),
        dataflow=flows,
        lines=np.array([line for line, _ in rows], dtype=np.int64),
        further={name: column[name] for name in further},
        header=tuple(header),
        cells=tuple(row for _, row in rows),
    )


def refusal(path: Path, bad: Sequence[int]) -> str:
    """Words why lines are no layers."""
    return f"{path}: line {bad[0]}: the kernel is larger than the input, or a size below 1, as in {len(bad)} rows"


def _cell(path: Path, line: int, name: str, text: str, most: int) -> int:
    # The released file of products writes cycles as "4.0".
    number = integer(text.strip().removesuffix(".0") if name == "rewards" else text)
    # Sizes below 1 are illegal layers, which the caller counts, as long as they are integers.
    least = {"ConfigID": 0, "rewards": 0, "num_pes": 1, "buffer_level": 1}.get(name, -_LARGEST)
    if number is None or not least <= number <= most:
        raise InputError(f"{path}: line {line}: {name} is {shown(text)}, allowed: integers {least}..{most}")
    return number


def check_released(path: Path, illegal: Literal["skip", "refuse"] = "skip") -> ReleasedCheck:
    """Works out the cycles of every label and of every other design, as MAESTRO reports them.

    Raises:
        InputError: See :func:`read_released`; or the file has no legal row, or none with a design.
    """
    rows = read_released(path, illegal)
    count = len(rows.layers)
    if count == 0:
        raise InputError(f"{path}: no legal row")
    model = MaestroModel()
    label = ResourceDesigns(
        **rows.layers.columns(), dataflow=rows.dataflow, num_pes=rows.num_pes, buffer_level=rows.buffer_level
    )
    costs = model.evaluate(label)
    equal = np.asarray(costs.valid) & (np.asarray(costs.latency_cycles) == rows.rewards)
    fewest, constant = np.empty((2, count))
    best, ties = np.empty((2, count), dtype=np.int64)
    for block, cycles in released_landscapes(rows, model):
        fewest[block], constant[block] = cycles.min(axis=1), cycles[:, -1]
        optima = find_optima(cycles, 1)
        best[block], ties[block] = optima.best, optima.ties
    solved = np.isfinite(fewest)
    if not solved.any():
        raise InputError(f"{path}: MAESTRO knows no design for any row")
    ratio = np.where(costs.valid, np.asarray(costs.latency_cycles), np.inf)[solved] / fewest[solved]
    chosen = (rows.num_pes - 1) * LEVELS + rows.buffer_level - 1
    keys = np.stack([*rows.layers.columns().values(), rows.dataflow])
    wrong = np.flatnonzero(~equal & solved)
    return ReleasedCheck(
        rows=count,
        illegal=rows.illegal,
        without_design=tuple(rows.lines[~solved].tolist()),
        repeated=count - np.unique(keys, axis=1).shape[1],
        reproduced=int(equal.sum()),
        first_wrong=int(rows.lines[wrong[0]]) if len(wrong) else None,
        optimal=int((ratio == 1.0).sum()),
        worst=float(ratio.max()),
        canonical=int((chosen == best)[solved].sum()),
        median_ties=float(np.median(ties[solved])),
        constant_optimal=float((constant == fewest)[solved].mean()),
        constant_ratio=float((constant[solved] / fewest[solved]).mean()),
    )


def released_landscapes(
    rows: ReleasedRows, model: MaestroModel | None = None
) -> Iterator[tuple[IntArray, npt.NDArray[np.float64]]]:
    """Yields positions and the cycles of all designs, infinite where MAESTRO reports none.

    Args:
        rows: The rows.
        model: MAESTRO as the released labels were made with by default.
    """
    model = model or MaestroModel()
    for flow in _FLOWS.values():
        mine = np.flatnonzero(rows.dataflow == int(flow))
        grid = (range(1, PES + 1), range(1, LEVELS + 1))
        for part, found in grid_blocks(
            model, rows.layers.take(mine).shapes(), flow, *grid, figures=("latency_cycles",)
        ):
            yield mine[part], np.where(found["valid"], found["latency_cycles"], np.inf)


def write_released(out: Path, levels: int, *, two_columns: bool) -> list[Path]:
    """Writes the drawn rows of a dataset as ``conv_dataset.csv`` and ``gemm_dataset.csv``.

    As in the released pair, row *n* of the second file is the matrix product of row *n* of the first, with its label
    and its cycles: those of the convolution, which is what was evaluated.

    Args:
        out: Folder with complete shards.
        levels: Buffer levels of the grid.
        two_columns: ``num_pes,buffer_level`` in place of ``ConfigID``.
    """
    label = "num_pes,buffer_level" if two_columns else "ConfigID"
    paths = [out / "conv_dataset.csv", out / "gemm_dataset.csv"]
    with whole_file(paths[0]) as conv, whole_file(paths[1]) as gemm:
        conv.write(f"{','.join(CONV)},{label},rewards\n")
        gemm.write(f"{','.join(GEMM)},{label},rewards\n")
        for split in ("train", "validation", "test"):
            for shard in sorted(out.glob(f"data/{split}-*.parquet")):
                for row in _rows(shard):
                    K, C, Y, X, R, S, df, pes, level, cycles = row
                    chosen = f"{pes},{level}" if two_columns else str((pes - 1) * levels + level - 1)
                    end = f"{df},{chosen},{int(cycles)}\n"
                    conv.write(f"{K},{C},{Y},{X},{R},{S},{end}")
                    gemm.write(f"{K},{(Y - R + 1) * (X - S + 1)},{C * R * S},{end}")
    return paths


def _rows(shard: Path) -> Iterator[tuple[Any, ...]]:
    names = ["K", "C", "Y", "X", "R", "S", "dataflow", "best_num_pes", "best_buffer_level", "best_objective"]
    table = arrow().parquet.read_table(shard, columns=names, partitioning=None)
    return zip(*(table.column(name).to_pylist() for name in names), strict=True)

"""Reading datasets: splits as Arrow tables, NumPy views and torch datasets; users' own files through a column map."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import DamagedFileError, InputError, MissingExtraError, unknown_name, warn_input
from accelgym.costmodels.files.plain import Place, as_path
from accelgym.dse_dataset.columns import Column, arrow
from accelgym.dse_dataset.layers import LayerTable, twin_key
from accelgym.dse_dataset.manifest import columns_of, read_manifest
from accelgym.dse_dataset.recipes.base import HELD_OUT, SPLITS, Shares, split_residue
from accelgym.dse_dataset.shards import read_shard

if TYPE_CHECKING:
    import pyarrow
    import torch

__all__ = ["LabelledDataset", "load_dataset", "numpy_view", "read_table", "split_table", "torch_dataset"]

_SHAPE = ("K", "C", "Y", "X", "R", "S")


@dataclass(frozen=True)
class LabelledDataset:
    """A dataset's folder."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def splits(self) -> dict[str, int]:
        """Rows by split."""
        return dict(self.manifest["splits"])

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """All columns, with role and meaning."""
        return columns_of(self.manifest)

    def table(self, split: str, columns: Sequence[str] | None = None, most_rows: int | None = None) -> pyarrow.Table:
        """Reads a split.

        Args:
            split: Its name.
            columns: Columns to read; all by default.
            most_rows: Rows to read, the first ones; shards behind them are not opened. All by default.

        Raises:
            InputError: No such split or column, or a shard is missing.
            DamagedFileError: Naming the shard that was changed.
        """
        pa = arrow()
        if split not in self.splits:
            raise unknown_name("split", split, self.splits)
        names = [c.name for c in self.columns]
        for name in columns or ():
            if name not in names:
                raise unknown_name("column", name, names)
        parts: list[pyarrow.Table] = []
        for shard in self.manifest["shards"]:
            if shard["split"] != split or (most_rows is not None and sum(map(len, parts)) >= most_rows):
                continue
            path = self.folder / shard["path"]
            table, note = read_shard(path)
            if note["content_sha256"] != shard["content_sha256"]:
                raise DamagedFileError(f"{path}: changed: its content has another hash than the manifest says")
            parts.append(table.select(columns or names).replace_schema_metadata())
        if not parts:
            raise InputError(f"{self.folder}: split {split!r} has no rows")
        return pa.concat_tables(parts).slice(0, most_rows).combine_chunks()

    def arrays(
        self, split: str, columns: Sequence[str] | None = None, most_rows: int | None = None
    ) -> dict[str, npt.NDArray[Any]]:
        """Reads columns of a split as NumPy views of the table's memory; see :meth:`table`, :func:`numpy_view`."""
        table = self.table(split, columns, most_rows)
        return {name: numpy_view(table, name) for name in table.column_names}


def load_dataset(folder: Place) -> LabelledDataset:
    """Opens a dataset.

    Raises:
        InputError: The folder holds none, or an unfinished one.
        DamagedFileError: The manifest was changed.
    """
    folder = as_path(folder, "folder")
    return LabelledDataset(folder, read_manifest(folder))


def numpy_view(table: pyarrow.Table, name: str) -> npt.NDArray[Any]:
    """Returns a column as a read-only array.

    Numbers are views without a copy, lists of fixed length views of shape ``(rows, length)``. Bools (bits in Arrow)
    are unpacked; text and lists of other lengths become arrays of objects.

    Args:
        table: A table whose columns have one chunk.
        name: Of the column.

    Raises:
        InputError: A column of numbers or bools has an empty cell; names its row, counted from 0.
    """
    pa = arrow()
    column = table.column(name)
    array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], type=array.type)
    is_plain = pa.types.is_integer(array.type) or pa.types.is_floating(array.type)
    if array.null_count and (is_plain or pa.types.is_boolean(array.type)):
        raise InputError(f"column {name!r}: row {array.is_null().index(True)} is empty, allowed: {array.type}")
    if pa.types.is_fixed_size_list(array.type):
        flat = array.flatten().to_numpy(zero_copy_only=True)
        return np.asarray(flat.reshape(len(array), array.type.list_size))
    return np.asarray(array.to_numpy(zero_copy_only=is_plain))


def torch_dataset(
    table: pyarrow.Table, inputs: Sequence[str], labels: Sequence[str]
) -> torch.utils.data.Dataset[tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]]:
    """Returns a map-style dataset whose tensors share the table's memory; an item is ``(inputs, labels)`` by name.

    Args:
        table: A split.
        inputs: Numeric columns, or bools.
        labels: Likewise.

    Raises:
        InputError: A column is missing, or is no number.
        MissingExtraError: torch is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError("torch_dataset", "torch", "agents") from error

    def tensor(name: str) -> torch.Tensor:
        if name not in table.column_names:
            raise unknown_name("column", name, table.column_names)
        values = numpy_view(table, name)
        if values.dtype == object:
            raise InputError(f"column {name!r} holds {table.schema.field(name).type}; a tensor takes numbers")
        with warnings.catch_warnings():
            # torch has no read-only tensors; whoever writes into these changes the table.
            warnings.filterwarnings("ignore", message="The given NumPy array is not writ")
            return torch.from_numpy(values)

    columns = [{name: tensor(name) for name in names} for names in (inputs, labels)]

    class _Rows(torch.utils.data.Dataset[tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]]):
        tensors = columns

        def __len__(self) -> int:
            return int(table.num_rows)

        def __getitem__(self, index: Any) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
            picked = [{name: values[index] for name, values in part.items()} for part in self.tensors]
            return picked[0], picked[1]

    return _Rows()


def read_table(path: Place, columns: Mapping[str, str] | None = None) -> pyarrow.Table:
    """Reads a user's CSV or Parquet file.

    Args:
        path: The file; its name ends in ``.csv`` or ``.parquet``.
        columns: Our name by the file's name; columns without an entry keep theirs.

    Raises:
        InputError: The file cannot be read, lacks a mapped column, or two columns get one name.
    """
    pa = arrow()
    path = as_path(path)
    if path.suffix not in (".csv", ".parquet"):
        raise InputError(f"{path}: allowed: names that end in .csv or .parquet")
    try:
        if path.suffix == ".csv":
            from pyarrow import csv

            table = csv.read_csv(path)
        else:
            table = pa.parquet.read_table(path, partitioning=None)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    given = dict(columns or {})
    for name in given:
        if name not in table.column_names:
            raise InputError(f"{path}: {unknown_name('column', name, table.column_names)}")
    names = [given.get(name, name) for name in table.column_names]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{path}: two columns are called {name!r}; map one of them to another name")
    return table.rename_columns(names).combine_chunks()


def split_table(
    table: pyarrow.Table,
    *,
    group: Sequence[str] | None = None,
    shares: Shares | None = None,
    held_out: tuple[str, Sequence[str]] | None = None,
    illegal: Literal["refuse", "skip"] = "refuse",
) -> dict[str, pyarrow.Table]:
    """Splits a table so that no group stands in two splits.

    Args:
        table: With the columns ``K, C, Y, X, R, S`` (and ``depthwise``, if there are any) unless ``group`` is given.
        group: Columns whose values make a group; by default rows whose layers are twins
            (:func:`~accelgym.dse_dataset.layers.twin_key`) are one, as in the shipped datasets.
        shares: Thousandths of the groups in each split.
        held_out: A column, and values of it whose rows (``network:layer`` counts as ``network``), with all rows of
            their groups, make a split ``heldout``.
        illegal: What to do with rows that are no layers (a kernel larger than the input, a size below 1), where
            layers make the groups: ``skip`` leaves them out with a warning that counts them.

    Raises:
        InputError: A column is missing, has an empty cell or is of another type; a row is no layer and to be refused;
            or no row is of a held-out value.
    """
    names = [*(group or _SHAPE), *((held_out[0],) if held_out else ())]
    for name in names:
        if name not in table.column_names:
            raise unknown_name("column", name, table.column_names)
    if not group:
        table = _legal(table, illegal)
    keys = _hashed(table, group) if group else twin_key(_layers(table))
    residue = split_residue(keys)
    place = np.full(table.num_rows, -1)
    if held_out is not None:
        values = [str(value).split(":")[0] for value in table.column(held_out[0]).to_pylist()]
        held = [held_out[1]] if isinstance(held_out[1], str) else list(held_out[1])
        for name in held:
            if name not in values:
                raise unknown_name(f"value of column {held_out[0]!r}", name, set(values))
        place[np.isin(keys, keys[np.isin(values, held)])] = len(SPLITS)
    for index, split in enumerate(SPLITS):
        low, high = (shares or Shares()).bounds(split)
        place[(place < 0) & (residue >= low) & (residue < high)] = index
    named = (*SPLITS, *((HELD_OUT,) if held_out else ()))
    return {split: table.take(np.flatnonzero(place == index)) for index, split in enumerate(named)}


def _legal(table: pyarrow.Table, illegal: Literal["refuse", "skip"]) -> pyarrow.Table:
    """Returns the rows that are layers."""
    legal = _layers(table).legal
    poor = np.flatnonzero(~legal)
    if not len(poor):
        return table
    why = f"row {poor[0]}: no layer: a size is below 1, or the kernel larger than the input, as in {len(poor)} rows"
    if illegal == "refuse":
        raise InputError(f"{why}; illegal='skip' leaves them out")
    warn_input(f"{why}; left out")
    return table.take(np.flatnonzero(legal)).combine_chunks()


def _layers(table: pyarrow.Table) -> LayerTable:
    K, C, Y, X, R, S = (_integers(table, name) for name in _SHAPE)
    depthwise = np.zeros(table.num_rows, dtype=bool)
    if "depthwise" in table.column_names:
        depthwise = numpy_view(table, "depthwise")
        if depthwise.dtype.kind not in "biu":
            raise InputError(
                f"column 'depthwise' holds {table.schema.field('depthwise').type}, allowed: true and false, or 1 and 0"
            )
        depthwise = depthwise.astype(bool)
    return LayerTable(K, C, Y, X, R, S, depthwise)


def _integers(table: pyarrow.Table, name: str) -> npt.NDArray[np.int64]:
    values = numpy_view(table, name)
    if values.dtype.kind not in "iu":
        raise InputError(f"column {name!r} holds {table.schema.field(name).type}, allowed: integers")
    return values.astype(np.int64)


def _hashed(table: pyarrow.Table, group: Sequence[str]) -> npt.NDArray[np.uint64]:
    rows = zip(*(table.column(name).to_pylist() for name in group), strict=True)
    texts = (json.dumps(row, default=str).encode() for row in rows)
    return np.array([int.from_bytes(hashlib.sha256(text).digest()[:8], "little") for text in texts], dtype=np.uint64)

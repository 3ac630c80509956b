"""Shards: Parquet files with fixed rows, the same bytes whenever they are written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelgym.costmodels.errors import DamagedFileError, InputError
from accelgym.costmodels.files.plain import as_path
from accelgym.costmodels.files.whole_file import whole_binary_file
from accelgym.dse_dataset.columns import Column, arrow, arrow_table, content_digest

if TYPE_CHECKING:
    import pyarrow

__all__ = ["Shard", "plan_shards", "read_shard", "shard_facts", "write_shard"]

ROW_GROUP = 65_536
_NOTE = b"accelgym"
_MOST_SHARDS = 99_999
"""Of a split: what five digits of a file's name can number, so that the order of names is the order of rows."""


@dataclass(frozen=True)
class Shard:
    """Rows of one file."""

    split: str
    index: int
    """Among the shards of the split."""
    count: int
    """Shards of the split."""
    start: int
    """First row, counted over the dataset."""
    rows: int

    @property
    def path(self) -> str:
        """Path inside the dataset's folder, as Hugging Face names shards."""
        return f"data/{self.split}-{self.index:05d}-of-{self.count:05d}.parquet"


def plan_shards(splits: Mapping[str, int], shard_rows: int) -> list[Shard]:
    """Cuts splits into shards; bounds depend on row numbers alone.

    Args:
        splits: Rows by name, in order; empty ones have no shard.
        shard_rows: Rows of a shard that is not the last of its split.

    Raises:
        InputError: More shards than their names can number.
    """
    shards, first = [], 0
    for split, rows in splits.items():
        count = -(-rows // shard_rows)
        if count > _MOST_SHARDS:
            raise InputError(
                f"rows, shard_rows: {rows} rows of {split} in files of {shard_rows} are {count} files, allowed: "
                f"{_MOST_SHARDS}; take shard_rows of {-(-rows // _MOST_SHARDS)} or more"
            )
        for index in range(count):
            begin = index * shard_rows
            shards.append(Shard(split, index, count, first + begin, min(shard_rows, rows - begin)))
        first += rows
    return shards


def write_shard(path: Path, columns: Sequence[Column], values: Mapping[str, Any], note: Mapping[str, Any]) -> str:
    """Writes a shard in one step, with page checksums.

    Its bytes depend on the values, the note and the version of pyarrow alone.

    Args:
        path: The file; its folder exists.
        columns: Its columns.
        values: Their values by name.
        note: Plain data kept in the file's metadata, with the content's digest added.

    Returns:
        The content's digest.

    Raises:
        InputError: The file cannot be written.
    """
    pa = arrow()
    table = arrow_table(columns, values)
    digest = content_digest(table)
    text = json.dumps({**note, "content_sha256": digest}, sort_keys=True)
    table = table.replace_schema_metadata({_NOTE: text.encode()})
    few = [c.name for c in columns if c.type == "string" and c.length is None]
    with whole_binary_file(path) as file:
        pa.parquet.write_table(
            table,
            file,
            row_group_size=ROW_GROUP,
            compression="zstd",
            compression_level=3,
            use_dictionary=few,
            version="2.6",
            data_page_version="1.0",
            write_statistics=True,
            store_schema=True,
            write_page_checksum=True,
        )
    return digest


def read_shard(path: Path) -> tuple[pyarrow.Table, dict[str, Any]]:
    """Reads a shard and its note, and checks both checksums.

    Raises:
        InputError: There is no such file.
        DamagedFileError: It is no shard, or was changed.
    """
    pa = arrow()
    path = as_path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        table = pa.parquet.read_table(path, page_checksum_verification=True, use_threads=False, partitioning=None)
        note = json.loads((table.schema.metadata or {})[_NOTE])
        digest = content_digest(table)
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise DamagedFileError(f"{path}: damaged, or no shard of a dataset ({error})") from error
    if note.get("content_sha256") != digest:
        raise DamagedFileError(f"{path}: changed: its content has another hash than its note")
    return table, note


def shard_facts(path: Path) -> dict[str, Any]:
    """Returns size and SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return {"bytes": path.stat().st_size, "sha256": digest.hexdigest()}

"""Columns of labelled data: names with units, types and meanings, and the Arrow tables made of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from accelgym.costmodels.errors import MissingExtraError

if TYPE_CHECKING:
    import pyarrow

__all__ = ["ROW", "Column", "arrow", "arrow_schema", "arrow_table", "column_data", "content_digest"]

_TYPES = {"int64", "int32", "int8", "float64", "bool", "string"}


@dataclass(frozen=True)
class Column:
    """One column."""

    name: str
    """Ends in the unit, where it has one."""
    type: str
    """``int64``, ``int32``, ``int8``, ``float64``, ``bool`` or ``string``; of a list's elements, if it is one."""
    meaning: str
    role: str
    """``key``, ``input``, ``label`` (what to predict), ``cost`` (of what the label says) or ``landscape``."""
    length: int | None = None
    """Of a list: its fixed length, 0 if lengths differ; ``None`` if the column is no list."""

    def __post_init__(self) -> None:
        assert self.type in _TYPES, self.type


ROW = Column("row", "int64", "number over all splits; with the seed, it determines the row", "key")
"""First column of every dataset that is labelled row by row."""


def column_data(columns: Sequence[Column]) -> list[dict[str, Any]]:
    """Returns columns as plain data."""
    return [{"name": c.name, "type": c.type, "role": c.role, "meaning": c.meaning, "length": c.length} for c in columns]


def arrow() -> Any:
    """Returns the package ``pyarrow`` with its Parquet module.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError("a dataset", "pyarrow", "data") from error
    return pyarrow


def arrow_schema(columns: Sequence[Column]) -> pyarrow.Schema:
    """Returns the schema of the columns; a field's metadata holds meaning and role."""
    pa = arrow()
    fields = []
    for column in columns:
        kind = {"bool": pa.bool_(), "string": pa.string()}.get(column.type) or getattr(pa, column.type)()
        if column.length is not None:
            kind = pa.list_(pa.field("element", kind, nullable=False), column.length or -1)
        metadata = {"meaning": column.meaning, "role": column.role}
        fields.append(pa.field(column.name, kind, nullable=False, metadata=metadata))
    return pa.schema(fields)


def arrow_table(columns: Sequence[Column], values: Mapping[str, Any]) -> pyarrow.Table:
    """Builds a table.

    Args:
        columns: Its columns.
        values: Their values by name: NumPy arrays, two-dimensional for lists of fixed length, or sequences.
    """
    pa = arrow()
    schema = arrow_schema(columns)
    assert set(values) == set(schema.names), set(values) ^ set(schema.names)
    arrays = []
    for field in schema:
        given = values[field.name]
        if pa.types.is_fixed_size_list(field.type):
            flat = np.ascontiguousarray(given).reshape(-1)
            inner = pa.array(flat, type=field.type.value_type)
            arrays.append(pa.FixedSizeListArray.from_arrays(inner, type=field.type))
        else:
            arrays.append(pa.array(given, type=field.type))
    return pa.table(arrays, schema=schema)


def content_digest(table: pyarrow.Table) -> str:
    """Returns the SHA-256 of what a table holds, whatever version of Parquet holds it.

    Hashed are, column by column, the name, the type and the values: little-endian numbers, bytes for bool, UTF-8 text
    behind its length (8 bytes), and for lists the lengths (8 bytes each) before the elements. No value is null.
    """
    digest = hashlib.sha256()
    for field in table.schema:
        digest.update(f"{field.name}:{field.type};{table.num_rows};".encode())
        _feed(digest, table.column(field.name).combine_chunks())
    return digest.hexdigest()


def _feed(digest: Any, array: Any) -> None:
    pa = arrow()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], type=array.type)
    if pa.types.is_list(array.type) or pa.types.is_fixed_size_list(array.type):
        lengths = array.value_lengths().to_numpy(zero_copy_only=False)
        digest.update(np.ascontiguousarray(lengths, dtype="<i8").tobytes())
        _feed(digest, array.flatten())
    elif pa.types.is_string(array.type):
        _, offsets, data = array.buffers()
        ends = (
            np.frombuffer(offsets, dtype=np.int32)[array.offset : array.offset + len(array) + 1] if len(array) else [0]
        )
        digest.update(np.diff(ends).astype("<i8").tobytes())
        digest.update(memoryview(data)[ends[0] : ends[-1]] if data is not None else b"")
    else:
        values = array.to_numpy(zero_copy_only=False)
        little = values.astype(np.uint8) if values.dtype == bool else values.astype(values.dtype.newbyteorder("<"))
        digest.update(np.ascontiguousarray(little).tobytes())

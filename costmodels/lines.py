"""Columns moved between a caller's arrays and the lines of a small buffer, in machine code (extra ``fast``).

Compiled programs read and write lines of float64 that stay in the cache. Columns of other types go in and come out
here, a block of designs at a time, so that neither Python nor a temporary array stands between a block and the next.
Arrays are given by their addresses: whoever calls keeps them alive and knows how long they are.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "ANY",
    "LINE",
    "address",
    "addresses",
    "call_in_blocks",
    "is_read_in_place",
    "number_of",
    "pointer",
    "readable",
]

_BLOCK = 256
"""Designs at a time: with a hundred columns, what a second-level cache holds."""
LINE = _BLOCK + 8
"""Numbers from one line to the next. Lines a power of two apart would all fall on the same few places of a cache."""
ANY = 1 << 40
"""Length that arrays at an address are taken to have."""

_READ = ("bool", "int64", "float64")
_WRITTEN = ("bool", "int8", "int64", "float64")
_NUMBERS = {np.dtype(name): number for number, name in enumerate(_WRITTEN)}
_READ_DTYPES = frozenset(map(np.dtype, _READ))

Integers = npt.NDArray[np.int64]


def is_read_in_place(dtype: np.dtype[Any]) -> bool:
    """Whether machine code reads columns of a type where they are; those of others are converted first."""
    return dtype in _READ_DTYPES


def readable(column: Any) -> npt.NDArray[Any]:
    """Returns a column as an array that machine code can read."""
    array = np.asarray(column)
    if not is_read_in_place(array.dtype):
        array = array.astype(np.float64)
    return array if array.flags.c_contiguous else np.ascontiguousarray(array)


def address(array: npt.NDArray[Any]) -> int:
    """Returns where an array begins."""
    if array.size and array.flags.writeable:
        return ctypes.addressof(ctypes.c_char.from_buffer(array.data))
    # Several times as slow.
    where: int = array.__array_interface__["data"][0]
    return where


def addresses(columns: Sequence[npt.NDArray[Any]]) -> tuple[Integers, Integers]:
    """Returns where arrays begin, and the numbers of their types; of those of no dimension, -1."""
    kinds = [_NUMBERS[column.dtype] if column.ndim else -1 for column in columns]
    where = [address(column) if column.ndim else 0 for column in columns]
    return np.array(where, dtype=np.int64), np.array(kinds, dtype=np.int64)


def number_of(dtype: str) -> int:
    """Returns the number of a type."""
    return _WRITTEN.index(dtype)


@cache
def call_in_blocks() -> Callable[..., None]:
    """Returns the compiled loop over blocks.

    Its arguments are the address of a compiled program, of its input and output lines and of its tables; addresses and
    types of the columns to read, -1 where the line stands already; those of the columns to write, and which lines these
    are; the rows to take (none: all from the start on), start and count.
    """
    import numba
    from numba import types

    read = _by_type({name: _reader(name) for name in _READ})
    write = _by_type({name: _writer(name) for name in _WRITTEN})
    call = _call()

    def loop(
        program: int,
        given: int,
        found: int,
        tables: int,
        read_at: Integers,
        read_types: Integers,
        written_at: Integers,
        written_types: Integers,
        lines: Integers,
        rows: Integers,
        start: int,
        count: int,
    ) -> None:
        chosen = len(rows) > 0
        for first in range(start, start + count, _BLOCK):
            size = min(_BLOCK, start + count - first)
            for j in range(len(read_at)):
                if read_types[j] >= 0:
                    read(read_types[j], read_at[j], rows, chosen, first, size, given + 8 * LINE * j)
            call(program, given, found, tables, size)
            for j in range(len(written_at)):
                write(written_types[j], written_at[j], rows, chosen, first, size, found + 8 * LINE * lines[j])

    several = types.Array(numba.int64, 1, "C")
    signature = numba.void(*([numba.int64] * 4), *([several] * 6), numba.int64, numba.int64)
    compiled: Callable[..., None] = numba.njit(signature, nogil=True)(loop)
    return compiled


def _reader(name: str) -> Any:
    """A function that reads a column of one type into a line."""
    import numba
    from numba.np.numpy_support import carray

    typed, numbers, size = pointer(name), pointer("float64"), np.dtype(name).itemsize

    def read(column: int, rows: Integers, chosen: bool, first: int, count: int, line: int) -> None:
        target = carray(numbers(line), (ANY,))
        if chosen:
            array = carray(typed(column), (ANY,))
            for i in range(count):
                target[i] = array[rows[first + i]]
        else:
            array = carray(typed(column + first * size), (ANY,))
            for i in range(count):
                target[i] = array[i]

    return numba.njit(read)


def _writer(name: str) -> Any:
    """A function that writes a line to a column of one type."""
    import numba
    from numba.np.numpy_support import carray

    typed, numbers, size = pointer(name), pointer("float64"), np.dtype(name).itemsize
    kind = numba.uint8 if name == "bool" else getattr(numba, name)
    convert = numba.njit((lambda x: kind(x != 0.0)) if name == "bool" else (lambda x: kind(x)))

    def write(column: int, rows: Integers, chosen: bool, first: int, count: int, line: int) -> None:
        source = carray(numbers(line), (ANY,))
        if chosen:
            array = carray(typed(column), (ANY,))
            for i in range(count):
                array[rows[first + i]] = convert(source[i])
        else:
            array = carray(typed(column + first * size), (ANY,))
            for i in range(count):
                array[i] = convert(source[i])

    return numba.njit(write)


def _by_type(functions: Mapping[str, Any]) -> Any:
    """Compiles the choice between functions, which Numba cannot look up by number."""
    import numba

    given = "column, rows, chosen, first, count, line"
    lines = [f"def move(kind, {given}):"]
    for name in functions:
        lines += [f"    if kind == {_WRITTEN.index(name)}:", f"        {name}({given})"]
    known = dict(functions)
    exec(compile("\n".join(lines), "<columns by type>", "exec"), known)
    return numba.njit(known["move"])


@cache
def pointer(name: str) -> Any:
    """Returns a function for machine code that makes an address a pointer to a type."""
    from numba import types
    from numba.extending import intrinsic

    kind = types.CPointer(getattr(types, "uint8" if name == "bool" else name))  # type: ignore[no-untyped-call]

    def typed(context: Any, address: Any) -> Any:
        del context, address

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

        return kind(types.int64), generate

    return intrinsic(typed)


def _call() -> Any:
    """Returns a function that calls a compiled program at an address."""
    from llvmlite import ir
    from numba import types
    from numba.extending import intrinsic

    def typed(context: Any, program: Any, given: Any, found: Any, tables: Any, count: Any) -> Any:
        del context, program, given, found, tables, count

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            del signature
            numbers, whole = ir.DoubleType().as_pointer(), ir.IntType(64)
            kind = ir.FunctionType(ir.VoidType(), [numbers, numbers, numbers, whole])
            buffers = [builder.inttoptr(buffer, numbers) for buffer in args[1:4]]
            builder.call(builder.inttoptr(args[0], kind.as_pointer()), [*buffers, args[4]])
            return context.get_dummy_value()

        return types.void(*([types.int64] * 5)), generate

    return intrinsic(typed)

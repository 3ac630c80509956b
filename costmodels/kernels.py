"""Recorded expressions compiled to machine code by Numba, where it is installed (extra ``fast``).

NumPy passes over memory once per operation; compiled, a design's terms stay in registers, which is ten to fifty
times as fast. The operations and their order are the recording's, without contraction or reassociation, so that the
numbers are NumPy's bit by bit. Compiling takes one to three CPU-seconds per program, so it waits until a process has
asked for ``WORTH_COMPILING`` designs.
"""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.expressions import Program
from accelgym.costmodels.lines import ANY, LINE, address, addresses, call_in_blocks, readable

__all__ = ["WORTH_COMPILING", "BoundKernel", "Kernel", "is_available"]

WORTH_COMPILING = 1_000_000

FloatArray = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Addresses = tuple[Integers, Integers]
"""Where columns begin, and the numbers of their types."""
_OPERATORS = {"add": "fadd", "subtract": "fsub", "multiply": "fmul", "divide": "fdiv"}
_COMPARISONS = {"less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">=", "equal": "=="}
_LOGIC = {"logical_and": "and_", "logical_or": "or_"}


@cache
def is_available() -> bool:
    """Whether Numba is installed."""
    return importlib.util.find_spec("numba") is not None


class Kernel:
    """A program with columns of one shape: in NumPy at first, compiled when enough designs have been asked for.

    Args:
        record: Returns the outputs' names and the program.
    """

    def __init__(self, record: Callable[[], tuple[Sequence[str], Program]]) -> None:
        self._record = record
        self._asked = 0
        self._compiled: Any = None
        self._buffers = threading.local()

    @cached_property
    def _tables(self) -> FloatArray:
        return np.concatenate([np.zeros(1), *self._recording[1].tables])

    @cached_property
    def _recording(self) -> tuple[tuple[str, ...], Program]:
        names, program = self._record()
        return tuple(names), program

    @property
    def names(self) -> tuple[str, ...]:
        """The outputs."""
        return self._recording[0]

    @property
    def inputs(self) -> tuple[str, ...]:
        """The inputs."""
        return self._recording[1].inputs

    def wants(self, rows: int) -> bool:
        """Counts designs that are about to be evaluated; whether to have them evaluated here."""
        self._asked += rows
        return self._asked >= WORTH_COMPILING and is_available()

    def bind(self, columns: Mapping[str, Any], results: Mapping[str, npt.NDArray[Any]]) -> BoundKernel:
        """Prepares the evaluation of designs; compiles the program if this is the first time.

        Args:
            columns: Arrays of numbers of shape ``(rows,)`` or 0-d, by the names of the inputs; others are left out.
            results: Contiguous arrays of shape ``(rows,)`` to write to, of bool, int8, int64 or float64, by the names
                of outputs. Masks are 0 and 1 as numbers; numbers are True as bool where they are not 0.
        """
        program = self._recording[1]
        read, written = [readable(columns[name]) for name in program.inputs], list(results.values())
        # Addresses are no references.
        bound = self.bind_at(addresses(read), addresses(written), list(results), keep=(read, written))
        bound.constants = [(line, column) for line, column in enumerate(read) if column.ndim == 0]
        return bound

    def bind_at(self, read: Addresses, written: Addresses, names: Sequence[str], keep: Any) -> BoundKernel:
        """The same for columns at addresses.

        Args:
            read: Columns of all inputs, in their order.
            written: Columns of results.
            names: Their names.
            keep: What owns the memory.
        """
        outputs, program = self._recording
        if self._compiled is None:
            self._compiled = _compiled(program)
        if not hasattr(self._buffers, "given"):
            self._buffers.given = np.zeros(len(program.inputs) * LINE)
            self._buffers.found = np.zeros(len(outputs) * LINE)
        lines = np.array([outputs.index(name) for name in names], dtype=np.int64)
        buffers = self._buffers.given, self._buffers.found, self._tables
        return BoundKernel(self._compiled, buffers, (*read, *written, lines), keep)


class BoundKernel:
    """A compiled program, the columns it reads and those it writes; for use by the thread that made it."""

    def __init__(
        self, compiled: Any, buffers: tuple[FloatArray, ...], columns: tuple[Integers, ...], keep: Any
    ) -> None:
        self._kept = compiled, buffers, keep
        self._given = buffers[0]
        self._program = compiled.address, *map(address, buffers)
        self._columns = columns
        self.constants: list[tuple[int, npt.NDArray[Any]]] = []
        """Lines of the input that hold one number, and these."""

    def run(self, start: int, count: int, rows: npt.NDArray[np.intp] | None = None) -> None:
        """Evaluates ``count`` designs from ``start`` on, of all or of ``rows``, and writes their results."""
        for line, column in self.constants:
            self._given[line * LINE : (line + 1) * LINE] = column
        chosen = _ALL if rows is None else np.ascontiguousarray(rows, dtype=np.int64)
        if count:
            call_in_blocks()(*self._program, *self._columns, chosen, start, count)


_ALL = np.empty(0, dtype=np.int64)


def _compiled(program: Program) -> Any:
    """Compiles a loop over the designs of a block; line ``j`` begins at ``j * LINE``."""
    import numba

    lines = [
        "def kernel(given, found, tables, rows):",
        f"    given, found = carray(given, ({ANY},)), carray(found, ({ANY},))",
        f"    tables = carray(tables, ({ANY},))",
        "    for i in range(rows):",
    ]
    lines += [f"        x{j} = given[i + {j * LINE}]" for j in range(len(program.inputs))]
    steps, outputs = program.statements()
    begins = np.cumsum([1, *(len(table) for table in program.tables)])
    for result, function, args in steps:
        if function == "lookup":
            lines.append(f"        {result} = tables[uint64(int64({args[1]}) + {begins[int(float(args[0]))]})]")
        else:
            lines.append(f"        {result} = {function}({', '.join(args)})")
    for j, (value, is_mask) in enumerate(outputs):
        lines.append(f"        found[i + {j * LINE}] = {f'where({value}, 1.0, 0.0)' if is_mask else value}")
    functions = {name: getattr(numba, name) for name in ("carray", "int64", "uint64")} | dict(_functions())
    exec(compile("\n".join(lines), f"<{program.length} recorded operations>", "exec"), functions)
    numbers: Any = numba.types.CPointer(numba.float64)  # type: ignore[no-untyped-call]
    return numba.cfunc(numba.void(numbers, numbers, numbers, numba.int64), error_model="numpy")(functions["kernel"])


@cache
def _functions() -> Mapping[str, Any]:
    """The operations as single machine instructions; branches would keep the loop from being vectorised."""
    from numba import types
    from numba.extending import intrinsic

    def function(result: Any, kinds: Sequence[Any], build: Callable[..., Any]) -> Any:
        signature = result(*kinds)

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            del context, signature
            return build(builder, *args)

        return intrinsic({1: _unary, 2: _binary, 3: _ternary}[len(kinds)](signature, generate))

    number, mask = types.float64, types.boolean

    def rounding(name: str) -> Callable[..., Any]:
        return lambda b, x: b.call(b.module.declare_intrinsic(f"llvm.{name}", [x.type]), [x])

    found = {name: function(number, (number,), rounding(name)) for name in ("floor", "ceil", "sqrt")}
    for name, method in _OPERATORS.items():
        found[name] = function(number, (number, number), lambda b, x, y, m=method: getattr(b, m)(x, y))
    for name, method in _LOGIC.items():
        found[name] = function(mask, (mask, mask), lambda b, x, y, m=method: getattr(b, m)(x, y))
    for name, sign in _COMPARISONS.items():
        found[name] = function(mask, (number, number), lambda b, x, y, s=sign: b.fcmp_ordered(s, x, y))
    for name, sign in {"minimum": "<", "maximum": ">"}.items():
        found[name] = function(
            number, (number, number), lambda b, x, y, s=sign: b.select(b.fcmp_ordered(s, x, y), x, y)
        )
    found["logical_not"] = function(mask, (mask,), lambda b, x: b.not_(x))
    found["where"] = function(number, (mask, number, number), lambda b, c, x, y: b.select(c, x, y))
    return found


# Numba counts the arguments of what it is given.


def _unary(signature: Any, generate: Any) -> Any:
    return lambda context, a: (signature, generate)


def _binary(signature: Any, generate: Any) -> Any:
    return lambda context, a, b: (signature, generate)


def _ternary(signature: Any, generate: Any) -> Any:
    return lambda context, a, b, c: (signature, generate)

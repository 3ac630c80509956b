"""Recorded expressions compiled to machine code by Numba, where it is installed (extra ``fast``).

NumPy passes over memory once per operation; compiled, a design's terms stay in registers, which is ten to thirty
times as fast. The operations and their order are the recording's, without contraction or reassociation, so that the
numbers are NumPy's bit by bit. Compiling takes one to three CPU-seconds per program, so it waits until a process has
asked for ``WORTH_COMPILING`` designs.
"""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.expressions import Program

__all__ = ["BLOCK", "WORTH_COMPILING", "Kernel", "is_available"]

BLOCK = 4096
"""Designs a compiled function takes at a time unless told otherwise: its inputs and outputs stay in the cache."""
WORTH_COMPILING = 1_000_000

FloatArray = npt.NDArray[np.float64]
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
        block: Most designs at a time.
    """

    def __init__(self, record: Callable[[], tuple[Sequence[str], Program]], block: int = BLOCK) -> None:
        self._block = block
        self._record = record
        self._asked = 0
        self._compiled: Callable[[FloatArray, FloatArray, int], None] | None = None
        self._buffers = threading.local()

    def wants(self, rows: int) -> bool:
        """Counts designs that are about to be evaluated; whether to have them evaluated here."""
        self._asked += rows
        return self._asked >= WORTH_COMPILING and is_available()

    def run(self, columns: Mapping[str, Any], rows: int) -> dict[str, FloatArray]:
        """Evaluates designs.

        Args:
            columns: Arrays of numbers of shape ``(rows,)`` or 0-d, by the names of the inputs.
            rows: Number of designs, at most a block.

        Returns:
            float64 columns of shape ``(rows,)``, views into a buffer that the next call overwrites; masks are 0
            and 1.
        """
        if self._compiled is None:
            self._names, program = self._record()
            self._inputs = program.inputs
            self._compiled = _compiled(program, self._block)
        if not hasattr(self._buffers, "given"):
            self._buffers.given = np.zeros((len(self._inputs), self._block))
            self._buffers.found = np.zeros((len(self._names), self._block))
        given, found = self._buffers.given, self._buffers.found
        for line, name in zip(given, self._inputs, strict=True):
            line[:rows] = columns[name]
        self._compiled(given.reshape(-1), found.reshape(-1), rows)
        return dict(zip(self._names, found[:, :rows], strict=True))


def _compiled(program: Program, block: int) -> Callable[[FloatArray, FloatArray, int], None]:
    """Compiles a loop over the designs of a block."""
    import numba

    lines = ["def kernel(given, found, rows):", "    for i in range(rows):"]
    lines += [f"        x{j} = given[i + {j * block}]" for j in range(len(program.inputs))]
    steps, outputs = program.statements()
    lines += [f"        {result} = {function}({', '.join(args)})" for result, function, args in steps]
    for j, (value, is_mask) in enumerate(outputs):
        lines.append(f"        found[i + {j * block}] = {f'where({value}, 1.0, 0.0)' if is_mask else value}")
    functions: dict[str, Any] = dict(_functions())
    exec(compile("\n".join(lines), f"<{program.length} recorded operations>", "exec"), functions)
    flat = numba.types.Array(numba.float64, 1, "C")
    signature = numba.void(flat, flat, numba.int64)
    kernel: Callable[[FloatArray, FloatArray, int], None] = numba.njit(signature, error_model="numpy", nogil=True)(
        functions["kernel"]
    )
    return kernel


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

    found = {name: function(number, (number,), rounding(name)) for name in ("floor", "ceil")}
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

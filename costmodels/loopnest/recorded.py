"""The closed form recorded for machine code: columns of integers in, the columns of a result out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.costs import Reason
from accelgym.costmodels.expressions import Program, Recorder
from accelgym.costmodels.kernels import Kernel as MachineCode
from accelgym.costmodels.lines import ANY, address, addresses, number_of, pointer
from accelgym.costmodels.loopnest.kernel import Kernel
from accelgym.costmodels.loopnest.table import dtype_of, tabulate

if TYPE_CHECKING:
    from accelgym.costmodels.loopnest.mappings import Mappings

__all__ = ["RecordedKernel", "place_of", "record_score"]

_BLOCK = 2048
"""Mappings checked at a time, so that what the check has read is still near when they are evaluated."""


class _Given:
    """Stands in for ``factors`` or ``ranks``: an input for each slot and dimension."""

    def __init__(self, recorder: Recorder, name: str) -> None:
        self.recorder, self.name = recorder, name

    def __getitem__(self, place: tuple[int, int]) -> Any:
        return self.recorder.input(f"{self.name} {place[0]} {place[1]}")


def place_of(column: str) -> tuple[str, int, int]:
    """Returns the array that a column of :func:`record_score` or of a kernel is of, its slot and its dimension."""
    array, slot, dim = column.split()
    return array, int(slot), int(dim)


def record_score(score: Callable[..., tuple[Any, Any, Any]]) -> tuple[tuple[str, ...], Program]:
    """Records energy, cycles and validity.

    Args:
        score: Gives them for ``factors`` and ``ranks``.

    Returns:
        The names of the three and the program. Its inputs are ``factors SLOT DIM`` and ``ranks SLOT DIM``.
    """
    recorder = Recorder()
    return ("energy", "cycles", "valid"), Program(score(_Given(recorder, "factors"), _Given(recorder, "ranks")))


class RecordedKernel:
    """A closed form that takes integer columns and writes the columns of a result.

    Args:
        kernel: The closed form.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._machine = MachineCode(self._record)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies begin anew: machine code and its buffers belong to a process."""
        return type(self), (self._kernel,)

    def wants(self, mappings: Mappings) -> bool:
        """Counts mappings that are about to be evaluated; whether to have them evaluated here."""
        arrays = (mappings.factors, mappings.ranks)
        plain = all(isinstance(a, np.ndarray) and a.dtype.kind in "iu" for a in arrays)
        return plain and mappings.keep is None and mappings.residuals is None and self._machine.wants(len(mappings))

    def run(self, mappings: Mappings) -> dict[str, npt.NDArray[Any]]:
        """Evaluates mappings into the columns of the table."""
        n, names = len(mappings), self._machine.names
        factors, ranks = (np.ascontiguousarray(a, dtype=np.int64) for a in (mappings.factors, mappings.ranks))
        bad = np.empty(n, dtype=np.bool_)
        which, places = self._places
        begins = np.array([address(factors), address(ranks), address(bad)], dtype=np.int64)[which] + 8 * n * places
        read = begins, np.where(which < 2, number_of("int64"), number_of("bool"))
        results, written = _allocate(names, n)
        bound = self._machine.bind_at(read, written, names, keep=(factors, ranks, bad, results))
        checked = address(factors), address(ranks), address(bad), *factors.shape
        check = _check()
        for start in range(0, n, _BLOCK):
            count = min(_BLOCK, n - start)
            check(*checked, start, count)
            bound.run(start, count)
        return results

    @cached_property
    def _places(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Of each input, its array (factors, ranks, bad) and which column of it."""
        dims = len(self._kernel.problem.dims)
        found = []
        for column in self._machine.inputs:
            array, slot, dim = (column, 0, 0) if column == "bad" else place_of(column)
            found.append((("factors", "ranks", "bad").index(array), slot * dims + dim))
        which, places = np.array(found, dtype=np.int64).T
        return which, places

    def _record(self) -> tuple[tuple[str, ...], Program]:
        recorder = Recorder()
        factors, ranks = _Given(recorder, "factors"), _Given(recorder, "ranks")
        totals = self._kernel(factors, ranks, detail=True)
        bad = recorder.input("bad") != 0.0
        reason = recorder.where(bad, float(Reason.BAD_VALUE), totals.reason)
        table = tabulate(self._kernel.problem, self._kernel.architecture, totals, reason)
        return tuple(table), Program([np.float64(v) if isinstance(v, int | float) else v for v in table.values()])


def _allocate(names: Sequence[str], n: int) -> tuple[dict[str, npt.NDArray[Any]], Any]:
    """Returns columns to write to, and where they are and of which types."""
    dtypes = [np.dtype(dtype_of(name)) for name in names]
    if n > _BLOCK:
        # Each on its own, so that whoever keeps one does not keep them all.
        columns = [np.empty(n, dtype=dtype) for dtype in dtypes]
        return dict(zip(names, columns, strict=True)), addresses(columns)
    block = np.empty((len(names), n))
    columns = [line if dtype == line.dtype else line.view(dtype)[:n] for line, dtype in zip(block, dtypes, strict=True)]
    kinds = np.array([number_of(dtype.name) for dtype in dtypes], dtype=np.int64)
    return dict(zip(names, columns, strict=True)), (address(block) + 8 * n * np.arange(len(names)), kinds)


@cache
def _check() -> Callable[..., None]:
    """Compiles the check of mappings: whether factors are below 1 or ranks no permutation.

    Its arguments are the addresses of both, C-contiguous int64, and of the result, bool; slots, dimensions and mappings
    of the arrays; the first mapping to check and how many.
    """
    import numba
    from numba.np.numpy_support import carray

    whole, mask = pointer("int64"), pointer("bool")

    def check(factors: int, ranks: int, bad: int, slots: int, dims: int, n: int, start: int, count: int) -> None:
        low, high = np.ones(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
        seen, wrong = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
        for slot in range(slots):
            for d in range(dims):
                offset = 8 * ((slot * dims + d) * n + start)
                factor, rank = carray(whole(factors + offset), (ANY,)), carray(whole(ranks + offset), (ANY,))
                for i in range(count):
                    low[i] = min(low[i], factor[i])
                    # Ranks that are none leave bits in ``high``.
                    high[i] |= rank[i]
                    seen[i] |= 1 << (rank[i] & 63)
            for i in range(count):
                wrong[i] |= seen[i] ^ ((1 << dims) - 1)
                seen[i] = 0
        found = carray(mask(bad + start), (ANY,))
        for i in range(count):
            found[i] = (wrong[i] != 0) | (high[i] < 0) | (high[i] > 63) | (low[i] < 1)

    compiled: Callable[..., None] = numba.njit(numba.void(*([numba.int64] * 8)), nogil=True)(check)
    return compiled

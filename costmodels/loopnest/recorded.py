"""The closed form recorded for machine code: one program per model, columns of small integers in, totals out."""

from __future__ import annotations

import itertools
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from accelgym.costmodels.expressions import Program, Recorder
from accelgym.costmodels.kernels import Kernel as MachineCode
from accelgym.costmodels.loopnest.kernel import Kernel, Totals

if TYPE_CHECKING:
    from accelgym.costmodels.loopnest.mappings import Mappings

__all__ = ["BLOCK", "RecordedKernel"]

BLOCK = 2048
"""Mappings at a time: with some hundred columns of inputs and totals, what a cache holds."""


class _Given:
    """Stands in for ``factors`` or ``ranks``: an input for each slot and dimension."""

    def __init__(self, recorder: Recorder, name: str) -> None:
        self.recorder, self.name = recorder, name

    def __getitem__(self, place: tuple[int, int]) -> Any:
        return self.recorder.input(f"{self.name} {place[0]} {place[1]}")


class RecordedKernel:
    """A closed form that takes integer columns and gives :class:`Totals` of float64 columns.

    Args:
        kernel: The closed form.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._machine = MachineCode(self._record, BLOCK)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies begin anew: machine code and its buffers belong to a process."""
        return type(self), (self._kernel,)

    def wants(self, mappings: Mappings) -> bool:
        """Counts mappings that are about to be evaluated; whether to have them evaluated here."""
        plain = isinstance(mappings.factors, np.ndarray) and mappings.keep is None and mappings.residuals is None
        return plain and self._machine.wants(len(mappings))

    def run(self, mappings: Mappings) -> tuple[Totals, Any]:
        """Evaluates at most :data:`BLOCK` mappings: their totals, and which of them have bad values."""
        given: dict[str, Any] = {}
        for name, array in (("factors", mappings.factors), ("ranks", mappings.ranks)):
            for slot, dim in itertools.product(*map(range, array.shape[:2])):
                given[f"{name} {slot} {dim}"] = array[slot, dim]
        found = self._machine.run(given, len(mappings))
        parts: dict[str, Any] = {}
        for name, shape in self._shapes.items():
            if shape is None:
                parts[name] = found[name]
            elif isinstance(shape, int):
                parts[name] = tuple(found[f"{name} {i}"] for i in range(shape))
            else:
                parts[name] = {key: found[f"{name} {i}"] for i, key in enumerate(shape)}
        return Totals(**parts), found["bad"] != 0.0

    def _record(self) -> tuple[tuple[str, ...], Program]:
        recorder = Recorder()
        factors, ranks = _Given(recorder, "factors"), _Given(recorder, "ranks")
        totals = self._kernel(factors, ranks, detail=True)
        outputs: dict[str, Any] = {"bad": self._bad(factors, ranks)}
        self._shapes: dict[str, Any] = {}
        for part in (f.name for f in fields(Totals)):
            value = getattr(totals, part)
            if isinstance(value, tuple):
                self._shapes[part] = len(value)
                outputs |= {f"{part} {i}": one for i, one in enumerate(value)}
            elif isinstance(value, dict):
                self._shapes[part] = tuple(value)
                outputs |= {f"{part} {i}": one for i, one in enumerate(value.values())}
            else:
                self._shapes[part] = None
                outputs[part] = value
        return tuple(outputs), Program([np.float64(v) if isinstance(v, int | float) else v for v in outputs.values()])

    def _bad(self, factors: _Given, ranks: _Given) -> Any:
        """Rows whose factors are below 1 or whose ranks are no permutation."""
        dims = range(len(self._kernel.problem.dims))
        good: Any = np.bool_(True)
        for slot in range(len(self._kernel.architecture.slots)):
            for d in dims:
                good = good & (factors[slot, d] >= 1.0)
                good = good & (ranks[slot, d] >= 0.0) & (ranks[slot, d] <= float(dims[-1]))
            for d, e in itertools.combinations(dims, 2):
                good = good & (ranks[slot, d] != ranks[slot, e])
        return ~good

"""Batches of mappings as a struct of arrays, and their conversion from and to lists of loops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.architecture.machine import Architecture
from accelgym.costmodels.arrays import Array, to_numpy
from accelgym.costmodels.errors import InputError, unknown_name
from accelgym.costmodels.workloads.layer import MAX_MACS

__all__ = ["Loop", "Mappings"]


@dataclass(frozen=True)
class Loop:
    """One loop of a nest. ``residual`` replaces ``bound`` in the last iteration of the enclosing ``dim`` loops."""

    level: int
    kind: str
    """``temporal``, ``x`` or ``y``; a spatial loop spreads over the fan-out below ``level``."""
    dim: int
    bound: int
    residual: int


@dataclass(frozen=True)
class Mappings:
    """A batch of ``n`` mappings of one problem onto one architecture.

    Slots are ``architecture.slots``: per level the loops in time, then those along y and x of the fan-out below.
    The tile that level ``L`` holds has the extents of all loops at ``L`` and inside.

    The arrays are fastest when each ``factors[:, slot, dim]`` is contiguous; :meth:`empty` allocates them so.
    """

    problem: LoopNest
    architecture: Architecture
    factors: Array
    """Loop bounds, shape ``(n, slots, dims)``; 1 for no loop."""
    ranks: Array
    """Position inside the slot, shape ``(n, slots, dims)``, 0 outermost; distinct within a slot."""
    keep: Array | None = None
    """bool, shape ``(n, levels, tensors)``: held at this level. ``None`` keeps all that the level may store."""
    residuals: Array | None = None
    """Bounds in the last iteration, shape ``(n, slots, dims)``; ``None`` when all factors divide."""

    def __post_init__(self) -> None:
        shape = (len(self), len(self.architecture.slots), len(self.problem.dims))
        for name in ("factors", "ranks", "residuals"):
            array = getattr(self, name)
            if array is not None and tuple(array.shape) != shape:
                raise InputError(f"mappings.{name} has shape {tuple(array.shape)}, expected {shape} (n, slots, dims)")
        kept = (len(self), len(self.architecture.levels), len(self.problem.tensors))
        if self.keep is not None and tuple(self.keep.shape) != kept:
            raise InputError(f"mappings.keep has shape {tuple(self.keep.shape)}, expected {kept}")

    def __len__(self) -> int:
        return int(self.factors.shape[0])

    def __getitem__(self, rows: slice | npt.NDArray[Any]) -> Mappings:
        """Returns a sub-batch."""
        return Mappings(
            self.problem,
            self.architecture,
            self.factors[rows],
            self.ranks[rows],
            None if self.keep is None else self.keep[rows],
            None if self.residuals is None else self.residuals[rows],
        )

    @classmethod
    def empty(cls, problem: LoopNest, architecture: Architecture, n: int) -> Mappings:
        """Allocates ``n`` mappings of unit loops in the given order of dimensions, column by column."""
        shape = (len(architecture.slots), len(problem.dims), n)
        ranks = np.empty(shape, dtype=np.int64)
        ranks[:] = np.arange(len(problem.dims), dtype=np.int64)[None, :, None]
        factors = np.ones(shape, dtype=np.int64)
        return cls(problem, architecture, factors.transpose(2, 0, 1), ranks.transpose(2, 0, 1))

    @classmethod
    def concatenate(cls, parts: Sequence[Mappings]) -> Mappings:
        """Joins NumPy batches of one problem and architecture; all or none have ``keep``, and ``residuals``."""
        joined = {}
        for name in ("factors", "ranks", "keep", "residuals"):
            arrays = [getattr(part, name) for part in parts]
            joined[name] = None if arrays[0] is None else np.concatenate(arrays)
        return cls(parts[0].problem, parts[0].architecture, **joined)

    @classmethod
    def from_loops(
        cls, problem: LoopNest, architecture: Architecture, mappings: Sequence[Mapping[str, Any]]
    ) -> Mappings:
        """Reads mappings as lists of loops.

        Args:
            problem: The problem.
            architecture: The machine.
            mappings: One dictionary each: ``temporal[level]`` lists loops ``{dim, bound[, residual]}`` outer to
                inner; ``spatial`` is ``{between: [outer, inner], x: [...], y: [...]}`` or a list of those, one
                per fan-out; ``bypass[level]`` lists tensors not stored there.

        Raises:
            InputError: A level, dimension or tensor does not exist, a dimension repeats within a slot, a bound
                is not a positive integer, or a spatial loop lies where there is no fan-out.
        """
        reader = _LoopReader(problem, architecture, len(mappings))
        for row, mapping in enumerate(mappings):
            reader.read(row, mapping)
        return reader.mappings()

    def to_loops(self, row: int) -> dict[str, Any]:
        """Writes one mapping as lists of loops; the inverse of :meth:`from_loops` for a single row."""
        architecture = self.architecture
        names = (*architecture.level_names, architecture.compute.name)
        temporal: dict[str, list[dict[str, Any]]] = {name: [] for name in architecture.level_names}
        spatial: dict[int, dict[str, Any]] = {}
        for level, outer in enumerate(architecture.levels):
            if outer.fanout > 1:
                spatial[level] = {"between": list(names[level : level + 2]), "x": [], "y": []}
        for loop in self.loops(row):
            entry: dict[str, Any] = {"dim": self.problem.dims[loop.dim], "bound": loop.bound}
            if loop.residual != loop.bound:
                entry["residual"] = loop.residual
            if loop.kind == "temporal":
                temporal[names[loop.level]].append(entry)
            else:
                spatial[loop.level][loop.kind].append(entry)
        bypass: dict[str, list[str]] = {}
        if self.keep is not None:
            for name, kept in zip(architecture.level_names, to_numpy(self.keep[row]), strict=True):
                gone = [t for t, k in zip(self.problem.tensor_names, kept, strict=True) if not k]
                if gone:
                    bypass[name] = gone
        fanouts = list(spatial.values())
        return {
            "temporal": temporal,
            "spatial": fanouts[0] if len(fanouts) == 1 else fanouts,
            "bypass": bypass,
        }

    def loops(self, row: int) -> list[Loop]:
        """Lists the loops of one mapping with bound > 1 (or residual > 1), outer to inner."""
        factors, ranks = to_numpy(self.factors[row]), to_numpy(self.ranks[row])
        residuals = factors if self.residuals is None else to_numpy(self.residuals[row])
        return [
            Loop(slot.level, slot.kind, int(dim), int(factors[s, dim]), int(residuals[s, dim]))
            for s, slot in enumerate(self.architecture.slots)
            for dim in np.argsort(ranks[s], kind="stable")
            if factors[s, dim] > 1 or residuals[s, dim] > 1
        ]


class _LoopReader:
    """Fills the arrays of :class:`Mappings` row by row."""

    def __init__(self, problem: LoopNest, architecture: Architecture, n: int) -> None:
        self.problem = problem
        self.architecture = architecture
        self.base = Mappings.empty(problem, architecture, n)
        self.residuals = self.base.factors.copy()
        self.imperfect = False
        levels, tensors = len(architecture.levels), len(problem.tensors)
        self.keep = np.ones((levels, tensors, n), dtype=bool).transpose(2, 0, 1)

    def read(self, row: int, mapping: Mapping[str, Any]) -> None:
        for key in mapping:
            if key not in ("temporal", "spatial", "bypass"):
                raise unknown_name("key of mapping", key, ("temporal", "spatial", "bypass"))
        for name, loops in _table(mapping, "temporal").items():
            self._fill(row, self.architecture.position(name), "temporal", loops, f"mapping.temporal.{name}")
        spatial = mapping.get("spatial") or []
        for fanout in [spatial] if isinstance(spatial, Mapping) else _list(spatial, "mapping.spatial"):
            if not isinstance(fanout, Mapping):
                raise InputError(f"mapping.spatial holds {fanout!r}, allowed: a table with between, x and y")
            self._fanout(row, fanout)
        for name, tensors in _table(mapping, "bypass").items():
            level = self.architecture.position(name)
            for tensor in _list(tensors, f"mapping.bypass.{name}"):
                if tensor not in self.problem.tensor_names:
                    raise unknown_name(f"tensor in mapping.bypass.{name}", tensor, self.problem.tensor_names)
                self.keep[row, level, self.problem.tensor_names.index(tensor)] = False

    def mappings(self) -> Mappings:
        return Mappings(
            self.problem,
            self.architecture,
            self.base.factors,
            self.base.ranks,
            None if self.keep.all() else self.keep,
            self.residuals if self.imperfect else None,
        )

    def _fanout(self, row: int, fanout: Mapping[str, Any]) -> None:
        for key in fanout:
            if key not in ("between", "x", "y"):
                raise unknown_name("key of mapping.spatial", key, ("between", "x", "y"))
        names = (*self.architecture.level_names, self.architecture.compute.name)
        level = next((i for i, outer in enumerate(self.architecture.levels) if outer.fanout > 1), 0)
        if "between" in fanout:
            between = fanout["between"]
            if not isinstance(between, list) or len(between) != 2:
                raise InputError(f"mapping.spatial.between is {between!r}, allowed: [outer level, inner level]")
            outer, inner = between
            level = self.architecture.position(outer)
            if names[level + 1] != inner:
                raise InputError(
                    f"mapping.spatial.between is {[outer, inner]}: below {outer!r} lies {names[level + 1]!r}"
                )
        for kind in ("x", "y"):
            self._fill(row, level, kind, fanout.get(kind) or [], f"mapping.spatial.{kind}")

    def _fill(self, row: int, level: int, kind: str, loops: Any, where: str) -> None:
        slot = self.architecture.slot(level, kind)  # type: ignore[arg-type]
        used: list[int] = []
        for loop in _list(loops, where):
            if not isinstance(loop, Mapping):
                raise InputError(f"{where} holds {loop!r}, allowed: loops with dim, bound and, optionally, residual")
            if loop.get("dim") not in self.problem.dims:
                raise unknown_name(f"dimension in {where}", loop.get("dim"), self.problem.dims)
            dim = self.problem.dims.index(loop["dim"])
            bound = loop.get("bound")
            residual = loop.get("residual", bound)
            for key, value in (("bound", bound), ("residual", residual)):
                if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_MACS:
                    raise InputError(f"{where}: {key} of {loop['dim']} is {value!r}, allowed integers 1..2**53")
            if residual > bound:
                raise InputError(f"{where}: residual {residual} of {loop['dim']} exceeds its bound {bound}")
            if dim in used:
                raise InputError(f"{where}: dimension {loop['dim']!r} appears twice")
            if slot is None:
                if bound == 1:
                    continue
                raise InputError(
                    f"{where}: {loop['dim']}={bound} below {self.architecture.levels[level].name!r}, "
                    f"which has fan-out 1 in {kind}"
                )
            used.append(dim)
            self.base.factors[row, slot, dim] = bound
            self.residuals[row, slot, dim] = residual
            self.imperfect |= bound != residual
        if slot is not None:
            order = used + [dim for dim in range(len(self.problem.dims)) if dim not in used]
            self.base.ranks[row, slot, order] = np.arange(len(order))


def _table(mapping: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = mapping.get(key) or {}
    if not isinstance(value, Mapping):
        raise InputError(f"mapping.{key} is {value!r}, allowed: a table by level name")
    return value


def _list(value: Any, where: str) -> Sequence[Any]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise InputError(f"{where} is {value!r}, allowed: a list")
    return value

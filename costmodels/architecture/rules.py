"""Where loops may lie: an architecture's fan-outs and mapping constraints as tables over slots and dimensions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.architecture.floors import Floors
from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.architecture.machine import Architecture, Constraint
from accelgym.costmodels.errors import InputError, warn_input

__all__ = ["Rules"]

FREE, KEPT, BYPASSED = -1, 1, 0


@dataclass(frozen=True)
class Rules:
    """Everything that restricts a mapping apart from the room in the memories and in the fan-outs."""

    open: npt.NDArray[np.bool_]
    """Whether loops beyond ``fixed`` may be placed, shape ``(slots, dims)``."""
    fixed: npt.NDArray[np.int64]
    """Loop bounds that are prescribed, shape ``(slots, dims)``; 1 elsewhere."""
    most: npt.NDArray[np.int64]
    """Largest loop bound, shape ``(slots, dims)``."""
    absorber: npt.NDArray[np.int64]
    """Per dimension the slot that takes what is not placed elsewhere: the outermost open time loop."""
    pinned: tuple[tuple[int, ...], ...]
    """Per level the dimensions whose time loops are innermost, from the innermost outwards."""
    keep: npt.NDArray[np.int8]
    """1 kept, 0 bypassed, -1 free to choose; shape ``(levels, tensors)``."""
    floors: Floors
    """What has to be used at least."""

    @classmethod
    def build(cls, problem: LoopNest, architecture: Architecture, *, bypass: bool) -> Rules:
        """Reads the constraints of an architecture.

        Args:
            problem: The problem; constraints on dimensions it lacks do not apply.
            architecture: The machine.
            bypass: Leave open what no constraint says about keeping tensors; else every level keeps what it may.

        Raises:
            InputError: A constraint contradicts another or the problem, or limits the loop that has to take the
                remainder.
        """
        shape = (len(architecture.slots), len(problem.dims))
        bounds = np.array(problem.bounds, dtype=np.int64)
        draft = _Draft(
            problem,
            architecture,
            np.ones(shape, bool),
            np.ones(shape, np.int64),
            np.tile(bounds, (shape[0], 1)),
            np.ones(shape, np.int64),
        )
        for s, slot in enumerate(architecture.slots):
            level = architecture.levels[slot.level]
            if slot.kind != "temporal":
                draft.most[s] = np.minimum(draft.most[s], level.fanout_x if slot.kind == "x" else level.fanout_y)
        pinned: list[tuple[int, ...]] = [()] * len(architecture.levels)
        for constraint in architecture.constraints:
            level_index = architecture.position(constraint.level)
            if constraint.kind == "spatial":
                if constraint.along is None:
                    draft.pin_direction(constraint, level_index)
                kinds: tuple[Literal["x", "y"], ...] = ("y", "x") if constraint.along is None else (constraint.along,)
                draft.restrict(constraint, [architecture.slot(level_index, kind) for kind in kinds])
            if constraint.kind == "temporal":
                pinned[level_index] = tuple(
                    problem.dims.index(dim) for dim in constraint.permutation if dim in problem.dims
                )
                draft.restrict(constraint, [architecture.slot(level_index, "temporal")])
        absorbers = draft.absorbers()
        draft.require_least()
        floors = Floors.read(problem, architecture, draft.least)
        keep = _keep(problem, architecture, bypass)
        return cls(draft.open, draft.fixed, draft.most, absorbers, tuple(pinned), keep, floors)

    def narrow(self, problem: LoopNest, architecture: Architecture) -> Architecture:
        """Returns the machine whose memories may hold only what these rules let them hold.

        The smallest shares of their words are among the rules and not of that machine.
        """
        levels = []
        for level, row in zip(architecture.levels, self.keep, strict=True):
            names = frozenset(t for t, rule in zip(problem.tensor_names, row, strict=True) if rule != BYPASSED)
            stores = level.stores if len(names) == len(problem.tensors) else names
            levels.append(replace(level, stores=stores, min_utilization=0.0))
        return replace(architecture, levels=tuple(levels))


@dataclass
class _Draft:
    """Tables under construction."""

    problem: LoopNest
    architecture: Architecture
    open: npt.NDArray[np.bool_]
    fixed: npt.NDArray[np.int64]
    most: npt.NDArray[np.int64]
    least: npt.NDArray[np.int64]

    def pin_direction(self, constraint: Constraint, level: int) -> None:
        """Applies a permutation with a split: its first ``split`` dimensions lie along x, the others along y."""
        if constraint.split is None or not constraint.permutation:
            return
        slots = {kind: self.architecture.slot(level, kind) for kind in ("x", "y")}
        for d, dim in enumerate(self.problem.dims):
            if dim in constraint.permutation:
                along = "x" if constraint.permutation.index(dim) < constraint.split else "y"
            elif len(constraint.permutation) >= constraint.split:
                along = "y"
            else:
                continue
            other = slots["y" if along == "x" else "x"]
            if other is not None:
                self.open[other, d] = False

    def restrict(self, constraint: Constraint, slots: list[int | None]) -> None:
        """Applies factors to the slots of a level: its time loops, or both directions of its fan-out."""
        for dim, (relation, value) in constraint.factors.items():
            if dim not in self.problem.dims:
                continue
            d = self.problem.dims.index(dim)
            where = f"constraint {dim}{relation}{value} ({constraint.kind}) of {constraint.level!r}"
            if value > self.problem.bounds[d] and relation != "<=":
                value = self.problem.bounds[d]
                warn_input(f"{where}: wider than the bound of {dim}, taken as {value}")
            if relation == ">=" and value > 1:
                candidates = [s for s in slots if s is not None and self.open[s, d] and self.most[s, d] >= value]
                if len(candidates) != 1:
                    raise self._misplaced(where, candidates)
                self.least[candidates[0], d] = max(self.least[candidates[0], d], value)
            if relation == "<=":
                for s in slots:
                    if s is not None:
                        self.most[s, d] = min(self.most[s, d], value)
            if relation == "=":
                self._prescribe(where, d, value or self.problem.bounds[d], [s for s in slots if s is not None])

    def _prescribe(self, where: str, d: int, value: int, slots: list[int]) -> None:
        candidates = [s for s in slots if self.open[s, d] and self.most[s, d] >= value]
        self.open[slots, d] = False
        if value == 1:
            return
        if len(candidates) != 1:
            raise self._misplaced(where, candidates)
        self.fixed[candidates[0], d] = value

    @staticmethod
    def _misplaced(where: str, candidates: list[int]) -> InputError:
        fault = "may lie along x or y; say which by permutation and split" if candidates else "does not fit there"
        return InputError(f"{where}: the factor {fault}")

    def require_least(self) -> None:
        """Checks that smallest factors can be reached."""
        for s, d in np.argwhere(self.least > 1):
            slot = self.architecture.slots[s]
            most = self.most[s, d] if self.open[s, d] else self.fixed[s, d]
            if most < self.least[s, d]:
                raise InputError(
                    f"constraints ask for a factor of {self.problem.dims[d]} of at least {self.least[s, d]} and of at "
                    f"most {most} ({slot.kind}) at {self.architecture.levels[slot.level].name!r}"
                )
        for d, (dim, bound) in enumerate(zip(self.problem.dims, self.problem.bounds, strict=True)):
            needed = int(np.maximum(self.least, self.fixed)[:, d].prod())
            if needed > bound:
                raise InputError(f"constraints ask for {needed} iterations of {dim} at least, which has {bound}")

    def absorbers(self) -> npt.NDArray[np.int64]:
        """Finds, per dimension, the slot that takes what is placed nowhere else."""
        result = np.zeros(len(self.problem.dims), dtype=np.int64)
        for d, (dim, bound) in enumerate(zip(self.problem.dims, self.problem.bounds, strict=True)):
            placed = int(np.prod(self.fixed[:, d]))
            if bound % placed:
                raise InputError(f"constraints place a factor of {placed} of {dim}, which does not divide {bound}")
            remainder = bound // placed
            slots = np.flatnonzero(self.open[:, d])
            if remainder == 1:
                self.open[:, d] = False
            elif not len(slots):
                raise InputError(f"constraints leave no loop for {remainder} of the {bound} iterations of {dim}")
            else:
                result[d] = slots[0]
                slot = self.architecture.slots[slots[0]]
                if slot.kind != "temporal" or self.most[slots[0], d] < remainder:
                    raise InputError(
                        f"constraints limit the outermost loop over {dim} that is open, at "
                        f"{self.architecture.levels[slot.level].name!r}; the mapping space needs a time loop there "
                        f"that can take all {remainder} iterations"
                    )
        return result


def _keep(problem: LoopNest, architecture: Architecture, bypass: bool) -> npt.NDArray[np.int8]:
    rules = np.full((len(architecture.levels), len(problem.tensors)), FREE if bypass else KEPT, dtype=np.int8)
    for constraint in architecture.constraints:
        if constraint.kind == "bypass":
            row = rules[architecture.position(constraint.level)]
            for names, rule in ((constraint.keep, KEPT), (constraint.bypass, BYPASSED)):
                for name in names:
                    if name in problem.tensor_names:
                        row[problem.tensor_names.index(name)] = rule
    for v, level in enumerate(architecture.levels):
        for t, name in enumerate(problem.tensor_names):
            if not level.may_store(name):
                rules[v, t] = BYPASSED
    rules[0] = KEPT
    return rules

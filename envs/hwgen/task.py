"""Generating an accelerator for a workload under an area budget, as a task."""

from __future__ import annotations

import time
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from accelgym.costmodels.certificate import Certificate
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.systolic.area import area_table, estimate
from accelgym.costmodels.systolic.config import SystolicConfig
from accelgym.costmodels.systolic.format_kinds import FORMATS
from accelgym.costmodels.systolic.problem import Hardware
from accelgym.costmodels.workloads import Workload, load_workload
from accelgym.envs.certificates import ProvedTask
from accelgym.envs.hwgen.cycles import NO_TILING, distinct_layers, fastest_cycles
from accelgym.envs.hwgen.decoding import ARRAY, SIZED, Decoder
from accelgym.envs.hwgen.precision import product_sqnr_db
from accelgym.envs.hwgen.prefixes import Prefixes
from accelgym.envs.hwgen.spec import PARAMETER_VALUES, HwGenSpec
from accelgym.envs.space import Designs, Space
from accelgym.envs.task import Outcome

__all__ = ["HwGenTask"]

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_BLOCK = 2**17


class HwGenTask(ProvedTask):
    """Chooses array, template, number formats, buffers and ports of a systolic accelerator for a workload.

    The objective is the cycles of the whole workload, each layer with its best tiling: the count that the RTL takes.
    Area and critical path come from the closed forms fitted to synthesis.

    Args:
        workload_object: A workload in place of the spec's name.
        **arguments: Fields of :class:`HwGenSpec`.

    Raises:
        InputError: A bad argument, or limits that no design meets.
    """

    def __init__(self, *, workload_object: Workload | None = None, **arguments: Any) -> None:
        self.spec = HwGenSpec.parse(arguments)
        self._decoder = Decoder(self.spec)
        self.workload = workload_object or load_workload(self.spec.workload)
        self.layers = distinct_layers(self.workload.layers)
        if not self.layers:
            raise InputError(f"workload {self.workload.name!r} has no convolution or GEMM to run on an array")
        self._cycles: dict[tuple[int, ...], int] = {}
        self._refuse_impossible()

    @property
    def env_id(self) -> str:
        return "accelgym/HwGen-v0"

    @property
    def space(self) -> Space:
        return self._decoder.space

    def describe(self) -> dict[str, Any]:
        fields = ("kind", "N", "K", "C", "P", "Q", "R", "S", "stride", "padding", "dilation", "groups")
        return {
            "env": self.env_id,
            "spec": self.spec.model_dump(mode="json"),
            "workload": self.workload.name,
            "layers": [[*(getattr(layer, f) for f in fields), count] for layer, count in self.layers],
            "parameters": {name: list(values) for name, values in PARAMETER_VALUES.items()},
            "formats": FORMATS,
            "area": area_table().provenance,
        }

    def config(self, design: Designs) -> SystolicConfig:
        """Returns the configuration of one design, shape ``(parameters,)``."""
        return self._decoder.config(design)

    def artifacts(self, design: Designs) -> dict[str, str]:
        settings = self.config(design).model_dump(mode="json")
        return {"config.yaml": yaml.safe_dump(settings, sort_keys=False)}

    # -- one evaluation ------------------------------------------------------------------------------------

    def evaluate(self, designs: Designs) -> Outcome:
        rows = self.space.check(designs)
        index = self._flat(rows)
        cycles = self.objective(rows)
        runs = np.isfinite(cycles)
        overshoot = np.where(runs, self._overshoot[index], np.inf)
        return Outcome(
            objective=cycles,
            feasible=overshoot == 0,
            violation=overshoot,
            valid=runs,
            costs={
                "latency_cycles": cycles,
                "latency_ms": cycles / self.spec.clock_ghz * 1e-6,
                "area_nand2": self._area[index],
                "critical_path_ps": self._path[index],
                "sqnr_db": self._sqnr[rows[:, 0]],
            },
        )

    def objective(self, designs: Designs) -> Floats:
        """Returns the cycles of the workload, infinite for designs that do not run all of it, shape ``(n,)``."""
        cycles = self.cycles(designs)
        return np.where(cycles == NO_TILING, np.inf, cycles.astype(np.float64))

    def cycles(self, designs: Designs) -> Ints:
        """Returns the cycles of the workload, shape ``(n,)``; designs with equal hardware are counted once.

        :data:`NO_TILING` where a layer exceeds the buffers, counters or addresses of a design.
        """
        keys = [tuple(row) for row in self._decoder.hardware_keys(designs).tolist()]
        missing = {key: row for key, row in zip(keys, designs, strict=True) if key not in self._cycles}
        if missing:
            rows = np.array(list(missing.values()), dtype=np.int64)
            self._cycles.update(zip(missing, self._count(rows).tolist(), strict=True))
        return np.array([self._cycles[key] for key in keys], dtype=np.int64).reshape(len(designs))

    def _count(self, designs: Designs) -> Ints:
        hardware = self._decoder.hardware(designs)
        total = np.zeros(len(designs), dtype=np.int64)
        groups, group = np.unique(designs[:, ARRAY], axis=0, return_inverse=True)
        for number in range(len(groups)):
            mine = np.flatnonzero(group.reshape(-1) == number)
            widest = designs[mine[0]].copy()
            widest[SIZED] = self.space.nvec[SIZED] - 1
            part = Hardware(**{name: column[mine] for name, column in vars(hardware).items()})
            for layer, count in self.layers:
                cycles = fastest_cycles(self.config(widest), part, layer)
                runs = (cycles != NO_TILING) & (total[mine] != NO_TILING)
                total[mine] = np.where(runs, total[mine] + count * np.where(runs, cycles, 0), NO_TILING)
        return total

    # -- limits: every design of the space, once -----------------------------------------------------------

    def _at(self, indices: Ints) -> Designs:
        """Designs by their number in the space, shape ``(n, parameters)``; inverse of :meth:`_flat`."""
        return np.stack(np.unravel_index(indices, tuple(self.space.nvec)), axis=1)

    def _flat(self, designs: Designs) -> Ints:
        return np.asarray(np.ravel_multi_index(tuple(designs.T), tuple(self.space.nvec)), dtype=np.int64)

    @cached_property
    def _sqnr(self) -> Floats:
        return np.array([product_sqnr_db(f["input_type"], f["weight_type"]) for f in FORMATS.values()])

    @cached_property
    def _limits(self) -> tuple[Floats, Floats, Floats]:
        """Area, critical path and overshoot of every design of the space, by number.

        The overshoot is relative, added up over the limits; 0 where a design is feasible.
        """
        spec, table = self.spec, area_table()
        area, path, overshoot = np.empty((3, self.space.cardinality))
        for begin in range(0, len(area), _BLOCK):
            block = slice(begin, begin + _BLOCK)
            designs = self._at(np.arange(*block.indices(len(area))))
            found = estimate(self._decoder.area_terms(designs, table), table)
            area[block], path[block] = found.total, found.critical_path_ps
            numbers = self._decoder.numbers(designs)
            bandwidth = sum(column for name, column in numbers.items() if name.endswith("port_bits"))
            missing_db = spec.min_sqnr_db - self._sqnr[designs[:, 0]]
            excess = (
                area[block] / spec.area_budget - 1,
                bandwidth / spec.bandwidth_bits - 1,
                path[block] * spec.clock_ghz / 1000 - 1,
                missing_db / max(abs(spec.min_sqnr_db), 1.0),
            )
            overshoot[block] = sum(np.maximum(part, 0.0) for part in excess)
        return area, path, overshoot

    @property
    def _area(self) -> Floats:
        return self._limits[0]

    @property
    def _path(self) -> Floats:
        return self._limits[1]

    @property
    def _overshoot(self) -> Floats:
        return self._limits[2]

    @property
    def area_nand2(self) -> Floats:
        """Estimated area of every design, NAND2 equivalents, shape ``nvec``."""
        return self._area.reshape(tuple(self.space.nvec))

    def estimates(self, designs: Designs) -> tuple[Floats, Floats]:
        """Returns estimated areas (NAND2 equivalents) and critical paths (ps), shape ``(n,)``."""
        index = self._flat(designs)
        return self._area[index], self._path[index]

    def violation(self, designs: Designs) -> Floats:
        """Returns the relative overshoot over all limits, 0 where feasible, shape ``(n,)``; costs no evaluation."""
        return self._overshoot[self._flat(designs)]

    def designs(self, choices: Ints) -> Designs:
        """Designs of the environment's choices, which are value indices already."""
        return self.space.check(choices)

    @cached_property
    def feasible(self) -> Bools:
        """Whether each design meets all limits, shape ``nvec``: free knowledge, which masks are made of."""
        return np.asarray(self._overshoot == 0).reshape(tuple(self.space.nvec))

    @cached_property
    def prefixes(self) -> Prefixes:
        """What beginnings of designs can be completed to."""
        return Prefixes(self.feasible, self.area_nand2)

    def _refuse_impossible(self) -> None:
        if self.feasible.any():
            return
        spec = self.spec
        fast = self._path * spec.clock_ghz <= 1000
        precise = np.repeat(self._sqnr >= spec.min_sqnr_db, self.space.cardinality // len(self._sqnr))
        if not precise.any():
            raise InputError(f"min_sqnr_db={spec.min_sqnr_db}: allowed up to {self._sqnr.max():.4g}")
        if not (fast & precise).any():
            fastest = 1000 / self._path[precise].min()
            raise InputError(f"clock_ghz={spec.clock_ghz}: allowed up to {fastest:.4g} with this min_sqnr_db")
        least = self._area[fast & precise].min()
        raise InputError(f"area_budget={spec.area_budget:g}: nothing fits, the smallest design takes {least:.6g}")

    # -- what is known about the task ----------------------------------------------------------------------

    @cached_property
    def ideal_cycles(self) -> float:
        """Cycles with every element of the largest array busy; no design is faster."""
        macs = sum(count * layer.macs for layer, count in self.layers)
        largest: int = PARAMETER_VALUES["rows"][-1] * PARAMETER_VALUES["columns"][-1]
        return macs / largest

    def reference(self) -> Certificate:
        """Returns the optimum by enumeration of what is not dominated.

        More buffer depth or wider ports never cost cycles: a design is skipped when a feasible one has the same array,
        template and formats, and as much of everything. Of the rest, groups of one array are visited in the order of
        what their largest design would take, until that is no better than the best design found.
        """
        return super().reference()

    @property
    def proof(self) -> str:
        return "enumeration with dominance 1"

    def prove(self, *, anew: bool = False) -> Certificate:
        start = time.perf_counter()
        candidates = np.argwhere(self._undominated())
        heads, group = np.unique(candidates[:, : SIZED.start], axis=0, return_inverse=True)
        group = group.reshape(-1)
        tails = np.broadcast_to(self.space.nvec[SIZED] - 1, (len(heads), len(self.space) - SIZED.start))
        bound = self.cycles(np.column_stack((heads, tails)))
        best, design, counted = NO_TILING, candidates[0], len(heads)
        for number in np.argsort(bound, kind="stable"):
            if bound[number] >= best:
                break
            rows = candidates[group == number]
            cycles = self.cycles(rows)
            counted += len(rows)
            if cycles.min() < best:
                best, design = int(cycles.min()), rows[cycles.argmin()]
        if best == NO_TILING:
            raise InputError(
                f"workload {self.workload.name!r}: no design within the limits runs all of its layers; each exceeds "
                "the buffers, counters or addresses with one of them"
            )
        return Certificate(
            value=float(best),
            design=tuple(int(i) for i in design),
            lower_bound=float(best),
            gap=0.0,
            method="enumeration with dominance",
            nodes=counted,
            seconds=time.perf_counter() - start,
        )

    def _undominated(self) -> Bools:
        """Feasible designs none of whose next larger buffers or ports are feasible, shape ``nvec``."""
        kept = self.feasible.copy()
        for axis in range(SIZED.start, len(self.space)):
            larger = np.roll(self.feasible, -1, axis=axis)
            last = [slice(None)] * len(self.space)
            last[axis] = slice(-1, None)
            larger[tuple(last)] = False
            kept &= ~larger
        return kept

    def sample_feasible(self, rng: np.random.Generator, count: int) -> Designs:
        return self._at(rng.choice(self._feasible_rows, count))

    def repair(self, designs: Designs, rng: np.random.Generator) -> Designs:
        result = self.space.check(designs).copy()
        poor = np.flatnonzero(self.violation(result) > 0)
        result[poor] = self.prefixes.nearest(result[poor], self.space.ordered, rng)
        return result

    @cached_property
    def _feasible_rows(self) -> Ints:
        return np.flatnonzero(self.feasible.reshape(-1))

    @cached_property
    def smallest(self) -> Designs:
        """The feasible design of the least area, shape ``(parameters,)``."""
        rows = self._feasible_rows
        return np.asarray(self._at(rows[self._area[rows].argmin()][None])[0])

    def neighbours(self, design: Designs) -> Designs:
        """Returns the feasible designs that differ in one parameter, shape ``(n, parameters)``."""
        rows = []
        for at, size in enumerate(self.space.nvec):
            changed = np.repeat(design[None], size, axis=0)
            changed[:, at] = np.arange(size)
            rows.append(changed[np.arange(size) != design[at]])
        near = np.concatenate(rows)
        return np.asarray(near[self._overshoot[self._flat(near)] == 0])

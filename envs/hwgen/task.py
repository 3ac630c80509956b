"""Generating an accelerator for a workload under an area budget, as a task."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import cached_property, lru_cache
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import yaml

from accelgym.costmodels.certificate import Certificate
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.systolic.area import area_table, estimate
from accelgym.costmodels.systolic.config import SystolicConfig
from accelgym.costmodels.systolic.format_kinds import FORMATS
from accelgym.costmodels.workloads import Layer, Workload, load_workload
from accelgym.envs.certificates import ProvedTask
from accelgym.envs.hwgen.cycles import NO_TILING, cycles_by_depth, distinct_layers, least_cycles
from accelgym.envs.hwgen.decoding import ARRAY, BUFFER_DEPTHS, DEPTHS, PORTS, SIZED, Decoder
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
_UNKNOWN = -1
_COUNTING = threading.Lock()
"""Held while cycles are filled in."""


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
        self._decoder = Decoder(self.spec.pe_pipeline, self.spec.memory_latency, self.spec.clock_ghz)
        self.workload = workload_object or load_workload(self.spec.workload)
        self.layers = distinct_layers(self.workload.layers)
        if not self.layers:
            raise InputError(f"workload {self.workload.name!r} has no convolution or GEMM to run on an array")
        self._refuse_impossible()

    lanes: ClassVar[str] = "accelgym.envs.hwgen.env:HwGenVectorEnv"

    def __getstate__(self) -> dict[str, Any]:
        # Tables over the whole space are tens of megabytes, and follow from the arguments.
        return {key: value for key, value in vars(self).items() if not isinstance(value, (np.ndarray, Prefixes))}

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
        """Returns the cycles of the workload, shape ``(n,)``; an array is counted when the first design has it.

        :data:`NO_TILING` where a layer exceeds the buffers, counters or addresses of a design.
        """
        where = tuple(designs.T)
        if (self._cycles[where] == _UNKNOWN).any():
            # Tasks share the table, and a thread must not take what another is filling in for done.
            with _COUNTING:
                missing = np.flatnonzero(self._cycles[where] == _UNKNOWN)
                for array in np.unique(designs[missing][:, ARRAY], axis=0):
                    mine = missing[(designs[missing][:, ARRAY] == array).all(axis=1)]
                    self._count(array, designs[mine])
        return np.asarray(self._cycles[where])

    @cached_property
    def _cycles(self) -> Ints:
        """Cycles of every design counted so far, shape ``nvec``."""
        return _counted(self._decoder.settings, tuple(self.layers))

    def _count(self, array: Ints, designs: Designs) -> None:
        """Fills in the cycles of an array for all depths, with the formats and ports that are feasible or asked for."""
        template, rows, columns = (int(i) for i in array)
        table = self._cycles[:, template, rows, columns]
        wanted = np.asarray(self.feasible[:, template, rows, columns].any(axis=(1, 2, 3)))
        wanted[designs[:, 0], designs[:, PORTS][:, 0], designs[:, PORTS][:, 1], designs[:, PORTS][:, 2]] = True
        wanted &= table[:, 0, 0, 0] == _UNKNOWN
        formats, *ports = np.nonzero(wanted)
        deepest = self.space.nvec[DEPTHS] - 1
        chosen = np.column_stack((formats, *(np.full_like(formats, i) for i in (template, rows, columns))))
        chosen = np.column_stack((chosen, np.tile(deepest, (len(chosen), 1)), *ports))
        keys = self._decoder.beats(chosen)
        _, first, group = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        hardware = self._decoder.hardware(chosen[first])
        widest = self.config(np.array([formats[0], template, rows, columns, *(self.space.nvec[SIZED] - 1)]))
        total: Ints | int = 0
        for layer, count in self.layers:
            cycles = cycles_by_depth(widest, hardware, layer, BUFFER_DEPTHS)
            runs = (cycles != NO_TILING) & (np.asarray(total) != NO_TILING)
            total = np.where(runs, total + count * np.where(runs, cycles, 0), NO_TILING)
        table[formats, :, :, :, ports[0], ports[1], ports[2]] = np.asarray(total)[group.reshape(-1)]

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
    def _overshoot(self) -> Floats:
        """Relative overshoot of every design, by number, added up over the limits; 0 where a design is feasible."""
        spec, shape = self.spec, tuple(self.space.nvec)
        bandwidth = sum(np.ix_(*PARAMETER_VALUES.values())[PORTS])
        missing_db = (spec.min_sqnr_db - self._sqnr).reshape(-1, *(1,) * (len(shape) - 1))
        excess = (
            self._area.reshape(shape) / spec.area_budget - 1,
            np.asarray(bandwidth) / spec.bandwidth_bits - 1,
            self._path.reshape(shape) * spec.clock_ghz / 1000 - 1,
            missing_db / max(abs(spec.min_sqnr_db), 1.0),
        )
        overshoot = np.zeros(shape)
        for part in excess:
            overshoot += np.maximum(part, 0.0)
        return overshoot.ravel()

    @cached_property
    def _area(self) -> Floats:
        return _estimated(self._decoder.settings)[0]

    @cached_property
    def _path(self) -> Floats:
        return _estimated(self._decoder.settings)[1]

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

    def fits(self, designs: Designs) -> Bools:
        return np.asarray(self.violation(self.space.check(designs)) == 0)

    def masks(self, actions: Ints, position: int) -> Bools:
        mask = super().masks(actions, position)
        found = self.prefixes.mask(actions, position)
        good = found.any(axis=1)
        mask[good, : found.shape[1]] = found[good]
        return mask

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

    def reference(self) -> Certificate:
        """Returns the optimum by enumeration, array by array in the order of what an array takes at least.

        The bound of an array is that of its fastest tilings with the deepest buffers and the widest ports; arrays whose
        bound is no better than the best design found are left out.
        """
        return super().reference()

    @property
    def proof(self) -> str:
        return "enumeration by arrays 1"

    def prove(self, *, anew: bool = False) -> Certificate:
        start = time.perf_counter()
        best, counted = NO_TILING, 0
        design: tuple[int, ...] = ()
        for bound, designs in self._by_array():
            if bound >= best:
                break
            cycles = self.cycles(designs)
            counted += len(designs)
            if cycles.min() < best:
                best, design = int(cycles.min()), tuple(int(i) for i in designs[cycles.argmin()])
        if best == NO_TILING:
            raise InputError(
                f"workload {self.workload.name!r}: no design within the limits runs all of its layers; each exceeds "
                "the buffers, counters or addresses with one of them"
            )
        return Certificate(
            value=float(best),
            design=design,
            lower_bound=float(best),
            gap=0.0,
            method="enumeration with bounds by array",
            nodes=counted,
            seconds=time.perf_counter() - start,
        )

    def optima(self) -> Designs:
        """Returns every feasible design that takes as few cycles as the best, shape ``(n, parameters)``."""
        best, found = NO_TILING, [np.empty((0, len(self.space)), dtype=np.int64)]
        for bound, designs in self._by_array():
            if bound > best:
                break
            cycles = self.cycles(designs)
            if cycles.min() < best:
                best, found = int(cycles.min()), found[:1]
            found.append(designs[(cycles == best) & (best != NO_TILING)])
        return np.concatenate(found)

    def _by_array(self) -> Iterator[tuple[int, Designs]]:
        """Yields the feasible designs of every array behind a bound on their cycles, the least bound first."""
        axes = tuple(i for i in range(len(self.space)) if i not in ARRAY)
        arrays = np.argwhere(self.feasible.any(axis=axes))
        bounds = np.array([self._least_cycles(array) for array in arrays])
        for number in np.argsort(bounds, kind="stable"):
            template, rows, columns = arrays[number]
            found = np.argwhere(self.feasible[:, template, rows, columns])
            designs = np.column_stack((found[:, 0], np.tile(arrays[number], (len(found), 1)), found[:, 1:]))
            yield int(bounds[number]), designs

    def _least_cycles(self, array: Ints) -> int:
        """A bound on the cycles of every design of an array."""
        formats = np.arange(self.space.nvec[0])
        widest = np.column_stack((formats, np.tile([*array, *(self.space.nvec[SIZED] - 1)], (len(formats), 1))))
        hardware, config = self._decoder.hardware(widest), self.config(widest[0])
        least = [(least_cycles(config, hardware, layer), count) for layer, count in self.layers]
        return NO_TILING if any(c == NO_TILING for c, _ in least) else sum(c * count for c, count in least)

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


# Tasks of a process that differ in their limits alone, and the copies of one task in its environments, share these.


@lru_cache(maxsize=4)
def _estimated(settings: tuple[int, int, float]) -> tuple[Floats, Floats]:
    """Area and critical path of every design of the space under the settings of a decoder, by number."""
    decoder, table = Decoder(*settings), area_table()
    shape = tuple(decoder.space.nvec)
    area, path = np.empty((2, decoder.space.cardinality))
    for begin in range(0, len(area), _BLOCK):
        block = slice(begin, begin + _BLOCK)
        designs = np.stack(np.unravel_index(np.arange(*block.indices(len(area))), shape), axis=1)
        found = estimate(decoder.area_terms(designs, table), table)
        area[block], path[block] = found.total, found.critical_path_ps
    area.flags.writeable = path.flags.writeable = False
    return area, path


@lru_cache(maxsize=4)
def _counted(settings: tuple[int, int, float], layers: tuple[tuple[Layer, int], ...]) -> Ints:
    """Cycles of the designs under the settings of a decoder; :data:`_UNKNOWN` where no task has counted them yet."""
    return np.full(tuple(Decoder(*settings).space.nvec), _UNKNOWN, dtype=np.int64)

"""Machine and mapping of one layer as one task: register file, SRAM, tiling, unrolling and loop orders."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.costs import Costs, Reason
from accelgym.costmodels.loopnest import LoopnestModel, Mappings
from accelgym.costmodels.mapspace import Candidates, MapSpace
from accelgym.costmodels.mapspace.construction import Construction
from accelgym.costmodels.solvers.mapping import MachineTable, Solution
from accelgym.costmodels.timeloop import timeloop_document
from accelgym.envs.codesign.spec import CoDesignSpec
from accelgym.envs.mapping.bounds import cost_floor
from accelgym.envs.mapping.spec import read_problem
from accelgym.envs.mapping.task import MappingTask
from accelgym.envs.space import Designs
from accelgym.envs.task import Outcome

__all__ = ["CoDesignTask"]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class CoDesignTask(MappingTask):
    """Chooses a machine under an area budget together with the mapping of one layer (Thistle, CGO 2022).

    The first two parameters are the words of the register file and of the SRAM; the machine has as many processing
    elements as the remaining area holds. The others are those of :class:`MappingTask` on the widest machine.

    Args:
        problem: A problem object in place of a layer of ``workload``.
        **arguments: Fields of :class:`CoDesignSpec`.

    Raises:
        InputError: A bad argument, or a layer that fits no machine.
    """

    def __init__(self, *, problem: LoopNest | None = None, **arguments: Any) -> None:
        self.spec = CoDesignSpec.parse(arguments)
        self.problem = problem = read_problem(self.spec, problem)
        self.family = self.spec.family()
        self.mapspace = MapSpace(problem, self.family.widest, family=self.family)
        self.architecture = self.mapspace.architecture
        self.model = LoopnestModel(problem, self.architecture)
        self._models: dict[int, LoopnestModel] = {}
        Construction(self.mapspace, 1)  # refuses problems that do not fit

    lanes: ClassVar[str] = "accelgym.envs.codesign.env:CoDesignVectorEnv"

    @property
    def env_id(self) -> str:
        return "accelgym/CoDesign-v0"

    def describe(self) -> dict[str, Any]:
        return {
            "env": self.env_id,
            "spec": self.spec.model_dump(mode="json"),
            **timeloop_document(self.problem, self.family.base),
            "leakage": self.architecture.leakage,
            "model": [self.model.name, self.model.version, self.family.prices.name],
        }

    def machines(self, designs: Designs) -> Ints:
        """Number of each design's machine in the family, -1 where the memories alone exceed the area."""
        return np.asarray(self.mapspace.machine_table[designs[:, 0], designs[:, 1]])

    # -- one evaluation ------------------------------------------------------------------------------------

    def evaluate(self, designs: Designs) -> Outcome:
        designs = self.space.check(designs)
        machines, candidates = self.machines(designs), self.mapspace.to_candidates(designs)
        mappings, broken = self.mapspace.to_mappings(candidates), self.mapspace.violation(candidates)
        n, levels = len(designs), len(self.architecture.levels)
        whole = Outcome(np.full(n, np.inf), np.zeros(n, bool), np.full(n, np.inf), np.zeros(n, bool), {
            "energy_pj": np.zeros(n),
            "latency_cycles": np.zeros(n),
            "reason": np.full(n, np.int8(Reason.CAPACITY), dtype=np.int8),
            "utilized_pes": np.zeros(n, dtype=np.int64),
            "bound_by": np.full(n, levels, dtype=np.int64),
            "energy_by": np.full(n, levels, dtype=np.int64),
        })  # fmt: skip
        for m in np.unique(machines[machines >= 0]):
            rows = np.flatnonzero(machines == m)
            part = self.outcome(self._costs(int(m), mappings[rows]), broken[rows])
            for name in ("objective", "feasible", "violation", "valid"):
                getattr(whole, name)[rows] = getattr(part, name)
            for name, values in part.costs.items():
                whole.costs[name][rows] = values
        area = np.array([x.architecture.area_um2 for x in self.family.machines])
        pes = np.array([x.pes for x in self.family.machines])
        return replace(
            whole,
            costs={
                **whole.costs,
                "area_um2": np.where(machines >= 0, area[machines], np.inf),
                "pes": np.where(machines >= 0, pes[machines], 0),
            },
        )

    def _costs(self, machine: int, mappings: Mappings) -> Costs:
        architecture = self.family.machines[machine].architecture
        if machine not in self._models:
            self._models[machine] = LoopnestModel(self.problem, architecture)
        return self._models[machine].evaluate(replace(mappings, architecture=architecture))

    def inspect(self, design: Designs) -> tuple[Mappings, Costs]:
        row = np.asarray(design)[None]
        mappings, machine = self.mapspace.decode(row), int(self.machines(row)[0])
        if machine < 0:
            return mappings, self.model.evaluate(mappings)
        return replace(mappings, architecture=self.family.machines[machine].architecture), self._costs(
            machine, mappings
        )

    def fits(self, designs: Designs) -> Bools:
        return np.asarray(self.evaluate(designs).feasible)

    # -- what is known about the task ----------------------------------------------------------------------

    @cached_property
    def bound(self) -> float:
        """A certified lower bound on the objective of every design on every machine; cheap."""
        values = []
        for machine in self.family.machines:
            floor = cost_floor(MapSpace(self.problem, machine.architecture))
            values.append(float(self.spec.objective.combine(floor.energy_pj, floor.cycles)))
        return min(values)

    @cached_property
    def outermost(self) -> Ints:
        """The first machine that holds the mapping with every loop outermost, and that; shape ``(parameters,)``."""
        table = self.mapspace.machine_table
        rows = np.zeros((table.size, len(self.mapspace.decisions)), dtype=np.int64)
        rows[:, 0], rows[:, 1] = (x.ravel() for x in np.indices(table.shape))
        return np.asarray(rows[int(np.argmax(self.fits(rows)))])

    @property
    def solver_machines(self) -> MachineTable:
        return MachineTable.of([machine.architecture for machine in self.family.machines])

    def with_area(self, area_um2: float) -> CoDesignTask:
        """Returns the same task with another area budget."""
        spec = self.spec.model_dump() | {"area_um2": area_um2, "padding": 0.0}
        return CoDesignTask(problem=self.problem, **spec)

    def on_machine(self, machine: int) -> MappingTask:
        """Returns the task of mapping the layer onto one machine of the family."""
        return MappingTask(
            problem=self.problem,
            machine=self.family.machines[machine].architecture,
            objective=self.spec.objective,
            leakage=self.spec.leakage,
        )

    def join(self, machine: int, designs: Designs) -> Designs:
        """Returns designs of :meth:`on_machine` as designs of this task."""
        mappings = self.on_machine(machine).mapspace.decode(designs)
        return self.encode_solved(machine, self.mapspace.from_mappings(mappings))

    def encode_solved(self, machine: int, candidates: Candidates) -> Designs:
        return self._with_sizes(machine, super().encode_solved(machine, candidates))

    def _with_sizes(self, machine: int, designs: Designs) -> Designs:
        designs[:, 0], designs[:, 1] = (int(x[0]) for x in np.nonzero(self.mapspace.machine_table == machine))
        return designs

    def _enumerate(self) -> None:  # machines times mappings are too many
        return None

    def _local_design(self, solution: Solution) -> Designs:
        if solution.machine < 0:
            return np.asarray(self.sample_feasible(np.random.default_rng(0), 1)[0])
        task = self.on_machine(solution.machine)
        best, _ = task.best_of_descents(2, np.random.default_rng(0), rounds=8)
        return np.asarray(self.join(solution.machine, task.mapspace.to_designs(best))[0])

    def repair(self, designs: Designs, rng: np.random.Generator) -> Designs:
        result = self.space.check(designs).copy()
        poor = np.flatnonzero(~self.fits(result))
        if len(poor):
            result[poor] = Construction(self.mapspace, len(poor)).repair(result[poor])
        return result

"""Mapping one layer onto one machine as a task: tiling, spatial unrolling and loop orders."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.architecture.machine import Architecture
from accelgym.costmodels.certificate import Certificate, relative_gap, rounded_down
from accelgym.costmodels.costs import Costs, Reason
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.loopnest import LoopnestModel, Mappings
from accelgym.costmodels.loopnest.nest_text import format_nest
from accelgym.costmodels.loopnest.rows import result_row
from accelgym.costmodels.mapspace import CandidateEvaluator, Candidates, MapSpace, MemorySize, TensorBypass
from accelgym.costmodels.mapspace.construction import Construction
from accelgym.costmodels.objective import Objective
from accelgym.costmodels.solvers.mapping import PROOF_VERSION, RELAXATIONS, MachineTable, Solution, solve
from accelgym.costmodels.solvers.mapping.enumeration import enumerate_all
from accelgym.costmodels.solvers.mapping.local_search import best_of_descents
from accelgym.costmodels.timeloop import (
    describe_convention,
    names_files,
    timeloop_document,
    timeloop_runs,
    write_constraints,
    write_timeloop,
)
from accelgym.envs.certificates import ProvedTask
from accelgym.envs.mapping.bounds import Floor, cost_floor
from accelgym.envs.mapping.parameters import design_space
from accelgym.envs.mapping.spec import MappingSpec, read_architecture, read_problem
from accelgym.envs.space import Designs, Space
from accelgym.envs.task import Outcome

__all__ = ["MappingTask"]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_EXHAUSTIVE = 200_000
_TOLERANCE = 1e-3
_STARTS = 4
_ROUNDS = 24
_BLOCK = 16_384


class MappingTask(ProvedTask):
    """Chooses spatial unrolling, tiles and loop orders of one layer on one machine.

    Costs are those of :class:`LoopnestModel` in its default convention, Timeloop HEAD's rules.

    Args:
        problem: A problem object in place of a layer of ``workload``.
        machine: An architecture object in place of ``architecture``.
        **arguments: Fields of :class:`MappingSpec`.

    Raises:
        InputError: A bad argument, constraints the map space does not support, or a layer that no mapping fits.
    """

    def __init__(
        self, *, problem: LoopNest | None = None, machine: Architecture | None = None, **arguments: Any
    ) -> None:
        self.spec = MappingSpec.parse(arguments)
        self.problem = problem = read_problem(self.spec, problem, own_names=names_files(self.spec.architecture))
        machine = machine or read_architecture(self.spec.architecture, problem)
        machine = replace(machine, leakage=self.spec.leakage or machine.leakage)
        self.mapspace = MapSpace(problem, machine, bypass=self.spec.bypass)
        self.architecture = self.mapspace.architecture
        self.model = LoopnestModel(problem, self.architecture)
        Construction(self.mapspace, 1)  # refuses problems that do not fit

    lanes: ClassVar[str] = "accelgym.envs.mapping.env:MappingVectorEnv"

    @property
    def env_id(self) -> str:
        return "accelgym/Mapping-v0"

    @cached_property
    def space(self) -> Space:
        return design_space(self.mapspace)

    def describe(self) -> dict[str, Any]:
        return {
            "env": self.env_id,
            "spec": self.spec.model_dump(mode="json"),
            **timeloop_document(self.problem, self.architecture),
            **self._unwritten_limits(),
            "leakage": self.architecture.leakage,
            "model": [self.model.name, self.model.version, self.model.technology],
        }

    def _unwritten_limits(self) -> dict[str, Any]:
        """What binds mappings and does not stand in the document: limits on one direction, and shares of words."""
        sides = [[x.level, x.along, dict(x.factors)] for x in self.architecture.constraints if x.along is not None]
        words = self.mapspace.constraints.minimum.words
        return ({"directions": sides} if sides else {}) | ({"least_words": words.tolist()} if words.any() else {})

    # -- one evaluation ------------------------------------------------------------------------------------

    def evaluate(self, designs: Designs) -> Outcome:
        candidates = self.mapspace.to_candidates(self.space.check(designs))
        costs = self.model.evaluate(self.mapspace.to_mappings(candidates))
        return self.outcome(costs, self.mapspace.violation(candidates))

    def outcome(self, costs: Costs, broken: npt.NDArray[np.float64]) -> Outcome:
        """Returns what costs mean for the task.

        Args:
            costs: Of the cost model.
            broken: From :meth:`MapSpace.violation`, shape ``(n,)``.
        """
        valid = np.asarray(costs.valid, dtype=bool)
        objective = self.spec.objective.combine(costs.energy_pj, costs.latency_cycles)
        levels = self.architecture.level_names
        spent = np.stack([costs.breakdown[f"{name}.energy_pj"] for name in (*levels, self.architecture.compute.name)])
        return Outcome(
            objective=np.where(valid, objective, np.inf),
            feasible=valid & (broken == 0),
            violation=np.where(valid, broken, np.inf),
            valid=valid,
            costs={
                "energy_pj": costs.energy_pj,
                "latency_cycles": costs.latency_cycles,
                "reason": np.where(valid & (broken > 0), np.int8(Reason.BAD_VALUE), costs.reason),
                "utilized_pes": costs.breakdown["utilized_pes"],
                "bound_by": np.asarray(costs.breakdown["bound_by"], dtype=np.int64),
                "energy_by": spent.argmax(axis=0),
            },
        )

    def inspect(self, design: Designs) -> tuple[Mappings, Costs]:
        """Returns the mapping of one design, shape ``(parameters,)``, on its machine, and all that it costs."""
        mappings = self.mapspace.decode(np.asarray(design)[None])
        return mappings, self.model.evaluate(mappings)

    def actions(self, designs: Designs) -> npt.NDArray[np.int64]:
        """Actions of the decisions that make the designs, shape ``(n, parameters)``."""
        return self.mapspace.actions(self.space.check(designs))

    def designs(self, actions: npt.NDArray[np.int64]) -> Designs:
        """Inverse of :meth:`actions`."""
        return self.mapspace.designs(actions)

    @property
    def interface(self) -> frozenset[Any]:
        sizes = (
            (p.knob, p.values)
            for p, x in zip(self.space.parameters, self.mapspace.decisions, strict=True)
            if isinstance(x, MemorySize)
        )
        kept = (("kept", self.problem.tensor_names),) if self.spec.bypass else ()
        return frozenset((("slots", self.mapspace.slot_names), ("loops", self.problem.dims), *kept, *sizes))

    @property
    def action_sizes(self) -> Ints:
        return self.mapspace.action_sizes

    @property
    def num_actions(self) -> int:
        return self.mapspace.num_actions

    def masks(self, actions: Ints, position: int) -> Bools:
        """Returns which actions may come next; of equal designs one is reachable, as in the environment."""
        return Construction(self.mapspace, len(actions)).follow(actions, position)

    def mapping_design(self, mappings: Mappings, row: int = 0) -> npt.NDArray[np.int64]:
        """Returns the design of a mapping, for example one read from a Timeloop file.

        Raises:
            InputError: It lies outside the map space.
        """
        return np.asarray(self.mapspace.encode(mappings[row : row + 1])[0])

    def artifacts(self, design: Designs) -> dict[str, str]:
        mappings, costs = self.inspect(self.space.check(np.asarray(design)[None])[0])
        notes = self._notes(mappings, costs)
        texts = {"timeloop.yaml": write_timeloop(self.problem, mappings.architecture, mappings, notes=notes)}
        constraints = write_constraints(self.problem, mappings.architecture)
        return texts if constraints is None else texts | {"constraints.yaml": constraints}

    def _notes(self, mappings: Mappings, costs: Costs) -> list[str]:
        """What the mapping costs, by our count and by Timeloop's default run."""
        notes = [f"AccelGym ({self.convention()}): {costs.energy_pj[0]:.10g} pJ, {costs.latency_cycles[0]:.0f} cycles"]
        for run in timeloop_runs(mappings).values():
            spent = f"{run['energy_pj']:.10g} pJ, {run['cycles']} cycles" if "cycles" in run else run["message"]
            how = describe_convention(run["counting"], run["link_transfers"], run["leakage"])
            notes.append(f"timeloop-model ({how}): {spent}")
        return notes

    def convention(self) -> str:
        return describe_convention(self.model.counting, self.model.link_transfers, self.architecture.leakage)

    def report(self, design: Designs) -> dict[str, Any]:
        """Returns loops, costs and convention of a mapping, and what Timeloop's default run says of it.

        ``timeloop`` has the runs of :func:`~accelgym.costmodels.timeloop.timeloop_runs`, each with its ``objective``.
        """
        mappings, costs = self.inspect(self.space.check(np.asarray(design)[None])[0])
        model = LoopnestModel(self.problem, mappings.architecture)
        runs = timeloop_runs(mappings)
        for run in runs.values():
            if "cycles" in run:
                energy, cycles = np.array(run["energy_pj"]), np.array(float(run["cycles"]))
                run["objective"] = float(self.spec.objective.combine(energy, cycles))
        return {
            "mapping": mappings.to_loops(0),
            "loop_nest": format_nest(mappings).splitlines(),
            "costs": result_row(model, mappings, costs, 0),
            "macs": self.problem.macs,
            "timeloop": runs,
        }

    def normalised_metrics(self, value: float) -> dict[str, float]:
        """PJ per multiply-accumulate, or multiply-accumulates per cycle."""
        match self.spec.objective:
            case Objective.ENERGY:
                return {"pj_per_mac": value / self.problem.macs}
            case Objective.LATENCY:
                return {"ipc": self.problem.macs / value}
            case Objective.EDP:
                return {"pj_cycles_per_mac2": value / self.problem.macs**2}

    # -- what is known about the task ----------------------------------------------------------------------

    @property
    def bound(self) -> float:
        """A certified lower bound on the objective of every design; cheap."""
        floor = self._floor
        return float(self.spec.objective.combine(floor.energy_pj, floor.cycles))

    @cached_property
    def _floor(self) -> Floor:
        return cost_floor(self.mapspace)

    @cached_property
    def evaluator(self) -> CandidateEvaluator:
        """Evaluates candidates of local search and enumeration."""
        return CandidateEvaluator(self.mapspace, self.model, self.spec.objective)

    @cached_property
    def outermost(self) -> npt.NDArray[np.int64]:
        """The design that needs least of every memory: every loop outermost, first order; shape ``(parameters,)``."""
        return np.array([isinstance(decision, TensorBypass) for decision in self.mapspace.decisions], dtype=np.int64)

    def reference(self) -> Certificate:
        """Returns the optimum or, where the limit of nodes ends the proof, the best design and a certified bound.

        Small map spaces are enumerated, with the orders that
        :func:`~accelgym.costmodels.mapspace.dominant_orders.dominant_orders` leaves; all others are searched by
        :mod:`accelgym.costmodels.solvers.mapping` to a gap of 0.1 %. The answer is the same on every machine, and
        kept on disk.
        """
        return super().reference()

    @property
    def proof(self) -> str:
        return f"{PROOF_VERSION}, gap {_TOLERANCE:g}"

    def prove(self, *, anew: bool = False) -> Certificate:
        start = time.perf_counter()
        before = self.evaluator.spent
        found = self._enumerate()
        if found is not None:
            self._require_mapping(found[1])
            design = self.mapspace.to_designs(found[0])[0]
            value = float(self.evaluate(design[None]).objective[0])
            nodes, seconds = self.evaluator.spent - before, time.perf_counter() - start
            return Certificate(value, _plain(design), value, 0.0, "enumeration with pruning", (), nodes, seconds)
        solution = self.solve(tolerance=_TOLERANCE)
        return self.certify(solution, time.perf_counter() - start)

    def _enumerate(self) -> tuple[Candidates, float] | None:
        return enumerate_all(self.evaluator, most=_EXHAUSTIVE)

    @property
    def solver_machines(self) -> MachineTable:
        """The machines that a solver chooses from."""
        return MachineTable.of([self.architecture])

    def solve(self, *, tolerance: float, most_nodes: int | None = None, seconds: float | None = None) -> Solution:
        """Branch and bound over the whole map space; limits as for :func:`~accelgym.costmodels.solvers.mapping.solve`.

        Raises:
            InputError: The problem has no certified bound (an output with strided or summed axes).
        """
        machines = self.solver_machines
        objective = self.spec.objective
        return solve(self.mapspace, machines, objective, tolerance=tolerance, most_nodes=most_nodes, seconds=seconds)

    def certify(self, solution: Solution, seconds: float) -> Certificate:
        """Returns what a solver found as a certificate; local descents improve what was not proved optimal."""
        candidates = [] if solution.mapping is None else [self._solved_design(solution)]
        if not solution.closed:
            candidates.append(self._local_design(solution))
        outcome = self.evaluate(np.array(candidates))
        values = np.where(outcome.feasible, outcome.objective, np.inf)
        design, value = candidates[int(values.argmin())], float(values.min())
        self._require_mapping(value)
        bound = max(solution.lower_bound, self.bound)
        bound = value if bound >= value else rounded_down(bound)
        gap, method = relative_gap(value, bound), "branch and bound over geometric programs"
        spent = (solution.nodes, seconds, solution.limited_by)
        return Certificate(value, _plain(design), bound, gap, method, RELAXATIONS, *spent)

    def _require_mapping(self, value: float) -> None:
        if not np.isfinite(value):
            raise InputError(
                f"no mapping of {self.problem.name!r} was found that keeps the smallest factors and utilisations of "
                f"{self.architecture.name!r} and fits its memories"
            )

    def _local_design(self, solution: Solution) -> Designs:
        """The best of some descents."""
        best, _ = self.best_of_descents(_STARTS, np.random.default_rng(0), rounds=_ROUNDS)
        return np.asarray(self.mapspace.to_designs(best)[0])

    def _solved_design(self, solution: Solution) -> Designs:
        assert solution.mapping is not None
        return np.asarray(self.encode_solved(solution.machine, self.mapspace.from_mappings(solution.mapping))[0])

    def encode_solved(self, machine: int, candidates: Candidates) -> Designs:
        """Returns mappings of a solver as designs.

        Args:
            machine: Row of :attr:`solver_machines`.
            candidates: The mappings.
        """
        return self.mapspace.to_designs(candidates)

    def best_of_descents(self, starts: int, rng: np.random.Generator, *, rounds: int = 0) -> tuple[Candidates, float]:
        """Descends from random mappings, then from recombinations of what that found.

        Args:
            starts: Random mappings.
            rng: Source of the choices.
            rounds: Recombinations.

        Returns:
            The best candidate and its objective.
        """
        return best_of_descents(self.evaluator, self.sample_feasible(rng, starts), rng, rounds=rounds)

    def candidate(self, design: npt.NDArray[np.int64]) -> Candidates:
        """Returns a design, shape ``(parameters,)``, as the solvers take it, with the first order everywhere."""
        found = self.mapspace.to_candidates(design[None])
        return self.mapspace.candidates(found.factors, found.keep)

    def sample_feasible(self, rng: np.random.Generator, count: int) -> Designs:
        parts = [
            Construction(self.mapspace, min(_BLOCK, count - begin)).sample(rng) for begin in range(0, count, _BLOCK)
        ]
        return np.concatenate([np.zeros((0, len(self.space)), dtype=np.int64), *parts])

    def repair(self, designs: Designs, rng: np.random.Generator) -> Designs:
        result = self.space.check(designs).copy()
        poor = np.flatnonzero(~self.fits(result))
        for begin in range(0, len(poor), _BLOCK):
            rows = poor[begin : begin + _BLOCK]
            result[rows] = Construction(self.mapspace, len(rows)).repair(result[rows])
        return result

    def fits(self, designs: Designs) -> Bools:
        """Returns which designs are feasible, without evaluating them; shape ``(n,)``."""
        candidates = self.mapspace.to_candidates(designs)
        fits = self.mapspace.fits(candidates.factors, candidates.keep)
        return np.asarray(fits & (self.mapspace.violation(candidates) == 0))


def _plain(design: Designs) -> tuple[int, ...]:
    return tuple(int(i) for i in design)

"""Mapping every layer of a network onto one machine as a task."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.architecture.machine import Architecture
from accelgym.costmodels.certificate import Certificate, relative_gap, rounded_down
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.objective import Objective
from accelgym.costmodels.workloads import Workload, load_workload
from accelgym.costmodels.workloads.equal_layers import EqualLayers
from accelgym.envs.certificates import ProvedTask
from accelgym.envs.mapping import MappingTask
from accelgym.envs.network_mapping.spec import NetworkMappingSpec
from accelgym.envs.space import Designs, Parameter, Space
from accelgym.envs.task import Outcome

__all__ = ["NetworkMappingTask"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_TRADES = 101
_ROUNDING = 1e-12
"""Relative difference of sums that should be equal."""


class NetworkMappingTask(ProvedTask):
    """Chooses a mapping for every distinct layer of a network; layers run one after the other on the same machine.

    Layers of equal shape share a mapping and count as often as they occur. A layer is a :class:`MappingTask`; its
    parameters carry its name in front.

    Args:
        workload_object: A workload object in place of the zoo's.
        machine: An architecture object in place of ``architecture``.
        **arguments: Fields of :class:`NetworkMappingSpec`.

    Raises:
        InputError: As :class:`MappingTask` for one of the layers, or a network without any.
    """

    def __init__(
        self, *, workload_object: Workload | None = None, machine: Architecture | None = None, **arguments: Any
    ) -> None:
        self.spec = NetworkMappingSpec.parse(arguments)
        self.workload = workload_object or load_workload(self.spec.workload)
        self._machine = machine
        equal = EqualLayers.of(LoopNest.from_layer(layer) for layer in self.workload.compute_layers)
        if not equal.first:
            raise InputError(f"workload {self.workload.name!r} has no convolution or GEMM to map")
        self._problems = equal.first
        self.counts: Ints = equal.counts
        """How often each distinct layer occurs, shape ``(layers,)``."""
        self.weights: Floats = self.counts.astype(np.float64)
        self.layers = self._tasks(self.spec.objective)
        """One mapping task per distinct layer, in the order of the network."""
        ends = np.cumsum([len(layer.space) for layer in self.layers])
        self._columns = [slice(int(end) - len(x.space), int(end)) for end, x in zip(ends, self.layers, strict=True)]

    def _tasks(self, objective: Objective) -> tuple[MappingTask, ...]:
        spec = self.spec.model_dump(exclude={"objective"})
        return tuple(
            MappingTask(problem=problem, machine=self._machine, objective=objective, **spec)
            for problem in self._problems
        )

    lanes: ClassVar[str] = "accelgym.envs.network_mapping.env:NetworkMappingVectorEnv"

    @property
    def env_id(self) -> str:
        return "accelgym/NetworkMapping-v0"

    @cached_property
    def space(self) -> Space:
        return Space(
            tuple(
                Parameter(
                    f"{layer.problem.name}.{parameter.name}",
                    parameter.values,
                    parameter.ordered,
                    group=layer.problem.name,
                    knob=parameter.name,
                )
                for layer in self.layers
                for parameter in layer.space.parameters
            )
        )

    def describe(self) -> dict[str, Any]:
        return {
            "env": self.env_id,
            "spec": self.spec.model_dump(mode="json"),
            "workload": self.workload.name,
            "layers": [layer.describe() for layer in self.layers],
            "counts": self.counts.tolist(),
        }

    @cached_property
    def num_actions(self) -> int:
        return max(layer.num_actions for layer in self.layers)

    def split(self, rows: Ints) -> Iterator[tuple[MappingTask, Ints]]:
        """Yields the layers with their columns of designs or choices, shape ``(n, parameters)`` in all."""
        for layer, columns in zip(self.layers, self._columns, strict=True):
            yield layer, rows[:, columns]

    # -- one evaluation ------------------------------------------------------------------------------------

    def evaluate(self, designs: Designs) -> Outcome:
        outcomes = [layer.evaluate(part) for layer, part in self.split(self.space.check(designs))]
        energy = np.stack([x.costs["energy_pj"] for x in outcomes], axis=1)
        cycles = np.stack([x.costs["latency_cycles"] for x in outcomes], axis=1)
        valid = np.all([x.valid for x in outcomes], axis=0)
        violation = np.sum([x.violation for x in outcomes], axis=0)
        # A matrix product could round differently from batch to batch.
        totals = (energy * self.weights).sum(axis=1), (cycles * self.weights).sum(axis=1)
        return Outcome(
            objective=np.where(valid, self.spec.objective.combine(*totals), np.inf),
            feasible=np.all([x.feasible for x in outcomes], axis=0),
            violation=np.where(valid, violation, np.inf),
            valid=valid,
            costs={
                "energy_pj": totals[0],
                "latency_cycles": totals[1],
                "layer_energy_pj": energy,
                "layer_latency_cycles": cycles,
                "layer_reason": np.stack([x.costs["reason"] for x in outcomes], axis=1),
            },
        )

    def actions(self, designs: Designs) -> Ints:
        """Actions of the decisions that make the designs, shape ``(n, parameters)``."""
        return np.concatenate([layer.actions(part) for layer, part in self.split(designs)], axis=1)

    def designs(self, actions: Ints) -> Designs:
        """Inverse of :meth:`actions`."""
        return np.concatenate([layer.designs(part) for layer, part in self.split(actions)], axis=1)

    @property
    def interface(self) -> frozenset[Any]:
        return frozenset((("layers", len(self.layers)), *((("layer", layer.interface)) for layer in self.layers)))

    @cached_property
    def action_sizes(self) -> Ints:
        return np.concatenate([layer.action_sizes for layer in self.layers])

    def masks(self, actions: Ints, position: int) -> npt.NDArray[np.bool_]:
        number = next(i for i, columns in enumerate(self._columns) if position < columns.stop)
        columns, layer = self._columns[number], self.layers[number]
        mask = np.zeros((len(actions), self.num_actions), dtype=bool)
        mask[:, : layer.num_actions] = layer.masks(actions[:, columns], position - columns.start)
        return mask

    def fits(self, designs: Designs) -> npt.NDArray[np.bool_]:
        return np.asarray(np.all([layer.fits(part) for layer, part in self.split(self.space.check(designs))], axis=0))

    def artifacts(self, design: Designs) -> dict[str, str]:
        parts = [layer.artifacts(part[0])["timeloop.yaml"] for layer, part in self.split(np.asarray(design)[None])]
        return {f"timeloop_{i:03d}.yaml": text for i, text in enumerate(parts, start=1)}

    def convention(self) -> str:
        return self.layers[0].convention()

    def report(self, design: Designs) -> dict[str, Any]:
        """Returns loop nest and costs of every layer; see :meth:`MappingTask.report`."""
        parts = [(layer, layer.report(part[0])) for layer, part in self.split(np.asarray(design)[None])]
        return {"layers": [{"name": layer.problem.name, **found} for layer, found in parts]}

    # -- what is known about the task ----------------------------------------------------------------------

    @property
    def bound(self) -> float:
        """A certified lower bound on the objective of every design; cheap."""
        energy, cycles = (floor @ self.weights for floor in self.floors)
        return float(self.spec.objective.combine(energy, cycles))

    @cached_property
    def floors(self) -> tuple[Floats, Floats]:
        """Lower bounds on energy (pJ) and latency (cycles) of each distinct layer, shape ``(layers,)`` each."""
        energy, cycles = (
            np.array([layer.bound for layer in self._tasks(objective)])
            for objective in (Objective.ENERGY, Objective.LATENCY)
        )
        return energy, cycles

    @cached_property
    def outermost(self) -> Ints:
        """The design that needs the least room: every loop of every layer outermost; shape ``(parameters,)``."""
        return np.concatenate([layer.outermost for layer in self.layers])

    def reference(self) -> Certificate:
        """Returns the layers' references put together.

        Energy and latency are sums, so the optima and bounds of the layers add up. For EDP, mappings that are best in
        energy, latency and EDP are combined so that the product of the sums is least; the bound is the product of the
        least energy and the least latency.
        """
        return super().reference()

    @property
    def proof(self) -> str:
        return f"layers by {self.layers[0].proof}"

    def prove(self, *, anew: bool = False) -> Certificate:
        start = time.perf_counter()
        product = not self.spec.objective.adds_up
        names = tuple(Objective) if product else (self.spec.objective,)
        found = {
            name: [layer.prove(anew=True) if anew else layer.reference() for layer in self._tasks(name)]
            for name in names
        }
        options = np.array([[cert.design for cert in row] for row in zip(*found.values(), strict=True)], dtype=object)
        design = self._combine(options)
        value = float(self.evaluate(design[None]).objective[0])
        bounds = {
            name: float((np.array([cert.lower_bound for cert in row]) * self.weights).sum())
            for name, row in found.items()
        }
        bound = bounds.get(self.spec.objective, 0.0)
        if product:
            bound = self.spec.objective.combine(bounds[Objective.ENERGY], bounds[Objective.LATENCY])
        bound = value if bound >= value * (1 - _ROUNDING) else rounded_down(bound)
        certificates = [cert for row in found.values() for cert in row]
        methods = " | ".join(dict.fromkeys(cert.method for cert in certificates))
        relaxations = dict.fromkeys(x for cert in certificates for x in cert.relaxations)
        if product:
            relaxations["energy and latency are bounded on their own"] = None
        return Certificate(
            value=value,
            design=tuple(int(i) for i in design),
            lower_bound=bound,
            gap=relative_gap(value, bound),
            method=f"{'combination' if product else 'sum'} of the layers: {methods}",
            relaxations=tuple(relaxations),
            nodes=sum(cert.nodes for cert in certificates),
            seconds=time.perf_counter() - start,
            limited_by="nodes" if any(cert.limited_by for cert in certificates) else "",
        )

    def _combine(self, options: npt.NDArray[Any]) -> Ints:
        """Picks one of several designs per layer so that the objective of the network is least.

        With two sums to trade, for every price of a cycle in pJ each layer picks what is cheapest; the best price
        wins.

        Args:
            options: Tuples of indices, shape ``(layers, options)``.
        """
        parts = [np.array([np.array(design) for design in row], dtype=np.int64) for row in options]
        outcomes = [layer.evaluate(part) for layer, part in zip(self.layers, parts, strict=True)]
        energy = np.stack([x.costs["energy_pj"] for x in outcomes])
        cycles = np.stack([x.costs["latency_cycles"] for x in outcomes])
        least = [float((figure.min(axis=1) * self.weights).sum()) for figure in (energy, cycles)]
        scale = least[0] / least[1]
        prices = scale * np.concatenate(([0.0], np.geomspace(1e-3, 1e3, _TRADES)))
        picks = (energy[:, None] + prices[None, :, None] * cycles[:, None]).argmin(axis=2).T
        rows = np.arange(len(parts))
        totals = ((figure[rows, picks] * self.weights).sum(axis=-1) for figure in (energy, cycles))
        best = picks[self.spec.objective.combine(*totals).argmin()]
        return np.concatenate([part[i] for part, i in zip(parts, best, strict=True)])

    def sample_feasible(self, rng: np.random.Generator, count: int) -> Designs:
        return np.concatenate([layer.sample_feasible(rng, count) for layer in self.layers], axis=1)

    def repair(self, designs: Designs, rng: np.random.Generator) -> Designs:
        parts = [layer.repair(part, rng) for layer, part in self.split(self.space.check(designs))]
        return np.concatenate(parts, axis=1)

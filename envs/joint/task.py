"""A machine for a whole network together with types, mappings and activations on chip, as a task."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import yaml

from accelgym.costmodels.certificate import Certificate, relative_gap
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.objective import Objective
from accelgym.costmodels.solvers.joint import METHOD, Choice, JointProblem, MachineTables, solve_joint
from accelgym.costmodels.systolic.area import area_table
from accelgym.costmodels.workloads import Workload
from accelgym.envs.certificates import ProvedTask
from accelgym.envs.datatype.losses import NATS, layer_fields
from accelgym.envs.datatype.options import Option
from accelgym.envs.joint.figures import Figures
from accelgym.envs.joint.machines import machine_space
from accelgym.envs.joint.network import PAIRS, joint_network, workload_network
from accelgym.envs.joint.prefixes import JointPrefixes
from accelgym.envs.joint.repair import repaired
from accelgym.envs.joint.spec import JointSpec, Order
from accelgym.envs.joint.tables import MAPPINGS
from accelgym.envs.space import Designs, Parameter, Space
from accelgym.envs.task import Outcome

__all__ = ["JointTask"]

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_PARTS = ("area", "bandwidth", "clock", "loss")


class JointTask(ProvedTask):
    """Chooses a machine for a network, and for every layer types and a tiling, and for every activation where it stays.

    Args:
        workload_object: A workload in place of the spec's network, with the proxy's losses.
        **arguments: Fields of :class:`JointSpec`.

    Raises:
        InputError: A bad argument, a network whose activations cannot be ordered, or limits that nothing meets.
    """

    lanes: ClassVar[str] = "accelgym.envs.joint.env:JointVectorEnv"
    tolerance: ClassVar[float] = 0.0
    """Relative gap that the proof may leave."""

    def __init__(self, *, workload_object: Workload | None = None, **arguments: Any) -> None:
        self.spec = JointSpec.parse(arguments)
        self.machines = machine_space(self.spec.machines, self.spec.types)
        self.network = (
            joint_network(self.spec.network, self.spec.workload)
            if workload_object is None
            else workload_network(workload_object)
        )
        self.figures = Figures(self.machines, self.network)
        self.limit = math.floor(self.spec.max_loss / NATS * (1 + 1e-12) + 1e-9)
        """Of the summed losses, in units of 1e-4."""
        self._refuse_impossible()

    @property
    def env_id(self) -> str:
        return "accelgym/Joint-v0"

    @property
    def is_proxy(self) -> bool:
        """Whether the losses are no accuracy."""
        return self.network.label == "proxy"

    def describe(self) -> dict[str, Any]:
        activations = self.network.activations
        return {
            "env": self.env_id,
            "spec": self.spec.model_dump(mode="json"),
            "network": [self.network.name, self.network.label],
            "nests": [[layer_fields(nest) for nest in nests] for nests in self.network.nests],
            "losses": self.network.losses.tolist(),
            "edges": [[e.producer, e.consumer, e.operand, e.side_words] for e in activations.edges],
            "words": list(activations.words),
            "leaves": list(activations.leaves),
            "machines": {p.name: list(p.values) for p in self.machines.parameters},
            "pairs": [list(pair) for pair in PAIRS],
            "mappings": list(MAPPINGS),
            "area": area_table().provenance,
            "model": Figures.version,
        }

    # -- designs -------------------------------------------------------------------------------------------

    @cached_property
    def space(self) -> Space:
        machine = self.machines.parameters
        layers: list[Parameter] = []
        pairs = tuple(f"{weight}*{activation}" for weight, activation in PAIRS)
        edges = self.network.activations.edges
        names = self.network.slots
        for number, name in enumerate(names):
            layers.append(Parameter(f"{name}.types", pairs, False, name, "layer_types"))
            layers.append(Parameter(f"{name}.mapping", MAPPINGS, False, name, "mapping"))
            for edge in edges:
                if edge.producer == number:
                    between = f"{name} -> {names[edge.consumer]}"
                    layers.append(Parameter(between, (False, True), False, between, "on_chip"))
        first = self.spec.order is Order.MACHINE_FIRST
        return Space((*machine, *layers) if first else (*layers, *machine))

    @cached_property
    def columns(self) -> dict[str, Ints]:
        """Parameters by what they decide: ``machine``, ``types``, ``mapping``, ``on_chip``."""
        knobs = [p.knob for p in self.space.parameters]
        named = {"types": "layer_types", "mapping": "mapping", "on_chip": "on_chip"}
        found = {name: np.flatnonzero([knob == wanted for knob in knobs]) for name, wanted in named.items()}
        machine = [i for i, knob in enumerate(knobs) if knob not in named.values()]
        return found | {"machine": np.array(machine, dtype=np.int64)}

    def parts(self, designs: Designs) -> tuple[Ints, Ints, Ints, Bools]:
        """Returns the machine's parameters, and by layer pair and mapping, and by edge whether it stays on chip."""
        at = self.columns
        return (
            designs[:, at["machine"]],
            designs[:, at["types"]],
            designs[:, at["mapping"]],
            designs[:, at["on_chip"]] > 0,
        )

    def design(self, choice: Choice) -> Designs:
        """Returns a choice of the solver as a design, shape ``(parameters,)``."""
        row = np.empty(len(self.space), dtype=np.int64)
        at = self.columns
        row[at["machine"]] = np.unravel_index(choice.machine, self.machines.shape)
        row[at["types"]], row[at["mapping"]], row[at["on_chip"]] = choice.pair, choice.mapping, choice.resident
        return row

    # -- one evaluation ------------------------------------------------------------------------------------

    def evaluate(self, designs: Designs) -> Outcome:
        rows = self.space.check(designs)
        machine, pair, mapping, resident = self.parts(rows)
        latency, energy, runs = self.figures.evaluate(machine, pair, mapping, resident)
        valid = runs & self._supported(machine, pair)
        excess = self._excess(rows)
        overshoot = np.where(valid, excess, np.inf)
        index = tuple(machine.T)
        return Outcome(
            objective=np.where(valid, self.spec.objective.combine(energy, latency), np.inf),
            feasible=overshoot == 0,
            violation=overshoot,
            valid=valid,
            costs={
                "latency_cycles": latency,
                "energy_pj": energy,
                "area_nand2": self.machines.area_nand2[index],
                "critical_path_ps": self.machines.critical_path_ps[index],
                "proxy_loss" if self.is_proxy else "table_loss": self._loss(pair) * NATS,
                "on_chip_words": self.figures.peak_words(resident).astype(np.float64),
            },
        )

    def _supported(self, machine: Ints, pair: Ints) -> Bools:
        return np.asarray(self.machines.supports[machine[:, :1], pair].all(axis=1))

    def _loss(self, pair: Ints) -> Ints:
        """Summed losses, shape ``(n,)``, in units of 1e-4."""
        return np.asarray(self.network.losses[np.arange(pair.shape[1]), pair].sum(axis=1))

    def _excess(self, designs: Designs) -> Floats:
        """Relative overshoot over all limits and over the room, shape ``(n,)``."""
        machine, pair, _, resident = self.parts(designs)
        room = self.machines.room_words[machine[:, 0], machine[:, 1]]
        total = self._overshoot[tuple(machine.T)]
        total = total + np.maximum(self._loss(pair) - self.limit, 0) / max(self.limit, 1)
        return np.asarray(total + np.maximum(self.figures.peak_words(resident) - room, 0) / np.maximum(room, 1))

    @cached_property
    def _overshoots(self) -> dict[str, Floats]:
        """Relative overshoot of every machine by limit, 0 where it keeps it; that of the loss at its finest types."""
        spec, machines = self.spec, self.machines
        loss = np.maximum(self.reserve[:, 0] - self.limit, 0) / max(self.limit, 1)
        parts = (
            machines.area_nand2 / spec.area_budget - 1,
            machines.bandwidth_bits / spec.bandwidth_bits - 1,
            machines.critical_path_ps * spec.clock_ghz / 1000 - 1,
            np.broadcast_to(loss.reshape(-1, *(1,) * (len(machines.shape) - 1)), machines.shape),
        )
        return {name: np.maximum(part, 0.0) for name, part in zip(_PARTS, parts, strict=True)}

    @cached_property
    def _overshoot(self) -> Floats:
        """Overshoot of every machine over area, bandwidth and clock, shape ``machines.shape``."""
        return np.asarray(sum(self._overshoots[name] for name in _PARTS[:3]))

    @cached_property
    def reserve(self) -> Ints:
        """Least loss of the layers from each on, ``(type sets, layers + 1)``."""
        none = np.iinfo(np.int64).max
        least = np.where(self.machines.supports[:, None, :], self.network.losses, none).min(axis=2)
        after = np.cumsum(least[:, ::-1], axis=1)[:, ::-1]
        return np.concatenate((after, np.zeros((len(after), 1), dtype=np.int64)), axis=1)

    @cached_property
    def within_limits(self) -> Bools:
        """Machines that keep all limits, whether they run the network or not, shape ``machines.shape``."""
        return np.asarray(sum(self._overshoots.values()) == 0)

    @cached_property
    def feasible(self) -> Bools:
        """Machines that keep all limits and run every layer, shape ``machines.shape``.

        Raises:
            InputError: None does.
        """
        self.figures.tabulate(np.asarray(self.within_limits.any(axis=(0, 1, 6, 7))))
        found = np.asarray(self.within_limits & self.figures.runs)
        if not found.any():
            raise InputError(
                f"{self.network.name!r}: no machine within the limits runs all of its layers; each exceeds the "
                "buffers, counters or addresses with one of them"
            )
        return found

    def _refuse_impossible(self) -> None:
        """Refuses limits that no machine keeps; whether one runs the network is known when the first is tabulated."""
        if not self.within_limits.any():
            total = sum(self._overshoots.values())
            nearest = np.unravel_index(int(np.argmin(total)), self.machines.shape)
            spec = self.spec
            said = {
                "area": f"area_budget={spec.area_budget:g} (it takes {math.ceil(self.machines.area_nand2[nearest])})",
                "bandwidth": f"bandwidth_bits={spec.bandwidth_bits} (it has {self.machines.bandwidth_bits[nearest]})",
                "clock": f"clock_ghz={spec.clock_ghz:g} (it runs at "
                f"{math.floor(1e7 / self.machines.critical_path_ps[nearest]) / 1e4:g})",
                "loss": f"max_loss={spec.max_loss:g} (it loses at least {self.reserve[nearest[0], 0] * NATS:.6g})",
            }
            broken = ", ".join(said[name] for name in _PARTS if self._overshoots[name][nearest] > 0)
            values = (p.values[i] for p, i in zip(self.machines.parameters, nearest, strict=True))
            names = (p.name for p in self.machines.parameters)
            machine = ", ".join(f"{name}={value}" for name, value in zip(names, values, strict=True))
            raise InputError(f"no machine meets the limits; the nearest ({machine}) breaks {broken}")

    # -- what is known before an evaluation ----------------------------------------------------------------

    def fits(self, designs: Designs) -> Bools:
        rows = self.space.check(designs)
        machine, pair, _, _ = self.parts(rows)
        good = self.feasible[tuple(machine.T)] & self._supported(machine, pair)
        return np.asarray(good & (self._excess(rows) == 0))

    def repair(self, designs: Designs, rng: np.random.Generator) -> Designs:
        result = self.space.check(designs).copy()
        poor = np.flatnonzero(~self.fits(result))
        if len(poor):
            result[poor] = repaired(self, self.prefixes.machines, result[poor], rng)
        return result

    def masks(self, actions: Ints, position: int) -> Bools:
        return self.prefixes.mask(actions, position)

    @cached_property
    def prefixes(self) -> JointPrefixes:
        """What beginnings of designs can be completed to."""
        return JointPrefixes(self)

    # -- the reference -------------------------------------------------------------------------------------

    @property
    def proof(self) -> str:
        return f"joint by Lagrangian bound and dynamic program 1, gap {self.tolerance:g}"

    def prove(self, *, anew: bool = False) -> Certificate:
        certificate, choice = solve_joint(self.problem, tolerance=self.tolerance)
        assert choice is not None  # The constructor refuses limits that nothing meets.
        design = self.design(choice)
        value = float(self.evaluate(design[None]).objective[0])  # The solver adds up in another order.
        bound = value if certificate.exact else min(certificate.lower_bound, value)
        return replace(
            certificate,
            value=value,
            lower_bound=bound,
            gap=relative_gap(value, bound),
            design=tuple(int(i) for i in design),
            method=METHOD,
        )

    @cached_property
    def problem(self) -> JointProblem:
        """The tables of the solver: the machines within the limits."""
        return self.problem_for(self.spec.objective)

    def problem_for(self, objective: Objective) -> JointProblem:
        """Returns the tables of the solver with another objective."""
        machines = np.flatnonzero(self.feasible.ravel())
        sets, srams = np.unravel_index(machines, self.machines.shape)[:2]
        rooms = self.machines.room_words[sets, srams]
        return JointProblem(
            self.network.activations, self.network.losses, self.limit, machines, rooms, self._tables, objective
        )

    def _tables(self, machines: Ints) -> MachineTables:
        return self.figures.machine_tables(machines)

    # -- designs in other tools' formats ---------------------------------------------------------------------

    def artifacts(self, design: Designs) -> dict[str, str]:
        """Returns the machine, without its SRAM, as ``accelgym rtl`` reads it, the types, and the other decisions."""
        machine, pair, mapping, resident = (part[0] for part in self.parts(self.space.check(np.asarray(design)[None])))
        config = self.machines.config(int(np.ravel_multi_index(tuple(machine), self.machines.shape)))
        formats = {
            name: Option(*PAIRS[i]).formats.model_dump(mode="json", exclude_defaults=True)
            for name, i in zip(self.network.slots, pair, strict=True)
        }
        edges = zip(self.network.activations.edges, resident, strict=True)
        kept = [[self.network.slots[e.producer], self.network.slots[e.consumer]] for e, stays in edges if stays]
        chosen = {name: MAPPINGS[i] for name, i in zip(self.network.slots, mapping, strict=True)}
        sram = self.machines.values("sram_kib")[machine[1]]
        return {
            "config.yaml": yaml.safe_dump(config.model_dump(mode="json")),
            "quantization.yaml": yaml.safe_dump({"layers": formats}, sort_keys=False),
            "joint.yaml": yaml.safe_dump({"sram_kib": sram, "mappings": chosen, "on_chip": kept}, sort_keys=False),
        }

    # -- words ---------------------------------------------------------------------------------------------

    def convention(self) -> str:
        if self.is_proxy:
            return "the loss is a proxy: relative noise of normally distributed operands, added up over layers"
        return "the loss is a table: that of each layer alone on the test examples, in nats, added up"

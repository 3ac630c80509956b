"""Number formats of the layers of a network as a task: least cost under a limit on the loss."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import yaml

from accelgym.costmodels.certificate import Certificate
from accelgym.costmodels.costs import Reason
from accelgym.costmodels.errors import InputError, unknown_name
from accelgym.costmodels.quantization import LayerQuantization
from accelgym.costmodels.solvers import minimise_both
from accelgym.costmodels.systolic.config import SystolicConfig, load_config
from accelgym.costmodels.systolic.model import SystolicDesigns, SystolicModel
from accelgym.costmodels.systolic.operand_types import OperandTypes
from accelgym.costmodels.workloads import Layer
from accelgym.envs.datatype.losses import (
    NATS,
    POINTS,
    LossTable,
    layer_fields,
    measured_networks,
    measured_table,
    proxy_table,
)
from accelgym.envs.datatype.options import HARDWARE, Option, accelerator, runs_on
from accelgym.envs.datatype.spec import DatatypeObjective, DatatypeSpec, LossMetric, Slots
from accelgym.envs.option_table import OptionTable
from accelgym.envs.space import Designs, Parameter, Space
from accelgym.envs.tabulated import TabulatedTask
from accelgym.envs.task import Outcome

__all__ = ["DatatypeTask"]

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_FIGURES = ("latency_cycles", "energy_pj", "traffic_bits")


class DatatypeTask(TabulatedTask):
    """Chooses type and group size of weights and activations for every layer.

    The limit holds for a table of integers, the loss of each layer in each format alone, which are added up. The
    reference is the optimum of that table. What the network really loses is measured in :meth:`measure`.

    Args:
        losses: A table in place of the one that the arguments name.
        **arguments: Fields of :class:`DatatypeSpec`.

    Raises:
        InputError: A bad argument, hardware that runs none of the table's formats, or a limit that nothing meets.
    """

    lanes: ClassVar[str] = "accelgym.envs.datatype.env:DatatypeVectorEnv"

    def __init__(self, *, losses: LossTable | None = None, **arguments: Any) -> None:
        self.spec = DatatypeSpec.parse(arguments)
        self.losses = losses or _table(self.spec)
        self.config = _hardware(self.spec.hardware)
        chosen = [index for index, option in enumerate(self.losses.options) if runs_on(option, self.config)]
        if not chosen:
            has = ", ".join(option.name for option in self.losses.options)
            raise InputError(f"hardware {self.spec.hardware!r} runs none of the formats of the table: {has}")
        self.options: tuple[Option, ...] = tuple(self.losses.options[index] for index in chosen)
        """Formats that the hardware runs."""
        self._columns = chosen
        if len(chosen) != math.prod(self.action_factors):
            names = ", ".join(option.name for option in self.options)
            raise InputError(
                f"hardware {self.spec.hardware!r}: {names}, allowed: every type with every other and group"
            )
        self._refuse_impossible()

    @property
    def env_id(self) -> str:
        return "accelgym/Datatype-v0"

    @property
    def is_proxy(self) -> bool:
        """Whether the losses are no accuracy."""
        return self.losses.label == "proxy"

    @cached_property
    def slot_layers(self) -> dict[str, list[int]]:
        """Layers by what gets formats of its own."""
        found: dict[str, list[int]] = {}
        for index, name in enumerate(self.losses.layers):
            found.setdefault(name if self.spec.slots is Slots.LAYER else _block(name), []).append(index)
        return found

    @cached_property
    def knobs(self) -> tuple[Parameter, ...]:
        """The choices of one slot; their product is :attr:`options`."""
        weights = tuple(dict.fromkeys(option.weight for option in self.options))
        activations = tuple(dict.fromkeys(option.activation for option in self.options))
        groups = tuple(dict.fromkeys(option.group for option in self.options))
        knobs = (Parameter("weight_type", weights), Parameter("activation_type", activations))
        return knobs if groups == (None,) else (*knobs, Parameter("group_size", groups))

    @cached_property
    def space(self) -> Space:
        return Space(
            tuple(
                replace(knob, name=f"{slot}.{knob.name}", group=slot)
                for slot in self.slot_layers
                for knob in self.knobs
            )
        )

    def describe(self) -> dict[str, Any]:
        return {
            "env": self.env_id,
            "spec": self.spec.model_dump(mode="json"),
            "table": [self.losses.label, self.losses.network, list(self.losses.layers)],
            "losses": self._losses.tolist(),
            "options": [option.name for option in self.options],
            "nests": [[layer_fields(layer) for layer in nests] for nests in self.losses.nests],
            "hardware": self.config.model_dump(mode="json"),
            "model": [SystolicModel.name, SystolicModel.version, SystolicModel.technology],
        }

    # -- one evaluation ------------------------------------------------------------------------------------

    def evaluate(self, designs: Designs) -> Outcome:
        table, options = self.table, self.actions(self.space.check(designs))
        allowed = table.gather(table.allowed, options)
        valid = np.asarray(allowed.all(axis=1))
        loss = table.gather(table.resource, options).sum(axis=1)
        feasible = valid & (loss <= table.limit)
        overshoot = np.where(valid, (loss - table.capacity) / max(table.capacity, 1.0), np.inf)
        return Outcome(
            objective=np.where(valid, table.gather(table.cost, options).sum(axis=1), np.inf),
            feasible=feasible,
            violation=np.where(feasible, 0.0, overshoot),
            valid=valid,
            costs={name: table.gather(figure, options).sum(axis=1) for name, figure in self._figures.items()}
            | {"proxy_loss" if self.is_proxy else "table_loss": loss * self.unit},
        )

    @property
    def unit(self) -> float:
        """What one unit of the table stands for, in that of ``max_loss``."""
        return POINTS if self.spec.metric is LossMetric.ACCURACY else NATS

    # -- what is known about the task ----------------------------------------------------------------------

    @property
    def proof(self) -> str:
        return "multiple-choice knapsack on the table 1"

    def prove(self, *, anew: bool = False) -> Certificate:
        found = self.table.solution
        assert found.design is not None  # The constructor refuses limits that nothing meets.
        design = self.designs(np.array([found.design]))
        value = float(self.evaluate(design).objective[0])  # The solver adds up in another order.
        bound = min(found.lower_bound, value)
        return replace(found, design=tuple(int(i) for i in design[0]), value=value, lower_bound=bound)

    def front(self) -> tuple[Designs, Floats, Floats]:
        """Returns all trade-offs between objective and loss on the table, whatever ``max_loss`` is: the exact front.

        Returns:
            Designs, shape ``(points, parameters)``; their objectives, ascending loss; their losses in the unit of
            ``max_loss``.
        """
        table = self.table
        found = minimise_both(table.cost, table.resource, table.allowed)
        designs = self.designs(found.choices)
        return designs, self.evaluate(designs).objective, found.second * self.unit

    # -- the formats of a design ---------------------------------------------------------------------------

    def assignment(self, design: Designs) -> dict[str, LayerQuantization]:
        """Returns the formats of every layer of a design, shape ``(parameters,)``."""
        chosen = self.actions(self.space.check(np.asarray(design)[None]))[0]
        return {
            self.losses.layers[index]: self.options[option].formats
            for option, layers in zip(chosen, self.slot_layers.values(), strict=True)
            for index in layers
        }

    def artifacts(self, design: Designs) -> dict[str, str]:
        formats = {
            name: form.model_dump(mode="json", exclude_defaults=True) for name, form in self.assignment(design).items()
        }
        return {
            "quantization.yaml": yaml.safe_dump({"layers": formats}, sort_keys=False),
            "hardware.yaml": yaml.safe_dump(self.config.model_dump(mode="json"), sort_keys=False),
        }

    def convention(self) -> str:
        if self.is_proxy:
            return "the loss is a proxy: relative noise of normally distributed operands, added up over layers"
        return f"the loss is a table: that of each layer alone on {self.losses.examples} test examples, added up"

    def normalised_metrics(self, value: float) -> dict[str, float]:
        widest = float(self.table.cost[np.arange(self.table.slots), self.table.resource.argmin(axis=1)].sum())
        return {"relative_to_least_loss": value / widest}

    # -- tabulation ----------------------------------------------------------------------------------------

    @cached_property
    def table(self) -> OptionTable:
        """Cost and loss of every option of every slot."""
        figures, valid, reason = self._costs
        cost = figures[_FIGURES[list(DatatypeObjective).index(self.spec.objective)]]
        area = np.full_like(cost, self._area_um2)
        return OptionTable(
            cost=cost,
            resource=self._losses.astype(np.float64),
            allowed=valid,
            reason=reason,
            latency_cycles=figures["latency_cycles"],
            energy_pj=figures["energy_pj"],
            area_um2=area,
            power_mw=figures["energy_pj"] / np.maximum(figures["latency_cycles"], 1.0) * self.config.clock_ghz,
            capacity=self._capacity,
            aggregate_max=False,
        )

    @cached_property
    def _capacity(self) -> float:
        """The limit in units of the table, rounded down; a float such as 0.3 is a whole number of units."""
        return float(np.floor(self.spec.max_loss / self.unit * (1 + 1e-12) + 1e-9))

    @cached_property
    def _losses(self) -> Ints:
        """Loss of every option of every slot."""
        rows = self.losses.losses["proxy" if self.is_proxy else self.spec.metric.value][:, self._columns]
        return np.stack([rows[layers].sum(axis=0) for layers in self.slot_layers.values()])

    @property
    def _figures(self) -> dict[str, Floats]:
        return self._costs[0]

    @property
    def _area_um2(self) -> float:
        return float(SystolicModel().evaluate(SystolicDesigns([self.config], self.losses.nests[0])).area_um2[0, 0])

    @cached_property
    def _costs(self) -> tuple[dict[str, Floats], Bools, npt.NDArray[np.int8]]:
        """Figures, validity and reasons of every option of every slot."""
        nests = [(index, nest) for index, of_layer in enumerate(self.losses.nests) for nest in of_layer]
        owners = np.array([index for index, _ in nests])
        layers = [nest for _, nest in nests]
        objective = "latency" if self.spec.objective is DatatypeObjective.LATENCY else "energy"
        model = SystolicModel(objective)
        shape = (len(self.losses.layers), len(self.options))
        figures = {name: np.zeros(shape) for name in _FIGURES}
        reasons = np.zeros(shape, dtype=np.int8)
        for column, option in enumerate(self.options):
            types = [OperandTypes(option.activation, option.weight)] * len(layers)
            costs = model.evaluate(SystolicDesigns([self.config], layers, types))
            bits = np.array([_traffic(option, layer) for layer in layers])
            for name, values in zip(_FIGURES, (costs.latency_cycles[0], costs.energy_pj[0], bits), strict=True):
                np.add.at(figures[name][:, column], owners, values)
            np.maximum.at(reasons[:, column], owners, costs.reason[0])
        parts = list(self.slot_layers.values())
        summed = {name: np.stack([values[part].sum(axis=0) for part in parts]) for name, values in figures.items()}
        worst = np.stack([reasons[part].max(axis=0) for part in parts])
        return summed, worst == int(Reason.OK), worst

    def _refuse_impossible(self) -> None:
        table = self.table
        for slot, name in enumerate(self.slot_layers):
            if not table.allowed[slot].any():
                why = table.reason_of(slot, 0).name.lower()
                raise InputError(f"hardware {self.spec.hardware!r} runs {name!r} in no format ({why})")
        least = float(table.reserve[0])
        if least > table.limit:
            what = "relative noise of the proxy" if self.is_proxy else self.spec.metric.value.replace("_", " ")
            raise InputError(
                f"max_loss={self.spec.max_loss}: nothing on {self.spec.hardware!r} hardware loses that little {what}; "
                f"the best reachable is {least * self.unit:.6g}"
            )


def _block(name: str) -> str:
    """Returns the module that a layer belongs to: its first part, or two where the second is a number."""
    parts = name.split(".")
    return ".".join(parts[: 2 if len(parts) > 2 and parts[1].isdigit() else 1])


def _traffic(option: Option, layer: Layer) -> float:
    """Returns the bits of both operands of a loop nest."""
    formats = option.formats
    assert formats.weight is not None
    assert formats.input is not None
    words = layer.weight_words, layer.input_words
    return formats.weight.bits_per_value * words[0] + formats.input.bits_per_value * words[1]


def _table(spec: DatatypeSpec) -> LossTable:
    if spec.workload is not None:
        return proxy_table(spec.workload)
    if spec.network not in measured_networks():
        raise unknown_name("network", spec.network, measured_networks())
    return measured_table(spec.network)


def _hardware(name: str) -> SystolicConfig:
    if name in HARDWARE:
        return accelerator(name)
    if Path(name).suffix in (".yaml", ".yml"):
        return load_config(Path(name))
    raise unknown_name("hardware", name, HARDWARE)

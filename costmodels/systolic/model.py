"""The cost model ``systolic``: generated accelerators, exact in cycles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from accelgym.costmodels.costs import Costs, Reason
from accelgym.costmodels.errors import InputError, unknown_name
from accelgym.costmodels.systolic.columns import Hardware, LayerColumns
from accelgym.costmodels.systolic.config import SystolicConfig
from accelgym.costmodels.systolic.energy import TECHNOLOGY, EnergyLaw
from accelgym.costmodels.systolic.operand_types import OperandTypes
from accelgym.costmodels.systolic.scheduler import NoTilingError, Objective, Schedule, schedule
from accelgym.costmodels.systolic.tiling import tile_terms
from accelgym.costmodels.systolic.traffic import traffic
from accelgym.costmodels.workloads.layer import Layer

__all__ = ["SystolicDesigns", "SystolicModel"]

_SCHEDULES = 65536


@dataclass(frozen=True)
class SystolicDesigns:
    """Every configuration with every layer: costs have the shape ``(configs, layers)``."""

    configs: Sequence[SystolicConfig]
    layers: Sequence[Layer]
    types: Sequence[OperandTypes] | None = None
    """Number formats of each layer; what is open, or None, is the first one of each configuration."""


class SystolicModel:
    """Costs of layers on the accelerators of :mod:`accelgym.hwgen`.

    Each layer runs with its best tiling. Cycles are those of the generated Verilog, by the recurrence of
    :mod:`accelgym.costmodels.systolic.cycles`; the energy of logic is fitted to the toggles of its gates, that of
    buffers and ports and the area follow from component laws (:mod:`accelgym.costmodels.systolic.energy`).

    Args:
        objective: What the schedule minimises, ``latency`` or ``energy``; the other breaks ties.

    Raises:
        InputError: The objective is unknown.
    """

    name = "systolic"
    version = "2"
    technology = TECHNOLOGY

    def __init__(self, objective: str = "latency") -> None:
        allowed = [member.value for member in Objective]
        if objective not in allowed:
            raise unknown_name("objective", objective, allowed)
        self.objective = Objective(objective)

    def evaluate(self, designs: object) -> Costs:
        """Returns costs of :class:`SystolicDesigns`, shape ``(configs, layers)``.

        A layer for which no tile fits is invalid (``CAPACITY``), and so is one that the counters and addresses of the
        hardware do not carry (``COUNTER``) or with a number format that is not of the configuration (``FORMAT``).

        ``breakdown`` holds the energies of memory ports, buffers, array, control, clock and leakage, the traffic in
        buffer words, the multiply-adds, and the cycles for which array, ports and drain are busy: the largest bounds
        the latency.

        Raises:
            InputError: Designs of another kind, a layer that is a vector operation, or fewer or more types than layers.
        """
        if not isinstance(designs, SystolicDesigns):
            raise InputError(f"cost model 'systolic' evaluates SystolicDesigns, not {type(designs).__name__}")
        for layer in designs.layers:
            if not layer.is_compute:
                raise InputError(f"layer {layer.name!r}: {layer.kind} does not run on the array, allowed conv and gemm")
        types = [OperandTypes()] * len(designs.layers) if designs.types is None else designs.types
        if len(types) != len(designs.layers):
            raise InputError(f"SystolicDesigns: {len(types)} types for {len(designs.layers)} layers, allowed: one each")
        configs = designs.configs if designs.layers else ()
        rows = [_config_costs(config, designs.layers, types, self.objective) for config in configs]
        columns = {name: np.stack([row[name] for row in rows]) for name in rows[0]} if rows else {}
        shape = (len(designs.configs), len(designs.layers))
        figures = {name: columns.pop(name, np.zeros(shape)) for name in ("latency", "energy", "area", "power")}
        reason = columns.pop("reason", np.zeros(shape, dtype=np.int8))
        return Costs(
            latency_cycles=figures["latency"],
            energy_pj=figures["energy"],
            area_um2=figures["area"],
            power_mw=figures["power"],
            valid=reason == int(Reason.OK),
            reason=reason,
            model=self.name,
            version=self.version,
            technology=self.technology,
            breakdown=columns,
        )


@lru_cache(maxsize=_SCHEDULES)
def _schedule(config: SystolicConfig, layer: Layer, objective: Objective) -> Schedule | Reason:
    try:
        return schedule(config, layer, objective)
    except NoTilingError as error:
        return error.reason


def _with_types(config: SystolicConfig, types: OperandTypes) -> SystolicConfig | None:
    try:
        return config.with_types(*types)
    except InputError:
        return None


def _config_costs(
    config: SystolicConfig, layers: Sequence[Layer], types: Sequence[OperandTypes], objective: Objective
) -> dict[str, Any]:
    """Returns the costs of layers on one configuration, arrays of shape ``(layers,)``."""
    runs = [_with_types(config, wanted) for wanted in types]
    # Layers of one shape share their schedule, whatever their names.
    found_schedules = [
        Reason.FORMAT if run is None else _schedule(run, replace(layer, name=""), objective)
        for run, layer in zip(runs, layers, strict=True)
    ]
    reasons = [one if isinstance(one, Reason) else Reason.OK for one in found_schedules]
    chosen = [None if isinstance(one, Reason) else one for one in found_schedules]
    latency = np.array([0 if one is None else one.cycles for one in chosen], dtype=np.int64)
    prices = {run: (EnergyLaw.of(run), Hardware.of([run])) for run in {config, *runs} if run is not None}
    law, _ = prices[config]
    found: dict[str, list[float]] = {}
    for layer, run, one in zip(layers, runs, chosen, strict=True):
        for name, value in _layer_figures(*prices[run or config], layer, one).items():
            found.setdefault(name, []).append(value)
    columns: dict[str, Any] = {name: np.array(values) for name, values in found.items()}
    columns["energy_clock_pj"] = latency * law.clock
    columns["energy_leakage_pj"] = latency * law.leakage
    energy = sum(columns[f"energy_{part}_pj"] for part in (*_MOVING, "clock", "leakage"))
    cycles = np.maximum(latency, 1)
    return {
        "latency": latency,
        "energy": np.asarray(energy, dtype=np.float64),
        "area": np.full(len(layers), law.area_um2),
        "power": energy / cycles * config.clock_ghz,
        "reason": np.array(reasons, dtype=np.int8),
        **columns,
        "utilisation": columns["macs"] / (cycles * config.rows * config.columns),
    }


_MOVING = ("memory", "buffers", "array", "control")
"""Parts whose energy follows from traffic."""
_COUNTS = (
    *("input_loads", "weight_loads", "outputs", "input_reads", "weight_reads"),
    *("accumulation_writes", "accumulation_reads"),
)


def _layer_figures(law: EnergyLaw, hardware: Hardware, layer: Layer, chosen: Schedule | None) -> dict[str, float]:
    names = tuple(f"energy_{part}_pj" for part in _MOVING)
    busy = ("busy_array_cycles", "busy_input_port_cycles", "busy_weight_port_cycles", "busy_drain_cycles")
    if chosen is None:
        return {**dict.fromkeys((*names, *(f"{c}_words" for c in _COUNTS), *busy), 0), "macs": layer.macs}
    terms = tile_terms(hardware, LayerColumns.of([layer]), chosen.tiling.arrays())
    moved = traffic(hardware, terms)
    energies = (getattr(law, part)(moved) for part in _MOVING)
    beats = (hardware.input_beats * moved.input_loads, hardware.weight_beats * moved.weight_loads)
    passes = terms.outer * terms.inner * terms.passes * terms.pass_length
    cycles = (passes, *beats, hardware.output_beats * moved.outputs)
    return {
        **{name: float(value[0]) for name, value in zip(names, energies, strict=True)},
        **{f"{name}_words": int(getattr(moved, name)[0]) for name in _COUNTS},
        **{name: int(value[0]) for name, value in zip(busy, cycles, strict=True)},
        "macs": layer.macs,
    }

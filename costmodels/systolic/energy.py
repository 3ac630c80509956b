"""Energy and area of a systolic accelerator in closed form.

Every word that crosses a memory port and every access to a buffer has a price from
:mod:`accelgym.costmodels.components.laws` (45 nm). The logic has the prices of
:mod:`accelgym.costmodels.systolic.energy_table`, fitted to gate-level toggles, where its formats were measured; its
docstring says what data they hold for, and the table how far they are off. Elsewhere, component laws price the
multiply-adds and registers of the processing elements and nothing else; the table says how far those are off. Leakage
is that of buffers, multiply-adds and registers by area, in every cycle.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import product
from typing import Protocol

from accelgym.costmodels.arrays import Array
from accelgym.costmodels.components import laws
from accelgym.costmodels.datatypes import Datatype
from accelgym.costmodels.systolic.config import SystolicConfig
from accelgym.costmodels.systolic.energy_table import (
    EnergyKind,
    EnergyTable,
    element_events,
    energy_table,
    flip_flop_counts,
    lane_events,
    switching_events,
)
from accelgym.costmodels.systolic.memories import macro_widths
from accelgym.costmodels.systolic.traffic import Traffic

__all__ = ["TECHNOLOGY", "ComponentLaw", "EnergyLaw", "FittedLaw", "LogicLaw"]

TECHNOLOGY = "aladdin-cacti-45nm"
"""Of buffers, ports and leakage; the logic is that of the gate library, for 45 nm as well."""


class LogicLaw(Protocol):
    """Prices what is neither buffer nor memory port, pJ."""

    @property
    def clock(self) -> float:
        """Of a cycle."""
        ...

    def array(self, moved: Traffic) -> Array:
        """Returns the energy of processing elements, operand decoders and skew registers."""
        ...

    def control(self, moved: Traffic) -> Array:
        """Returns the energy of accumulation, vector unit, loaders, drain and control."""
        ...


@dataclass(frozen=True)
class ComponentLaw:
    """Multiply-adds and registers of the processing elements by component laws; control is free."""

    array_step: float
    """One cycle of work of all processing elements."""
    clock: float = 0.0

    def array(self, moved: Traffic) -> Array:
        return moved.array_steps * self.array_step

    def control(self, moved: Traffic) -> Array:
        return moved.array_steps * 0.0


@dataclass(frozen=True)
class FittedLaw:
    """The prices of a row of the energy table."""

    config: SystolicConfig
    table: EnergyTable
    kind: EnergyKind

    @property
    def clock(self) -> float:
        elements = self.kind.element_flip_flops(self.config.rows, self.config.columns)
        others = sum(self.table.flip_flops[name] * count for name, count in flip_flop_counts(self.config).items())
        return (elements + others) * self.table.clock_pj + self.table.switching["cycles"]

    def array(self, moved: Traffic) -> Array:
        lanes = lane_events(self.config, moved)
        elements = element_events(self.config, moved)
        energy = sum(self.kind.elements[name] * count for name, count in elements.items())
        return energy + sum(self.kind.lanes[name] * lanes[name] for name in ("input_word", "weight_word"))

    def control(self, moved: Traffic) -> Array:
        events = switching_events(self.config, moved)
        energy = sum(self.table.switching[name] * count for name, count in events.items())
        return energy + self.kind.lanes["accumulation"] * lane_events(self.config, moved)["accumulation"]


@dataclass(frozen=True)
class EnergyLaw:
    """Prices of one configuration: pJ per event unless said otherwise."""

    logic_law: LogicLaw
    input_load: float
    """A word from memory through the port."""
    weight_load: float
    output: float
    input_write: float
    """A word into the input buffer."""
    input_read: float
    weight_write: float
    weight_read: float
    accumulation_write: float
    accumulation_read: float
    clock: float
    """Per cycle: the clock pins of all flip-flops, and control that never rests; 0 by the component laws."""
    leakage: float
    """Per cycle, all components."""
    area_um2: float
    """Buffers, multiply-adds and the registers of the processing elements."""

    @classmethod
    def of(cls, config: SystolicConfig) -> EnergyLaw:
        """Prices a configuration by the fitted table, or by component laws where it has no such formats."""
        return cls.by(config, energy_table())

    @classmethod
    def by(cls, config: SystolicConfig, table: EnergyTable | None) -> EnergyLaw:
        """Prices a configuration.

        Args:
            config: The accelerator.
            table: Prices of the logic; component laws where it has no such formats, or is None.
        """
        pes = config.rows * config.columns
        scale_bits = 0 if config.scale is None else config.scale.bits
        inputs = _bank(config.input_buffer_depth, macro_widths(config.rows, config.input_lane_bits, scale_bits))
        weights = _bank(config.weight_buffer_depth, macro_widths(config.columns, config.weight_lane_bits))
        sums = _bank(config.accumulation_buffer_depth, macro_widths(config.columns, config.accumulation.bits))
        sum_banks = 2 if config.double_buffered_accumulation else 1
        multiplier = _multiply_add(config, config.input, config.weight)
        # What is built can do every pair of formats; what moves is the layer's.
        pairs = product(config.inputs, config.weights)
        built = max((_multiply_add(config, x, w) for x, w in pairs), key=lambda cost: cost.area_um2)
        registers = laws.register_file(1, config.input_lane_bits + 2 * config.weight_lane_bits + config.psum.bits)
        parts = ((2, inputs), (2, weights), (sum_banks, sums), (pes, built), (pes, registers))
        kind = None if table is None else table.kind(config)
        logic: LogicLaw = (
            ComponentLaw(pes * (multiplier.read_pj + registers.write_pj))
            if table is None or kind is None
            else FittedLaw(config, table, kind)
        )
        return cls(
            logic_law=logic,
            input_load=laws.dram(config.packed_input_bits).read_pj,
            weight_load=laws.dram(config.packed_weight_bits).read_pj,
            output=laws.dram(config.accumulation_word_bits).write_pj,
            input_write=inputs.write_pj,
            input_read=inputs.read_pj,
            weight_write=weights.write_pj,
            weight_read=weights.read_pj,
            accumulation_write=sums.write_pj,
            accumulation_read=sums.read_pj,
            clock=logic.clock,
            leakage=sum(count * part.leakage_pj for count, part in parts),
            area_um2=sum(count * part.area_um2 for count, part in parts),
        )

    def memory(self, moved: Traffic) -> Array:
        """Returns the energy of the memory ports."""
        return moved.input_loads * self.input_load + moved.weight_loads * self.weight_load + moved.outputs * self.output

    def buffers(self, moved: Traffic) -> Array:
        """Returns the energy of the buffers."""
        return (
            moved.input_loads * self.input_write
            + moved.input_reads * self.input_read
            + moved.weight_loads * self.weight_write
            + moved.weight_reads * self.weight_read
            + moved.accumulation_writes * self.accumulation_write
            + moved.accumulation_reads * self.accumulation_read
        )

    def array(self, moved: Traffic) -> Array:
        """Returns the energy of the array, padding that it multiplies included."""
        return self.logic_law.array(moved)

    def control(self, moved: Traffic) -> Array:
        """Returns the energy of accumulation, vector unit, loaders, drain and control, without the clock."""
        return self.logic_law.control(moved)

    def dynamic(self, moved: Traffic) -> Array:
        """Returns the energy of everything that moves."""
        return self.memory(moved) + self.buffers(moved) + self.array(moved) + self.control(moved)

    @property
    def per_cycle(self) -> float:
        """Energy of every cycle, whatever moves: clock and leakage."""
        return self.clock + self.leakage


def _bank(depth: int, widths: Sequence[int]) -> laws.ComponentCost:
    """Prices a bank of macros, all of which an access reaches."""
    macros = [laws.sram(depth, width) for width in widths]
    return laws.ComponentCost(*(sum(getattr(macro, field.name) for macro in macros) for field in fields(macros[0])))


def _multiply_add(config: SystolicConfig, x: Datatype, w: Datatype) -> laws.ComponentCost:
    """Prices a multiply-add; operands of different widths count with their geometric mean."""

    def mean(left: int, right: int) -> int:
        return max(round(math.sqrt(left * right)), 1)

    if config.multiply_add.is_integer:
        return laws.integer_mac(mean(_integer_bits(x), _integer_bits(w)))
    return laws.float_mac(config.psum.bits, mean(x.significand_bits, w.significand_bits))


def _integer_bits(datatype: Datatype) -> int:
    """Bits of a format as the signed integer that it is in the array."""
    return max(datatype.significand_bits, datatype.bits)

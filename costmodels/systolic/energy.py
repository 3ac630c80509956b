"""Energy and area of a systolic accelerator in closed form, from the component laws.

Every word that crosses a memory port, every access to a buffer and every multiply-add and register of the array has a
price from :mod:`accelgym.costmodels.components.laws` (45 nm); energy is the sum over the counted traffic, plus leakage
of the whole area in every cycle. These are laws of components, not figures of the generated Verilog: control,
address generators and the skew registers are not priced.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

from accelgym.costmodels.arrays import Array
from accelgym.costmodels.components import laws
from accelgym.costmodels.datatypes import Datatype
from accelgym.costmodels.systolic.config import SystolicConfig
from accelgym.costmodels.systolic.memories import macro_widths
from accelgym.costmodels.systolic.traffic import Traffic

__all__ = ["TECHNOLOGY", "EnergyLaw"]

TECHNOLOGY = "aladdin-cacti-45nm"


@dataclass(frozen=True)
class EnergyLaw:
    """Prices of one configuration: pJ per event unless said otherwise."""

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
    array_step: float
    """One cycle of work of all processing elements."""
    leakage: float
    """Per cycle, all components."""
    area_um2: float
    """Buffers, multiply-adds and the registers of the processing elements."""

    @classmethod
    def of(cls, config: SystolicConfig) -> EnergyLaw:
        """Prices a configuration."""
        pes = config.rows * config.columns
        scale_bits = 0 if config.scale is None else config.scale.bits
        inputs = _bank(config.input_buffer_depth, macro_widths(config.rows, config.input.bits, scale_bits))
        weights = _bank(config.weight_buffer_depth, macro_widths(config.columns, config.weight.bits))
        sums = _bank(config.accumulation_buffer_depth, macro_widths(config.columns, config.accumulation.bits))
        sum_banks = 2 if config.double_buffered_accumulation else 1
        multiplier = _multiply_add(config)
        registers = laws.register_file(1, config.input.bits + 2 * config.weight.bits + config.psum.bits)
        parts = ((2, inputs), (2, weights), (sum_banks, sums), (pes, multiplier), (pes, registers))
        return cls(
            input_load=laws.dram(config.input_word_bits).read_pj,
            weight_load=laws.dram(config.weight_word_bits).read_pj,
            output=laws.dram(config.accumulation_word_bits).write_pj,
            input_write=inputs.write_pj,
            input_read=inputs.read_pj,
            weight_write=weights.write_pj,
            weight_read=weights.read_pj,
            accumulation_write=sums.write_pj,
            accumulation_read=sums.read_pj,
            array_step=pes * (multiplier.read_pj + registers.write_pj),
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
        """Returns the energy of the processing elements, those that multiply padding included."""
        return moved.array_steps * self.array_step

    def dynamic(self, moved: Traffic) -> Array:
        """Returns the energy of everything that moves: what a schedule decides."""
        return self.memory(moved) + self.buffers(moved) + self.array(moved)


def _bank(depth: int, widths: Sequence[int]) -> laws.ComponentCost:
    """Prices a bank of macros, all of which an access reaches."""
    macros = [laws.sram(depth, width) for width in widths]
    return laws.ComponentCost(*(sum(getattr(macro, field.name) for macro in macros) for field in fields(macros[0])))


def _multiply_add(config: SystolicConfig) -> laws.ComponentCost:
    """Prices a multiply-add; operands of different widths count with their geometric mean."""

    def mean(x: int, w: int) -> int:
        return max(round(math.sqrt(x * w)), 1)

    if config.multiply_add.is_integer:
        return laws.integer_mac(mean(_integer_bits(config.input), _integer_bits(config.weight)))
    return laws.float_mac(config.psum.bits, mean(config.input.significand_bits, config.weight.significand_bits))


def _integer_bits(datatype: Datatype) -> int:
    """Bits of a format as the signed integer that it is in the array."""
    return max(datatype.significand_bits, datatype.bits)

"""Energy of the logic of a systolic accelerator, with coefficients fitted to the toggles of its own gates.

The structure is that of the traffic. Per processing element: a multiply-add of the layer, one of padding, the start
of a pass, and one hop of a weight (weight stationary) or of a result (output stationary) down its column. Per lane: a
word that an operand buffer feeds, decoder and skew registers included, and a word that is accumulated. These stand in a
table by number formats and template. Loaders, drain, vector unit and control: linear in counted bits. Flip-flops: those
of an element by the table, the others linear in counted bits; every one takes the energy of its clock pin in every
cycle, since no clock is gated.

Data matter: the table holds for random operands, integers uniform over their range and others normally distributed.
Zero-delay simulation sees no glitches. ``data/energy_nand2.yaml`` holds the table, where it comes from, and its errors
on configurations and layers that were not fitted: 3.4 % in the mean and 11.3 % at most, where the component laws are
off by 120 % and 326 %.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from accelgym.costmodels.arrays import Array
from accelgym.costmodels.files.strict_model import StrictModel, load_spec
from accelgym.costmodels.systolic.config import LANE_GROUP, SystolicConfig, Template
from accelgym.costmodels.systolic.format_kinds import FormatKind, find_kind
from accelgym.costmodels.systolic.memories import address_bits
from accelgym.costmodels.systolic.traffic import Traffic

__all__ = [
    "CONTROL_TERMS",
    "DRAIN_TERMS",
    "ELEMENT_TERMS",
    "FLIP_FLOP_TERMS",
    "LANE_TERMS",
    "LOADING_TERMS",
    "SWITCHING_TERMS",
    "EnergyKind",
    "EnergyTable",
    "data_path",
    "element_events",
    "energy_table",
    "flip_flop_counts",
    "lane_events",
    "switching_events",
]

ELEMENT_TERMS = ("multiply_add", "padding", "start", "hop")
LANE_TERMS = ("input_word", "weight_word", "accumulation")
LOADING_TERMS = ("input_bits", "weight_bits", "loads")
DRAIN_TERMS = ("output_bits", "outputs")
CONTROL_TERMS = ("steps", "weight_words", "sums", "sum_address_bits", "cycles")
SWITCHING_TERMS = (*LOADING_TERMS, *DRAIN_TERMS, *CONTROL_TERMS)
"""Terms of the linear laws of switching: loaders, drain and vector unit, the rest."""
FLIP_FLOP_TERMS = (
    *("constant", "output_stationary", "address_bits", "input_word_bits", "weight_word_bits", "psum_word_bits"),
    *("accumulation_word_bits", "bank_word_bits", "assembled_bits", "sent_bits", "latency", "rows", "columns"),
    *("slow_word_bits", "slow_rows"),
)
"""Terms of the linear law of flip-flops outside the processing elements."""


def data_path() -> Path:
    """Returns the file of the fitted table."""
    return Path(__file__).resolve().parent / "data" / "energy_nand2.yaml"


class EnergyKind(FormatKind):
    """A row of the table, pJ."""

    flip_flops: int
    """Of a processing element."""
    last_row_flip_flops: int
    """How many fewer one of the last row has, which hands nothing on."""
    elements: dict[str, float]
    """Of each of :data:`ELEMENT_TERMS`, one processing element."""
    lanes: dict[str, float]
    """Of each of :data:`LANE_TERMS`, one row or column."""

    def element_flip_flops(self, rows: int, columns: int) -> int:
        """Returns the flip-flops of all processing elements."""
        return columns * (rows * self.flip_flops - self.last_row_flip_flops)


class EnergyTable(StrictModel):
    """Table, coefficients and their provenance; errors are relative, of the energy of all logic of a layer."""

    provenance: str
    fitted_layers: int
    held_out_layers: int
    error_mean: float
    """Mean absolute error on what was held out."""
    error_max: float
    law_error_mean: float
    """The same of the component laws, which price what the table does not have."""
    law_error_max: float
    zeros_error_mean: float
    """Signed, of the table, when half of the inputs are zero."""
    clock_pj: float
    """A flip-flop, one cycle."""
    flip_flops: dict[str, float]
    """Coefficient of each of :data:`FLIP_FLOP_TERMS`."""
    switching: dict[str, float]
    """pJ, of each of :data:`SWITCHING_TERMS`."""
    kinds: list[EnergyKind]

    def kind(self, config: SystolicConfig) -> EnergyKind | None:
        """Returns the row of a configuration, or None when its formats were not measured."""
        index = find_kind(self.kinds, config)
        return None if index is None else self.kinds[index]


def element_events(config: SystolicConfig, moved: Traffic) -> Mapping[str, Array]:
    """Returns how often a processing element does each of :data:`ELEMENT_TERMS`, all elements together."""
    elements = config.rows * config.columns
    stationary = config.template is Template.WEIGHT_STATIONARY
    words = moved.weight_reads if stationary else moved.accumulation_writes
    # Every weight passes all rows. Results shift down, and the rows above them are then empty.
    moving = elements if stationary else elements * (config.rows + 1) / (2 * config.rows)
    return {
        "multiply_add": moved.inside,
        "padding": elements * moved.array_steps - moved.inside,
        "start": config.columns * words,
        "hop": moving * words,
    }


def lane_events(config: SystolicConfig, moved: Traffic) -> Mapping[str, Array]:
    """Returns how often a lane does each of :data:`LANE_TERMS`, all lanes together."""
    return {
        "input_word": config.rows * moved.input_reads,
        "weight_word": config.columns * moved.weight_reads,
        "accumulation": config.columns * moved.accumulation_writes,
    }


def switching_events(config: SystolicConfig, moved: Traffic) -> Mapping[str, Array]:
    """Returns the counts behind :data:`SWITCHING_TERMS`, but ``cycles``."""
    address = int(address_bits(config.accumulation_buffer_depth)) * -(-config.columns // LANE_GROUP)
    return {
        "input_bits": config.input_word_bits * moved.input_loads,
        "weight_bits": config.weight_word_bits * moved.weight_loads,
        "output_bits": config.accumulation_word_bits * moved.outputs,
        "loads": moved.input_loads + moved.weight_loads,
        "outputs": moved.outputs,
        "steps": moved.array_steps,
        "weight_words": moved.weight_reads,
        "sums": moved.accumulation_writes,
        "sum_address_bits": address * moved.accumulation_writes,
    }


def flip_flop_counts(config: SystolicConfig) -> dict[str, float]:
    """Returns the counts behind :data:`FLIP_FLOP_TERMS`."""

    def assembled(word: int, port: int) -> int:
        """Bits that wait for the last beat of their word."""
        return (-(-word // port) - 1) * port

    depths = (config.input_buffer_depth, config.weight_buffer_depth, config.accumulation_buffer_depth)
    output_word = config.accumulation_word_bits
    return {
        "constant": 1.0,
        "output_stationary": float(config.template is Template.OUTPUT_STATIONARY),
        "address_bits": int(address_bits(depths).sum()),
        "input_word_bits": config.input_word_bits,
        "weight_word_bits": config.weight_word_bits,
        "psum_word_bits": config.columns * config.psum.bits,
        "accumulation_word_bits": output_word,
        "bank_word_bits": output_word if config.double_buffered_accumulation else 0,
        "assembled_bits": assembled(config.input_word_bits, config.input_port_bits)
        + assembled(config.weight_word_bits, config.weight_port_bits),
        "sent_bits": output_word if output_word > config.output_port_bits else 0,
        "latency": config.memory_latency,
        "rows": config.rows,
        "columns": config.columns,
        # Where a row takes two cycles, its skew registers are twice as many.
        "slow_word_bits": (config.add_cycles - 1) * config.input_word_bits,
        "slow_rows": (config.add_cycles - 1) * config.rows,
    }


@cache
def energy_table() -> EnergyTable:
    """Returns the fitted table."""
    return load_spec(EnergyTable, data_path())

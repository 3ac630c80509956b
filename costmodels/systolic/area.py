"""Area and critical path in closed form, with coefficients fitted to our own synthesis.

The structure is that of the RTL. Per processing element, decoder and accumulation adder: a table by number formats,
template and pipeline. Skew registers and the addresses that move with the wavefront: counted, at the area of a bit.
Memories: the law. Loaders, drain, accumulator registers, parameters and control: linear in counted bits.
``data/area_nand2.yaml`` holds the table, the coefficients, where they come from, and the errors on configurations that
were not fitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.strict_model import StrictModel, load_spec
from accelgym.costmodels.systolic.config import LANE_GROUP, SystolicConfig, Template
from accelgym.costmodels.systolic.format_kinds import FormatKind, find_kind, format_key
from accelgym.costmodels.systolic.memories import access_fo4, address_bits, memory_area_nand2

__all__ = [
    "CONTROL_TERMS",
    "AreaEstimate",
    "AreaTable",
    "AreaTerms",
    "Kind",
    "area_table",
    "control_features",
    "data_path",
    "estimate",
]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_WIDEST = 2**20
"""More bits than a buffer word has."""


def data_path() -> Path:
    """Returns the file of the fitted table."""
    return Path(__file__).resolve().parent / "data" / "area_nand2.yaml"


class Kind(FormatKind):
    """A row of the table."""

    input_bits: int
    weight_bits: int
    psum_bits: int
    accumulation_bits: int
    input_lane_bits: int
    """Bits of an operand inside the array."""
    weight_lane_bits: int
    element_area: float
    """Processing element, NAND2 equivalents."""
    last_row_area: float
    """Additions to an element of the last row."""
    element_path: float
    """ps."""
    input_decoder_area: float
    input_decoder_path: float
    weight_decoder_area: float
    weight_decoder_path: float
    adder_area: float
    adder_path: float


class AreaTable(StrictModel):
    """Table, coefficients and their provenance."""

    provenance: str
    fitted_configurations: int
    held_out_configurations: int
    area_error_mean: float
    """Relative, on the configurations held out."""
    area_error_max: float
    path_error_mean: float
    path_error_max: float
    register_bit_area: float
    reset_bit_area: float
    """A register bit with its reset."""
    vector_bit_area: float
    """Post-processing of a bit of an output word."""
    control: dict[str, float]
    """Coefficient of each of :data:`CONTROL_TERMS`."""
    control_path: float
    """ps."""
    fo4: float
    """Delay of an inverter with fan-out 4, ps."""
    kinds: list[Kind]

    def kind(self, config: SystolicConfig) -> int:
        """Returns the row of a configuration.

        Raises:
            InputError: These formats were not synthesised.
        """
        index = find_kind(self.kinds, config)
        if index is not None:
            return index
        known = sorted({" x ".join(map(str, kind.key[1:5])) for kind in self.kinds})
        wanted = " x ".join(map(str, format_key(config)[1:5]))
        raise InputError(
            f"no area is tabulated for {wanted} ({config.template}, pe_pipeline {config.pe_pipeline}, "
            f"scale_type {config.scale_type}, row_psum_widths {config.row_psum_widths}): tabulated are "
            f"{', '.join(known)}; synthesise it instead"
        )

    def column(self, name: str, kinds: Ints) -> Floats:
        """Returns a column of the table for rows of it."""
        return np.array([getattr(kind, name) for kind in self.kinds], dtype=np.float64)[kinds]


@dataclass(frozen=True)
class AreaTerms:
    """Configurations as int64 arrays of one shape."""

    rows: Ints
    columns: Ints
    kind: Ints
    """Row of the table."""
    input_depth: Ints
    weight_depth: Ints
    accumulation_depth: Ints
    accumulation_banks: Ints
    input_port_bits: Ints
    weight_port_bits: Ints
    output_port_bits: Ints
    memory_latency: Ints

    @classmethod
    def of(cls, configs: Sequence[SystolicConfig], table: AreaTable | None = None) -> AreaTerms:
        """Gathers configurations, shape ``(len(configs),)``.

        Raises:
            InputError: The formats of a configuration are not in the table.
        """
        known = table or area_table()

        def row(config: SystolicConfig) -> tuple[int, ...]:
            depths = (config.input_buffer_depth, config.weight_buffer_depth, config.accumulation_buffer_depth)
            ports = (config.input_port_bits, config.weight_port_bits, config.output_port_bits)
            banks = 2 if config.double_buffered_accumulation else 1
            return (config.rows, config.columns, known.kind(config), *depths, banks, *ports, config.memory_latency)

        return cls(*np.array([row(config) for config in configs], dtype=np.int64).reshape(-1, len(fields(cls))).T)


@dataclass(frozen=True)
class AreaEstimate:
    """Areas in NAND2 equivalents and the critical path in ps, float64 arrays of one shape."""

    array: Floats
    sram: Floats
    address_control: Floats
    vector_unit: Floats
    critical_path_ps: Floats

    @property
    def total(self) -> Floats:
        """The four parts together."""
        return self.array + self.sram + self.address_control + self.vector_unit


CONTROL_TERMS = (
    "constant",
    "output_stationary",
    "address_bits",
    "accumulator_register_bits",
    "accumulator_address_bits",
    "accumulator_bank_bits",
    "input_word_bits",
    "assembled_bits",
    "output_word_bits",
    "latency_bits",
)
"""Terms of the linear law of address generation and control."""


def _skewed(lanes: Ints) -> Ints:
    """Cycles by which the lanes of all groups together trail the first lane of their group."""
    return (
        lanes // LANE_GROUP * (LANE_GROUP * (LANE_GROUP - 1) // 2) + lanes % LANE_GROUP * (lanes % LANE_GROUP - 1) // 2
    )


def _hops(lanes: Ints) -> Ints:
    """Cycles of an address from the first macro of an operand buffer to the last."""
    return (lanes - 1) // LANE_GROUP * LANE_GROUP


def control_features(terms: AreaTerms, table: AreaTable) -> Floats:
    """Returns the counts behind :data:`CONTROL_TERMS`, shape ``(..., terms)``."""

    def column(name: str) -> Floats:
        return table.column(name, terms.kind)

    stationary = np.array([kind.template == Template.OUTPUT_STATIONARY.value for kind in table.kinds])[terms.kind]
    input_word = terms.rows * column("input_bits")
    weight_word = terms.columns * column("weight_bits")
    output_word = terms.columns * column("accumulation_bits")

    def assembled(word: Floats, port: Ints) -> Floats:
        """Bits that wait for the last beat of their word."""
        return (np.ceil(word / port) - 1) * port

    addresses = sum(address_bits(d) for d in (terms.input_depth, terms.weight_depth, terms.accumulation_depth))
    groups = -(-terms.columns // LANE_GROUP)
    # An address takes three registers in a group, and from group to group as many as the group has columns.
    hops = terms.columns - np.minimum(terms.columns, LANE_GROUP) + 3 * groups
    counts = {
        "constant": np.ones(np.shape(terms.rows)),
        "output_stationary": stationary,
        "address_bits": addresses,
        "accumulator_register_bits": _skewed(terms.columns) * column("psum_bits") + 2 * output_word,
        "accumulator_address_bits": hops * (address_bits(terms.accumulation_depth) + 3),
        "accumulator_bank_bits": np.where(terms.accumulation_banks > 1, output_word, 0),
        "input_word_bits": input_word,
        "assembled_bits": assembled(input_word, terms.input_port_bits) + assembled(weight_word, terms.weight_port_bits),
        "output_word_bits": np.where(output_word > terms.output_port_bits, output_word, 0),
        "latency_bits": terms.memory_latency,
    }
    return np.stack([np.asarray(counts[name], dtype=np.float64) for name in CONTROL_TERMS], axis=-1)


def _memories(table: AreaTable, terms: AreaTerms) -> tuple[Floats, dict[str, Floats]]:
    """Area of the three buffers and access times; every distinct macro is priced once."""
    area = np.zeros(np.shape(terms.rows))
    access = {}
    for name, lanes, bits in (
        ("input", terms.rows, "input_bits"),
        ("weight", terms.columns, "weight_bits"),
        ("accumulation", terms.columns, "accumulation_bits"),
    ):
        words, lane_bits = 2 ** address_bits(getattr(terms, f"{name}_depth")), table.column(bits, terms.kind)
        two_ports = name == "accumulation"
        banks = terms.accumulation_banks if two_ports else 2

        def price(here: Ints, words: Ints, lane_bits: Floats, two_ports: bool) -> tuple[Floats, Floats]:
            macros = words * _WIDEST + (here * lane_bits).astype(np.int64)
            distinct, where = np.unique(macros, return_inverse=True)
            sizes = [divmod(int(macro), _WIDEST) for macro in distinct]
            areas = np.array([memory_area_nand2(w, b, two_ports=two_ports) if b else 0.0 for w, b in sizes])
            times = np.array([access_fo4(w, b) if b else 0.0 for w, b in sizes]) * table.fo4
            shape = np.shape(here)
            return areas[where.reshape(-1)].reshape(shape), times[where.reshape(-1)].reshape(shape)

        whole = price(np.full_like(lanes, LANE_GROUP), words, lane_bits, two_ports)
        last = price(lanes % LANE_GROUP, words, lane_bits, two_ports)
        area = area + banks * (lanes // LANE_GROUP * whole[0] + last[0])
        access[name] = np.where(lanes >= LANE_GROUP, whole[1], last[1])
    return area, access


def estimate(terms: AreaTerms, table: AreaTable | None = None) -> AreaEstimate:
    """Returns area and critical path of configurations.

    Args:
        terms: The configurations.
        table: The fitted one when None.
    """
    known = table or area_table()

    def column(name: str) -> Floats:
        return known.column(name, terms.kind)

    rows, columns = terms.rows, terms.columns
    memories, access = _memories(known, terms)
    stationary = np.array([kind.template == Template.OUTPUT_STATIONARY.value for kind in known.kinds])[terms.kind]
    # A row further, weight stationary: a swap bit takes as many registers as an addition, a capture bit two. Output
    # stationary: two marks take one each, and the control of the results has three.
    pipeline = column("pe_pipeline")
    hop = np.where(pipeline > 2, 2, 1)
    marks = np.where(stationary, 2 * (rows - 1) + 3 * rows + 2 * pipeline, (2 + hop) * (rows - 1))
    registers = column("input_lane_bits") * (hop * _skewed(rows) + rows)
    registers = registers + column("weight_lane_bits") * (_skewed(columns) + columns)
    registers = registers + hop * _hops(rows) * (address_bits(terms.input_depth) + 1)
    registers = registers + _hops(columns) * (address_bits(terms.weight_depth) + 1)
    resets = marks + hop * _hops(rows) + _hops(columns)
    array = columns * (rows * column("element_area") + column("last_row_area"))
    array = array + known.register_bit_area * registers + known.reset_bit_area * resets
    array = array + rows * column("input_decoder_area") + columns * column("weight_decoder_area")
    vector = columns * (column("adder_area") + known.vector_bit_area * column("accumulation_bits"))
    features = control_features(terms, known)
    # Summed one by one: a row of a batch is bit for bit the configuration alone.
    control = sum(known.control[name] * features[..., index] for index, name in enumerate(CONTROL_TERMS))
    paths = [
        np.full(np.shape(rows), known.control_path),
        access["input"] + column("input_decoder_path"),
        access["weight"] + column("weight_decoder_path"),
        column("element_path"),
        column("adder_path"),
    ]
    return AreaEstimate(
        array=array,
        sram=memories,
        address_control=np.asarray(control),
        vector_unit=vector,
        critical_path_ps=np.max(np.stack(paths), axis=0),
    )


@cache
def area_table() -> AreaTable:
    """Returns the fitted table."""
    return load_spec(AreaTable, data_path())

"""Area and critical path in closed form, with coefficients fitted to our own synthesis.

The structure is that of the RTL. Per processing element, decoder and accumulation adder: a table by number formats,
template and pipeline. Skew and deskew registers: counted, at the area of a bit. Memories: the law. Loaders, drain,
accumulator registers, parameters and control: linear in counted bits. ``data/area_nand2.yaml`` holds the table, the
coefficients, where they come from, and the errors on configurations that were not fitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.systolic.config import SystolicConfig, Template
from accelgym.costmodels.systolic.memories import access_fo4, memory_area_nand2
from accelgym.costmodels.workloads.spec import StrictModel, load_spec

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


class Kind(StrictModel):
    """A row of the table: what does not depend on the size of the array or its memories."""

    template: str
    input_type: str
    weight_type: str
    psum_type: str
    accumulation_type: str
    pe_pipeline: int
    input_bits: int
    weight_bits: int
    psum_bits: int
    accumulation_bits: int
    input_lane_bits: int
    """Bits of an operand inside the array."""
    weight_lane_bits: int
    element_area: float
    """Processing element, NAND2 equivalents."""
    element_path: float
    """ps."""
    input_decoder_area: float
    input_decoder_path: float
    weight_decoder_area: float
    weight_decoder_path: float
    adder_area: float
    adder_path: float

    @property
    def key(self) -> tuple[object, ...]:
        """What tells rows apart."""
        types = (self.input_type, self.weight_type, self.psum_type, self.accumulation_type)
        return (self.template, *types, self.pe_pipeline)


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
    skew_bit_area: float
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
        operands = ("/".join(t.name for t in formats) for formats in (config.inputs, config.weights))
        types = (*operands, config.psum_type, config.accumulation_type)
        key = (config.template.value, *types, config.pe_pipeline)
        for index, kind in enumerate(self.kinds):
            if kind.key == key and config.scale_type is None and not config.row_psum_widths:
                return index
        known = sorted({" x ".join(map(str, kind.key[1:5])) for kind in self.kinds})
        raise InputError(
            f"no area is tabulated for {' x '.join(types)} ({config.template}, pe_pipeline {config.pe_pipeline}, "
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
    "accumulator_bits",
    "accumulator_bank_bits",
    "input_word_bits",
    "assembled_bits",
    "output_word_bits",
    "latency_bits",
)
"""What the area of address generation and control is linear in."""


def _address_bits(depth: Ints) -> Ints:
    return np.maximum(np.ceil(np.log2(depth)).astype(np.int64), 1)


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

    addresses = sum(_address_bits(d) for d in (terms.input_depth, terms.weight_depth, terms.accumulation_depth))
    counts = {
        "constant": np.ones(np.shape(terms.rows)),
        "output_stationary": stationary,
        "address_bits": addresses,
        "accumulator_bits": terms.columns * column("psum_bits") + output_word,
        "accumulator_bank_bits": np.where(terms.accumulation_banks > 1, output_word, 0),
        "input_word_bits": input_word,
        "assembled_bits": assembled(input_word, terms.input_port_bits) + assembled(weight_word, terms.weight_port_bits),
        "output_word_bits": np.where(output_word > terms.output_port_bits, output_word, 0),
        "latency_bits": terms.memory_latency,
    }
    return np.stack([np.asarray(counts[name], dtype=np.float64) for name in CONTROL_TERMS], axis=-1)


def _memories(table: AreaTable, terms: AreaTerms, widths: dict[str, Floats]) -> dict[str, tuple[Floats, Floats]]:
    """Area and access time of the three buffers; every distinct macro is priced once."""
    found = {}
    for name, width in widths.items():
        words = 2 ** _address_bits(getattr(terms, f"{name}_depth"))
        macros = words * _WIDEST + width.astype(np.int64)
        distinct, where = np.unique(macros, return_inverse=True)
        sizes = [divmod(int(macro), _WIDEST) for macro in distinct]
        two_ports = name == "accumulation"
        area = np.array([memory_area_nand2(w, b, two_ports=two_ports) for w, b in sizes])
        access = np.array([access_fo4(w, b) for w, b in sizes]) * table.fo4
        shape = np.shape(terms.rows)
        banks = terms.accumulation_banks if two_ports else 2
        found[name] = banks * area[where.reshape(-1)].reshape(shape), access[where.reshape(-1)].reshape(shape)
    return found


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
    memories = _memories(
        known,
        terms,
        {
            "input": rows * column("input_bits"),
            "weight": columns * column("weight_bits"),
            "accumulation": columns * column("accumulation_bits"),
        },
    )
    stationary = np.array([kind.template == Template.OUTPUT_STATIONARY.value for kind in known.kinds])[terms.kind]
    triangle_rows, triangle_columns = rows * (rows - 1) / 2, columns * (columns - 1) / 2
    # Weight stationary: a swap bit goes one, a capture bit two registers further a row. Output stationary: two mark
    # bits travel with every input.
    marks = np.where(stationary, 2 * triangle_rows, 3 * (rows - 1))
    skew = column("input_lane_bits") * triangle_rows + marks
    skew = skew + (column("weight_lane_bits") + column("psum_bits")) * triangle_columns
    array = rows * columns * column("element_area") + known.skew_bit_area * skew
    array = array + rows * column("input_decoder_area") + columns * column("weight_decoder_area")
    vector = columns * (column("adder_area") + known.vector_bit_area * column("accumulation_bits"))
    coefficients = np.array([known.control[name] for name in CONTROL_TERMS])
    element = column("element_path")
    # Row and column 0 have no skew register: memory, decoder and processing element share a cycle.
    paths = [
        np.full(np.shape(rows), known.control_path),
        memories["input"][1] + column("input_decoder_path") + element,
        memories["weight"][1] + column("weight_decoder_path") + np.where(stationary, element, 0.0),
        memories["accumulation"][1] + column("adder_path"),
    ]
    return AreaEstimate(
        array=array,
        sram=np.sum([area for area, _ in memories.values()], axis=0),
        address_control=control_features(terms, known) @ coefficients,
        vector_unit=vector,
        critical_path_ps=np.max(np.stack(paths), axis=0),
    )


@cache
def area_table() -> AreaTable:
    """Returns the fitted table."""
    return load_spec(AreaTable, data_path())

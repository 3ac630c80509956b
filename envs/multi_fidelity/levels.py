"""Cost models of a systolic accelerator from the roofline to synthesis, each by a stated rule of translation.

A level is asked about one configuration and one layer. What it cannot express of a design is said beside it; where it
has nothing to say at all, :class:`NoFidelityError` says why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from accelgym.costmodels.dataflow_template import LayerDesigns, TemplateModel
from accelgym.costmodels.dataflow_template.templates import TEMPLATES, build_machine, layer_problem
from accelgym.costmodels.errors import InputError, unknown_name
from accelgym.costmodels.maestro.designs import Dataflow, LayerShapes, ResourceDesigns
from accelgym.costmodels.maestro.model import MaestroModel
from accelgym.costmodels.mapper import Settings, optimal_mapping
from accelgym.costmodels.systolic.area import AreaTerms, estimate
from accelgym.costmodels.systolic.config import SystolicConfig, Template
from accelgym.costmodels.systolic.model import SystolicDesigns, SystolicModel
from accelgym.costmodels.systolic.scheduler import schedule
from accelgym.costmodels.workloads.layer import Layer
from accelgym.hwgen.cache import ContentCache
from accelgym.hwgen.emitter import emit
from accelgym.hwgen.gates.energy import measure_energy
from accelgym.hwgen.program import compile_layer
from accelgym.hwgen.simulator import Job, build_simulator
from accelgym.hwgen.stimulus import Stimulus, draw_operands
from accelgym.hwgen.synthesis.flow import synthesise
from accelgym.hwgen.toolchain import ToolError

__all__ = ["LEVELS", "MOST_RTL_LANES", "Figures", "Level", "NoFidelityError", "find_level", "roofline_cycles"]

MOST_RTL_LANES = 16
"""Largest number of rows and of columns that is simulated or synthesised here: compiling grows with the array."""
_TEMPLATE_WORD_BYTES = 2
_NODES = 200
"""Programs that the mapper solves for a layer at most; the bound may stay open, the mapping is what counts."""


class NoFidelityError(InputError):
    """A fidelity does not exist for a design."""


@dataclass(frozen=True)
class Figures:
    """What a level says of a layer on a design; ``None`` where it says nothing."""

    cycles: float
    energy_pj: float | None = None
    """Of the chip, for ``systolic`` and ``synthesis``; others count the memory behind it, too."""
    area: float | None = None
    """NAND2 equivalents of ``systolic`` and ``synthesis``, um2 of others: only ranks compare."""


def _nothing_to_refuse(_config: SystolicConfig, _layer: Layer) -> str:
    return ""


@dataclass(frozen=True)
class Level:
    """One rung of the ladder."""

    name: str
    rule: str
    """How a design is translated."""
    cannot: str
    """What is lost on the way."""
    figures: Callable[[SystolicConfig, Layer], Figures]
    refusal: Callable[[SystolicConfig, Layer], str] = _nothing_to_refuse
    """Why the level does not exist for a design; empty where it does."""

    def evaluate(self, config: SystolicConfig, layer: Layer) -> Figures:
        """Evaluates a layer on a design.

        Raises:
            NoFidelityError: The level does not exist for the design.
            NoTilingError: The layer does not run on the design.
        """
        refused = self.refusal(config, layer)
        if refused:
            raise NoFidelityError(f"fidelity {self.name!r} does not exist for layer {layer.name!r}: {refused}")
        return self.figures(config, layer)


def find_level(name: str) -> Level:
    """Returns a level by name.

    Raises:
        InputError: There is none of that name.
    """
    if name not in LEVELS:
        raise unknown_name("fidelity", name, LEVELS)
    return LEVELS[name]


def roofline_cycles(config: SystolicConfig, layer: Layer) -> float:
    """Returns the cycles of a layer whose array or busiest port is never idle (Williams et al., CACM 2009).

    Every word of a tensor crosses its port once, at the width of its format; results leave as sums.
    """
    traffic = (
        layer.input_words * config.input.bits / config.input_port_bits,
        layer.weight_words * config.weight.bits / config.weight_port_bits,
        layer.output_words * config.accumulation.bits / config.output_port_bits,
    )
    return max(layer.macs / (config.rows * config.columns), *traffic)


def _roofline(config: SystolicConfig, layer: Layer) -> Figures:
    return Figures(roofline_cycles(config, layer))


def _dataflow(config: SystolicConfig) -> Dataflow:
    return Dataflow.DLA if config.template is Template.WEIGHT_STATIONARY else Dataflow.SHI


def _maestro(config: SystolicConfig, layer: Layer) -> Figures:
    shapes = LayerShapes.from_layers((layer,))
    columns = {name: getattr(shapes, name) for name in ("K", "C", "Y", "X", "R", "S", "depthwise")}
    one = np.ones(1, dtype=np.int64)
    designs = ResourceDesigns(
        **columns,
        dataflow=one * int(_dataflow(config)),
        num_pes=one * config.rows * config.columns,
        buffer_level=one,
        noc_bw=one * (config.rows + config.columns),
    )
    found, times = MaestroModel(compat=False).evaluate(designs), int(shapes.repeat[0])
    if not found.valid[0]:
        raise NoFidelityError(f"fidelity 'maestro' does not exist for layer {layer.name!r}: reason {found.reason[0]}")
    cycles, energy = float(found.latency_cycles[0]) * times, float(found.energy_pj[0]) * times
    return Figures(cycles, energy, float(found.area_um2[0]))


def _sizes(config: SystolicConfig) -> tuple[int, int, int]:
    """Bytes of buffer, and bytes a cycle out of it and of DRAM, when every word has 16 bits."""
    depths = (config.input_buffer_depth, config.weight_buffer_depth, config.accumulation_buffer_depth)
    words = depths[0] * config.rows + (depths[1] + depths[2]) * config.columns
    ports = (
        config.input_port_bits / config.input.bits,
        config.weight_port_bits / config.weight.bits,
        config.output_port_bits / config.accumulation.bits,
    )
    lanes = config.rows + config.columns
    return (
        words * _TEMPLATE_WORD_BYTES,
        lanes * _TEMPLATE_WORD_BYTES,
        max(1, round(sum(ports) * _TEMPLATE_WORD_BYTES)),
    )


def _dataflow_template(config: SystolicConfig, layer: Layer) -> Figures:
    size, noc, dram = _sizes(config)
    model = TemplateModel("latency", noc_bw=noc, dram_bw=dram)
    one = np.ones(1, dtype=np.int64)
    found = model.evaluate(
        LayerDesigns((layer,), 0 * one, one * int(_dataflow(config)), one * config.rows * config.columns, one * size)
    )
    if not found.valid[0]:
        raise NoFidelityError(f"fidelity 'dataflow_template' does not exist for layer {layer.name!r}: no tile fits")
    return Figures(float(found.latency_cycles[0]), float(found.energy_pj[0]), float(found.area_um2[0]))


def _loopnest(config: SystolicConfig, layer: Layer) -> Figures:
    size, noc, dram = _sizes(config)
    machine = build_machine(TEMPLATES[_dataflow(config)], config.rows * config.columns, size, noc_bw=noc, dram_bw=dram)
    found = optimal_mapping(layer_problem(layer), machine, ("delay",), Settings(False, 1e-3, _NODES, None))
    area = sum(level.area_um2 or 0.0 for level in machine.levels[1:2])
    pes = config.rows * config.columns
    area += pes * ((machine.levels[2].area_um2 or 0.0) + (machine.compute.area_um2 or 0.0))
    return Figures(float(found.cycles), found.energy_pj, area)


def _systolic(config: SystolicConfig, layer: Layer) -> Figures:
    found = SystolicModel().evaluate(SystolicDesigns((config,), (layer,)))
    if not found.valid[0, 0]:
        schedule(config, layer)  # Says what the layer needs.
    area = float(estimate(AreaTerms.of([config])).total[0])
    # What the memory behind the ports spends is no part of the chip, nor of what synthesis measures.
    energy = float(found.energy_pj[0, 0] - found.breakdown["energy_memory_pj"][0, 0])
    return Figures(float(found.latency_cycles[0, 0]), energy, area)


def _rtl(config: SystolicConfig, layer: Layer) -> Figures:
    return Figures(float(simulate(config, layer)))


def simulate(config: SystolicConfig, layer: Layer, cache: ContentCache | None = None) -> int:
    """Returns the cycles that the generated Verilog takes for a layer with its fastest tiling.

    Raises:
        NoTilingError: No tile fits.
        MissingExtraError: A tool is not installed.
        ToolError: The Verilog does not compile, or the layer does not end.
    """
    found = schedule(config, layer)
    compiled = compile_layer(config, layer, found.tiling)
    program = replace(compiled, cycle_limit=2 * found.cycles + 1000)
    operands = draw_operands(config, layer, Stimulus.RANDOM, np.random.default_rng(0))
    job = Job(program, program.input_image(operands), program.weight_image(operands))
    (run,) = build_simulator(config, emit(config), cache or ContentCache()).run([job])
    if not run.done:
        raise ToolError(f"layer {layer.name!r} has not ended after {program.cycle_limit} cycles")
    return run.cycles


def _synthesis(config: SystolicConfig, layer: Layer) -> Figures:
    energy = measure_energy(config, [layer])
    return Figures(float(energy.layers[0].cycles), energy.total_pj, synthesise(config).area_nand2)


def _too_large(config: SystolicConfig, layer: Layer) -> str:
    if max(config.rows, config.columns) <= MOST_RTL_LANES:
        return ""
    return f"the array is {config.rows} x {config.columns}, allowed up to {MOST_RTL_LANES} x {MOST_RTL_LANES}"


_ORDER = (
    Level(
        "roofline",
        "rows x columns multiply-adds a cycle; each tensor crosses its port once at the width of its format",
        "buffers, tiles, dataflow, filling and draining of the array, words cut by the ports; energy and area",
        _roofline,
    ),
    Level(
        "maestro",
        "weight stationary as `dla`, output stationary as `shi`; rows x columns PEs, one output channel a PE, rows + "
        "columns elements a cycle over the NoC",
        "ports and DRAM, sizes of buffers (they follow from the tiles), formats, rows apart from columns, filling and "
        "draining",
        _maestro,
    ),
    Level(
        "dataflow_template",
        "the same dataflows and PEs; the words of the three buffers in one, the words a cycle of the three ports in "
        "one, rows + columns words a cycle out of the buffer",
        "formats (all words have 16 bits), rows apart from columns, separate buffers and ports, filling and draining, "
        "tiles that do not divide",
        _dataflow_template,
    ),
    Level(
        "loopnest",
        "the machine of `dataflow_template`; the fastest mapping that 200 programs of the mapper find, of any dataflow",
        "as `dataflow_template`, and the dataflow itself",
        _loopnest,
    ),
    Level(
        "systolic",
        "the design as it is, with the fastest tiling",
        "nothing of the cycles; area, path and energy are fitted closed forms",
        _systolic,
    ),
    Level(
        "rtl",
        "the generated Verilog in Verilator, same tiling, random operands",
        "energy and area; arrays above 16 x 16",
        _rtl,
        _too_large,
    ),
    Level(
        "synthesis",
        "the Verilog mapped to gates by Yosys; area of the cells, energy of their transitions",
        "wires and placement; arrays above 16 x 16",
        _synthesis,
        _too_large,
    ),
)
LEVELS: dict[str, Level] = {level.name: level for level in _ORDER}
"""The levels by name, the cheapest first but for ``loopnest``, whose search is dearer than ``systolic``."""

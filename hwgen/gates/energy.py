"""Energy of layers on a mapped design: toggle counts of its gates times the energies of their cells.

The gates run the very programs and operands of verification, so a measurement is also a check: outputs are compared
with the golden bit for bit, and cycles with the model. Simulation has no delays and sees no glitches; energies of
arithmetic are therefore lower bounds of what the same cells would take.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.systolic.columns import Hardware, LayerColumns
from accelgym.costmodels.systolic.config import SystolicConfig
from accelgym.costmodels.systolic.cycles import layer_cycles
from accelgym.costmodels.systolic.energy import EnergyLaw
from accelgym.costmodels.systolic.operand_types import OperandTypes
from accelgym.costmodels.systolic.scheduler import Tiling, schedule
from accelgym.costmodels.systolic.tiling import tile_terms
from accelgym.costmodels.systolic.traffic import traffic
from accelgym.costmodels.workloads.layer import Layer
from accelgym.hwgen.cache import ContentCache, content_key
from accelgym.hwgen.emitter import TOP, Rtl, emit
from accelgym.hwgen.gates.netlist import Netlist, flatten
from accelgym.hwgen.gates.prices import Prices, price
from accelgym.hwgen.gates.simulator import run_layers
from accelgym.hwgen.golden import golden_outputs
from accelgym.hwgen.memory_needed import require_memory
from accelgym.hwgen.program import Program, compile_layer
from accelgym.hwgen.simulator import Job
from accelgym.hwgen.stimulus import Operands, Stimulus, draw_operands
from accelgym.hwgen.synthesis.flow import mapped_design
from accelgym.hwgen.synthesis.liberty import Library, read_library
from accelgym.hwgen.synthesis.report import PARTS
from accelgym.hwgen.synthesis.yosys import yosys_version
from accelgym.hwgen.toolchain import tool_versions
from accelgym.hwgen.verification import model_text, planned_runs

__all__ = ["LOGIC_PARTS", "EnergyRecord", "LayerEnergy", "ModuleEnergy", "measure_energy"]

LOGIC_PARTS = tuple(part for part in PARTS if part != "sram")
"""Parts made of cells."""


@dataclass(frozen=True)
class ModuleEnergy:
    """All instances of a Verilog module in one part; cells of kept submodules are theirs."""

    module: str
    part: str
    flip_flops: int
    switching_pj: float
    """Transitions of the nets that the cells drive."""
    clock_pj: float
    """Clock pins of the flip-flops."""

    @property
    def total_pj(self) -> float:
        """Both."""
        return self.switching_pj + self.clock_pj


@dataclass(frozen=True)
class LayerEnergy:
    """Energy of one layer, pJ."""

    name: str
    input_type: str
    weight_type: str
    tiling: dict[str, Any]
    macs: int
    cycles: int
    cycles_model: int
    bit_exact: bool
    """Every output bit of the gates is that of the golden."""
    modules: tuple[ModuleEnergy, ...]
    """The one with most energy first."""
    sram_pj: float
    """Accesses to buffers times the law of memories."""
    memory_pj: float
    """Words through the memory ports times the law of DRAM; not part of the chip."""
    leakage_pj: float | None
    """Of the cells; None where the library has none."""
    toggle_rate: float
    """Transitions of a net in a cycle, mean over all nets but the clock."""

    @property
    def parts_pj(self) -> dict[str, float]:
        """Energy by part of the chip, leakage apart."""
        logic = {part: sum(module.total_pj for module in self.modules if module.part == part) for part in LOGIC_PARTS}
        return {**logic, "sram": self.sram_pj}

    @property
    def logic_pj(self) -> float:
        """Dynamic energy of the cells: what is measured here."""
        return sum(module.total_pj for module in self.modules)

    @property
    def total_pj(self) -> float:
        """Cells, buffers and leakage; without the memory behind the ports."""
        return self.logic_pj + self.sram_pj + (self.leakage_pj or 0.0)


@dataclass(frozen=True)
class EnergyRecord:
    """Energy of a configuration on layers, and where the figures come from."""

    config: dict[str, Any]
    rtl: str
    """SHA-256 of the Verilog."""
    library: str
    liberty: str
    """SHA-256 of the liberty file."""
    tools: str
    seed: int
    zeros: float
    """Share of the inputs that is zero beyond what is drawn."""
    cells: int
    flip_flops: int
    layers: tuple[LayerEnergy, ...]

    @property
    def exact(self) -> bool:
        """The gates gave the bits of the golden and the cycles of the model."""
        return all(layer.bit_exact and layer.cycles == layer.cycles_model for layer in self.layers)

    @property
    def total_pj(self) -> float:
        """All layers, without the memory behind the ports."""
        return sum(layer.total_pj for layer in self.layers)

    @property
    def pj_per_mac(self) -> float:
        """Chip energy over the multiply-adds of the layers, padding not counted among them."""
        return self.total_pj / sum(layer.macs for layer in self.layers)

    def as_json(self) -> dict[str, Any]:
        """Returns the record with its totals as JSON data."""
        totals = {"exact": self.exact, "total_pj": self.total_pj, "pj_per_mac": self.pj_per_mac}
        layers = [
            {**asdict(layer), "parts_pj": layer.parts_pj, "total_pj": layer.total_pj, "logic_pj": layer.logic_pj}
            for layer in self.layers
        ]
        return {**totals, **asdict(self), "layers": layers}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> EnergyRecord:
        """Reads back what :meth:`as_json` wrote."""
        names = ("config", "rtl", "library", "liberty", "tools", "seed", "zeros", "cells", "flip_flops")
        layers = tuple(_read_layer(layer) for layer in data["layers"])
        return cls(**{name: data[name] for name in names}, layers=layers)


def _read_layer(data: dict[str, Any]) -> LayerEnergy:
    values = {field.name: data[field.name] for field in fields(LayerEnergy)}
    return LayerEnergy(**{**values, "modules": tuple(ModuleEnergy(**module) for module in data["modules"])})


def measure_energy(
    config: SystolicConfig,
    layers: Sequence[Layer],
    seed: int = 0,
    *,
    zeros: float = 0.0,
    types: Sequence[OperandTypes] | None = None,
    tilings: Sequence[Tiling] | None = None,
    rectify: Sequence[bool] | None = None,
    library: Library | None = None,
    cache: ContentCache | None = None,
) -> EnergyRecord:
    """Measures the energy of layers on the gates of a configuration, or takes the record from the cache.

    Operands are those that verification calls random: integers all alike, others normally distributed.

    Args:
        config: The accelerator.
        layers: Convolutions and matrix products.
        seed: Of the operand tensors.
        zeros: Share of the inputs that is set to zero, as after a rectifier.
        types: Number formats of each layer; what is open, or None, runs with every format of the accelerator.
        tilings: One a layer; the fastest ones when None.
        rectify: Of each layer, whether its negative outputs become zero; none do when None.
        library: Cells with energies; our own when None.
        cache: Where modules, programs and records are kept.

    Raises:
        InputError: The library has no energies, a tile does not fit, or ``zeros`` is no share.
        MissingExtraError: A tool is not installed.
        ToolError: A tool failed.
    """
    if not 0.0 <= zeros <= 1.0:
        raise InputError(f"zeros is {zeros!r}, allowed 0..1")
    cells = library or read_library()
    cells.require_energies()
    store = cache or ContentCache()
    design = emit(config)
    digest = design.digest
    settings = config.model_dump(mode="json")
    liberty = content_key(cells.text)
    tools = f"{yosys_version()}; {tool_versions()}"
    runs = [
        (run, layer, tiling or schedule(run, layer).tiling, rectified)
        for run, layer, tiling, rectified in planned_runs(config, layers, types, tilings, rectify)
    ]
    require_memory([run[:3] for run in runs])
    described = json.dumps(
        [
            settings,
            [
                [run.model_dump(mode="json"), asdict(layer), asdict(tiling), rectified]
                for run, layer, tiling, rectified in runs
            ],
            seed,
            zeros,
        ],
        sort_keys=True,
    )

    def build(folder: Path) -> None:
        netlist = _netlist(design, cells, store)
        prices = price(netlist, cells)
        measured = tuple(
            _measure_layer(run, netlist, prices, layer, tiling, rectified, seed, zeros, store)
            for run, layer, tiling, rectified in runs
        )
        record = EnergyRecord(
            config=settings,
            rtl=digest,
            library=cells.name,
            liberty=liberty,
            tools=tools,
            seed=seed,
            zeros=zeros,
            cells=len(netlist.cells),
            flip_flops=len(netlist.flip_flops),
            layers=measured,
        )
        (folder / "record.json").write_text(json.dumps(record.as_json(), indent=1))

    key = content_key("energy", digest, liberty, tools, model_text(), _own_text(), described)
    folder, _ = store.get_or_build(key, build)
    return EnergyRecord.from_json(json.loads((folder / "record.json").read_text()))


def _netlist(design: Rtl, library: Library, store: ContentCache) -> Netlist:
    return flatten(mapped_design(design, library, store), TOP, library)


def _operands(config: SystolicConfig, layer: Layer, seed: int, zeros: float) -> Operands:
    generator = np.random.default_rng([seed, *layer.name.encode()])
    operands = draw_operands(config, layer, Stimulus.RANDOM, generator)
    cleared = generator.random(operands.inputs.shape) < zeros
    return replace(operands, inputs=np.where(cleared, config.input.zero(), operands.inputs))


def _measure_layer(
    config: SystolicConfig,
    netlist: Netlist,
    prices: Prices,
    layer: Layer,
    tiling: Tiling,
    rectify: bool,
    seed: int,
    zeros: float,
    store: ContentCache,
) -> LayerEnergy:
    terms = tile_terms(Hardware.of([config]), LayerColumns.of([layer]), tiling.arrays())
    if not terms.valid.all():
        raise InputError(f"layer {layer.name!r}: {tiling} does not fit the buffers")
    cycles = int(layer_cycles(terms)[0])
    program: Program = replace(compile_layer(config, layer, tiling, rectify=rectify), cycle_limit=2 * cycles + 1000)
    operands = _operands(config, layer, seed, zeros)
    job = Job(program, program.input_image(operands), program.weight_image(operands))
    (run,), (toggles,) = run_layers(netlist, config, [job], store)
    golden = golden_outputs(config, layer, program.grid, operands, rectify=rectify)
    modules = [
        ModuleEnergy(owner.module, owner.part, *figures)
        for owner, *figures in zip(
            netlist.owners,
            prices.flip_flops.tolist(),
            prices.switching_pj(toggles).tolist(),
            prices.clock_pj(run.cycles).tolist(),
            strict=True,
        )
    ]
    law = EnergyLaw.of(config)
    moved = traffic(Hardware.of([config]), terms)
    moving = toggles.sum() - (0 if netlist.clock is None else toggles[netlist.clock])
    return LayerEnergy(
        name=layer.name,
        input_type=config.input.name,
        weight_type=config.weight.name,
        tiling=asdict(tiling),
        macs=layer.macs,
        cycles=run.cycles,
        cycles_model=cycles,
        bit_exact=not run.errors.named() and np.array_equal(program.outputs(run.outputs), golden),
        modules=tuple(sorted(modules, key=lambda row: (-row.total_pj, row.module, row.part))),
        sram_pj=float(law.buffers(moved)[0]),
        memory_pj=float(law.memory(moved)[0]),
        leakage_pj=prices.leakage_pj(run.cycles, config.clock_ghz),
        toggle_rate=float(moving) / (netlist.nets * run.cycles),
    )


@functools.cache
def _own_text() -> str:
    """Returns the code behind the figures, besides that of golden and model."""
    folder = Path(__file__).resolve().parent
    paths = [*folder.glob("*.py"), *(folder.parent / "synthesis").glob("*.py"), *(folder.parent / "harness").glob("*")]
    return content_key(*(path.read_bytes() for path in sorted(paths)))

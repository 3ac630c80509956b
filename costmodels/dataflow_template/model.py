"""Cost model ``dataflow_template`` of resource assignment: the best mapping for given PEs, buffer and dataflow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.architecture.machine import Architecture
from accelgym.costmodels.arrays import Array, array_namespace, to_numpy
from accelgym.costmodels.costs import Costs, Reason
from accelgym.costmodels.dataflow_template.search import Best, Prices, search_mappings
from accelgym.costmodels.dataflow_template.templates import TEMPLATES, build_machine, layer_problem
from accelgym.costmodels.dataflow_template.tilings import Tilings
from accelgym.costmodels.errors import InputError, unknown_name
from accelgym.costmodels.loopnest import Mappings
from accelgym.costmodels.maestro.designs import Dataflow
from accelgym.costmodels.objective import Objective
from accelgym.costmodels.workloads.layer import Layer

__all__ = ["LayerDesigns", "TemplateModel"]

_LEAST_BYTES = 64
_MOST = 2**31 - 1
_FIGURES = {
    "latency_cycles": "int64",
    "energy_pj": "float64",
    "area_um2": "float64",
    "power_mw": "float64",
    **dict.fromkeys(("mac_pj", "registers_pj", "buffer_pj", "dram_pj", "leakage_pj"), "float64"),
    **dict.fromkeys(("buffer_words", "buffer_reads", "buffer_writes", "dram_words", "utilized_pes"), "int64"),
    "utilisation": "float64",
}
_COLUMNS = ("latency_cycles", "energy_pj", "area_um2", "power_mw")


@dataclass(frozen=True)
class LayerDesigns:
    """One row per (layer, hardware assignment): integer arrays that broadcast to one shape."""

    layers: tuple[Layer, ...]
    """Convolutions and GEMMs."""
    layer: Array
    """Index into ``layers``."""
    dataflow: Array
    """``DLA``, ``EYE`` or ``SHI`` of :class:`Dataflow`; depthwise layers run in them, too."""
    num_pes: Array
    buffer_bytes: Array


@dataclass(frozen=True)
class TemplateModel:
    """Runs every layer under the best mapping that its dataflow, PEs and buffer allow.

    The machine is a DRAM, one buffer, and PEs of a 16-bit multiplier and a register file each (see
    :func:`~accelgym.costmodels.dataflow_template.templates.build_machine`); a template states which loops may spread
    over the PEs and in which order the buffer's loops run
    (:data:`~accelgym.costmodels.dataflow_template.templates.TEMPLATES`). All tilings with exact factors, and all useful
    orders of the DRAM's loops, are priced by the rules of :class:`~accelgym.costmodels.loopnest.LoopnestModel`; the
    best that fits is taken.

    - Latency: the iterations of the busiest PE, or the time buffer or DRAM need at their bandwidth.
    - Energy: multipliers, registers, buffer and DRAM by access, and leakage and idle energy of the whole machine
      over the latency; fitted laws of ``aladdin-cacti-45nm``. Zero padding moves like data.
    - Area: multipliers, registers and buffer. The interconnect costs nothing.

    Attributes:
        objective: What the mapping minimises: ``latency``, ``energy`` or ``edp``.
        noc_bw: Bytes per cycle out of the buffer, and into it.
        dram_bw: Bytes per cycle; 16 at 1 GHz is a 32-bit LPDDR4-4266 channel.

    Raises:
        InputError: Unknown objective, or a bandwidth below 1.
    """

    objective: str = "edp"
    noc_bw: int = 64
    dram_bw: int = 16

    name = "dataflow_template"
    version = "2.0"
    technology = "aladdin-cacti-45nm"

    def __post_init__(self) -> None:
        if self.objective not in list(Objective):
            raise unknown_name("model 'dataflow_template': objective", self.objective, Objective)
        for option in ("noc_bw", "dram_bw"):
            value = getattr(self, option)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InputError(f"model 'dataflow_template': {option} is {value!r}, allowed: integers >= 1")

    def evaluate(self, designs: LayerDesigns) -> Costs:
        """Returns the costs of every design.

        The breakdown holds the parts of the energy (``mac_pj``, ``registers_pj``, ``buffer_pj``, ``dram_pj``,
        ``leakage_pj``), words moved (``buffer_reads``, ``buffer_writes``, ``dram_words``), ``buffer_words`` of the
        tiles in use, ``utilized_pes`` and ``utilisation``.

        Raises:
            InputError: A layer is a vector operation.
        """
        columns = [designs.layer, designs.dataflow, designs.num_pes, designs.buffer_bytes]
        xp = array_namespace(*columns)
        layer, flow, pes, size = np.broadcast_arrays(*(to_numpy(column) for column in columns))
        shape = layer.shape
        layer, flow, pes, size = (column.ravel().astype(np.int64) for column in (layer, flow, pes, size))
        good = np.isin(flow, list(TEMPLATES)) & (layer >= 0) & (layer < len(designs.layers))
        good &= (pes >= 1) & (pes <= _MOST) & (size >= _LEAST_BYTES) & (size <= _MOST)
        figures = {name: np.zeros(len(layer), dtype=kind) for name, kind in _FIGURES.items()}
        fits = np.zeros(len(layer), dtype=bool)
        problems = np.array([layer_problem(x) for x in designs.layers], dtype=object)
        for problem, dataflow, rows in _groups(problems, layer, flow, good):
            grid, i = np.unique(pes[rows], return_inverse=True)
            sizes, j = np.unique(size[rows], return_inverse=True)
            found = self._cells(problem, dataflow, tuple(grid.tolist()), tuple(sizes.tolist()))
            fits[rows] = np.isfinite(found.best.cost)[i, j]
            for name, figure in found.figures.items():
                figures[name][rows] = figure[i, j]
        reason = np.where(good, np.where(fits, Reason.OK, Reason.CAPACITY), Reason.BAD_VALUE).astype(np.int8)
        result = {name: _like(xp, column.reshape(shape)) for name, column in figures.items()}
        return Costs(
            **{name: result.pop(name) for name in _COLUMNS},
            valid=_like(xp, fits.reshape(shape)),
            reason=_like(xp, reason.reshape(shape)),
            model=self.name,
            version=self.version,
            technology=self.technology,
            breakdown=result,
        )

    def mapping(
        self, layer: Layer, dataflow: Dataflow, num_pes: int, buffer_bytes: int
    ) -> tuple[Architecture, Mappings]:
        """Returns the machine and the best mapping of a single design, for the ``LoopnestModel`` or for export.

        Raises:
            InputError: The design is not valid.
        """
        design = LayerDesigns((layer,), np.array(0), np.array(dataflow), np.array(num_pes), np.array(buffer_bytes))
        reason = Reason(int(self.evaluate(design).reason))
        if reason is not Reason.OK:
            raise InputError(
                f"layer {layer.name!r} has no mapping under {dataflow.name.lower()} with num_pes={num_pes} and "
                f"buffer_bytes={buffer_bytes}: {reason.name.lower()}"
            )
        found = self._cells(layer_problem(layer), dataflow, (num_pes,), (buffer_bytes,))
        machine = build_machine(TEMPLATES[dataflow], num_pes, buffer_bytes, noc_bw=self.noc_bw, dram_bw=self.dram_bw)
        return machine, found.tilings.mappings(machine, found.best.tiling[0], found.best.order[0])

    def _cells(self, problem: LoopNest, dataflow: Dataflow, pes: tuple[int, ...], buffers: tuple[int, ...]) -> _Cells:
        return _search_cells(problem, dataflow, pes, buffers, Objective(self.objective), self.noc_bw, self.dram_bw)


@dataclass(frozen=True)
class _Cells:
    """What is known about one problem under one dataflow, on a grid of PEs and buffers."""

    best: Best
    tilings: Tilings
    figures: dict[str, npt.NDArray[Any]]


@lru_cache(maxsize=4096)
def _search_cells(
    problem: LoopNest,
    dataflow: Dataflow,
    pes: tuple[int, ...],
    buffers: tuple[int, ...],
    objective: Objective,
    noc_bw: int,
    dram_bw: int,
) -> _Cells:
    """Searches, and keeps the results: networks repeat layers, and tasks repeat networks."""
    template = TEMPLATES[dataflow]
    best, tilings = search_mappings(problem, template, pes, buffers, objective, noc_bw=noc_bw, dram_bw=dram_bw)
    prices = Prices.of(template, pes, buffers, noc_bw=noc_bw, dram_bw=dram_bw)
    energy = {
        "mac_pj": best.mac_pj,
        "registers_pj": best.registers_pj,
        "buffer_pj": prices.read_pj * best.buffer_reads + prices.write_pj * best.buffer_writes,
        "dram_pj": best.dram_pj,
        "leakage_pj": prices.leakage_pj * best.cycles,
    }
    total = np.sum(list(energy.values()), axis=0)
    cycles = np.maximum(best.cycles, 1.0)
    figures = {
        **energy,
        "latency_cycles": best.cycles,
        "energy_pj": total,
        "area_um2": prices.area_um2,
        "power_mw": total / cycles,  # pJ per ns
        "utilisation": problem.macs / (cycles * np.array(pes, dtype=np.float64)[:, None]),
        **{name: getattr(best, name) for name in ("buffer_reads", "buffer_writes", "dram_words")},
        **{name: getattr(best, name) for name in ("buffer_words", "utilized_pes")},
    }
    return _Cells(best, tilings, figures)


def _groups(
    problems: npt.NDArray[Any], layer: npt.NDArray[np.int64], flow: npt.NDArray[np.int64], good: npt.NDArray[np.bool_]
) -> Iterator[tuple[LoopNest, Dataflow, npt.NDArray[np.int64]]]:
    """Valid rows by problem and dataflow; layers of equal shape share a problem."""
    number: dict[LoopNest, int] = {}
    shape_of = np.array([number.setdefault(problem, len(number)) for problem in problems], dtype=np.int64)
    rows = np.flatnonzero(good)
    key = shape_of[layer[rows]] * len(Dataflow) + flow[rows]
    for value in np.unique(key):
        which = rows[key == value]
        yield problems[layer[which[0]]], Dataflow(int(flow[which[0]])), which


def _like(xp: Any, array: npt.NDArray[Any]) -> Array:
    return array if xp is np else xp.as_tensor(array)

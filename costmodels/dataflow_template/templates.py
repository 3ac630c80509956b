"""Three dataflows as constraints on the loop nest, and the machine they run on."""

from __future__ import annotations

from dataclasses import dataclass

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.architecture.machine import Architecture, Compute, StorageLevel
from accelgym.costmodels.components import technology
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.maestro.designs import Dataflow
from accelgym.costmodels.workloads.layer import Layer

__all__ = ["BUFFER", "DRAM", "REGISTERS", "TEMPLATES", "WORD_BYTES", "Template", "build_machine", "layer_problem"]

DRAM, BUFFER, REGISTERS = 0, 1, 2
"""Positions of the storage levels."""
WORD_BYTES = 2
"""16-bit words, as the PEs of Eyeriss and ShiDianNao have."""

_WORD_BITS = 8 * WORD_BYTES
_BUFFER_WIDTH = 64
"""Bits per access of the buffer; a word costs its share of one."""
_TECHNOLOGY = technology("aladdin-cacti-45nm")


@dataclass(frozen=True)
class Template:
    """Which loops may run where.

    Dimensions are those of a convolution, ``G`` for channel groups; a matrix product is the case
    ``P, C, K = I, L, J``. Everywhere, the time loops over ``R`` and ``S`` lie in or below the buffer, all other
    dimensions may be tiled between DRAM and buffer, and the order of the DRAM's loops is free.
    """

    name: str
    spatial: tuple[str, ...]
    """May spread over the PEs, by any divisor."""
    spatial_whole: tuple[str, ...]
    """May spread over the PEs, whole or not at all."""
    inside: tuple[str, ...]
    """Run whole inside a PE where the registers hold that, otherwise over the buffer."""
    order: tuple[str, ...]
    """Time loops over the buffer, outer to inner: what is stationary in the PEs."""
    register_words: int
    """Words in the register file of a PE, for all tensors together."""


TEMPLATES = {
    # NVDLA (nvdla.org, hardware architecture specification, convolution core): multipliers in output-channel cells,
    # an adder tree over input channels, one weight each held while positions stream by.
    Dataflow.DLA: Template("dla", ("G", "K", "C"), (), (), ("G", "N", "K", "C", "R", "S", "P", "Q"), 4),
    # Eyeriss (Chen, Emer, Sze, ISCA 2016, section V): a PE holds a filter row and slides it along an input row;
    # filter rows by output rows span the array, sets of PEs take further filters.
    Dataflow.EYE: Template("eye", ("G", "K", "P"), ("R",), ("S",), ("G", "N", "K", "P", "C", "R", "S", "Q"), 32),
    # ShiDianNao (Du et al., ISCA 2015): one output position a PE, accumulated in place.
    Dataflow.SHI: Template("shi", ("P", "Q"), (), (), ("G", "N", "K", "P", "Q", "C", "R", "S"), 4),
}
"""Templates by dataflow style; depthwise layers run in the same three."""


def layer_problem(layer: Layer) -> LoopNest:
    """Returns the loop nest of a layer, matrix products as convolutions; equal shapes give equal problems.

    Raises:
        InputError: The layer is a vector operation.
    """
    if not layer.is_compute:
        raise InputError(f"layer {layer.name!r} is a {layer.kind}; a loop nest needs a conv or a gemm")
    return LoopNest.as_convolution(layer, "layer")


def build_machine(
    template: Template, num_pes: int, buffer_bytes: int, *, noc_bw: float, dram_bw: float
) -> Architecture:
    """Returns DRAM, one buffer, and PEs of one multiplier and one register file each; 16-bit words.

    Half of the buffer holds the tiles in use, the other half those on their way.

    Args:
        template: The dataflow, which sizes the register files.
        num_pes: PEs, any of whose factorisations the interconnect can form.
        buffer_bytes: Size of the buffer.
        noc_bw: Bytes per cycle out of the buffer, and into it.
        dram_bw: Bytes per cycle, reads and writes together.
    """
    memory = _TECHNOLOGY.component("dram", depth=1, width=_WORD_BITS, attributes={})
    sram = _TECHNOLOGY.component(
        "sram", depth=-(-buffer_bytes * 8 // _BUFFER_WIDTH), width=_BUFFER_WIDTH, attributes={}
    )
    registers = _TECHNOLOGY.component("regfile", depth=template.register_words, width=_WORD_BITS, attributes={})
    mac = _TECHNOLOGY.component("intmac", depth=1, width=_WORD_BITS, attributes={})
    share = _WORD_BITS / _BUFFER_WIDTH
    levels = (
        StorageLevel(
            "DRAM",
            word_bits=_WORD_BITS,
            shared_bw=dram_bw / WORD_BYTES,
            read_pj=memory.read_pj,
            write_pj=memory.write_pj,
            component="DRAM",
        ),
        StorageLevel(
            "Buffer",
            capacity_words=buffer_bytes // WORD_BYTES,
            word_bits=_WORD_BITS,
            read_bw=noc_bw / WORD_BYTES,
            write_bw=noc_bw / WORD_BYTES,
            multiple_buffering=2.0,
            read_pj=sram.read_pj * share,
            write_pj=sram.write_pj * share,
            area_um2=sram.area_um2,
            leakage_pj=sram.leakage_pj,
            fanout_x=num_pes,
            component="SRAM",
        ),
        StorageLevel(
            "Registers",
            capacity_words=template.register_words,
            word_bits=_WORD_BITS,
            read_pj=registers.read_pj,
            write_pj=registers.write_pj,
            area_um2=registers.area_um2,
            leakage_pj=registers.leakage_pj,
            component="regfile",
        ),
    )
    compute = Compute(mac_pj=mac.read_pj, area_um2=mac.area_um2, leakage_pj=mac.leakage_pj, word_bits=_WORD_BITS)
    name = f"{template.name}-{num_pes}-{buffer_bytes}"
    return Architecture(name, levels, compute, _TECHNOLOGY.name, leakage="whole_chip")

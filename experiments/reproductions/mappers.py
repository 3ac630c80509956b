"""Figures of other mappers and simulators beside ours: GEMM 4096^3, ResNet-18, single layers."""

from __future__ import annotations

import time

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.mapper import Settings, optimal_mapping
from accelgym.costmodels.mapper.inputs import own_names
from accelgym.costmodels.systolic.presets.scalesim import MatrixProduct, convolution, total_cycles
from accelgym.costmodels.timeloop.presets import preset
from accelgym.costmodels.workloads import load_workload
from accelgym.costmodels.workloads.equal_layers import EqualLayers
from accelgym.experiments.markdown import markdown_table
from accelgym.experiments.reproductions.claims import Claim, Reproduction, equal, figure

__all__ = ["reproduce"]

_NODES = 500
"""Programs of a search, the same everywhere."""


def reproduce() -> Reproduction:
    """Maps the problems that others publish figures of, with proofs."""
    claims = _scale_sim()
    lines = []
    gemm = LoopNest.gemm("GEMM 4096^3", I=4096, J=4096, L=4096)
    for machine, theirs, joule, seconds in (
        ("eyeriss_thistle", "eyeriss", 0.2973, 3.35),
        ("tpu_like", "tpu_v4i", 0.01423, 3.70),
    ):
        begin = time.process_time()
        found = optimal_mapping(gemm, preset(machine), ("energy",), Settings(False, 1e-3, _NODES, None))
        taken = time.process_time() - begin
        lines.append([f"GEMM 4096^3 on `{machine}`", f"{found.energy_pj:.5g}", f"{found.gap:.2%}", f"{taken:.1f}"])
        name = f"GEMM 4096^3, {theirs} (AccelForge) and {machine}"
        claims.append(figure(name, "AccelForge: least energy", joule, found.energy_pj * 1e-12, "J"))
        claims.append(figure(name, "AccelForge: time, cold", seconds, taken, "CPU-s"))
    energy, cycles, bound, taken, count = _resnet18()
    lines.append(
        [
            f"ResNet-18 on `tpu_like`, {count} distinct layers",
            f"{energy:.5g}",
            f"{1 - bound / energy:.2%}",
            f"{taken:.1f}",
        ]
    )
    name = "ResNet-18, tpu_like of each tool"
    claims.append(figure(name, "ZigZag 3.9.1: energy (optimising energy)", 1.860447e9, energy, "pJ"))
    claims.append(figure(name, "ZigZag 3.9.1: cycles of that mapping", 4_104_846, cycles, "cycles"))
    claims.append(figure(name, "ZigZag 3.9.1: time", 37.0, taken, "CPU-s"))
    notes = f"""## Ours

{markdown_table(["problem", "energy (pJ)", "proven gap", "CPU-s"], lines)}

## Theirs

| tool | problem | figure | CPU-s |
|---|---|---:|---:|
| AccelForge (git, 1.0.489) | GEMM 4096^3, eyeriss | 0.2973 J, 5.369 s | 3.35 cold, 0.92 warm |
| AccelForge | GEMM 4096^3, tpu_v4i | 0.01423 J, 0.9986 ms | 3.70 cold, 1.68 warm |
| ZigZag 3.9.1 | ResNet-18, tpu_like, energy | 1.860447e9 pJ, 4,104,846 cycles | 37.0 |
| ZigZag 3.9.1 | ResNet-18, tpu_like, latency | 1.871436e9 pJ, 3,863,768 cycles | 39.7 |
| SCALE-Sim 3.0.0 | conv 3 x 3, 64 to 64, 56 x 56, ws, 16 x 16 | 458,207 cycles | 29.5 |
| SCALE-Sim 3.0.0 | GEMM 512^3, ws, 32 x 32 | 155,135 cycles | 12.5 |
| GAMMA on MAESTRO | VGG16 layer 1, 168 PEs, 3 runs | 512,545 to 589,633 cycles | 3.6 to 4.2 |
| DOSA | one mapping of one layer, forward | | 0.0018 |
| FRAME | roofline of ResNet-18 | | 0.0028 |

Measured on one core each; what a tool prints of itself. AccelForge reports an optimum by pruning, ZigZag searches
without a bound (more mappings once gave a worse minimum), GAMMA 15 % of spread over three runs."""
    return Reproduction(
        "mappers",
        "Other mappers and simulators",
        "figures of AccelForge, ZigZag, SCALE-Sim, GAMMA, DOSA and FRAME as measured with their released versions, "
        "November 2026",
        claims,
        (
            "Energies and cycles of mappers: every tool has its own machine under a name such as `eyeriss` or "
            "`tpu_like`, with sizes, bandwidths and prices of its own. They stand beside each other and are not "
            "compared.",
            "Times are of different models: ZigZag adds stalls, DOSA gradients. What can be compared is what comes "
            "with the answer: a proven bound, or none.",
            "SCALE-Sim without stalls is a closed form, hence equal; finite bandwidth, sparsity and layouts are "
            "outside of it.",
        ),
        notes,
    )


def _scale_sim() -> list[Claim]:
    words = "SCALE-Sim 3.0.0, weight stationary, no stalls"
    layer, gemm = convolution(58, 58, 3, 3, 64, 64, (1, 1)), MatrixProduct(512, 512, 512)
    published = {(16, "conv"): 458_207, (32, "conv"): 116_279, (16, "gemm"): 571_391, (32, "gemm"): 155_135}
    return [
        equal(
            f"{kind}, {size} x {size}",
            words,
            cycles,
            float(total_cycles(size, size, "ws", layer if kind == "conv" else gemm)),
            "cycles",
        )
        for (size, kind), cycles in published.items()
    ]


def _resnet18() -> tuple[float, float, float, float, int]:
    """Energy, cycles, bound of the energy and CPU seconds of a network, and its distinct layers."""
    layers = load_workload("resnet18").compute_layers
    equal_layers = EqualLayers.of(LoopNest.as_convolution(layer, "layer") for layer in layers)
    machine = preset("tpu_like")
    energy = cycles = bound = 0.0
    begin = time.process_time()
    for problem, count in zip(equal_layers.first, equal_layers.counts.tolist(), strict=True):
        found = optimal_mapping(own_names(problem), machine, ("energy",), Settings(False, 1e-3, _NODES, None))
        energy += count * found.energy_pj
        cycles += count * found.cycles
        bound += count * found.lower_bound
    return energy, cycles, bound, time.process_time() - begin, len(equal_layers.first)

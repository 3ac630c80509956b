"""Thistle: energy per multiply-add on Eyeriss and on machines of equal area."""

from __future__ import annotations

from accelgym.experiments.reproductions.claims import Claim, Reproduction, limit
from accelgym.experiments.thistle.codesign import study
from accelgym.experiments.thistle.proofs import LAYERS

__all__ = ["reproduce"]


def reproduce(every: int = 6) -> Reproduction:
    """Proves layers of Table II on Eyeriss, on their own machine, and on one machine for all.

    Args:
        every: Only every so many of the 23 layers; all of them take some minutes.
    """
    layers = LAYERS[::every]
    found = study(layers, "energy", seconds=None)
    claims: list[Claim] = []
    for (workload, _), mine, own, shared in zip(layers, found.eyeriss, found.layerwise, found.shared, strict=True):
        name = f"{workload} {mine.layer}"
        words = "energy on Eyeriss lies between 20 and 30 pJ/MAC"
        claims.append(limit(name, words, "at least", 20.0, mine.value, "pJ/MAC"))
        claims.append(limit(name, words, "at most", 30.0, mine.value, "pJ/MAC"))
        claims.append(
            limit(name, "a machine per layer takes less than 10 pJ/MAC", "at most", 10.0, own.value, "pJ/MAC")
        )
        claims.append(
            limit(name, "one machine for all layers takes less than 10 pJ/MAC", "at most", 10.0, shared.value, "pJ/MAC")
        )
    return Reproduction(
        "thistle",
        "Thistle: mappings and machines by geometric programs",
        '"Comprehensive Accelerator-Dataflow Co-design Optimization for Convolutional Neural Networks" (Thistle), CGO '
        f"2022, figures on energy; {len(layers)} of the 23 layers of Table II. All layers, bounds and the paper's own "
        "heuristic: [oracle.md](../oracle.md).",
        claims,
        (
            "Instructions per cycle: the paper states no bandwidths. With 4 and 16 words a cycle (an assumption) "
            "layers reach the multipliers in use, see the last column of [oracle.md](../oracle.md).",
            "Energies of single layers: the paper shows bars, no numbers. The unit of the SRAM constant (17.88) is "
            "not stated; words, bytes and bits all fit its figures (`--machine` of `experiments.thistle`).",
            'With "R and S not tiled" inside the register file the paper\'s own machine (4 registers) runs no 3 '
            "x 3 layer. Here kernel loops may lie anywhere.",
        ),
    )

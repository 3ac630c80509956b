"""The memory-access exercise: dataflows, component energies, and the best mapping."""

from __future__ import annotations

from dataclasses import astuple, fields
from typing import Literal

import numpy as np

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.components import technology
from accelgym.envs.mapping import MappingTask
from accelgym.experiments.memory_access import DataflowAccesses, component_sweeps, format_accesses, memory_accesses
from accelgym.experiments.reproductions.claims import Claim, Reproduction, equal, figure

__all__ = ["reproduce"]

_TIMELOOP = {
    "ws": (168, 128, 1024, 552, 384, 2910.16),
    "os_untiled_1": (168, 128, 1024, 552, 384, 2910.16),
    "os_untiled_2": (432, 128, 1024, 816, 384, 5119.84),
    "os_tiled_1": (96, 128, 1024, 480, 384, 2307.52),
    "os_tiled_2": (120, 128, 1024, 504, 384, 2508.40),
}
"""Measured with timeloop-model 3.0.3."""
_HEAD_PJ = {"os_untiled_2": 4868.74, "os_tiled_2": 2458.18}
"""Energies on Timeloop's main branch, where they differ."""
_REGISTERS_PJ = (5.33, 10.44, 21.58, 45.72, 97.71)
_MULTIPLIER_PJ = (0.039, 0.146, 0.561, 2.200, 8.716, 34.69)
_ENDS_PJ = (96.7, 115.0)
_EXPONENTS: dict[tuple[str, Literal["width", "depth"], str], float] = {
    ("sram", "width", "read"): 1.15,
    ("sram", "width", "write"): 1.30,
    ("sram", "depth", "read"): 0.72,
}
"""Of power laws through CACTI 7 runs, 45 nm, one bank."""


def reproduce() -> Reproduction:
    """Answers the three questions."""
    lines = memory_accesses(engine="v3.0.3")
    claims: list[Claim] = []
    names = [field.name for field in fields(DataflowAccesses)][1:]
    for line in lines:
        for name, published, ours in zip(names, _TIMELOOP[line.dataflow], astuple(line)[1:], strict=True):
            unit = "pJ" if name == "energy_pj" else "count"
            claims.append(
                equal(
                    f"{line.dataflow} {name}", "1: accesses and energy of five dataflows", published, ours, unit, 1e-9
                )
            )
    for line in memory_accesses():
        if line.dataflow in _HEAD_PJ:
            published = _HEAD_PJ[line.dataflow]
            claims.append(
                equal(f"{line.dataflow}, HEAD", "1: energy on the main branch", published, line.energy_pj, "pJ", 1e-9)
            )
    claims += _components()
    task = MappingTask(
        problem=LoopNest.conv1d("exercise", M=8, P=16, R=3), architecture="memory_access_exercise", objective="energy"
    )
    found = task.reference()
    best = min(lines, key=lambda line: line.energy_pj)
    words = "3: the best of the five dataflows, and the best of all mappings"
    claims.append(figure(best.dataflow, words, best.energy_pj, found.value, "pJ"))
    nest = "\n".join(task.report(np.array(found.design))["loop_nest"])
    notes = f"""## Question 1

```text
{format_accesses(lines)}
```

## Question 3

The best mapping of all ({found.method}, gap {found.gap:.1%}) takes {found.value:.2f} pJ on Timeloop's main branch:

```text
{nest}
```"""
    return Reproduction(
        "memory_access",
        "The memory-access exercise",
        "the course exercise on dataflows of a 1-D convolution (M = 8, P = 16, R = 3) with Timeloop and Accelergy; "
        "its counts as measured with timeloop-model 3.0.3, its component energies from the Accelergy tables and "
        "CACTI 7 runs",
        claims,
        (
            "The text of the exercise is not public; its tables are what the tools print for it. Question 3 is read "
            "as: which mapping is best.",
            "Timeloop's releases differ where an irrelevant loop interrupts a sliding window: two of five energies. "
            "Both are met, each by its own option (`engine`).",
            "SRAM energies are power laws through CACTI runs, not CACTI: exponents agree, single points are within "
            "what the laws state.",
        ),
        notes,
    )


def _components() -> list[Claim]:
    sweeps = {(sweep.component, sweep.along): sweep for sweep in component_sweeps(technology())}
    words = "2: energy of components over their sizes"
    claims: list[Claim] = []
    for published, ours, size in zip(
        _REGISTERS_PJ, sweeps["regfile", "depth"].energies_pj["read"], sweeps["regfile", "depth"].sizes, strict=True
    ):
        claims.append(equal(f"register file of {size} words", words, published, ours, "pJ", 2e-3))
    for published, ours in zip(_ENDS_PJ, sweeps["regfile", "width"].energies_pj["write"][[0, -1]], strict=True):
        claims.append(equal("register file, narrowest and widest", words, published, ours, "pJ", 2e-3))
    for published, ours, size in zip(
        _MULTIPLIER_PJ, sweeps["intmac", "width"].energies_pj["compute"], sweeps["intmac", "width"].sizes, strict=True
    ):
        claims.append(equal(f"multiplier of {size} bits", words, published, ours, "pJ", 0.01))
    for ours, size in zip(sweeps["dram", "width"].energies_pj["read"], sweeps["dram", "width"].sizes, strict=True):
        claims.append(equal(f"DRAM word of {size} bits", words, 8.0 * size, ours, "pJ", 1e-9))
    for (component, along, action), published in _EXPONENTS.items():
        law = sweeps[component, along].laws[action]
        claims.append(
            equal(
                f"{component} {action} over {along}", "2: exponents of CACTI", published, law.exponent, "exponent", 0.05
            )
        )
    return claims

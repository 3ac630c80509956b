"""What a joint design proves to be in RTL: its layers, with their own types and tilings, bit by bit and to the cycle.

The machine is the configuration of ``HwGen-v0`` with several types. The shared SRAM has no RTL: where an activation is
on chip, the layer runs on the same accelerator with ports as wide as a buffer word, which is what the cycle model takes
it for. A design therefore has up to four accelerators, which differ in the widths of two ports.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from accelgym.costmodels.solvers.joint.residency import on_chip_traffic
from accelgym.costmodels.systolic.config import SystolicConfig
from accelgym.costmodels.systolic.operand_types import OperandTypes
from accelgym.costmodels.systolic.scheduler import Tiling
from accelgym.costmodels.workloads.layer import Layer
from accelgym.envs.hwgen.proof import StagedRecord
from accelgym.envs.joint.network import PAIRS
from accelgym.envs.joint.tables import tilings_of
from accelgym.envs.joint.task import JointTask
from accelgym.envs.space import Designs
from accelgym.hwgen.cache import ContentCache
from accelgym.hwgen.toolchain import ToolError
from accelgym.hwgen.verification import model_cycles, verify

__all__ = ["MOST_CYCLES", "STAGES", "JointRecord", "Run", "planned_runs", "prove"]

STAGES = ("lints", "bit_exact", "cycles_exact")
"""What a record states, in the order in which it counts."""
MOST_CYCLES = 100_000
"""Layers of more cycles are not simulated, and the record says so."""


@dataclass(frozen=True)
class Run:
    """A loop nest as the design runs it."""

    config: SystolicConfig
    layer: Layer
    types: OperandTypes
    tiling: Tiling

    @property
    def cycles(self) -> int:
        """Cycles of the model."""
        return model_cycles(self.config.with_types(*self.types), self.layer, self.tiling)


@dataclass(frozen=True)
class JointRecord(StagedRecord):
    """The stages a design passed, and its cycles."""

    stages: ClassVar[tuple[str, ...]] = STAGES

    lints: bool
    bit_exact: bool
    cycles_exact: bool
    accelerators: int
    """That differ in where activations are."""
    simulated: int
    """Loop nests that ran in RTL."""
    left_out: int
    """Loop nests of more than :data:`MOST_CYCLES`."""
    cycles_rtl: int
    """Of those that ran; all of the design's latency where none is left out."""
    latency_cycles: int
    """Of the design."""
    failure: str = ""
    """The words of the tool that failed."""


def planned_runs(task: JointTask, design: Designs) -> list[Run]:
    """Returns all loop nests of a design, shape ``(parameters,)``, in the order in which they run."""
    machine, pair, mapping, resident = (part[0] for part in task.parts(np.asarray(design)[None]))
    config = task.machines.config(int(np.ravel_multi_index(tuple(machine), task.machines.shape)))
    flags = on_chip_traffic(task.network.activations, resident[None])[0][0]
    runs = []
    for number, nests in enumerate(task.network.nests):
        weight, activation = PAIRS[pair[number]]
        for at, nest in enumerate(nests):
            on_input = bool(flags[number] & 2) and at == 0
            on_output = bool(flags[number] & 1) and at == len(nests) - 1
            tiling = tilings_of(task.machines, config, nest)[mapping[number]]
            runs.append(Run(_beside(config, on_input, on_output), nest, OperandTypes(activation, weight), tiling))
    return runs


def _beside(config: SystolicConfig, on_input: bool, on_output: bool) -> SystolicConfig:
    """The accelerator with ports of a word where activations are on chip."""
    wide: dict[str, int] = {}
    if on_input:
        wide["input_port_bits"] = config.input_word_bits
    if on_output:
        wide["output_port_bits"] = config.accumulation_word_bits
    return config.model_copy(update=wide)


def prove(task: JointTask, design: Designs, cache: ContentCache | None = None) -> JointRecord:
    """Builds what a design needs and runs its layers; accelerators that are in the cache cost milliseconds.

    Args:
        task: The task.
        design: Shape ``(parameters,)``.
        cache: Where simulators and records are kept.

    Raises:
        MissingExtraError: A tool is not installed.
    """
    store = cache or ContentCache()
    runs = planned_runs(task, design)
    latency = int(task.evaluate(np.asarray(design)[None]).costs["latency_cycles"][0])
    small = [run for run in runs if run.cycles <= MOST_CYCLES]
    by_config: dict[str, list[Run]] = {}
    for run in small:
        by_config.setdefault(run.config.model_dump_json(), []).append(run)
    cycles, left, passed = 0, len(runs) - len(small), np.ones(len(STAGES), dtype=bool)
    try:
        for group in by_config.values():
            layers, types = [run.layer for run in group], [run.types for run in group]
            found = verify(group[0].config, layers, types=types, tilings=[run.tiling for run in group], cache=store)
            passed &= (found.lints, found.bit_exact, found.cycles_exact and found.ports_clean)
            cycles += sum(record.cycles_rtl for record in found.layers)
    except ToolError as error:
        return JointRecord(False, False, False, len(by_config), len(small), left, cycles, latency, str(error))
    lints, bit_exact, cycles_exact = (bool(stage) for stage in passed)
    return JointRecord(lints, bit_exact, cycles_exact, len(by_config), len(small), left, cycles, latency)

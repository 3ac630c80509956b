"""What a design proves to be when it is built: generated, linted, simulated bit by bit, timed and synthesised."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from typing import Any, ClassVar

from accelgym.costmodels.errors import MissingExtraError
from accelgym.costmodels.systolic.config import SystolicConfig
from accelgym.costmodels.workloads.equal_layers import EqualLayers
from accelgym.costmodels.workloads.layer import Layer
from accelgym.hwgen.cache import ContentCache
from accelgym.hwgen.emitter import emit
from accelgym.hwgen.synthesis.flow import synthesise
from accelgym.hwgen.synthesis.yosys import yosys_version
from accelgym.hwgen.toolchain import ToolError, tool_versions, verilator
from accelgym.hwgen.verification import verify

__all__ = ["STAGES", "HardwareRecord", "StagedRecord", "probe_layers", "proof_tools", "prove"]

STAGES = ("generates", "lints", "bit_exact", "cycles_exact", "meets_clock", "within_area")
"""What a record states, in the order in which it counts."""

_PIXELS = 5
_GROUPS = 2


@dataclass(frozen=True)
class StagedRecord:
    """A record that says of every stage whether a design passed it."""

    stages: ClassVar[tuple[str, ...]]
    """Names of its fields, in the order in which they count."""

    @property
    def level(self) -> int:
        """Stages passed before the first that was not, 0 to their number."""
        passed = [getattr(self, stage) for stage in self.stages]
        return passed.index(False) if False in passed else len(passed)

    @property
    def share(self) -> float:
        """The level as a share of all stages."""
        return self.level / len(self.stages)

    def as_json(self) -> dict[str, Any]:
        """Returns the record as JSON data."""
        return {"level": self.level, **asdict(self)}


@dataclass(frozen=True)
class HardwareRecord(StagedRecord):
    """The stages a design passed and what was measured on the way."""

    stages: ClassVar[tuple[str, ...]] = STAGES

    generates: bool
    lints: bool
    bit_exact: bool
    cycles_exact: bool
    meets_clock: bool
    within_area: bool
    area_nand2: float
    """Measured; it replaces the estimate."""
    critical_path_ps: float
    verification: dict[str, Any]
    synthesis: dict[str, Any]
    failure: str = ""
    """The words of the tool that failed."""


def probe_layers(layers: Sequence[Layer], config: SystolicConfig) -> list[Layer]:
    """Returns small layers that use the array as a workload does.

    Every combination of window, stride, dilation, padding and grouping of the workload occurs; channels are cropped to
    one more than the array takes at once, images to 5 x 5 outputs, groups to 2.

    Args:
        layers: Compute layers.
        config: The accelerator.
    """
    cropped = []
    for layer in layers:
        groups = min(layer.groups, _GROUPS)
        small = replace(
            layer,
            N=1,
            groups=groups,
            K=groups * min(layer.K // layer.groups, config.columns + 1),
            C=groups * min(layer.C // layer.groups, config.rows + 1),
            P=min(layer.P, _PIXELS),
            Q=min(layer.Q, _PIXELS),
        )
        cropped.append(small)
    return list(EqualLayers.of(cropped).first)


def proof_tools() -> str:
    """Returns the versions of all tools that :func:`prove` calls, in one line.

    Raises:
        MissingExtraError: Verilator, pyslang or Yosys is not installed.
        InputError: There is no C++ compiler.
        ToolError: The compiler does not run.
    """
    verilator()
    try:
        linter = f"pyslang {metadata.version('pyslang')}"
    except metadata.PackageNotFoundError as error:
        raise MissingExtraError("linting RTL", "pyslang", "rtl") from error
    return "; ".join((tool_versions(), linter, yosys_version()))


def prove(
    config: SystolicConfig, layers: Sequence[Layer], area_budget: float, cache: ContentCache | None = None
) -> HardwareRecord:
    """Builds a configuration and returns what it proves to be; a record that is in the cache costs milliseconds.

    Args:
        config: The accelerator.
        layers: Compute layers of the workload; :func:`probe_layers` of them are simulated.
        area_budget: NAND2 equivalents.
        cache: Where simulators, modules and records are kept.

    Raises:
        MissingExtraError: A tool is not installed.
    """
    store = cache or ContentCache()
    design = emit(config)
    try:
        checked = verify(config, probe_layers(layers, config), cache=store, rtl=design)
        mapped = synthesise(config, cache=store, rtl=design)
    except ToolError as error:
        return HardwareRecord(
            generates=True,
            lints=False,
            bit_exact=False,
            cycles_exact=False,
            meets_clock=False,
            within_area=False,
            area_nand2=math.nan,
            critical_path_ps=math.nan,
            verification={},
            synthesis={},
            failure=str(error),
        )
    return HardwareRecord(
        generates=True,
        lints=checked.lints,
        bit_exact=checked.bit_exact,
        cycles_exact=checked.cycles_exact and checked.ports_clean,  # Accesses belong to the cycles.
        meets_clock=mapped.meets_clock,
        within_area=mapped.area_nand2 <= area_budget,
        area_nand2=mapped.area_nand2,
        critical_path_ps=mapped.critical_path_ps,
        verification=checked.as_json(),
        synthesis=mapped.as_json(),
    )

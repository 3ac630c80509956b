"""What defines a hardware-generation task, validated with errors that name the key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.systolic.format_kinds import FORMATS
from accelgym.envs.arguments import TaskSpec

__all__ = ["AREA_PRESETS", "PARAMETER_ROLES", "PARAMETER_VALUES", "HwGenSpec"]

AREA_PRESETS = {"small": 300_000.0, "medium": 500_000.0, "large": 1_500_000.0}
"""NAND2 equivalents."""

PARAMETER_VALUES: dict[str, tuple[Any, ...]] = {
    "formats": tuple(FORMATS),
    "template": ("weight_stationary", "output_stationary"),
    "rows": (4, 8, 12, 16, 20, 24, 28, 32),
    "columns": (4, 8, 12, 16, 20, 24, 28, 32),
    "input_buffer_depth": (64, 128, 256, 512),
    "weight_buffer_depth": (64, 128, 256, 512),
    "accumulation_buffer_depth": (64, 128, 256, 512),
    "input_port_bits": (32, 64, 128),
    "weight_port_bits": (32, 64, 128),
    "output_port_bits": (32, 64, 128),
}
"""The choices, in the order in which the environment asks for them."""

PARAMETER_ROLES: dict[str, tuple[str, str]] = {
    "formats": ("formats", "formats"),
    **{name: ("array", name) for name in ("template", "rows", "columns")},
    **{f"{buffer}_buffer_depth": (f"{buffer}_buffer", "depth") for buffer in ("input", "weight", "accumulation")},
    **{f"{port}_port_bits": (f"{port}_port", "bits") for port in ("input", "weight", "output")},
}
"""Component that each parameter configures, and what it sets there."""


class HwGenSpec(TaskSpec):
    """Arguments of ``accelgym/HwGen-v0``."""

    workload: str = "gpt2/prefill_block"
    """Name in the workload zoo, or a network file; convolutions and GEMMs run on the array, other layers are free."""
    area_budget: float = Field(default=AREA_PRESETS["medium"], gt=0)
    """NAND2 equivalents, or a preset."""
    bandwidth_bits: int = Field(default=256, ge=96)
    """Limit of the three port widths together: bits a cycle to and from memory."""
    clock_ghz: float = Field(default=0.4, gt=0, le=10)
    """Clock that the estimated critical path has to meet."""
    min_sqnr_db: float = 25.0
    """Least signal over quantisation noise of products, dB; excludes formats that are too coarse."""
    pe_pipeline: int = Field(default=1, ge=1, le=2)
    """Pipeline stages of a processing element."""
    memory_latency: int = Field(default=8, ge=1, le=255)
    """Cycles from an address on a port to its data."""

    @classmethod
    def parse(cls, arguments: Mapping[str, Any]) -> Self:
        """Validates keyword arguments.

        Raises:
            InputError: Names the key, the value given and what is allowed.
        """
        cls.check_names(arguments)
        values = dict(arguments)
        preset = values.get("area_budget")
        if isinstance(preset, str) and not _is_number(preset):
            if preset not in AREA_PRESETS:
                allowed = ", ".join(AREA_PRESETS)
                raise InputError(f"area_budget is {preset!r}: allowed a number of NAND2 equivalents or {allowed}")
            values["area_budget"] = AREA_PRESETS[preset]
        return super().parse(values)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

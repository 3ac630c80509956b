"""The table of faults and how one is judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.systolic.config import SystolicConfig, make_config
from accelgym.costmodels.workloads.layer import Layer
from accelgym.hwgen.cache import ContentCache
from accelgym.hwgen.emitter import Rtl, emit
from accelgym.hwgen.verification import verify
from accelgym.hwgen.verification_record import VerificationRecord

__all__ = ["DESIGNS", "Fault", "faults", "judge", "mutated"]

_TABLE = Path(__file__).parent / "faults.yaml"
_LAYERS = (Layer.gemm("one", M=1, K=1, C=1),)
"""What the user gives: a single product, so that the directed layers have to find every fault."""

DESIGNS: Mapping[str, SystolicConfig] = {
    "weight_stationary": make_config(
        rows=5, columns=5, memory_latency=4, input_port_bits=24, weight_port_bits=17, output_port_bits=50
    ),
    "wide": make_config(rows=1, columns=6, memory_latency=1),
    "tall": make_config(rows=6, columns=1, memory_latency=1),
    "output_stationary": make_config(
        rows=5,
        columns=3,
        template="output_stationary",
        pe_pipeline=2,
        double_buffered_accumulation=False,
        input_port_bits=24,
        output_port_bits=33,
    ),
    "bfloat16": make_config(
        rows=2, columns=2, input_type="bf16", weight_type="bf16", psum_type="bf16", accumulation_type="fp32"
    ),
    "block_scales": make_config(rows=2, columns=2, input_type="int4", weight_type="nf4_int6", scale_type="e8m0"),
    "formats": make_config(
        rows=2, columns=2, input_type=("int8", "nf4_int6"), weight_type=("int8", "uint4"), input_port_bits=5
    ),
    "small_floats": make_config(rows=3, columns=2, input_type="e4m3fn", weight_type="e4m3fn", pe_pipeline=3),
}
"""Small accelerators that together have every module."""


@dataclass(frozen=True)
class Fault:
    """One edit of the Verilog of a design."""

    design: str
    file: str
    old: str
    """Stands in the file exactly once."""
    new: str
    breaks: str
    """What goes wrong."""
    equivalent: str | None = None
    """Why no port can show it; None: it must be found."""

    def __str__(self) -> str:
        return f"{self.design}, {self.file}: {self.breaks}"


@cache
def faults() -> tuple[Fault, ...]:
    """Returns the table."""
    table = yaml.safe_load(_TABLE.read_text())
    return tuple(Fault(design=design, **row) for design, rows in table.items() for row in rows)


def mutated(fault: Fault) -> Rtl:
    """Returns the Verilog of the design with the fault.

    Raises:
        InputError: The text to replace does not stand in its file exactly once.
    """
    files = dict(emit(DESIGNS[fault.design]).files)
    count = files.get(fault.file, "").count(fault.old)
    if count != 1:
        raise InputError(f"{fault.file} of {fault.design}: {fault.old!r} stands there {count} times, allowed once")
    files[fault.file] = files[fault.file].replace(fault.old, fault.new)
    return Rtl(files)


def judge(fault: Fault, cache: ContentCache | None = None) -> VerificationRecord:
    """Verifies the design with the fault."""
    return verify(DESIGNS[fault.design], _LAYERS, cache=cache, rtl=mutated(fault), locate=False)

"""A second simulator: Icarus Verilog, with unknown values where Verilator has random ones.

About a thousand times slower than the compiled simulator, hence for small arrays; nothing in it is shared with
:mod:`accelgym.hwgen.simulator` but the Verilog and the memory images.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

import numpy as np

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.systolic.config import SystolicConfig
from accelgym.hwgen.emitter import Rtl
from accelgym.hwgen.simulator import Bytes, Job, PortErrors, Run
from accelgym.hwgen.toolchain import ToolError, run_tool

__all__ = ["available", "run_icarus"]

_BENCH = Path(__file__).resolve().parent / "harness" / "layers.v"


def available() -> bool:
    """Returns whether Icarus Verilog is on the path."""
    return shutil.which("iverilog") is not None and shutil.which("vvp") is not None


def run_icarus(config: SystolicConfig, rtl: Rtl, job: Job) -> Run:
    """Runs a layer from power-up on, with its protocol; a second start in mid-layer is left out.

    Raises:
        InputError: Icarus Verilog is not on the path, or the protocol has no reset.
        ToolError: It refused the Verilog, or ``done``, an enable of a port or an output beat has unknown bits.
    """
    if job.protocol.reset == 0:
        raise InputError("Icarus runs one layer from power-up on: the protocol needs a reset")
    if not available():
        raise InputError("the second simulation needs Icarus Verilog: apt-get install iverilog")
    defines = {
        "INPUT_PORT_BITS": config.input_port_bits,
        "WEIGHT_PORT_BITS": config.weight_port_bits,
        "OUTPUT_PORT_BITS": config.output_port_bits,
        "MEMORY_LATENCY": config.memory_latency,
        "REGISTERS": len(job.program.registers),
        "INPUT_BEATS": len(job.inputs),
        "WEIGHT_BEATS": len(job.weights),
        "OUTPUT_BEATS": job.program.output_beats,
        "CYCLE_LIMIT": job.program.cycle_limit,
        "RESET": job.protocol.reset,
        "IDLE": job.protocol.idle,
        "ABORT": job.protocol.abort,
        "REPEATS": job.protocol.repeats,
        "SILENCE": job.protocol.silence,
    }
    with tempfile.TemporaryDirectory(prefix="accelgym-icarus-") as name:
        folder = Path(name)
        names = rtl.write(folder)
        macros = [f"-D{key}={value}" for key, value in defines.items()]
        run_tool(["iverilog", "-g2005-sv", "-o", "bench", *macros, "-s", "layers", *names, str(_BENCH)], folder)
        registers = (f"{(address << 32) | value:x}" for address, value in job.program.registers)
        (folder / "registers").write_text("\n".join(registers))
        for file, image in (("inputs", job.inputs), ("weights", job.weights)):
            (folder / file).write_text("\n".join(bytes(beat[::-1]).hex() for beat in image))
        text = run_tool(["vvp", "bench", *(f"+{f}={f}" for f in ("registers", "inputs", "weights", "outputs"))], folder)
        found = re.search(r"done (\d+) cycles (\d+) unknown (\d+) reads (\d+) (\d+) errors ([\d ]+)", text)
        if found is None:
            raise ToolError(f"vvp: no result in {text[-1000:]!r}")
        done, cycles, unknown, input_reads, weight_reads = map(int, found.groups()[:5])
        if unknown:
            raise ToolError(f"Icarus: done or an enable of a port has unknown bits in {unknown} cycles")
        outputs = _outputs((folder / "outputs").read_text(), config.output_port_bits)
    errors = PortErrors(*map(int, found[6].split()))
    return Run(cycles, bool(done), outputs, input_reads, weight_reads, errors)


def _outputs(text: str, port_bits: int) -> Bytes:
    """Reads hexadecimal beats, shape ``(beats, bytes per beat)``."""
    beats = [line for line in text.split("\n") if line and not line.startswith("//")]
    for index, beat in enumerate(beats):
        if set(beat.lower()) & {"x", "z"}:
            raise ToolError(f"Icarus: output beat {index} has unknown bits: {beat}")
    size = -(-port_bits // 8)
    data = b"".join(int(beat, 16).to_bytes(size, "little") for beat in beats)
    return np.frombuffer(data, dtype=np.uint8).reshape(-1, size)

"""Builds a Verilator simulator of a configuration and runs layers on it."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.systolic.config import SystolicConfig
from accelgym.hwgen.cache import ContentCache, content_key
from accelgym.hwgen.emitter import TOP, Rtl, parameters
from accelgym.hwgen.program import Program
from accelgym.hwgen.toolchain import ToolError, compiler, run_tool, tool_versions, verilator

__all__ = ["Job", "Run", "Simulator", "build_simulator"]

_HARNESS = Path(__file__).resolve().parent / "harness" / "harness.cpp"
_FLAGS = ("-std=c++17", "-O1", "-DVL_TIME_CONTEXT", "-DVM_COVERAGE=0", "-DVM_SC=0", "-DVM_TRACE=0", "-fno-gnu-unique")
_RUNTIME = ("verilated.cpp", "verilated_threads.cpp")
_VERILATE = ("--cc", "--top-module", TOP, "--prefix", "Vgenerated", "--x-initial", "unique", "-Wno-fatal", "-O3")

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Job:
    """A layer to run: the program and the memory images."""

    program: Program
    inputs: Bytes
    """Shape ``(beats, bytes per beat)``."""
    weights: Bytes


@dataclass(frozen=True)
class Run:
    """What a simulated layer did."""

    cycles: int
    done: bool
    """False when the cycle limit ended the run."""
    stray_accesses: int
    """Memory accesses outside the images; 0 unless the RTL or its program is wrong."""
    outputs: Bytes
    """Shape ``(beats, bytes per beat)``."""


class Simulator:
    """A compiled simulator; runs jobs one after the other in one process."""

    def __init__(self, binary: Path, config: SystolicConfig) -> None:
        self._binary = binary
        self._config = config

    def run(self, jobs: Sequence[Job], trace: Path | None = None) -> list[Run]:
        """Runs layers.

        Args:
            jobs: Layers with their memory images.
            trace: File for the partial sums of every cycle; needs a simulator built with ``trace=True``.

        Raises:
            ToolError: The simulator failed.
        """
        output_bytes = -(-self._config.output_port_bits // 8)
        with tempfile.TemporaryDirectory(prefix="accelgym-rtl-") as name:
            request, response = Path(name) / "request", Path(name) / "response"
            with request.open("wb") as file:
                file.write(struct.pack("<I", len(jobs)))
                for job in jobs:
                    registers = np.array(job.program.registers, dtype="<u4")
                    file.write(struct.pack("<I", len(registers)) + registers.tobytes())
                    for image in (job.inputs, job.weights):
                        file.write(struct.pack("<I", len(image)) + np.ascontiguousarray(image).tobytes())
                    file.write(struct.pack("<IQ", job.program.output_beats, job.program.cycle_limit))
            command = [str(self._binary), str(request), str(response)]
            run_tool([*command, str(trace)] if trace else command, Path(name))
            data = response.read_bytes()
        runs, at = [], 0
        for job in jobs:
            done, cycles, stray = struct.unpack_from("<IQI", data, at)
            size = job.program.output_beats * output_bytes
            image = np.frombuffer(data, dtype=np.uint8, count=size, offset=at + 16).reshape(-1, output_bytes)
            runs.append(Run(int(cycles), bool(done), int(stray), image))
            at += 16 + size
        return runs


def _runtime(cache: ContentCache) -> Path:
    """Returns the folder of the Verilator runtime, compiled once per tool version."""
    tool = verilator()

    def build(folder: Path) -> None:
        include = [f"-I{tool.include}", f"-I{tool.include / 'vltstd'}"]
        for name in _RUNTIME:
            source = tool.include / name
            run_tool([compiler(), *_FLAGS, *include, "-c", str(source), "-o", f"{source.stem}.o"], folder)

    folder, _ = cache.get_or_build(content_key("runtime", tool_versions(), *_FLAGS), build)
    return folder


def build_simulator(
    config: SystolicConfig, rtl: Rtl, cache: ContentCache | None = None, *, trace: bool = False
) -> Simulator:
    """Compiles the RTL of a configuration, or takes the simulator from the cache.

    Args:
        config: The configuration.
        rtl: Its Verilog.
        cache: Where simulators are kept.
        trace: Give the simulator access to every partial sum (slower).

    Raises:
        ToolError: Verilator or the compiler refused the RTL.
    """
    store = cache or ContentCache()
    defines = [f"-D{name}={value}" for name, value in parameters(config).items()]
    verilate = [*_VERILATE, *(["-DPSUM_TRACE"] if trace else [])]
    flags = [*_FLAGS, *defines, *(["-DPSUM_TRACE"] if trace else [])]
    harness = _HARNESS.read_text()
    texts = [part for name in sorted(rtl.files) for part in (name, rtl.files[name])]
    key = content_key("simulator", tool_versions(), harness, *verilate, *flags, *texts)

    def build(folder: Path) -> None:
        tool = verilator()
        with tempfile.TemporaryDirectory(prefix="accelgym-build-") as name:
            work = Path(name)
            names = rtl.write(work)
            run_tool(tool.command(*verilate, "--Mdir", "out", *names), work, tool.environment)
            sources = sorted(path.name for path in (work / "out").glob("*.cpp"))
            if not sources:
                raise ToolError("verilator produced no C++")
            unity = "".join(f'#include "{source}"\n' for source in sources)
            (work / "out" / "unity.cc").write_text(unity + harness)
            include = [f"-I{tool.include}", f"-I{tool.include / 'vltstd'}", "-Iout"]
            objects = [str(_runtime(store) / f"{Path(name).stem}.o") for name in _RUNTIME]
            binary = str(folder / "simulator")
            run_tool([compiler(), *flags, *include, "out/unity.cc", *objects, "-lpthread", "-o", binary], work)

    folder, _ = store.get_or_build(key, build)
    return Simulator(folder / "simulator", config)

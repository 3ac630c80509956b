"""Builds a Verilator simulator of a configuration and runs layers on it."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.systolic.config import SystolicConfig
from accelgym.hwgen.cache import ContentCache, content_key
from accelgym.hwgen.emitter import TOP, Rtl, emit_multiply_add, parameters
from accelgym.hwgen.program import Program
from accelgym.hwgen.toolchain import ToolError, compiler, run_tool, tool_versions, verilator

__all__ = [
    "Job",
    "PortErrors",
    "Protocol",
    "Run",
    "Simulator",
    "build_simulator",
    "compile_model",
    "compile_runtime",
    "harness_text",
    "read_response",
    "run_multiply_adds",
    "write_request",
]

_HARNESSES = Path(__file__).resolve().parent / "harness"
"""Folder of the C++ programs that drive a design."""
_FLAGS = ("-std=c++17", "-O1", "-DVL_TIME_CONTEXT", "-DVM_COVERAGE=0", "-DVM_SC=0", "-DVM_TRACE=0", "-fno-gnu-unique")
_RUNTIME = ("verilated.cpp", "verilated_threads.cpp")
_HEADER = "precompiled.h"
_HEADER_TEXT = (
    "".join(
        f"#include <{name}>\n" for name in ("cstdint", "cstdio", "cstdlib", "cstring", "memory", "utility", "vector")
    )
    + '#include "verilated.h"\n'
)
"""What every model includes: reading it takes a third of the time of compiling a small one."""
_VERILATE = ("--cc", "--top-module", TOP, "--prefix", "Vgenerated", "--x-initial", "unique", "-Wno-fatal", "-O3")

Bytes = npt.NDArray[np.uint8]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Protocol:
    """What happens around a layer; cycles unless said otherwise."""

    reset: int = 1
    """Of reset ahead of it; 0: it follows another layer without one."""
    idle: int = 0
    """Between its configuration and ``start``."""
    abort: int = 0
    """After which a reset of one cycle ends a first attempt; 0: there is none."""
    repeats: int = 0
    """Complete runs ahead of the one that counts, each started in the cycle after the ``done`` before (count)."""
    late_start: int = 0
    """The cycle of the run in which ``start`` comes a second time, to no effect; 0: it does not."""
    silence: int = 0
    """That are watched behind ``done``."""


@dataclass(frozen=True)
class PortErrors:
    """How often the ports did what they must not; all 0 in a design that works."""

    reads_outside: int = 0
    """Reads beyond the images."""
    writes_outside: int = 0
    duplicate_writes: int = 0
    """Writes to an address that the run wrote before."""
    missing_writes: int = 0
    """Output addresses that no write reached by ``done``."""
    idle_accesses: int = 0
    """Reads and writes when no layer runs: before ``start``, after ``done``, after a reset."""
    missing_dones: int = 0
    """Runs that the cycle limit ended."""
    extra_dones: int = 0
    """``done`` when no layer runs."""
    wrong_reads: int = 0
    """Reads too many or too few for the tiles of the layer; filled in by verification."""

    def __add__(self, other: PortErrors) -> PortErrors:
        return PortErrors(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def named(self) -> dict[str, int]:
        """Returns those that occurred."""
        return {name: count for name, count in asdict(self).items() if count}


@dataclass(frozen=True)
class Job:
    """A layer to run: the program and the memory images."""

    program: Program
    inputs: Bytes
    """Shape ``(beats, bytes per beat)``."""
    weights: Bytes
    protocol: Protocol = Protocol()


@dataclass(frozen=True)
class Run:
    """What a simulated layer did."""

    cycles: int
    """From the one after ``start`` to that of ``done``."""
    done: bool
    """False when the cycle limit ended the run."""
    outputs: Bytes
    """Shape ``(beats, bytes per beat)``."""
    input_reads: int
    """Beats read."""
    weight_reads: int
    errors: PortErrors


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
        with tempfile.TemporaryDirectory(prefix="accelgym-rtl-") as name:
            request, response = Path(name) / "request", Path(name) / "response"
            write_request(request, jobs)
            command = [str(self._binary), str(request), str(response)]
            run_tool([*command, str(trace)] if trace else command, Path(name))
            return read_response(response, jobs, self._config)


def write_request(path: Path, jobs: Sequence[Job]) -> None:
    """Writes what a harness that runs layers reads; ``harness/bench.h`` states the format."""
    with path.open("wb") as file:
        file.write(struct.pack("<I", len(jobs)))
        for job in jobs:
            p = job.protocol
            registers = np.array(job.program.registers, dtype="<u4")
            file.write(struct.pack("<II", p.reset, len(registers)) + registers.tobytes())
            file.write(struct.pack("<5I", p.idle, p.abort, p.repeats, p.late_start, p.silence))
            for image in (job.inputs, job.weights):
                file.write(struct.pack("<I", len(image)) + np.ascontiguousarray(image).tobytes())
            file.write(struct.pack("<IQ", job.program.output_beats, job.program.cycle_limit))


_RUN = struct.Struct("<IQQQ7I")
"""What precedes the outputs of a run in a response."""


def read_response(path: Path, jobs: Sequence[Job], config: SystolicConfig) -> list[Run]:
    """Reads what a harness that runs layers answers."""
    output_bytes = -(-config.output_port_bits // 8)
    data = path.read_bytes()
    runs, at = [], 0
    for job in jobs:
        done, cycles, input_reads, weight_reads, *errors = _RUN.unpack_from(data, at)
        at += _RUN.size
        size = job.program.output_beats * output_bytes
        image = np.frombuffer(data, dtype=np.uint8, count=size, offset=at).reshape(-1, output_bytes)
        at += size
        runs.append(Run(cycles, bool(done), image, input_reads, weight_reads, PortErrors(*errors)))
    return runs


def compile_runtime(cache: ContentCache) -> Path:
    """Returns the folder of the Verilator runtime, compiled once per tool version, and of its precompiled header.

    Raises:
        ToolError: The compiler refused it.
    """
    tool = verilator()

    def build(folder: Path) -> None:
        include = [f"-I{tool.include}", f"-I{tool.include / 'vltstd'}"]
        for name in _RUNTIME:
            source = tool.include / name
            run_tool([compiler(), *_FLAGS, *include, "-c", str(source), "-o", f"{source.stem}.o"], folder)
        (folder / _HEADER).write_text(_HEADER_TEXT)
        run_tool([compiler(), *_FLAGS, *include, "-x", "c++-header", _HEADER, "-o", f"{_HEADER}.gch"], folder)

    folder, _ = cache.get_or_build(content_key("runtime", tool_versions(), _HEADER_TEXT, *_FLAGS), build)
    return folder


def harness_text(*names: str) -> str:
    """Returns the text of harness files, one after the other."""
    return "".join((_HARNESSES / name).read_text() for name in names)


def compile_model(
    files: Mapping[str, str], harness: str, defines: Mapping[str, int], cache: ContentCache, *, trace: bool = False
) -> Path:
    """Compiles Verilog with a harness, or takes the program from the cache.

    Args:
        files: Verilog by file name; the top module is ``TOP``.
        harness: C++ with ``main``, from :func:`harness_text`.
        defines: Macros of the harness.
        cache: Where programs are kept.
        trace: Define ``PSUM_TRACE`` in both.

    Raises:
        ToolError: Verilator or the compiler refused the sources.
    """
    macro = ["-DPSUM_TRACE"] if trace else []
    verilate = [*_VERILATE, *macro]
    flags = [*_FLAGS, *(f"-D{name}={value}" for name, value in defines.items()), *macro]
    texts = [part for name in sorted(files) for part in (name, files[name])]
    key = content_key("model", tool_versions(), harness, *verilate, *flags, *texts)

    def build(folder: Path) -> None:
        tool = verilator()
        with tempfile.TemporaryDirectory(prefix="accelgym-build-") as name:
            work = Path(name)
            for file, text in files.items():
                (work / file).write_text(text)
            run_tool(tool.command(*verilate, "--Mdir", "out", *files), work, tool.environment)
            sources = sorted(path.name for path in (work / "out").glob("*.cpp"))
            if not sources:
                raise ToolError("verilator produced no C++")
            # One translation unit: the headers are read once, which is most of the compile time.
            unity = "".join(f'#include "{source}"\n' for source in sources)
            (work / "out" / "unity.cc").write_text(unity + harness)
            include = [f"-I{tool.include}", f"-I{tool.include / 'vltstd'}", "-Iout"]
            runtime = compile_runtime(cache)
            objects = [str(runtime / f"{Path(source).stem}.o") for source in _RUNTIME]
            sources_and_header = ["-include", str(runtime / _HEADER), "out/unity.cc"]
            program = str(folder / "simulator")
            run_tool([compiler(), *flags, *include, *sources_and_header, *objects, "-lpthread", "-o", program], work)

    folder, _ = cache.get_or_build(key, build)
    return folder / "simulator"


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
    program = compile_model(
        rtl.files,
        harness_text("requests.h", "bench.h", "layers.cpp"),
        parameters(config),
        cache or ContentCache(),
        trace=trace,
    )
    return Simulator(program, config)


def run_multiply_adds(
    config: SystolicConfig, psums: Codes, inputs: Codes, weights: Codes, cache: ContentCache | None = None
) -> Codes:
    """Runs the multiply-add of a processing element, decoders included, on given operands.

    Args:
        config: The configuration; partial sums of up to 64 bits.
        psums: Codes, shape ``(n,)``.
        inputs: Codes, shape ``(n,)``.
        weights: Codes, shape ``(n,)``.
        cache: Where simulators are kept.

    Returns:
        Codes of the sums, shape ``(n,)``.
    """
    files = emit_multiply_add(config)
    defines = {"PIPELINE": config.pe_pipeline}
    program = compile_model(files, harness_text("multiply_add.cpp"), defines, cache or ContentCache())
    records = np.empty(len(psums), dtype=[("psum", "<u8"), ("x", "<u4"), ("w", "<u4")])
    records["psum"], records["x"], records["w"] = psums, inputs, weights
    with tempfile.TemporaryDirectory(prefix="accelgym-rtl-") as name:
        request, response = Path(name) / "request", Path(name) / "response"
        request.write_bytes(struct.pack("<Q", len(records)) + records.tobytes())
        run_tool([str(program), str(request), str(response)], Path(name))
        return np.fromfile(response, dtype="<u8").astype(np.int64)

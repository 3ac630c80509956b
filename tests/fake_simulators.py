"""Small simulators for tests, and configurations that plug them in."""

import atexit
import shutil
import sys
import tempfile
import textwrap
from pathlib import Path

import yaml

from accelgym.envs.external import ExternalSimulatorTask

MODEL = """
import json, sys
design = json.load(open("design.json"))
cycles = 6400 / (design["rows"] * design["columns"]) + 10 * design["rows"]
json.dump({"run": {"cycles": cycles}}, open("result.json", "w"))
print(f"area = {design['rows'] * design['columns'] * 2.5}")
open("layers.csv", "w").write("layer, stalls,\\nconv, 3,\\nfc, 4.5,\\n")
"""
"""Prints an area, and leaves cycles in JSON and stalls in CSV."""

CONFIG = {
    "name": "fake",
    "version": "1",
    "parameters": {"rows": [2, 4, 8, 16], "columns": [4, 8, 16]},
    "files": {"design.json": '{"rows": ${rows}, "columns": ${columns}}'},
    "command": [sys.executable, "-S", "-E", "${here}/simulator.py"],
    "outputs": {
        "cycles": {"json": "run.cycles", "file": "result.json"},
        "area": {"regex": "area = ([0-9.]+)"},
        "stalls": {"csv": "stalls", "file": "layers.csv", "take": "sum"},
    },
    "objective": "cycles + stalls",
    "baseline": {"rows": 4, "columns": 8},
    "timeout_s": 20,
}


def plug_in(folder, program=MODEL, **changes):
    """Writes a simulator and its configuration; returns the path of the latter."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "simulator.py").write_text(textwrap.dedent(program))
    path = folder / "simulator.yaml"
    path.write_text(yaml.safe_dump({k: v for k, v in (CONFIG | changes).items() if v is not None}, sort_keys=False))
    return path


def expected(rows, columns):
    """What :data:`MODEL` is worth under :data:`CONFIG`."""
    return 6400 / (rows * columns) + 10 * rows + 7.5


def small_task():
    """A task of twelve designs, every one of which has a result; its files go at the end of the process."""
    folder = Path(tempfile.mkdtemp(prefix="fake-simulator-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return ExternalSimulatorTask(config=plug_in(folder), cache=str(folder / "kept"), jobs=2)

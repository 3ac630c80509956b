"""The prepared GPU run, tried on the CPU: it checks every line against NumPy before it times it."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu_speed.py"


def test_the_script_checks_and_times_every_model(tmp_path):
    target = tmp_path / "rates.json"
    command = [
        sys.executable,
        str(SCRIPT),
        "--device",
        "cpu",
        "--count",
        "500",
        "--repeats",
        "1",
        "--json",
        str(target),
    ]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    rates = json.loads(target.read_text())["rates"]
    assert [label.split(",")[0] for label in rates] == ["maestro", "maestro", "physical", "maestro", "loopnest"]
    assert all(value > 0 for value in rates.values())


def test_without_a_gpu_it_says_so(tmp_path):
    import torch

    if torch.cuda.is_available():
        return
    ended = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "no GPU" in ended.stderr

"""Commands that are killed at random times and started again: nothing lost, repeated or different."""

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import PROCESS

import accelgym.dse_dataset
from accelgym.agents import Trajectory

KILLS = int(os.environ.get("ACCELGYM_KILLS", "25"))
"""Of each command."""
MOST_STARTS = 200


def trajectories(out: Path) -> dict[str, Any]:
    """What every search evaluated, in order, with the number of evaluations and the budget."""
    found = {}
    for path in sorted(out.glob("runs/*/*/*/trajectory.npz")):
        run = Trajectory.load(path)
        values = (run.designs.astype(np.int64).tobytes(), run.objective.tobytes(), run.violation.tobytes())
        found[str(path.relative_to(out))] = (run.evaluations, run.budget, values)
    return found


def labels(out: Path) -> dict[str, Any]:
    """Bytes of every shard, and the hash of all."""
    manifest = json.loads((out / "manifest.json").read_text())
    shards = {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*.parquet"))}
    return {"content": manifest["content_sha256"], "splits": manifest["splits"], **shards}


def mappings(out: Path) -> dict[str, Any]:
    """The answer to every layer, without the seconds it took."""
    found = json.loads((out / "map.json").read_text())
    layers = [{key: value for key, value in layer.items() if key != "seconds"} for layer in found["layers"]]
    maps = {str(path.relative_to(out)): path.read_text() for path in sorted(out.rglob("*.map.yaml"))}
    return {"layers": layers, "value": found["value"], **maps}


def weights(out: Path) -> dict[str, Any]:
    """Bytes of everything that was trained."""
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*.safetensors"))}


@dataclass(frozen=True)
class Command:
    """A command that goes on where it was killed."""

    name: str
    arguments: tuple[str, ...]
    """``--out`` and its folder are added."""
    result: Callable[[Path], dict[str, Any]]
    """What it leaves, without times."""


BENCHMARK = """name: killed
tasks:
- {env: accelgym/ResourceAssignment-v0, arguments: {workload: confuciux/mobilenet_v2, budget: [0.1, 0.2]}}
agents: [{name: ga, options: {population: 20}}, {name: annealing, options: {chains: 8}}]
budget: 600
seeds: 2
workers: 2
"""
NETWORK = "Layer, M, N, K\none, 8, 8, 4\ntwo, 16, 8, 8\nthree, 4, 32, 8\nfour, 8, 8, 4\n"
FAMILY = """task: accelgym/ResourceAssignment-v0
common: {workload: confuciux/alexnet}
train: [{budget: 0.1}, {budget: 0.3}]
test: [{budget: 0.2}]
"""
SAMPLE = str(Path(accelgym.dse_dataset.__file__).parent / "samples" / "capped")
UOV = ("--set", "width=16", "--set", "heads=2", "--set", "epochs=6", "--set", "encoder_blocks=1")
SEARCH = ("--set", "workload=confuciux/mobilenet_v2", "--agent", "aco", "--budget", "1500", "--seed", "4")
COMMANDS = [
    Command("bench", ("bench", "bench.yaml"), trajectories),
    # Most of its time Ray starts and ends.
    Command("bench on ray", ("bench", "bench.yaml", "--executor", "ray"), trajectories),
    Command("search", ("search", *SEARCH), trajectories),
    Command("label", ("label", "--preset", "airchitect-v2", "--rows", "100", "--set", "shard_rows=20"), labels),
    Command("train uov", ("train", "uov", "--data", SAMPLE, *UOV), weights),
    Command("train ppo", ("train", "ppo", "--family", "family.yaml", "--evaluations", "6000"), weights),
    Command("map", ("map", "net.csv", "--arch", "eyeriss_thistle", "--nodes", "4"), mappings),
]
"""A new command that can be resumed joins here."""


def start(command: Command, out: Path, cwd: Path) -> subprocess.Popen[str]:
    line = [*PROCESS, *command.arguments, "--out", str(out)]
    cache = {"ACCELGYM_CACHE": str(cwd / "cache"), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        line, cwd=cwd, env=os.environ | cache, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_a_killed_command_goes_on_as_if_nothing_had_happened(command, tmp_path, capsys):
    (tmp_path / "bench.yaml").write_text(BENCHMARK)
    (tmp_path / "family.yaml").write_text(FAMILY)
    (tmp_path / "net.csv").write_text(NETWORK)
    begin = time.monotonic()
    process = start(command, tmp_path / "whole", tmp_path)
    assert process.wait() == 0, process.stderr.read()
    lasts = time.monotonic() - begin
    whole = command.result(tmp_path / "whole")
    assert whole
    rng = random.Random(command.name)
    kills = folder = 0
    while kills < KILLS:
        folder += 1
        out = tmp_path / f"killed-{folder}"
        for _ in range(MOST_STARTS):
            process = start(command, out, tmp_path)
            try:
                # The imports take a share of the time in which there is nothing to lose.
                process.wait(lasts * rng.uniform(0.2, 1.1) if kills < KILLS else None)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                kills += 1
                process.communicate()
                continue
            assert process.returncode == 0, process.stderr.read()
            break
        else:
            pytest.fail(f"{command.name}: not over after {MOST_STARTS} starts")
        assert command.result(out) == whole, f"{command.name}: folder {folder} after {kills} kills"
    with capsys.disabled():
        print(f"\n{command.name}: {kills} kills over {folder} folders: 0 lost, repeated or different")

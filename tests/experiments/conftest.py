"""A small finished benchmark, and benchmarks run by a process of their own."""

import json
import os
import subprocess
import sys

import pytest

from accelgym.experiments import BenchConfig, run_bench

TASK = {"workload": "confuciux/mobilenet_v2", "dataflow": "dla"}

SCRIPT = """\
import json, sys
from pathlib import Path
from accelgym.experiments import BenchConfig, run_bench
result = run_bench(BenchConfig.parse(json.loads(sys.argv[1])), Path(sys.argv[2]), executor=sys.argv[3])
sys.stdout.write(json.dumps([[str(f.job), f.error] for f in result.failures]))
"""


@pytest.fixture(scope="session")
def small_config():
    return {
        "name": "Small <benchmark>",
        "tasks": [{"env": "ResourceAssignment-v0", "arguments": TASK | {"budget": [0.5, 0.1]}}],
        "agents": ["random", {"name": "random", "label": "random-one", "options": {"batch": 1}, "budget": 40}],
        "budget": 150,
        "seeds": [4, 7, 9],
        "workers": 2,
    }


@pytest.fixture(scope="session")
def finished(small_config, tmp_path_factory):
    """Folder of the finished small benchmark, and the progress that was told."""
    out = tmp_path_factory.mktemp("bench")
    told = []
    result = run_bench(BenchConfig.parse(small_config), out, progress=told.append)
    assert result.failures == ()
    return out, told


@pytest.fixture(scope="session")
def start_bench():
    """Starts a benchmark in a process of its own, optionally with a folder of plug-ins."""

    def start(config, out, plugins=None, executor="process"):
        path = {} if plugins is None else {"PYTHONPATH": str(plugins)}
        command = [sys.executable, "-c", SCRIPT, json.dumps(config), str(out), executor]
        return subprocess.Popen(command, env=os.environ | path, stdout=subprocess.PIPE, text=True)

    return start

"""Milliseconds per geometric program, batched and through CVXPY, and seconds to a proof per layer.

Run: ``OMP_NUM_THREADS=1 python benchmarks/oracle_speed.py [--layers] [--seconds 30] [--json out.json]``.

The programs are the roots of Thistle's ResNet-18 layer 2 on Eyeriss, one per combination of permutation classes;
writing them is included on our side, canonicalisation on CVXPY's. Both are measured in CPU time in one run.
``--layers`` proves the energy of all 23 layers of Table II.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from accelgym.costmodels.objective import Objective
from accelgym.costmodels.solvers.mapping import MachineTable
from accelgym.costmodels.solvers.mapping.branch_and_bound import BranchAndBound
from accelgym.costmodels.solvers.mapping.cvxpy_check import solve_as_geometric, solve_in_logarithms
from accelgym.costmodels.solvers.mapping.interior_point import Programs, solve_programs
from accelgym.envs import MappingTask

LAYERS = [("thistle/resnet18", i) for i in range(1, 13)] + [("thistle/yolo9000", i) for i in range(1, 12)]
SAMPLE = 8


def task_of(workload: str, layer: int) -> MappingTask:
    """A layer on Thistle's Eyeriss."""
    return MappingTask(workload=workload, layer=layer, architecture="eyeriss_thistle", objective="energy")


def cpu_ms(function: Callable[[], object]) -> float:
    """CPU milliseconds of one call."""
    start = time.process_time()
    function()
    return (time.process_time() - start) * 1e3


def programs_speed() -> dict[str, float]:
    """CPU milliseconds per program; median over programs for CVXPY, the mean of a batch for ours."""
    task = task_of("thistle/resnet18", 2)
    search = BranchAndBound(task.solver_space, MachineTable.of([task.architecture]), Objective.ENERGY, task.bypasses)

    def write() -> Programs:
        spread, possible = search.fanouts.tighten(search.open)
        return search.writer.write(search.open.take(possible), spread[possible])

    programs = write()
    solve_programs(programs)  # the first call is not counted
    rows = np.linspace(0, len(programs) - 1, SAMPLE).astype(int).tolist()
    solve_as_geometric(programs, 0)
    ours = statistics.median(cpu_ms(lambda: solve_programs(write())) for _ in range(5)) / len(programs)
    dgp = statistics.median(cpu_ms(lambda row=row: solve_as_geometric(programs, row)) for row in rows)
    logs = statistics.median(cpu_ms(lambda row=row: solve_in_logarithms(programs, row)) for row in rows)
    return {
        "programs": float(len(programs)),
        "batched_ms": ours,
        "cvxpy_geometric_ms": dgp,
        "cvxpy_logarithms_ms": logs,
        "ratio_geometric": dgp / ours,
        "ratio_logarithms": logs / ours,
    }


def layers_speed(seconds: float) -> list[dict[str, float | str]]:
    """Value, bound and CPU seconds of each layer."""
    rows: list[dict[str, float | str]] = []
    for workload, layer in LAYERS:
        task = task_of(workload, layer)
        start = time.process_time()
        found = task.solve(tolerance=1e-3, seconds=seconds)
        row = {
            "layer": f"{workload} {layer}",
            "pj_per_mac": found.value / task.problem.macs,
            "gap": 1.0 - found.lower_bound / found.value,
            "nodes": found.nodes,
            "cpu_s": time.process_time() - start,
        }
        rows.append(row)
        print("  ".join(f"{x:>10.4g}" if isinstance(x, float | int) else f"{x:20}" for x in row.values()), flush=True)
    return rows


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", action="store_true", help="prove the 23 layers, too")
    parser.add_argument("--seconds", type=float, default=30.0, help="time limit per layer")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    speed = programs_speed()
    result: dict[str, object] = {"programs": speed}
    for key, value in speed.items():
        print(f"{key:22} {value:10.3f}")
    if chosen.layers:
        rows = layers_speed(chosen.seconds)
        result["layers"] = rows
        print(f"median {statistics.median(float(row['cpu_s']) for row in rows):.2f} CPU seconds")
    if chosen.json:
        chosen.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()

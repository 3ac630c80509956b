"""Evaluations per CPU-second and core of the loop-nest model, at several batch sizes.

Run: ``OMP_NUM_THREADS=1 python benchmarks/loopnest_speed.py [--compile] [--json out.json]``.

Layer and machine are those of the speed study the targets come from: K256 C128 28x28 3x3 on a register file, a
buffer and DRAM under 168 multipliers. ``exact`` is float64 with the full breakdown, ``rank`` float32 energy, cycles
and validity in blocks of 16384, ``compiled`` the same by ``compile_score`` in float64 from int64 columns, and from
uint16 and uint8 (``compiled_narrow``). Ratios compare with timeloop-model (16.8 ms CPU a run) and timeloop-mapper
(73 full evaluations a second).
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np

from accelgym.costmodels.architecture import LoopNest
from accelgym.costmodels.loopnest import LoopnestModel, Mappings, sample_mappings
from accelgym.costmodels.loopnest.compiled import compile_score
from accelgym.costmodels.timeloop.presets import preset

TIMELOOP_MODEL_S = 16.8e-3
TIMELOOP_MAPPER_PER_S = 73.0
BLOCK = 16_384
PROBLEMS = {
    "conv": LoopNest.conv("conv", K=256, C=128, P=28, Q=28, R=3, S=3),
    "gemm": LoopNest.gemm("gemm", I=512, J=512, L=512),
}


def rate(function: Callable[[], object], n: int, repeats: int) -> float:
    """Median items per CPU-second; the first call is not counted."""
    function()
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        seconds.append(time.process_time() - start)
    return n / max(statistics.median(seconds), 1e-9)


def measure(name: str, n: int, *, compiled: bool, repeats: int) -> dict[str, float]:
    """Measures one problem at one batch size."""
    problem, machine = PROBLEMS[name], preset("eyeriss_thistle")
    model = LoopnestModel(problem, machine)
    batch = sample_mappings(problem, machine, n, np.random.default_rng(0))
    factors, ranks = batch.factors.astype(np.float32), batch.ranks.astype(np.float32)
    # Blocks are laid out once, as a search that owns its columns would keep them.
    blocks = [
        (np.ascontiguousarray(factors[:, :, i : i + BLOCK]), np.ascontiguousarray(ranks[:, :, i : i + BLOCK]))
        for i in range(0, n, BLOCK)
    ]

    def rank() -> None:
        for block in blocks:
            model.score(*block)

    tracemalloc.start()
    model.evaluate(batch)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    result = {
        "exact": rate(lambda: model.evaluate(batch), n, repeats),
        "rank": rate(rank, n, repeats),
        "sample": rate(lambda: sample_mappings(problem, machine, n, np.random.default_rng(1)), n, repeats),
        "exact_peak_bytes_per_evaluation": peak / n,
    }
    if n <= 1000:
        walker = LoopnestModel(problem, machine, counting="sampled")
        few = Mappings(problem, machine, batch.factors[..., :50], batch.ranks[..., :50])
        result["sampled"] = rate(lambda: walker.evaluate(few), 50, 1)
    if compiled:
        compiled_score = compile_score(model)
        narrow = batch.factors.astype(np.uint16), batch.ranks.astype(np.uint8)
        result["compiled"] = rate(lambda: compiled_score(batch.factors, batch.ranks), n, repeats)
        result["compiled_narrow"] = rate(lambda: compiled_score(*narrow), n, repeats)
    return result


def main() -> None:
    """Prints a table and optionally writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--compile", action="store_true", help="also time compile_score (extra fast)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 100_000, 1_000_000])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    table = {}
    for name in PROBLEMS:
        for n in arguments.sizes:
            row = measure(name, n, compiled=arguments.compile, repeats=arguments.repeats)
            table[f"{name}/{n}"] = row
            shown = "  ".join(f"{key} {value:.3g}" for key, value in row.items())
            print(
                f"{name:5s} n={n:<8d} {shown}  exact/timeloop-model {row['exact'] * TIMELOOP_MODEL_S:.3g}x  "
                f"rank/timeloop-mapper {row['rank'] / TIMELOOP_MAPPER_PER_S:.3g}x"
            )
    if arguments.json:
        arguments.json.write_text(json.dumps(table, indent=2))


if __name__ == "__main__":
    main()

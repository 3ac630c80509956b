"""Designs per second of ``maestro``, ``physical`` and ``loopnest`` on torch, checked against NumPy.

Run on a machine with a GPU: ``python benchmarks/gpu_speed.py --compile --json gpu.json``. It takes N = 1e7 designs,
keeps them on the device, and starts no further line once ``--seconds`` (300) have passed. Before a line is timed,
its numbers for the first designs are compared with NumPy's: validity and cycles equal, all other figures to 1e-6
(float32 scores of ``loopnest``: to 1e-5). A difference ends the run with exit code 1. ``--device cpu --count 2000``
tries the script without a GPU; rates of a CPU say nothing. It has not been run on a GPU yet.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from loopnest_speed import PROBLEMS
from maestro_speed import NAMES, random_designs

from accelgym.costmodels.arrays import to_numpy
from accelgym.costmodels.loopnest import LoopnestModel, sample_mappings
from accelgym.costmodels.maestro import MaestroModel
from accelgym.costmodels.maestro.designs import ResourceDesigns
from accelgym.costmodels.maestro.physical import PhysicalModel
from accelgym.costmodels.timeloop.presets import preset

FIGURES = ("energy_pj", "area_um2", "power_mw")
CHECKED = 20_000
Line = tuple[str, Callable[[], Any], Callable[[], None]]
"""A label, what is timed, and the check that comes first."""


def near(found: Any, expected: Any, what: str, tolerance: float = 1e-6) -> None:
    """Ends the run where figures differ."""
    found, expected = to_numpy(found), to_numpy(expected)
    if found.shape != expected.shape or not np.allclose(found, expected, rtol=tolerance, atol=0.0):
        raise SystemExit(f"{what} differs from NumPy's")


def resource_lines(count: int, device: str, compiles: bool) -> Iterator[Line]:
    """The models of resource designs."""
    designs = random_designs(count, None)
    given = {f.name: getattr(designs, f.name) for f in fields(designs)}
    tensors = ResourceDesigns(**{n: None if a is None else torch.as_tensor(a, device=device) for n, a in given.items()})
    some = {n: None if a is None else np.asarray(a)[:CHECKED] if np.ndim(a) else a for n, a in given.items()}
    few = ResourceDesigns(**some)
    few_tensors = ResourceDesigns(
        **{n: None if a is None else torch.as_tensor(a, device=device) for n, a in some.items()}
    )
    models = {
        "maestro, all costs": MaestroModel(),
        "maestro, all costs, 64 elements/cycle": MaestroModel(noc_bw=64),
        "physical, all costs": PhysicalModel(),
    }
    for label, model in models.items():

        def check(model: Any = model, label: str = label) -> None:
            found, expected = model.evaluate(few_tensors), model.evaluate(few)
            for figure in ("latency_cycles", "valid", "reason"):
                near(getattr(found, figure), getattr(expected, figure), f"{label}: {figure}", 0.0)
            for figure in FIGURES:
                near(getattr(found, figure), getattr(expected, figure), f"{label}: {figure}")

        yield label, lambda model=model: model.evaluate(tensors), check
    cycles = MaestroModel().latency(few)
    yield (
        "maestro, latency",
        lambda: MaestroModel().latency(tensors),
        lambda: near(MaestroModel().latency(few_tensors), cycles, "maestro: latency", 0.0),
    )
    if compiles:
        from accelgym.costmodels.maestro.compiled import compiled_latency

        columns = [torch.as_tensor(given[name], device=device).to(torch.float64) for name in NAMES]
        fused = compiled_latency()
        yield (
            "maestro, latency, compiled",
            lambda: fused(*columns),
            lambda: near(fused(*(c[: len(cycles)] for c in columns)), cycles, "maestro: compiled latency", 0.0),
        )


def nest_lines(count: int, device: str, compiles: bool) -> Iterator[Line]:
    """The ranking path of the loop nest, float32."""
    problem, machine = PROBLEMS["conv"], preset("eyeriss_thistle")
    model = LoopnestModel(problem, machine)
    batch = sample_mappings(problem, machine, count, np.random.default_rng(0))
    columns = [torch.as_tensor(a, device=device).to(torch.float32) for a in (batch.factors, batch.ranks)]
    few = min(count, CHECKED)
    exact = model.evaluate(batch[:few])

    def check(score: Callable[..., Any], label: str) -> None:
        energy, cycles, valid = score(*(c[..., :few].contiguous() for c in columns))
        near(valid, exact.valid, f"{label}: valid", 0.0)
        near(to_numpy(energy)[exact.valid], exact.energy_pj[exact.valid], f"{label}: energy", 1e-5)
        near(to_numpy(cycles)[exact.valid], exact.latency_cycles[exact.valid], f"{label}: cycles", 1e-5)

    yield "loopnest, score", lambda: model.score(*columns), lambda: check(model.score, "loopnest")
    if compiles:
        from accelgym.costmodels.loopnest.compiled import compile_score

        fused = compile_score(model, device=device)
        yield "loopnest, score, compiled", lambda: fused(*columns), lambda: check(fused, "loopnest compiled")


def rate(run: Callable[[], Any], count: int, device: str, repeats: int) -> float:
    """Designs per second of wall time, the best of some runs after one that is not counted."""

    def wait() -> None:
        if device != "cpu":
            torch.cuda.synchronize()

    best = float("inf")
    for _ in range(1 + repeats):
        wait()
        start = time.perf_counter()
        run()
        wait()
        best = min(best, time.perf_counter() - start)
    return count / best


def main() -> None:
    """Prints a line per model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--count", type=int, default=10_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=300.0, help="no line starts later than this")
    parser.add_argument("--compile", action="store_true", help="also what torch compiles")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if given.device != "cpu" and not torch.cuda.is_available():
        raise SystemExit("no GPU; to try the script: --device cpu --count 2000")
    start, table = time.perf_counter(), {}
    print(f"{'designs per second, N = ' + str(given.count):44s} {'rate':>10s}")
    for lines in (resource_lines, nest_lines):
        for label, run, check in lines(given.count, given.device, given.compile):
            if time.perf_counter() - start > given.seconds:
                print("out of time", file=sys.stderr)
                break
            check()
            table[label] = rate(run, given.count, given.device, given.repeats)
            print(f"{label:44s} {table[label]:10.2e}", flush=True)
    if given.json:
        name = torch.cuda.get_device_name() if given.device != "cpu" else "cpu"
        given.json.write_text(json.dumps({"device": name, "count": given.count, "rates": table}, indent=2))


if __name__ == "__main__":
    main()

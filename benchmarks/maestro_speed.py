"""Speed of the MAESTRO models: designs per CPU-second, one thread, in NumPy and in machine code (extra ``fast``).

Run as ``python benchmarks/maestro_speed.py [--compile]``. Rates are the best of several repetitions, since a shared
machine only ever makes a run slower; the ratios of one run are what to compare.

Measured beside much other work on two cores (AMD EPYC, AVX2, N = 1e5), machine code before it moved columns itself and
now, medians of eleven, the two one after the other:

    all costs, compat, mixed dataflows               7.4e6   1.4e7
    latency, compat, mixed dataflows                 1.4e7   2.9e7
    all costs, physical, mixed                       2.3e6   4.3e6

Finding the rows of each dataflow takes 5 ns a design of the 34, the rest is gathering, arithmetic and scattering.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np

from accelgym.costmodels import kernels
from accelgym.costmodels.maestro import MaestroModel
from accelgym.costmodels.maestro.designs import Dataflow, ResourceDesigns
from accelgym.costmodels.maestro.physical import PhysicalModel

PROGRAM_CPU_S = {"MAESTRO program, as shipped": 5.2e-3, "MAESTRO program, built with -O2": 2.4e-3}
"""CPU-seconds per call, measured once on another machine: a process per design, as ConfuciuX runs it."""
NAMES = ("K", "C", "Y", "X", "R", "S", "num_pes", "buffer_level", "dataflow")


def random_designs(count: int, dataflow: Dataflow | None, seed: int = 0) -> ResourceDesigns:
    """Draws designs over layers like those of convolutional networks; ``None`` mixes dla, eye and shi."""
    rng = np.random.default_rng(seed)
    kernel = rng.choice([1, 3, 5, 7], count)
    return ResourceDesigns(
        K=rng.integers(1, 513, count),
        C=rng.integers(1, 513, count),
        Y=kernel - 1 + rng.integers(1, 113, count),
        X=kernel - 1 + rng.integers(1, 113, count),
        R=kernel,
        S=kernel,
        depthwise=np.array(False),
        dataflow=rng.integers(0, 3, count) if dataflow is None else np.array(int(dataflow)),
        num_pes=rng.integers(1, 129, count),
        buffer_level=rng.integers(1, 13, count),
    )


def rate(run: Callable[[], object], count: int, repeats: int = 9) -> float:
    """Returns designs per CPU-second, the best of the repetitions."""
    run()
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        run()
        best = min(best, time.process_time() - start)
    return count / best


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--compile", action="store_true", help="also the latency compiled by torch")
    arguments = parser.parse_args()
    count = arguments.count
    print(f"{'designs per CPU-second, N = ' + str(count):52s} {'NumPy':>10s} {'compiled':>10s}")
    reference = 0.0
    for label, run in cases(count):
        kernels.WORTH_COMPILING = sys.maxsize
        plain = rate(run, count, 5)
        kernels.WORTH_COMPILING = 0
        compiled = f"{rate(run, count):10.2e}" if kernels.is_available() else "no Numba"
        reference = reference or plain
        print(f"{label:52s} {plain:10.2e} {compiled:>10s}", flush=True)
    for label, speed in compiled_rows(count) if arguments.compile else ():
        print(f"{label:52s} {'':10s} {speed:10.2e}")
    for label, seconds in PROGRAM_CPU_S.items():
        print(f"{label:52s} {1 / seconds:10.2e}   1/{reference * seconds:,.0f} of the first line")


def cases(count: int) -> Iterator[tuple[str, Callable[[], object]]]:
    """What is timed, by name."""
    for compat in (True, False):
        model = MaestroModel(compat=compat)
        for dataflow in (None, Dataflow.DLA, Dataflow.EYE, Dataflow.SHI):
            designs = random_designs(count, dataflow)
            label = f"{model.version}, {'mixed' if dataflow is None else dataflow.name.lower()}"
            yield f"all costs, {label}", lambda m=model, d=designs: m.evaluate(d)
            yield f"latency, {label}", lambda m=model, d=designs: m.latency(d)
    mixed = random_designs(count, None)
    for compat in (True, False):
        narrow = MaestroModel(compat=compat, noc_bw=64)
        yield f"all costs, {narrow.version}, mixed, 64 elements/cycle", lambda m=narrow: m.evaluate(mixed)
    yield "all costs, physical, mixed", lambda: PhysicalModel().evaluate(mixed)


def compiled_rows(count: int) -> list[tuple[str, float]]:
    """Rates of the compiled latency."""
    import torch

    from accelgym.costmodels.maestro.compiled import compiled_latency

    torch.set_num_threads(1)
    designs = random_designs(count, None)
    tensors = [torch.as_tensor(np.asarray(getattr(designs, name)), dtype=torch.float64) for name in NAMES]
    rows = []
    for compat in (True, False):
        compiled = compiled_latency(compat=compat)
        found = compiled(*tensors).numpy()
        if not np.array_equal(found, MaestroModel(compat=compat).latency(designs)):
            raise SystemExit("the compiled latency differs")
        label = f"torch.compile, latency, {MaestroModel(compat=compat).version}, mixed"
        rows.append((label, rate(lambda run=compiled: run(*tensors), count)))
    return rows


if __name__ == "__main__":
    main()

"""Verifies random accelerators and reports how many are exact, by operand type, and what it takes.

python benchmarks/rtl_verification.py --first 0 --count 20 --largest 8 --json results/rtl.json
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections import Counter
from pathlib import Path

import numpy as np

from accelgym.hwgen.cache import ContentCache
from accelgym.hwgen.sampling import OPERAND_TYPES, draw_config, draw_layers, draw_tiling
from accelgym.hwgen.verification import verify


def _cpu_seconds() -> float:
    """Of this process and of the tools it ran."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def main() -> None:
    """Runs the sweep and prints its numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0, help="seed of the first accelerator")
    parser.add_argument("--count", type=int, default=20, help="accelerators to try")
    parser.add_argument("--largest", type=int, default=8, help="most rows and columns")
    parser.add_argument("--cache", type=Path, default=None, help="folder of the cache; the user's when left out")
    parser.add_argument("--json", type=Path, default=None, help="file for the numbers")
    arguments = parser.parse_args()
    cache = ContentCache(arguments.cache)
    tried: Counter[str] = Counter()
    exact: Counter[str] = Counter()
    cpu: list[float] = []
    cached: list[float] = []
    failures = []
    for seed in range(arguments.first, arguments.first + arguments.count):
        generator = np.random.default_rng([11, seed])
        config = draw_config(generator, arguments.largest, input_type=OPERAND_TYPES[seed % len(OPERAND_TYPES)])
        drawn = [(layer, draw_tiling(generator, config, layer)) for layer in draw_layers(generator)]
        pairs = [(layer, tiling) for layer, tiling in drawn if tiling is not None]
        layers, tilings = [layer for layer, _ in pairs], [tiling for _, tiling in pairs]
        start = _cpu_seconds()
        record = verify(config, layers, seed, tilings=tilings, cache=cache)
        cpu.append(_cpu_seconds() - start)
        wall = time.perf_counter()
        verify(config, layers, seed, tilings=tilings, cache=cache)
        cached.append(time.perf_counter() - wall)
        operands = {datatype.name for datatype in (*config.inputs, *config.weights)}
        for name in operands | ({config.scale_type} if config.scale_type else set()):
            tried[name] += 1
            exact[name] += record.verified
        if not record.verified:
            failures.append(config.model_dump(mode="json"))
        print(f"{seed}: {'exact' if record.verified else 'NOT EXACT'}, {cpu[-1]:.1f} CPU-s", flush=True)
    numbers = {
        "tried": len(cpu),
        "exact": len(cpu) - len(failures),
        "by_type": {name: f"{exact[name]}/{tried[name]}" for name in sorted(tried)},
        "cpu_seconds_median": float(np.median(cpu)),
        "cpu_seconds_largest": max(cpu),
        "cached_milliseconds_median": float(np.median(cached)) * 1000,
        "failures": failures,
    }
    print(json.dumps(numbers, indent=1))
    if arguments.json is not None:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(numbers, indent=1))


if __name__ == "__main__":
    main()

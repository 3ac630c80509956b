"""What the mapping oracle proves on every preset: a Markdown table of gaps where a proof ends.

Run: ``OMP_NUM_THREADS=1 python benchmarks/oracle_coverage.py [--workload resnet18] [--layer 2]
[--preset NAME]``.
"""

from __future__ import annotations

import argparse
import time

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.timeloop.presets import preset, preset_names
from accelgym.envs import MappingTask

OPTIONS: dict[str, dict[str, str | bool]] = {
    "energy": {"objective": "energy"},
    "latency": {"objective": "latency"},
    "EDP": {"objective": "edp"},
    "energy, bypass": {"objective": "energy", "bypass": True},
}
PROVEN = 1.001e-3


def cell(name: str, options: dict[str, str | bool], chosen: argparse.Namespace) -> str:
    """Proven and in how many seconds, the gap of the bound, or unsupported."""
    begin = time.perf_counter()
    try:
        task = MappingTask(workload=chosen.workload, layer=chosen.layer, architecture=name, **options)
        found = task.solve(tolerance=1e-3, seconds=chosen.seconds)
    except InputError as error:
        return "no mapping fits" if str(error).startswith("no mapping") else "unsupported"
    certificate = task.certify(found, time.perf_counter() - begin)
    if certificate.gap <= PROVEN:
        return f"proven, {found.seconds:.1f} s"
    return f"bound, gap {certificate.gap:.1%}"


def main() -> None:
    """Measures and prints, preset by preset."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--seconds", type=float, help="time limit per cell; by default a number of nodes, the same everywhere"
    )
    parser.add_argument("--workload", default="resnet18")
    parser.add_argument("--layer", type=int, default=2)
    parser.add_argument("--preset", action="append", choices=preset_names(), help="repeatable; all by default")
    chosen = parser.parse_args()
    print(f"| preset | levels | {' | '.join(OPTIONS)} |\n|---|---:|{'---|' * len(OPTIONS)}")
    for name in chosen.preset or preset_names():
        cells = [cell(name, options, chosen) for options in OPTIONS.values()]
        print(f"| `{name}` | {len(preset(name).levels)} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()

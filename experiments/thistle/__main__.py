"""``python -m accelgym.experiments.thistle --out results/thistle [--machine eyeriss --objective energy ...]``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from accelgym.costmodels.architecture.presets import preset
from accelgym.costmodels.architecture.problem import Problem
from accelgym.costmodels.errors import InputError
from accelgym.experiments.memory_access.figure import save_figure
from accelgym.experiments.thistle.figure import layers_figure
from accelgym.experiments.thistle.proofs import LAYERS, Proof, prove, prove_problem
from accelgym.experiments.thistle.table import format_table, write_csv
from accelgym.experiments.thistle.variants import MACHINES

_GEMM = Problem.gemm("GEMM 4096^3", I=4096, J=4096, L=4096)


def main(arguments: list[str] | None = None) -> None:
    """Proves layers; writes proofs.csv, table.md and layers.png, and the table to standard output."""
    parser = argparse.ArgumentParser(prog="accelgym.experiments.thistle", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--machine", choices=list(MACHINES), default="eyeriss")
    parser.add_argument("--objective", choices=["energy", "latency", "edp"], default="energy")
    parser.add_argument("--every", type=int, default=1, help="only every so many layers")
    parser.add_argument("--seconds", type=float, default=30.0, help="time limit per layer")
    parser.add_argument("--budget", type=int, default=2000, help="evaluations of the heuristics; 0 runs none")
    parser.add_argument("--gemm", action="store_true", help="prove GEMM 4096^3 on two presets instead of the layers")
    chosen = parser.parse_args(arguments)
    try:
        proofs = list(_run(chosen))
        chosen.out.mkdir(parents=True, exist_ok=True)
        write_csv(chosen.out / "proofs.csv", proofs)
        table = format_table(proofs)
        (chosen.out / "table.md").write_text(table + "\n", encoding="utf-8")
        save_figure(layers_figure(proofs), chosen.out / "layers.png")
    except InputError as error:
        parser.error(str(error))
    sys.stdout.write(f"{table}\n")


def _run(chosen: argparse.Namespace) -> list[Proof]:
    if chosen.gemm:
        return [
            prove_problem(_GEMM, name, preset(name), chosen.objective, seconds=chosen.seconds)
            for name in ("eyeriss_thistle", "tpu_like")
        ]
    machine = MACHINES[chosen.machine]()
    limits = {"seconds": chosen.seconds, "budget": chosen.budget}
    return [
        prove(workload, layer, chosen.machine, machine, chosen.objective, **limits)
        for workload, layer in LAYERS[:: chosen.every]
    ]


if __name__ == "__main__":
    main()

"""``python -m accelgym.experiments.thistle --out results/thistle [--machine eyeriss --objective energy ...]``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.pictures import save_figure
from accelgym.costmodels.files.whole_file import write_whole
from accelgym.costmodels.timeloop.presets import preset
from accelgym.experiments.thistle.codesign import study
from accelgym.experiments.thistle.figure import layers_figure, study_figure
from accelgym.experiments.thistle.proofs import LAYERS, Proof, prove, prove_problem
from accelgym.experiments.thistle.table import format_study, format_table, write_csv
from accelgym.experiments.thistle.variants import MACHINES

_GEMM = LoopNest.gemm("GEMM 4096^3", I=4096, J=4096, L=4096)


def main(arguments: list[str] | None = None) -> None:
    """Proves layers; writes proofs.csv, table.md and a figure, and the table to standard output."""
    parser = argparse.ArgumentParser(prog="accelgym.experiments.thistle", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--machine", choices=list(MACHINES), default="eyeriss")
    parser.add_argument("--objective", choices=["energy", "latency", "edp"], default="energy")
    parser.add_argument("--every", type=int, default=1, help="only every so many layers")
    parser.add_argument(
        "--seconds", type=float, help="time limit per layer; by default a number of nodes, the same everywhere"
    )
    parser.add_argument("--budget", type=int, default=2000, help="evaluations of the heuristics; 0 runs none")
    parser.add_argument("--gemm", action="store_true", help="prove GEMM 4096^3 on two presets instead of the layers")
    parser.add_argument("--codesign", action="store_true", help="compare Eyeriss with machines of equal area")
    parser.add_argument("--minimum", action="store_true", help="with --codesign: prove which one machine is best")
    parser.add_argument("--network", choices=["resnet18", "yolo9000"], help="only the layers of one network")
    chosen = parser.parse_args(arguments)
    if chosen.codesign and chosen.objective == "edp":
        parser.error("--objective is edp, allowed energy or latency with --codesign: products do not add up")
    if chosen.minimum and not chosen.codesign:
        parser.error("--minimum needs --codesign")
    try:
        if chosen.codesign:
            found = study(_layers(chosen), chosen.objective, seconds=chosen.seconds, minimum=chosen.minimum)
            proofs = [proof for group in found.groups.values() for proof in group]
            table, name, figure = format_study(found), "codesign.png", study_figure([found])
        else:
            proofs = _run(chosen)
            table, name, figure = format_table(proofs), "layers.png", layers_figure(proofs)
        chosen.out.mkdir(parents=True, exist_ok=True)
        write_csv(chosen.out / "proofs.csv", proofs)
        write_whole(chosen.out / "table.md", table + "\n")
        save_figure(figure, chosen.out / name)
    except InputError as error:
        parser.error(str(error))
    sys.stdout.write(f"{table}\n")


def _layers(chosen: argparse.Namespace) -> list[tuple[str, int]]:
    layers = [x for x in LAYERS if chosen.network is None or x[0] == f"thistle/{chosen.network}"]
    return layers[:: chosen.every]


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
        for workload, layer in _layers(chosen)
    ]


if __name__ == "__main__":
    main()

"""``python -m accelgym.experiments.codesign --out results/codesign``: resumes; writes table.md and pareto.png.

With ``--train``, ``--test`` and ``--teacher`` it studies a user's images, CIFAR-10 in its binary form say, in the space
up to ResNet-32 and with a floor of 85 %.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from accelgym.costmodels.errors import AccelGymError
from accelgym.costmodels.files.pictures import save_figure
from accelgym.costmodels.files.whole_file import write_whole
from accelgym.experiments.codesign.figure import format_table, pareto_figure
from accelgym.experiments.codesign.images import file_task, glyph_task
from accelgym.experiments.codesign.study import Evaluation, StudySettings, run_study


def main(arguments: list[str] | None = None) -> None:
    """Trains and maps what is not there yet, and writes table and picture."""
    parser = argparse.ArgumentParser(prog="accelgym.experiments.codesign", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--train", type=Path, nargs="+", help="files of training images: .npz or CIFAR-10's .bin")
    parser.add_argument("--test", type=Path, nargs="+", help="files of test images")
    parser.add_argument("--teacher", help="FILE.pt2 or package:factory")
    parser.add_argument("--weights", type=Path, help="weights of the teacher, safetensors")
    parser.add_argument("--scale", choices=("small", "cifar"), help="space; by default cifar for files, else small")
    parser.add_argument("--floor", type=float, help="least accuracy, 0 to 1; by default 0.85 for files, else 0.5")
    parser.add_argument("--evaluations", type=int, default=12, help="of each of the three searches")
    parser.add_argument("--images", type=int, default=3000, help="rendered images to learn from")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--nodes", type=int, default=5, help="of the proof of a layer's mapping")
    chosen = parser.parse_args(arguments)
    files = chosen.train is not None
    if not files == (chosen.test is not None) == (chosen.teacher is not None):
        parser.error("--train, --test and --teacher go together")
    if chosen.weights is not None and not files:
        parser.error("--weights goes with --teacher")
    if chosen.images < 1:
        parser.error(f"--images is {chosen.images}, allowed >= 1")
    import torch

    torch.set_num_threads(1)
    try:
        settings = StudySettings(
            scale=chosen.scale or ("cifar" if files else "small"),
            floor=chosen.floor if chosen.floor is not None else 0.85 if files else 0.5,
            evaluations=chosen.evaluations,
            seed=chosen.seed,
            nodes=chosen.nodes,
        )
        if files:
            task = file_task(chosen.train, chosen.test, chosen.teacher, chosen.weights)
        else:
            task = glyph_task(chosen.images)
        rows = run_study(chosen.out, task, settings, progress=_show)
        table = format_table(rows, settings.floor)
        write_whole(chosen.out / "table.md", table)
        figure = pareto_figure(rows, settings.floor, task.teacher_accuracy["validation"])
        save_figure(figure, chosen.out / "pareto.png", dpi=130)
    except AccelGymError as error:
        parser.error(str(error))
    sys.stdout.write(table)


def _show(row: Evaluation) -> None:
    sys.stderr.write(f"{row.mode}: {row.accuracy:.1%}, {row.energy_pj / 1e6:.2f} uJ, {row.cpu_s:.1f} CPU-s\n")


if __name__ == "__main__":
    main()

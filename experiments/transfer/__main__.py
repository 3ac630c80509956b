"""``python -m accelgym.experiments.transfer --out results/transfer``: resumes; writes runs.jsonl and table.md."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from accelgym.agents.transfer import TrainingOptions
from accelgym.costmodels.errors import AccelGymError
from accelgym.costmodels.files.whole_file import write_whole
from accelgym.experiments.transfer.study import FAMILY, run_study
from accelgym.experiments.transfer.table import format_table


def main(arguments: list[str] | None = None) -> None:
    """Trains, searches what is not there yet, and writes the tables."""
    parser = argparse.ArgumentParser(prog="accelgym.experiments.transfer", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--family", type=Path, default=FAMILY)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--lengths", default="1,10,200", help="evaluations of the searches")
    parser.add_argument("--evaluations", type=int, help="of each training")
    chosen = parser.parse_args(arguments)
    try:
        lengths = tuple(int(text) for text in chosen.lengths.split(","))
    except ValueError:
        parser.error(f"--lengths is {chosen.lengths!r}, allowed: numbers with commas between them")
    if chosen.seeds < 1 or min(lengths) < 1:
        parser.error("--seeds and --lengths: allowed >= 1")
    try:
        options = TrainingOptions() if chosen.evaluations is None else TrainingOptions(evaluations=chosen.evaluations)
        runs = run_study(chosen.out, family=chosen.family, seeds=chosen.seeds, evaluations=lengths, options=options)
        table = format_table(runs)
        write_whole(chosen.out / "table.md", table)
    except AccelGymError as error:
        parser.error(str(error))
    sys.stdout.write(f"{table}\n")


if __name__ == "__main__":
    main()

"""``python -m accelgym.experiments.joint --out results/joint [--cpu-limit 1500]``; the same command resumes."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.whole_file import write_whole
from accelgym.experiments.joint.study import LEARNED_BUDGETS, jobs, run_study
from accelgym.experiments.joint.tables import format_study


def _show(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def main(arguments: list[str] | None = None) -> None:
    """Measures what is missing and writes ``table.md``."""
    parser = argparse.ArgumentParser(prog="accelgym.experiments.joint", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cpu-limit", type=float, default=float("inf"), help="begin nothing after so many CPU seconds")
    parser.add_argument("--fast-seeds", type=int, default=5, help="of random search, GA, annealing and NSGA-II")
    parser.add_argument("--learned-seeds", type=int, default=5, help="of the policy gradients")
    parser.add_argument("--learned-budgets", type=int, nargs="+", default=LEARNED_BUDGETS, help="their evaluations")
    chosen = parser.parse_args(arguments)
    try:
        planned = jobs(chosen.fast_seeds, chosen.learned_seeds, chosen.learned_budgets)
        records = run_study(chosen.out, planned, _show, chosen.cpu_limit)
    except InputError as error:
        parser.error(str(error))
    write_whole(chosen.out / "table.md", format_study(records))


if __name__ == "__main__":
    main()

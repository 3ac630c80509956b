"""``python -m accelgym.experiments.multi_agent --out results/multi_agent``: resumes; writes runs.csv and table.md."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from accelgym.costmodels.errors import AccelGymError
from accelgym.costmodels.files.whole_file import write_whole
from accelgym.experiments.multi_agent.study import format_table, run_study, write_csv


def main(arguments: list[str] | None = None) -> None:
    """Runs what is not there yet, and writes the tables."""
    parser = argparse.ArgumentParser(prog="accelgym.experiments.multi_agent", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--budget", type=int, default=1000, help="evaluations of each search")
    chosen = parser.parse_args(arguments)
    try:
        records = run_study(chosen.out, seeds=chosen.seeds, budget=chosen.budget)
        write_csv(records, chosen.out / "runs.csv")
        table = format_table(records)
        write_whole(chosen.out / "table.md", table + "\n")
    except AccelGymError as error:
        parser.error(str(error))
    sys.stdout.write(f"{table}\n")


if __name__ == "__main__":
    main()

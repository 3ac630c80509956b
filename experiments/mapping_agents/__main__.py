"""``python -m accelgym.experiments.mapping_agents --out results/mapping_agents [--config my.yaml]``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.whole_file import write_whole
from accelgym.experiments.config import load_config
from accelgym.experiments.mapping_agents.table import THISTLE, format_table, run_searches, write_csv


def main(arguments: list[str] | None = None) -> None:
    """Runs the searches; writes runs.csv and table.md, and the table to standard output."""
    parser = argparse.ArgumentParser(prog="accelgym.experiments.mapping_agents", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--config", type=Path, default=THISTLE, help="a benchmark of mapping tasks")
    chosen = parser.parse_args(arguments)
    try:
        config, _ = load_config(chosen.config)
        runs = list(run_searches(config))
    except InputError as error:
        parser.error(str(error))
    chosen.out.mkdir(parents=True, exist_ok=True)
    write_csv(chosen.out / "runs.csv", runs)
    table = format_table(runs)
    write_whole(chosen.out / "table.md", table + "\n")
    sys.stdout.write(f"{table}\n")


if __name__ == "__main__":
    main()

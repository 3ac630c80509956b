"""``python -m accelgym.experiments.datatypes --out results/datatypes``; the same command resumes."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.whole_file import write_whole
from accelgym.experiments.datatypes.study import run_study
from accelgym.experiments.datatypes.tables import format_study


def _show(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def main(arguments: list[str] | None = None) -> None:
    """Measures what is missing and writes ``table.md``."""
    parser = argparse.ArgumentParser(prog="accelgym.experiments.datatypes", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args(arguments).out
    try:
        records = run_study(out, _show)
    except InputError as error:
        parser.error(str(error))
    write_whole(out / "table.md", format_study(records))


if __name__ == "__main__":
    main()

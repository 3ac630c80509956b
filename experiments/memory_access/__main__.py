"""``python -m accelgym.experiments.memory_access [--M 8 --P 16 --R 3 --M2 2 --P2 4] [--engine v3.0.3]``."""

from __future__ import annotations

import argparse
import sys

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.loopnest import ENGINES
from accelgym.experiments.memory_access.dataflows import format_accesses, memory_accesses


def main(arguments: list[str] | None = None) -> None:
    """Writes the table of the five dataflows to standard output."""
    parser = argparse.ArgumentParser(prog="accelgym.experiments.memory_access", description=__doc__)
    for name, default in (("M", 8), ("P", 16), ("R", 3), ("M2", 2), ("P2", 4)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--engine", choices=ENGINES, default="head")
    chosen = parser.parse_args(arguments)
    try:
        table = format_accesses(memory_accesses(**vars(chosen)))
    except InputError as error:
        parser.error(str(error))
    sys.stdout.write(f"{table}\n")


if __name__ == "__main__":
    main()

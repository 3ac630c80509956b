"""``python -m accelgym.experiments.reproductions NAME --out DIR``: writes claims.csv and page.md."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from accelgym.costmodels.errors import AccelGymError
from accelgym.experiments.reproductions.claims import Reproduction

NAMES = ("airchitect", "archgym", "confuciux", "mappers", "memory_access", "thistle", "voyager")


def main(arguments: list[str] | None = None) -> None:
    """Tries one work, and prints its page."""
    parser = argparse.ArgumentParser(prog="accelgym.experiments.reproductions", description=__doc__)
    parser.add_argument("name", choices=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path, help="airchitect: the released file of convolutions")
    parser.add_argument("--every", type=int, default=6, help="thistle: only every so many layers")
    chosen = parser.parse_args(arguments)
    if chosen.data is not None and chosen.name != "airchitect":
        parser.error("--data goes with airchitect")
    if chosen.every < 1:
        parser.error(f"--every is {chosen.every}, allowed >= 1")
    options = {"airchitect": {"data": chosen.data}, "thistle": {"every": chosen.every}}.get(chosen.name, {})
    module = import_module(f"accelgym.experiments.reproductions.{chosen.name}")
    reproduce: Callable[..., Reproduction] = module.reproduce
    try:
        found = reproduce(**options)
        found.write(chosen.out)
    except AccelGymError as error:
        parser.error(str(error))
    sys.stdout.write(found.markdown())


if __name__ == "__main__":
    main()

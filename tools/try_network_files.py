"""Tries every network file below folders and prints which load, which are refused, and why.

Usage: python tools/try_network_files.py FOLDER... [--pes 256] [--all]

A file is one with a suffix that the importers know. Networks of MAESTRO that state dataflows are also given to the
``maestro`` model with ``--pes`` PEs; bare dataflows are given ResNet-18. The output has a line per folder and reason
(``--all``: per file), and the counts of docs/network_files.md.
"""

from __future__ import annotations

import argparse
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from accelgym.costmodels.errors import AccelGymError, InputError
from accelgym.costmodels.maestro import CONFUCIUX_NOC_BW
from accelgym.costmodels.maestro.dataflow_file import evaluate_mapped, read_mapped
from accelgym.costmodels.workloads.importers import FILE_SUFFIXES, import_file
from accelgym.costmodels.workloads.importers.maestro_language import read_maestro

PROBE = "confuciux/resnet18"
"""Layers for bare dataflows."""


@dataclass(frozen=True)
class Found:
    """What became of one file in one use."""

    path: Path
    use: str
    layers: int
    macs: int
    reason: str
    """Empty where the file was taken."""


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--pes", type=int, default=256, help="PEs for dataflows")
    parser.add_argument("--all", action="store_true", help="print a line per file")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    for folder in arguments.folders:
        found = list(try_folder(folder, arguments.pes))
        for use in dict.fromkeys(entry.use for entry in found):
            chosen = [entry for entry in found if entry.use == use]
            taken = [entry for entry in chosen if not entry.reason]
            print(f"{folder}: {use}: {len(chosen)} tried, {len(taken)} taken, {len(chosen) - len(taken)} refused")
            for reason, count in Counter(entry.reason for entry in chosen if entry.reason).most_common():
                print(f"  {count:4} {reason}")
            if arguments.all:
                for entry in chosen:
                    what = entry.reason or f"{entry.layers} layers, {entry.macs} MACs"
                    print(f"  {entry.path.relative_to(folder)}: {what}")


def try_folder(folder: Path, pes: int) -> Iterator[Found]:
    """Yields what became of every file with a known suffix."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in FILE_SUFFIXES or not path.is_file():
            continue
        if path.suffix.lower() == ".m":
            yield from _dataflow(path, pes)
            if _is_bare_dataflow(path):
                continue
        try:
            workload = import_file(path)
            yield Found(path, "networks", len(workload.layers), workload.macs, "")
        except AccelGymError as error:
            yield Found(path, "networks", 0, 0, _reason(path, error))


def _dataflow(path: Path, pes: int) -> Iterator[Found]:
    try:
        found = read_maestro(path)
        if not found.dataflow and not any(block.dataflow for block in found.layers):
            return
        mapped = read_mapped(PROBE, path) if _is_bare_dataflow(path) else read_mapped(str(path), None)
        _, costs = evaluate_mapped(mapped, pes, CONFUCIUX_NOC_BW)
        invalid = int((~costs.valid).sum())
        yield Found(
            path, "dataflows", len(mapped), sum(x.layer.macs for x in mapped), f"{invalid} invalid" * (invalid > 0)
        )
    except AccelGymError as error:
        yield Found(path, "dataflows", 0, 0, _reason(path, error))


def _is_bare_dataflow(path: Path) -> bool:
    try:
        found = read_maestro(path)
    except InputError:
        return False
    return bool(found.dataflow) and not found.layers


def _reason(path: Path, error: AccelGymError) -> str:
    """The message without its place, names and numbers, so that equal reasons count together."""
    text = re.sub(r"^[\d:]*:? ?", "", str(error).removeprefix(str(path)))
    text = re.sub(r"'[^']*'", "'...'", text.split(", allowed")[0].split("; known")[0])
    return re.sub(r"\d+", "#", text)


if __name__ == "__main__":
    main()

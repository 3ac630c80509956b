"""``python -m accelgym.experiments.fidelity --out results/fidelity``: resumes part by part; writes table.md."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from accelgym.costmodels.errors import AccelGymError
from accelgym.costmodels.files.whole_file import write_whole
from accelgym.dse_dataset.load import load_dataset
from accelgym.experiments.fidelity.comparison import WORKLOADS, ComparedRow, compare, format_comparison
from accelgym.experiments.fidelity.study import (
    ANALYTIC,
    LadderRow,
    ToolRow,
    grid_cases,
    ladder,
    measured_cases,
    run_tools,
)
from accelgym.experiments.fidelity.table import format_ladder, format_rules, format_tools, ladder_csv
from accelgym.experiments.measured_hardware import SAMPLE
from accelgym.experiments.study_log import StudyLog


def main(arguments: list[str] | None = None) -> None:
    """Makes the parts that are not there yet, and writes table.md and ladder.csv."""
    parser = argparse.ArgumentParser(prog="accelgym.experiments.fidelity", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=SAMPLE, help="dataset of preset synthesis")
    parser.add_argument("--designs", type=int, default=40, help="accelerators drawn for the larger layer")
    parser.add_argument("--seed", type=int, default=0, help="of these draws")
    parser.add_argument("--tools", type=int, default=3, help="measured accelerators that are built again; 0: none")
    parser.add_argument("--compare", type=int, metavar="SEEDS", help="compare agents instead, with so many seeds")
    chosen = parser.parse_args(arguments)
    if chosen.compare is not None and chosen.compare < 1:
        parser.error(f"--compare is {chosen.compare}, allowed >= 1")
    for name, least in (("designs", 2), ("seed", 0), ("tools", 0)):
        if getattr(chosen, name) < least:
            parser.error(f"--{name} is {getattr(chosen, name)}, allowed >= {least}")
    try:
        if chosen.compare is not None:
            _compare(chosen.out, chosen.compare)
            return
        measured = measured_cases(chosen.data)
        drawn = f"{chosen.designs} drawn accelerators, 64 filters of 3 x 3 on 64 x 14 x 14"
        plan = {"data": load_dataset(chosen.data).manifest["content_sha256"]}
        log = StudyLog(chosen.out / "ladder.jsonl", ("part",), plan)
        rows: list[LadderRow] = []
        for level in ANALYTIC:
            make = partial(ladder, f"{len(measured)} measured accelerators, a small product each", measured, [level])
            rows += log.part(f"measured-{level}", LadderRow, make)
        for level in ANALYTIC:
            name = f"drawn-{chosen.designs}-{chosen.seed}-{level}"
            rows += log.part(name, LadderRow, partial(_drawn, drawn, chosen, level))
        table = f"{format_rules()}\n{format_ladder(rows)}"
        if chosen.tools:
            built: list[ToolRow] = []
            for place, case in enumerate(measured[: chosen.tools]):
                built += log.part(f"built-{place}", ToolRow, partial(run_tools, [case]))
            table += f"\n{format_tools(built)}"
        write_whole(chosen.out / "ladder.csv", ladder_csv(rows))
        write_whole(chosen.out / "table.md", table)
    except AccelGymError as error:
        parser.error(str(error))
    sys.stdout.write(table)


def _compare(out: Path, seeds: int) -> None:
    """Writes comparison.md."""
    log = StudyLog(out / "comparison.jsonl", ("part",))
    rows: list[ComparedRow] = []
    for workload in WORKLOADS:
        rows += log.part(f"{workload}-{seeds}", ComparedRow, partial(compare, workload, range(seeds)))
    table = format_comparison(rows)
    write_whole(out / "comparison.md", table)
    sys.stdout.write(table)


def _drawn(name: str, chosen: argparse.Namespace, level: str) -> list[LadderRow]:
    return ladder(name, grid_cases(chosen.designs, chosen.seed), [level])


if __name__ == "__main__":
    main()

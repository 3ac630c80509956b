"""``python -m accelgym.experiments.proxy --out results/proxy``: resumes part by part; writes table.md."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from accelgym.costmodels.errors import AccelGymError
from accelgym.costmodels.files.json_file import read_sealed, write_sealed
from accelgym.costmodels.files.whole_file import write_whole
from accelgym.experiments.proxy.diversity import DiversityRow, diversity_study
from accelgym.experiments.proxy.few_shot import FewShotRow, few_shot_study
from accelgym.experiments.proxy.measured import SAMPLE, MeasuredRow, measured_study
from accelgym.experiments.proxy.table import format_diversity, format_few_shot, format_measured

_Row = TypeVar("_Row", DiversityRow, MeasuredRow, FewShotRow)


def main(arguments: list[str] | None = None) -> None:
    """Makes the parts that are not there yet, and writes the tables."""
    parser = argparse.ArgumentParser(prog="accelgym.experiments.proxy", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", type=Path, default=SAMPLE, help="dataset of preset synthesis")
    chosen = parser.parse_args(arguments)
    if chosen.seeds < 1:
        parser.error(f"--seeds is {chosen.seeds}, allowed >= 1")
    seeds = range(chosen.seeds)
    try:
        measured = _part(chosen.out / "measured.json", MeasuredRow, lambda: measured_study(chosen.data))
        adapted = _parts(chosen.out, "few-shot", FewShotRow, few_shot_study, seeds)
        diverse = _parts(chosen.out, "diversity", DiversityRow, diversity_study, seeds)
        table = "\n".join((format_diversity(diverse), format_measured(measured), format_few_shot(adapted)))
        write_whole(chosen.out / "table.md", table)
    except AccelGymError as error:
        parser.error(str(error))
    sys.stdout.write(table)


def _parts(out: Path, name: str, kind: type[_Row], make: Callable[[int], Sequence[_Row]], seeds: range) -> list[_Row]:
    found: list[_Row] = []
    for seed in seeds:
        found += _part(out / f"{name}-{seed}.json", kind, partial(make, seed))
    return found


def _part(path: Path, kind: type[_Row], make: Callable[[], Sequence[_Row]]) -> list[_Row]:
    """Returns the rows of a part: from its file, or made and written there."""
    if not path.exists():
        write_sealed(path, {"rows": [asdict(row) for row in make()]})
    rows: list[dict[str, Any]] = read_sealed(path)["rows"]
    return [kind(**row) for row in rows]


if __name__ == "__main__":
    main()

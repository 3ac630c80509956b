"""``python -m accelgym.experiments.proxy --out results/proxy``: resumes part by part; writes table.md."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from accelgym.costmodels.errors import AccelGymError
from accelgym.costmodels.files.whole_file import write_whole
from accelgym.dse_dataset.load import load_dataset
from accelgym.experiments.measured_hardware import SAMPLE
from accelgym.experiments.proxy.diversity import DiversityRow, diversity_study
from accelgym.experiments.proxy.few_shot import FewShotRow, few_shot_study
from accelgym.experiments.proxy.measured import MeasuredRow, measured_study
from accelgym.experiments.proxy.table import format_diversity, format_few_shot, format_measured
from accelgym.experiments.study_log import StudyLog


def main(arguments: list[str] | None = None) -> None:
    """Makes the parts that are not there yet, and writes the tables."""
    parser = argparse.ArgumentParser(prog="accelgym.experiments.proxy", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", type=Path, default=SAMPLE, help="dataset of preset synthesis")
    chosen = parser.parse_args(arguments)
    if chosen.seeds < 1:
        parser.error(f"--seeds is {chosen.seeds}, allowed >= 1")
    try:
        plan = {"data": load_dataset(chosen.data).manifest["content_sha256"]}
        log = StudyLog(chosen.out / "errors.jsonl", ("part",), plan)
        measured = log.part("measured", MeasuredRow, lambda: measured_study(chosen.data))
        adapted: list[FewShotRow] = []
        diverse: list[DiversityRow] = []
        for seed in range(chosen.seeds):
            adapted += log.part(f"few-shot-{seed}", FewShotRow, partial(few_shot_study, seed))
            diverse += log.part(f"diversity-{seed}", DiversityRow, partial(diversity_study, seed))
        table = "\n".join((format_diversity(diverse), format_measured(measured), format_few_shot(adapted)))
        write_whole(chosen.out / "table.md", table)
    except AccelGymError as error:
        parser.error(str(error))
    sys.stdout.write(table)


if __name__ == "__main__":
    main()

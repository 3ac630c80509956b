"""The three searches, resumable at every evaluation: network and accelerator together, and each alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.lock import folder_lock
from accelgym.experiments.codesign.distillation import train_student
from accelgym.experiments.codesign.energy import LayerEnergies
from accelgym.experiments.codesign.images import ImageTask
from accelgym.experiments.codesign.space import (
    DEFAULT,
    MODES,
    SCALES,
    Candidate,
    Student,
    Training,
    cardinality,
    mutate,
    random_candidate,
)
from accelgym.experiments.codesign.students import student_workload
from accelgym.experiments.study_log import StudyLog

__all__ = ["MODES", "Evaluation", "StudySettings", "chosen", "front", "run_study"]

_RANDOM = 3
"""The first of so many candidates are random, after the default."""


@dataclass(frozen=True)
class StudySettings:
    """What defines a study, beside its images and teacher.

    Raises:
        InputError: A bad value.
    """

    scale: str = "small"
    """Space of the search: ``small`` or ``cifar``."""
    floor: float = 0.5
    """Least share of validation images that a chosen student classifies."""
    evaluations: int = 12
    """Candidates of each search; one whose space is smaller ends with it."""
    seed: int = 0
    nodes: int = 5
    """Most programs that the proof of a layer's mapping solves."""

    def __post_init__(self) -> None:
        if self.scale not in SCALES:
            raise InputError(f"scale is {self.scale!r}, allowed {', '.join(SCALES)}")
        if not 0 <= self.floor <= 1:
            raise InputError(f"floor is {self.floor!r}, allowed 0 to 1")
        for name, least in (("evaluations", 1), ("seed", 0), ("nodes", 1)):
            if getattr(self, name) < least:
                raise InputError(f"{name} is {getattr(self, name)!r}, allowed integers >= {least}")


@dataclass(frozen=True)
class Evaluation:
    """One candidate of one search."""

    mode: str
    candidate: Candidate
    accuracy: float
    """Share of validation images."""
    test_accuracy: float
    energy_pj: float
    """Of one image."""
    energy_gap: float
    """Relative distance of the mappings from their certified bounds."""
    cpu_s: float
    """Of training and mapping; what an earlier candidate shares is not done again."""

    def to_json(self) -> dict[str, Any]:
        """Returns plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Evaluation:
        """Returns an evaluation from :meth:`to_json`'s data."""
        return cls(**data | {"candidate": Candidate.from_json(data["candidate"])})


def run_study(
    out: Path,
    task: ImageTask,
    settings: StudySettings,
    *,
    progress: Callable[[Evaluation], None] | None = None,
) -> list[Evaluation]:
    """Makes the study, or goes on with one that was killed; nothing is trained or mapped twice.

    Each search begins with the default and random candidates and then mutates members of its front: students at or
    above the floor by accuracy and energy, all while there are none.

    Args:
        out: Folder: ``evaluations.jsonl``, ``energies.jsonl`` and ``problems/``.
        task: Images and teacher.
        settings: The searches.
        progress: Called after every evaluation.

    Raises:
        InputError: The folder holds another study, or is in use.
    """
    out.mkdir(parents=True, exist_ok=True)
    with folder_lock(out):
        plan = {
            "study": "codesign 1",
            "images": [task.name, {key: len(x) for key, x in task.images.items()}],
            "teacher": task.teacher_accuracy,
            "settings": {key: value for key, value in asdict(settings).items() if key != "evaluations"},
        }
        log = StudyLog(out / "evaluations.jsonl", ("mode", "candidate"), plan)
        rows = [Evaluation.from_json(row) for row in log.rows]
        energies = LayerEnergies(out, settings.nodes)
        for turn in range(settings.evaluations):
            # The searches take turns, so that a study that is cut short has something of each.
            for place, mode in enumerate(MODES):
                own = [row for row in rows if row.mode == mode]
                if len(own) > turn or len(own) >= cardinality(settings.scale, mode):
                    continue
                candidate = _propose(own, settings, mode, np.random.default_rng([settings.seed, place, len(own)]))
                row = _evaluate(candidate, mode, rows, task, settings, energies)
                log.add(row.to_json())
                rows.append(row)
                if progress is not None:
                    progress(row)
    return rows


def front(rows: Sequence[Evaluation]) -> list[Evaluation]:
    """Returns the evaluations that none beats in accuracy and energy, by rising energy."""
    best: list[Evaluation] = []
    for row in sorted(rows, key=lambda row: (row.energy_pj, -row.accuracy)):
        if not best or row.accuracy > best[-1].accuracy:
            best.append(row)
    return best


def chosen(rows: Sequence[Evaluation], floor: float) -> Evaluation | None:
    """Returns the evaluation of least energy whose accuracy reaches the floor."""
    good = [row for row in rows if row.accuracy >= floor]
    return min(good, key=lambda row: row.energy_pj, default=None)


def _propose(own: Sequence[Evaluation], settings: StudySettings, mode: str, rng: np.random.Generator) -> Candidate:
    """Returns a candidate that the search has not had."""
    seen = {row.candidate for row in own}
    if DEFAULT[settings.scale] not in seen:
        return DEFAULT[settings.scale]
    members = front([row for row in own if row.accuracy >= settings.floor] or own)
    while True:
        if len(own) < settings.evaluations // _RANDOM or rng.random() < 0.1:
            found = random_candidate(settings.scale, mode, rng)
        else:
            found = mutate(members[int(rng.integers(len(members)))].candidate, settings.scale, mode, rng)
        if found not in seen:
            return found


def _evaluate(
    candidate: Candidate,
    mode: str,
    rows: Sequence[Evaluation],
    task: ImageTask,
    settings: StudySettings,
    energies: LayerEnergies,
) -> Evaluation:
    begin = time.process_time()
    trained: dict[tuple[Student, Training], Evaluation] = {
        (row.candidate.student, row.candidate.training): row for row in rows
    }
    known = trained.get((candidate.student, candidate.training))
    if known is None:
        accuracy = train_student(task, candidate.student, candidate.training, settings.seed)
    else:
        accuracy = {"validation": known.accuracy, "test": known.test_accuracy}
    workload = student_workload(candidate.student, task.channels, task.size, task.classes)
    energy, gap = energies.of_network(workload, candidate.machine)
    seconds = round(time.process_time() - begin, 2)
    return Evaluation(mode, candidate, accuracy["validation"], accuracy["test"], energy, gap, seconds)

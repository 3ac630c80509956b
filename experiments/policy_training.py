"""Trains policies on a family of tasks into a folder that holds everything about it and goes on after a kill."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from accelgym.agents.event_writer import event_writer
from accelgym.agents.transfer import PolicyTrainer, TrainingOptions
from accelgym.agents.transfer.policy import WEIGHTS
from accelgym.agents.transfer.trainer import UpdateReport
from accelgym.costmodels.errors import InputError, shown
from accelgym.costmodels.files.json_file import read_sealed
from accelgym.costmodels.files.lock import folder_lock
from accelgym.costmodels.files.plain import plain
from accelgym.costmodels.files.same_run import require_same_run
from accelgym.costmodels.files.text import read_text
from accelgym.costmodels.files.whole_file import write_whole
from accelgym.envs.family import SPLITS, Family
from accelgym.experiments.sessions import Sessions

__all__ = ["TrainingProgress", "train_policies"]

_SCHEMA = 1
_MANIFEST, _STATE, _LOG = "manifest.json", "state.safetensors", "updates.jsonl"
_SAVE_EVERY = 10
"""Updates between two saved states: what a kill loses at most."""


@dataclass(frozen=True)
class TrainingProgress:
    """How far a training is."""

    seed: int
    evaluations_done: int
    """Over all seeds."""
    evaluations_total: int
    report: UpdateReport


def train_policies(
    family: Family,
    out: Path | str,
    *,
    seeds: Sequence[int] = (0,),
    options: TrainingOptions | None = None,
    tensorboard: bool = False,
    progress: Callable[[TrainingProgress], None] | None = None,
) -> dict[str, Any]:
    """Trains one policy a seed on the family's ``train`` members.

    The folder receives ``manifest.json`` and, for every seed, ``seed-N/policy.safetensors`` and ``updates.jsonl``, one
    line per update. Every ten updates the state is saved; the same call goes on from there, to the same weights that
    it would have come to without a stop.

    Args:
        family: What is learnt from; its ``test`` members are noted, never played.
        out: Folder of the results.
        seeds: One training each.
        options: Hyperparameters.
        tensorboard: Write the lines to ``tensorboard/`` as well (package ``tensorboard``).
        progress: Called after every update.

    Returns:
        The manifest.

    Raises:
        InputError: No seed, one that is there twice or negative, or the folder holds another training.
        MissingExtraError: ``tensorboard`` without the package.
    """
    out, options = Path(out), options or TrainingOptions()
    if not seeds or len(set(seeds)) != len(seeds) or min(seeds) < 0:
        raise InputError(f"seeds are {shown(list(seeds))}, allowed: different integers >= 0, at least one")
    identity = plain(
        {
            "task": family.name,
            "members": {split: [family.specs[i] for i in family.splits[split]] for split in SPLITS},
            "task_ids": {split: [family.tasks[i].id for i in family.splits[split]] for split in SPLITS},
            "seeds": list(seeds),
            "options": asdict(options),
        }
    )
    with folder_lock(out):
        manifest = _open(out, identity)
        sessions = Sessions(out / _MANIFEST, manifest)
        sessions.open(updates=0)
        writer = event_writer(out) if tensorboard else None
        # Trainings take different numbers of designs where members are fewer than an update plays: ask them.
        for number, seed in enumerate(seeds):
            _train(
                family, out / f"seed-{seed}", options, (number, len(seeds), seed), identity, sessions, writer, progress
            )
        sessions.close()
        if writer is not None:
            writer.close()
    return manifest


def _open(out: Path, identity: dict[str, Any]) -> dict[str, Any]:
    """Returns the manifest of the folder's training, or a new one.

    Raises:
        InputError: It is of another training.
    """
    path = out / _MANIFEST
    if not path.exists():
        return {"schema": _SCHEMA, "training": identity, "sessions": []}
    data = read_sealed(path)
    if data.get("schema") != _SCHEMA or "training" not in data:
        raise InputError(f"{path}: is no manifest of a training of schema {_SCHEMA}; choose another folder")
    require_same_run(out, "training", data["training"], identity)
    return data


def _train(
    family: Family,
    folder: Path,
    options: TrainingOptions,
    place: tuple[int, int, int],
    training: dict[str, Any],
    sessions: Sessions,
    writer: Any,
    progress: Callable[[TrainingProgress], None] | None,
) -> None:
    number, seeds, seed = place
    begin = time.process_time()
    if (folder / WEIGHTS).exists():
        return
    trainer = PolicyTrainer(family, options, seed)
    about = {"training": training, "seed": seed}
    lines: list[str] = []
    if (folder / _STATE).exists():
        trainer.load_state(folder / _STATE, about)
        lines = read_text(folder / _LOG).splitlines()[: trainer.update]
    each = trainer.evaluations_total
    since = 0
    while trainer.update < trainer.updates:
        report = trainer.advance()
        lines.append(json.dumps(plain(asdict(report))))
        since += 1
        if writer is not None:
            for name, value in asdict(report).items():
                writer.add_scalar(f"seed-{seed}/{name}", value, report.update)
        if progress is not None:
            progress(TrainingProgress(seed, number * each + report.evaluations, seeds * each, report))
        if since == _SAVE_EVERY and trainer.update < trainer.updates:
            # The log before the state: a kill between the two leaves lines that are cut off when it is read.
            write_whole(folder / _LOG, "\n".join(lines) + "\n")
            trainer.save_state(folder / _STATE, about)
            since, begin = 0, _note(sessions, since, begin)
    write_whole(folder / _LOG, "\n".join(lines) + "\n")
    trainer.policy.save(folder, about | {"evaluations": trainer.evaluations})
    _note(sessions, since, begin)
    (folder / _STATE).unlink(missing_ok=True)


def _note(sessions: Sessions, updates: int, begin: float) -> float:
    """Adds updates and the CPU seconds since ``begin``; returns where the next ones begin."""
    now = time.process_time()
    sessions.add(now - begin, updates=updates)
    return now

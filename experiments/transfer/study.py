"""Trains policies on a family, tabulates its solved members, and lets agents search the held-out ones."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from accelgym.agents import search
from accelgym.agents.retrieval import SolvedDecisions
from accelgym.agents.transfer import TrainingOptions
from accelgym.costmodels.errors import InputWarning
from accelgym.costmodels.files.plain import plain
from accelgym.envs.family_file import load_family
from accelgym.experiments.policy_training import TrainingProgress, train_policies
from accelgym.experiments.solved_tasks import solved_by_proof
from accelgym.experiments.study_log import StudyLog

__all__ = ["AGENTS", "FAMILY", "TransferRun", "run_study"]

FAMILY = Path(__file__).with_name("family.yaml")
"""The shipped family."""
AGENTS = ("pretrained_ppo", "nearest", "maskable_ppo", "greedy", "ga")
"""With knowledge of other tasks first, then those that begin with nothing."""
_SOLVED, _TRAINING = "solved.npz", "training"


@dataclass(frozen=True)
class TransferRun:
    """One search of a held-out member."""

    member: int
    workload: str
    budget: float
    trained: bool
    """Whether the policy was trained on the member's workload, at other budgets."""
    agent: str
    evaluations: int
    seed: int
    regret: float
    """Of the best design, ``inf`` without a feasible one."""
    cpu_s: float
    """Of the agent and the evaluations."""


def run_study(
    out: Path,
    *,
    family: Path = FAMILY,
    seeds: int = 3,
    evaluations: Sequence[int] = (1, 10, 200),
    options: TrainingOptions | None = None,
    progress: Callable[[TrainingProgress | TransferRun], None] | None = None,
) -> list[TransferRun]:
    """Makes the study, or goes on with one that was killed; a search that is over is not made again.

    Args:
        out: Folder: ``training/``, ``solved.npz`` and ``runs.jsonl``.
        family: Its ``test`` members are searched.
        seeds: Trainings, and searches of every agent; search ``k`` uses the policy of training ``k``.
        evaluations: Lengths of the searches.
        options: Hyperparameters of the training.
        progress: Called after every update of a training and every search.

    Raises:
        InputError: A bad family, one without held-out members, or a folder with another study.
    """
    members = load_family(family)
    held_out = members.members("test")
    options = options or TrainingOptions()
    plan = {"tasks": [t.id for t in members.tasks], "lengths": list(evaluations), "training": asdict(options)}
    log = StudyLog(out / "runs.jsonl", ("member", "agent", "evaluations", "seed"), plan)
    train_policies(members, out / _TRAINING, seeds=range(seeds), options=options, progress=progress)
    if not (out / _SOLVED).exists():
        SolvedDecisions.of(solved_by_proof(members)).save(out / _SOLVED)
    known = {members.specs[i].get("workload") for i in members.members("train")}
    runs = []
    for seed in range(seeds):
        for member in held_out:
            spec = members.specs[member]
            for length in evaluations:
                for agent in AGENTS:
                    # Policy gradients from nothing have no use for a handful of designs.
                    if agent == "maskable_ppo" and length < max(evaluations):
                        continue
                    row = log.find(member=member, agent=agent, evaluations=length, seed=seed)
                    if row is None:
                        given = _options(agent, out, seed)
                        with warnings.catch_warnings():
                            # That held-out networks lie outside what was seen is the point.
                            warnings.simplefilter("ignore", InputWarning)
                            found = search(members.tasks[member], agent, budget=length, seed=seed, options=given)
                        run = TransferRun(
                            member=member,
                            workload=str(spec.get("workload")),
                            budget=float(spec.get("budget", "nan")),
                            trained=spec.get("workload") in known,
                            agent=agent,
                            evaluations=length,
                            seed=seed,
                            regret=float(members.reference(member).regret(found.best)),
                            cpu_s=round(float(found.agent_cpu_s[-1] + found.evaluation_cpu_s[-1]), 3),
                        )
                        row = log.add(plain(asdict(run)))
                        if progress is not None:
                            progress(run)
                    # What is not finite is null in a file.
                    runs.append(TransferRun(**row | {"regret": np.inf if row["regret"] is None else row["regret"]}))
    return runs


def _options(agent: str, out: Path, seed: int) -> dict[str, Any]:
    if agent == "pretrained_ppo":
        return {"policy": str(out / _TRAINING / f"seed-{seed}")}
    return {"solved": str(out / _SOLVED)} if agent == "nearest" else {}

"""Episodes of the sequential environments as Minari datasets, made from the vector environment by buffers."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import InputError, MissingExtraError, shown, unknown_name
from accelgym.costmodels.files.plain import count
from accelgym.envs.registration import environment_of, make_task
from accelgym.envs.space import Designs
from accelgym.envs.task import Task

__all__ = ["QUALITIES", "choose_designs", "export_minari", "record_episodes"]

QUALITIES = ("random", "medium", "expert", "optimal")
_LANES = 64
_CHOICES = 20
"""Random feasible designs of which the ``medium`` one is the best."""
_EXPERT_STEPS = 2
"""Parameters in which an ``expert`` design differs from the optimum at most."""
_TRIES = 64
_REFERENCE_EPISODES = 100
_ROOT = "MINARI_DATASETS_PATH"

Floats = npt.NDArray[np.float64]


def choose_designs(task: Task, quality: str, episodes: int, seed: int) -> Designs:
    """Returns the designs that the episodes build, shape ``(episodes, parameters)``.

    Args:
        task: The task.
        quality: ``random``: feasible ones; ``medium``: each the best of 20 such; ``expert``: feasible ones at most two
            steps of a parameter away from the best known design; ``optimal``: that design itself.
        episodes: Their number.
        seed: Of the choices.

    Raises:
        InputError: Unknown quality, or the task has no known design.
    """
    if quality not in QUALITIES:
        raise unknown_name("quality", quality, QUALITIES)
    rng = np.random.default_rng(seed)
    if quality == "random":
        return task.sample_feasible(rng, episodes)
    if quality == "medium":
        drawn = task.sample_feasible(rng, episodes * _CHOICES)
        score = task.evaluate(drawn).score.reshape(episodes, _CHOICES)
        return np.asarray(drawn.reshape(episodes, _CHOICES, -1)[np.arange(episodes), score.argmin(axis=1)])
    reference = task.reference()
    if reference.design is None:
        raise InputError(f"quality {quality!r}: no feasible design of the task is known")
    best = np.array(reference.design, dtype=np.int64)
    if quality == "optimal":
        return np.tile(best, (episodes, 1))
    designs = np.tile(best, (episodes, 1))
    poor = np.arange(episodes)
    for _ in range(_TRIES):
        changed = np.tile(best, (len(poor), 1))
        for _ in range(_EXPERT_STEPS):
            place = rng.integers(0, changed.shape[1], len(poor))
            step = rng.choice([-1, 1], len(poor))
            rows = np.arange(len(poor))
            changed[rows, place] = np.clip(changed[rows, place] + step, 0, task.space.nvec[place] - 1)
        fits = task.fits(changed)
        designs[poor[fits]] = changed[fits]
        poor = poor[~fits]
    return designs


def record_episodes(task: Task, designs: Designs) -> Iterator[dict[str, npt.NDArray[Any]]]:
    """Builds designs in the task's vector environment and yields their episodes.

    Yields:
        ``observations`` (T + 1 rows), ``actions``, ``rewards``, ``terminations`` and ``truncations`` of an episode.
    """
    actions = task.actions(designs)
    for start in range(0, len(actions), _LANES):
        chosen = actions[start : start + _LANES]
        lanes = task.vector_env(len(chosen))
        first, _ = lanes.reset(seed=0)
        seen, rewards, over, cut = [first.copy()], [], [], []
        for position in range(chosen.shape[1]):
            obs, reward, terminated, truncated, infos = lanes.step(chosen[:, position])
            last = obs.copy()
            for lane in np.flatnonzero(terminated | truncated):
                last[lane] = infos["final_obs"][lane]
            seen.append(last)
            rewards.append(reward.copy())
            over.append(terminated.copy())
            cut.append(truncated.copy())
        for number in range(len(chosen)):
            # Lanes may end before the last decision, where a prefix has no completion.
            end = int(np.argmax(np.stack(over)[:, number] | np.stack(cut)[:, number])) + 1
            yield {
                "observations": np.stack([step[number] for step in seen[: end + 1]]),
                "actions": chosen[number, :end].copy(),
                "rewards": np.array([step[number] for step in rewards[:end]]),
                "terminations": np.array([step[number] for step in over[:end]]),
                "truncations": np.array([step[number] for step in cut[:end]]),
            }


def _mean_return(task: Task, designs: Designs) -> float:
    return float(np.mean([episode["rewards"].sum() for episode in record_episodes(task, designs)]))


def export_minari(
    env_id: str,
    arguments: dict[str, Any],
    root: Path | str,
    *,
    quality: str = "random",
    episodes: int = 1000,
    seed: int = 0,
    name: str | None = None,
) -> dict[str, Any]:
    """Writes a Minari dataset (HDF5) into a folder of Minari datasets.

    ``ref_min_score`` is the mean return of 100 random episodes, ``ref_max_score`` that of the best known design: the
    proved optimum where the task's certificate is exact, which the description says.

    Args:
        env_id: Environment that decides one design in an episode.
        arguments: Its arguments.
        root: Folder that ``MINARI_DATASETS_PATH`` names for Minari.
        quality: See :func:`choose_designs`.
        episodes: Their number.
        seed: Of the designs.
        name: Of the dataset, ``accelgym/ENV/QUALITY-v0`` by default.

    Returns:
        Plain data: id, folder, episodes, steps, mean return and both reference scores.

    Raises:
        InputError: Unknown environment, quality or argument, a bad name, or the dataset exists or cannot be written;
            then nothing of it is left.
        MissingExtraError: Minari or h5py is not installed.
    """
    episodes, root = count(episodes, "episodes", 1), Path(root).resolve()
    entry = environment_of(env_id)
    if entry is None:
        raise InputError(f"{env_id}: has no environment of its own that Minari could rebuild")
    task = make_task(env_id, **arguments)
    designs = choose_designs(task, quality, episodes, seed)
    name = name or f"accelgym/{entry.id.split('/')[1].removesuffix('-v0').lower()}/{quality}-v0"
    try:
        import h5py  # noqa: F401
        import minari
        from minari.data_collector import EpisodeBuffer
        from minari.dataset.minari_dataset import parse_dataset_id
    except ImportError as error:
        raise MissingExtraError("a Minari dataset", "minari", "data") from error
    try:
        parse_dataset_id(name)
    except ValueError as error:
        raise InputError(f"name is {shown(name)}, allowed: (NAMESPACE/)NAME-vVERSION") from error
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{root}: {error.strerror or error}") from error
    if (root / name).exists():
        raise InputError(f"{root / name}: exists; give another name or folder")
    reference = task.reference()
    low = _mean_return(task, choose_designs(task, "random", _REFERENCE_EPISODES, seed + 1))
    high = _mean_return(task, choose_designs(task, "optimal", 1, seed))
    found = [EpisodeBuffer(id=i, seed=seed, infos={}, **e) for i, e in enumerate(record_episodes(task, designs))]
    kind = "proved optimum" if reference.exact else f"best known design, certified gap {reference.gap:.4f}"
    with _minari_root(root), warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="minari")
        env = gym.make(entry.id, **arguments)
        try:
            dataset = minari.create_dataset_from_buffers(
                name,
                found,
                env=env,
                algorithm_name=quality,
                author="The AccelGym authors",
                code_permalink="accelgym.dse_dataset.minari_export",
                description=f"Task {task.id}, {quality} designs, seed {seed}. ref_max_score: {kind}.",
                ref_min_score=low,
                ref_max_score=high,
                data_format="hdf5",
            )
        except OSError as error:
            shutil.rmtree(root / name, ignore_errors=True)
            raise InputError(
                f"{root / name}: cannot be written ({error.strerror or error}); nothing of it is left"
            ) from error
    returns = [float(episode.rewards.sum()) for episode in found]
    return {
        "id": name,
        "folder": str(root / name),
        "episodes": int(dataset.total_episodes),
        "steps": int(dataset.total_steps),
        "mean_return": float(np.mean(returns)),
        "ref_min_score": low,
        "ref_max_score": high,
        "ref_max_is_optimum": reference.exact,
    }


@contextmanager
def _minari_root(root: Path) -> Iterator[None]:
    """Lets Minari write below a folder; it knows an environment variable only."""
    before = os.environ.get(_ROOT)
    os.environ[_ROOT] = str(root)
    try:
        yield
    finally:
        if before is None:
            del os.environ[_ROOT]
        else:
            os.environ[_ROOT] = before

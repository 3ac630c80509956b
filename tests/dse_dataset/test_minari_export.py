"""Minari datasets of the sequential environments."""

import errno
import re

import numpy as np
import pytest

from accelgym.costmodels.errors import InputError
from accelgym.dse_dataset.minari_export import QUALITIES, choose_designs, export_minari, record_episodes
from accelgym.envs import make_task

minari = pytest.importorskip("minari")

ENV = "accelgym/ResourceAssignment-v0"
ARGUMENTS = {"workload": "confuciux/resnet18"}


def test_better_qualities_have_better_returns_and_the_optimum_scores_one(tmp_path):
    found = {q: export_minari(ENV, ARGUMENTS, tmp_path, quality=q, episodes=40) for q in QUALITIES}
    returns = [found[q]["mean_return"] for q in QUALITIES]
    assert returns == sorted(returns)
    assert returns[-1] == pytest.approx(found["optimal"]["ref_max_score"])
    assert found["optimal"]["ref_max_is_optimum"]
    opened = minari.MinariDataset(str(tmp_path / found["expert"]["id"] / "data"))
    assert opened.total_episodes == 40
    scores = minari.get_normalized_score(opened, np.array([found["random"]["ref_min_score"], returns[-1]]))
    assert scores == pytest.approx([0.0, 1.0])
    with pytest.raises(InputError, match="exists"):
        export_minari(ENV, ARGUMENTS, tmp_path, quality="random", episodes=2)


def test_a_stored_episode_replays_bit_for_bit(tmp_path):
    export_minari(ENV, ARGUMENTS, tmp_path, quality="medium", episodes=5, name="accelgym/replay-v0")
    opened = minari.MinariDataset(str(tmp_path / "accelgym/replay-v0/data"))
    rebuilt = opened.recover_environment()
    for episode in opened.iterate_episodes():
        obs, _ = rebuilt.reset()
        assert np.array_equal(obs, episode.observations[0])
        for step, action in enumerate(episode.actions):
            obs, reward, terminated, truncated, _ = rebuilt.step(action)
            assert np.array_equal(obs, episode.observations[step + 1])
            assert (reward, terminated, truncated) == (
                episode.rewards[step],
                episode.terminations[step],
                episode.truncations[step],
            )
        assert terminated
        assert episode.observations.shape[0] == len(episode.actions) + 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"root": "file"}, "file: File exists"),
        ({"root": "file/below"}, "file/below: Not a directory"),
        ({"name": "bad name"}, "name is 'bad name', allowed:"),
        ({"name": "../../elsewhere-v0"}, "name is '../../elsewhere-v0', allowed:"),
    ],
)
def test_places_and_names_that_cannot_be_are_named(tmp_path, changes, message):
    (tmp_path / "file").write_text("x")
    given = {"root": "sets", "name": "accelgym/some-v0"} | changes
    with pytest.raises(InputError, match=re.escape(message)):
        export_minari(ENV, ARGUMENTS, tmp_path / given["root"], episodes=2, name=given["name"])


def test_a_full_disk_leaves_nothing_and_the_same_call_writes_it_later(tmp_path, monkeypatch):
    writing = minari.create_dataset_from_buffers

    def full(name, *_, **__):
        (tmp_path / name / "data").mkdir(parents=True)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(minari, "create_dataset_from_buffers", full)
    with pytest.raises(InputError, match=r"cannot be written \(No space left on device\); nothing of it is left"):
        export_minari(ENV, ARGUMENTS, tmp_path, episodes=2, name="accelgym/some-v0")
    assert not list((tmp_path / "accelgym").iterdir())
    monkeypatch.setattr(minari, "create_dataset_from_buffers", writing)
    assert export_minari(ENV, ARGUMENTS, tmp_path, episodes=2, name="accelgym/some-v0")["episodes"] == 2


@pytest.mark.parametrize(
    ("env", "arguments"),
    [
        (ENV, ARGUMENTS),
        ("accelgym/Mapping-v0", {"workload": "thistle/resnet18", "layer": 12, "architecture": "nvdla_like"}),
        # An array takes seconds to count.
        pytest.param("accelgym/HwGen-v0", {}, marks=pytest.mark.slow),
    ],
)
def test_recorded_episodes_are_whole(env, arguments):
    task = make_task(env, **arguments)
    designs = choose_designs(task, "random", 3, seed=1)
    assert task.fits(designs).all()
    for episode in record_episodes(task, designs):
        assert episode["terminations"][-1] or episode["truncations"][-1]
        assert not episode["terminations"][:-1].any()
        assert len(episode["observations"]) == len(episode["actions"]) + 1


def test_unknown_qualities_are_refused(tmp_path):
    with pytest.raises(InputError, match="quality 'human'"):
        export_minari("accelgym/ResourceAssignment-v0", {}, tmp_path, quality="human")
    assert not list(tmp_path.iterdir())

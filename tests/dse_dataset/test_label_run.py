"""Labelling in parallel, killed, resumed and on a full disk gives the same bytes."""

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time

import pytest
import yaml
from labelled import digests, small_spec

from accelgym.costmodels.errors import AccelGymError, DamagedFileError, InputError, InputWarning
from accelgym.dse_dataset import runner
from accelgym.dse_dataset.manifest import check_folder
from accelgym.dse_dataset.runner import label_dataset


def command(folder, out, *more):
    config = folder / "recipe.yaml"
    config.write_text(yaml.safe_dump(small_spec().model_dump(mode="json")))
    return [
        sys.executable,
        "-c",
        "from accelgym.cli import main; main()",
        "label",
        "--config",
        str(config),
        "--out",
        str(out),
        *more,
    ]


def test_processes_make_the_bytes_that_one_process_makes(dataset, tmp_path):
    out = tmp_path / "again"
    result = label_dataset(small_spec(), out, workers=2)
    assert digests(out) == digests(dataset)
    assert result.made == result.rows
    assert not (out / "work").exists()


def kill_and_resume(folder, out, delays):
    """Runs the command, kills its group after each delay, and lets it end at last."""
    for delay in delays:
        process = subprocess.Popen(command(folder, out), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        end = time.monotonic() + delay
        # From the first shard on, so that the kill hits the work and not the imports.
        while time.monotonic() < end and process.poll() is None:
            time.sleep(0.005)
            if not list(out.glob("data/*")):
                end = max(end, time.monotonic() + delay % 0.2)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()
    ended = subprocess.run(command(folder, out), check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(dataset, tmp_path):
    out = tmp_path / "killed"
    kill_and_resume(tmp_path, out, (0.05,))
    assert digests(out) == digests(dataset)


@pytest.mark.slow
def test_twenty_random_kills_change_no_byte(dataset, tmp_path):
    out = tmp_path / "killed"
    rng = random.Random(0)
    kill_and_resume(tmp_path, out, [rng.uniform(0, 3.0) for _ in range(20)])
    assert digests(out) == digests(dataset)


@pytest.mark.slow
def test_two_workers_of_a_ray_cluster_write_the_same_bytes(dataset, tmp_path, monkeypatch):
    pytest.importorskip("ray")
    monkeypatch.setenv("HOME", str(tmp_path))  # Where Ray keeps its token.
    out = tmp_path / "on-ray"
    assert label_dataset(small_spec(), out, executor="ray", workers=2).made > 0
    assert digests(out) == digests(dataset)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"executor": "dask"}, "executor 'dask'"),
        ({"executor": "process", "address": "auto"}, "allowed with executor 'ray' alone, not 'process'"),
    ],
)
def test_an_executor_that_is_none_leaves_no_folder(tmp_path, arguments, message):
    with pytest.raises(InputError, match=message):
        label_dataset(small_spec(), tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()


def test_nothing_is_labelled_twice(dataset, tmp_path):
    out = tmp_path / "again"
    shutil.copytree(dataset, out)
    shard = out / "data" / "test-00000-of-00001.parquet"
    shard.unlink()
    assert label_dataset(small_spec(), out, executor="inline").made == 40
    assert digests(out) == digests(dataset)


def test_a_changed_shard_is_named_and_made_again(dataset, tmp_path):
    out = tmp_path / "changed"
    shutil.copytree(dataset, out)
    path = out / "data" / "train-00002-of-00005.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(DamagedFileError, match="train-00002-of-00005"):
        check_folder(out)
    with pytest.warns(InputWarning, match=r"(?s)train-00002-of-00005.*made again"):
        label_dataset(small_spec(), out, executor="inline")
    assert digests(out) == digests(dataset)
    assert check_folder(out)["splits"]["train"] == 320


def test_a_shard_exchanged_for_another_is_named(dataset, tmp_path):
    out = tmp_path / "exchanged"
    shutil.copytree(dataset, out)
    shutil.copy(out / "data" / "train-00000-of-00005.parquet", out / "data" / "train-00001-of-00005.parquet")
    with pytest.raises(DamagedFileError, match="train-00001-of-00005"):
        check_folder(out)


def test_a_file_too_many_or_too_few_is_named(dataset, tmp_path):
    out = tmp_path / "more"
    shutil.copytree(dataset, out)
    extra = out / "data" / "train-00005-of-00005.parquet"
    shutil.copy(out / "data" / "train-00000-of-00005.parquet", extra)
    with pytest.raises(InputError, match=r"train-00005-of-00005\.parquet: no part of the dataset"):
        check_folder(out)
    extra.unlink()
    (out / "data" / "train-00003-of-00005.parquet").unlink()
    with pytest.raises(InputError, match=r"train-00003-of-00005\.parquet: no such file"):
        check_folder(out)


def test_a_changed_csv_is_named(dataset, tmp_path):
    out = tmp_path / "csv"
    shutil.copytree(dataset, out)
    with (out / "conv_dataset.csv").open("a") as file:
        file.write("2,2,8,8,1,1,dla,1,1\n")
    with pytest.raises(DamagedFileError, match=r"conv_dataset\.csv"):
        check_folder(out)


def test_another_dataset_is_not_mixed_in(dataset):
    before = digests(dataset)
    with pytest.raises(InputError, match="holds another dataset"):
        label_dataset(small_spec(seed=1), dataset, executor="inline")
    assert digests(dataset) == before


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match=r"thesis\.tex"):
        label_dataset(small_spec(), tmp_path, executor="inline")
    assert [p.name for p in tmp_path.iterdir() if p.name != "lock"] == ["thesis.tex"]


def test_a_full_disk_says_what_is_complete_and_a_later_call_goes_on(dataset, tmp_path):
    """A limit on the size of files stands for the disk: writing beyond it fails alike."""
    out = tmp_path / "full"
    largest = max(p.stat().st_size for p in dataset.glob("data/train-*"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest - 1, limits[1]))
    try:
        with pytest.raises(AccelGymError, match=r"cannot be written.*of 8 shards are complete.*goes on"):
            label_dataset(small_spec(), out, executor="inline")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, old)
    assert not (out / "manifest.json").exists()
    label_dataset(small_spec(), out, executor="inline")
    assert digests(out) == digests(dataset)


@pytest.mark.parametrize("place", ["write_manifest", "write_card"])
def test_a_disk_that_is_full_behind_the_last_shard_says_how_to_go_on(dataset, tmp_path, monkeypatch, place):
    out = tmp_path / "full"
    shutil.copytree(dataset, out)
    writing = getattr(runner, place)

    def full(*_):
        raise InputError(f"{out / 'README.md'}: cannot be written (No space left on device)")

    monkeypatch.setattr(runner, place, full)
    message = r"README\.md: cannot be written \(No space.*; 8 of 8 shards are complete, the same command goes on"
    with pytest.raises(AccelGymError, match=message):
        label_dataset(small_spec(), out, executor="inline")
    monkeypatch.setattr(runner, place, writing)
    assert label_dataset(small_spec(), out, executor="inline").made == 0
    assert digests(out) == digests(dataset)


def test_a_folder_that_cannot_be_made_is_named(dataset, tmp_path):
    out = tmp_path / "blocked"
    shutil.copytree(dataset, out)
    (out / "work").write_text("a file in the way")
    with pytest.raises(AccelGymError, match=r"blocked/work: File exists; 0 of 8 shards are complete"):
        label_dataset(small_spec(), out, executor="inline")


def test_a_kill_that_leaves_half_a_plan_is_in_nobodys_way(dataset, tmp_path):
    out = tmp_path / "early"
    out.mkdir()
    (out / ".recipe.json-x1y2.tmp").write_text("{")
    label_dataset(small_spec(), out, executor="inline")
    assert digests(out) == digests(dataset)


def test_no_time_and_no_host_is_in_what_is_published(dataset):
    text = "".join(
        (dataset / name).read_text() for name in ("manifest.json", "README.md", "recipe.json", "conv_dataset.csv")
    )
    assert os.uname().nodename not in text or len(os.uname().nodename) < 4
    assert "wall_s" not in text
    assert "cpu_s" not in text

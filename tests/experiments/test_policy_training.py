"""Trainings in folders: they go on after a kill, and say what is wrong."""

import json

import pytest
from command_line import answer

pytest.importorskip("torch", reason="extra agents")

from small_families import SPECS

from accelgym.agents.transfer import TrainingOptions
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.json_file import read_sealed
from accelgym.envs import Family
from accelgym.experiments.policy_training import train_policies

OPTIONS = TrainingOptions(evaluations=13 * 8, lanes=4, members=2, epochs=1, minibatches=1, width=8)
FILE = """
task: accelgym/ResourceAssignment-v0
common: {workload: confuciux/alexnet}
train: [{budget: [0.1, 0.3]}]
"""


class Killed(BaseException):
    pass


@pytest.fixture(scope="module")
def family():
    return Family(**SPECS)


@pytest.fixture(scope="module")
def whole(family, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole")
    train_policies(family, out, seeds=(0, 2), options=OPTIONS)
    return out


@pytest.mark.parametrize("after", [3, 11, 18])
def test_a_killed_training_ends_in_the_same_bytes(family, whole, tmp_path, after):
    seen = []

    def stop(state):
        seen.append(state)
        if len(seen) == after:
            raise Killed

    with pytest.raises(Killed):
        train_policies(family, tmp_path, seeds=(0, 2), options=OPTIONS, progress=stop)
    made = []
    train_policies(family, tmp_path, seeds=(0, 2), options=OPTIONS, progress=made.append)
    assert made[-1].evaluations_done == made[-1].evaluations_total == 2 * 13 * 8
    assert len(made) == 26 - after // 13 * 13 - after % 13 // 10 * 10
    for name in (
        "seed-0/policy.safetensors",
        "seed-2/policy.safetensors",
        "seed-0/updates.jsonl",
        "seed-2/updates.jsonl",
    ):
        assert (tmp_path / name).read_bytes() == (whole / name).read_bytes(), name
    assert not list(tmp_path.rglob("state.safetensors"))
    manifest = read_sealed(tmp_path / "manifest.json")
    assert len(manifest["sessions"]) == 2
    assert manifest["sessions"][0]["packages"]["numpy"]


def test_seeds_differ_and_every_update_has_a_line(whole):
    one, other = ((whole / f"seed-{seed}" / "policy.safetensors").read_bytes() for seed in (0, 2))
    assert one != other
    lines = [json.loads(line) for line in (whole / "seed-0" / "updates.jsonl").read_text().splitlines()]
    assert [line["update"] for line in lines] == list(range(1, 14))


def test_the_folder_of_another_training_is_refused(family, whole):
    with pytest.raises(InputError, match="holds another training: options was"):
        train_policies(family, whole, seeds=(0, 2), options=TrainingOptions(evaluations=999))


@pytest.mark.parametrize("seeds", [(), (1, 1), (-1,)])
def test_bad_seeds_are_refused(family, tmp_path, seeds):
    with pytest.raises(InputError, match="seeds are"):
        train_policies(family, tmp_path, seeds=seeds, options=OPTIONS)


def test_the_commands_train_tabulate_and_search(tmp_path):
    (tmp_path / "family.yaml").write_text(FILE)
    words = ["train", "ppo", "--family", "family.yaml", "--out", "policy", "--evaluations", 16, "--lanes", 4]
    found = answer(*words, "--width", 8, cwd=tmp_path)
    assert (found.returncode, found.stderr) == (0, "")
    assert "1 policies are in policy/seed-*/policy.safetensors" in found.stdout
    found = answer("train", "solved", "--family", "family.yaml", "--out", "solved.npz", cwd=tmp_path)
    assert found.stdout.startswith("10 decisions of 2 solved tasks are in solved.npz")
    search = ["search", "--set", "workload=confuciux/alexnet", "--set", "budget=0.2", "--budget", 6]
    for agent, option in (("pretrained_ppo", "policy=policy/seed-0"), ("nearest", "solved=solved.npz")):
        out = tmp_path / agent
        found = answer(*search, "--agent", agent, "--option", option, "--out", out, cwd=tmp_path)
        assert found.returncode == 0, found.stderr
    runs = answer("train", "solved", "--runs", "nearest", "--out", "own.npz", cwd=tmp_path)
    assert runs.stdout.startswith("5 decisions of 1 solved tasks"), runs.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("train", "ppo", "--family", "none.yaml", "--out", "x"), "none.yaml: no such file"),
        (("train", "ppo", "--family", "bad.yaml", "--out", "x"), "bad.yaml:2:1: train: missing"),
        (("train", "solved", "--out", "x.npz"), "give --family FILE, --runs DIR or --data DIR"),
        (("train", "solved", "--out", "x.csv"), "--out x.csv: allowed: a name that ends in .npz"),
        (("train", "solved", "--runs", ".", "--out", "x.npz"), "holds no finished search"),
        (("train", "proxy", "--data", ".", "--out", "x"), "no dataset"),
    ],
)
def test_bad_input_is_one_line_and_code_2(tmp_path, words, message):
    (tmp_path / "bad.yaml").write_text("\ntask: accelgym/ResourceAssignment-v0\n")
    found = answer(*words, cwd=tmp_path)
    assert found.returncode == 2
    assert message in found.stderr
    assert len(found.stderr.splitlines()) == 1

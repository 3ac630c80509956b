"""Tiny trainings: they learn, resume, and leave what they should."""

import json

import numpy as np
import pytest

from accelgym.agents.checkpoint import read_checkpoint, write_checkpoint
from accelgym.agents.uov import training
from accelgym.agents.uov.checkpoint import POLICY, SCHEMA, load_policy, save_policy
from accelgym.agents.uov.problem import load_problem
from accelgym.agents.uov.schema import Schema
from accelgym.agents.uov.scores import score_designs
from accelgym.agents.uov.settings import TrainingSettings
from accelgym.agents.uov.training import initial_policy, train
from accelgym.costmodels.errors import InputError
from accelgym.dse_dataset.airchitect_csv import read_released


@pytest.fixture(scope="module")
def trained(capped, settings, tmp_path_factory):
    out = tmp_path_factory.mktemp("uov") / "run"
    return train(capped, settings, out), out


def digest(path):
    return path.read_bytes()


def test_training_lowers_the_regret_of_unseen_rows(capped, settings, trained):
    test = capped.splits["test"]
    before, after = (
        score_designs(test, policy.propose(test.arrays, test.feasible).designs)
        for policy in (initial_policy(capped, settings), trained[0])
    )
    assert after.geomean < before.geomean
    assert after.infeasible == before.infeasible == 0.0


def test_the_folder_holds_weights_manifest_and_metrics(trained):
    out = trained[1]
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [(row["stage"], row["epoch"]) for row in rows] == [(1, 1), (1, 2), (2, 1), (2, 2), (2, 3)]
    assert rows[1]["contrast"] < rows[0]["contrast"] * 1.05
    assert {"encoder.safetensors", "policy.safetensors", "manifest.json"} <= {path.name for path in out.iterdir()}
    assert json.loads((out / "manifest.json").read_text())["identity"]["settings"]["head"] == "uov"


def test_a_killed_training_goes_on_to_the_same_bytes(capped, settings, trained, tmp_path, monkeypatch):
    """Killed after the first epoch of either stage, in the middle of the next."""
    calls = {"count": 0}
    losses = training._Stage._losses

    def killed(self, *arguments):
        calls["count"] += 1
        if calls["count"] in (8, 8 + 5 + 7):
            raise KeyboardInterrupt
        return losses(self, *arguments)

    monkeypatch.setattr(training._Stage, "_losses", killed)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            train(capped, settings, tmp_path / "run")
    train(capped, settings, tmp_path / "run")
    for name in ("encoder.safetensors", "policy.safetensors"):
        assert digest(tmp_path / "run" / name) == digest(trained[1] / name)


def test_stages_one_by_one_are_both_at_once(capped, settings, trained, tmp_path):
    with pytest.raises(InputError, match="train stage 1 first"):
        train(capped, settings, tmp_path / "run", stages=(2,))
    train(capped, settings, tmp_path / "run", stages=(1,))
    train(capped, settings, tmp_path / "run", stages=(2,))
    assert digest(tmp_path / "run" / "policy.safetensors") == digest(trained[1] / "policy.safetensors")


def test_a_folder_of_another_training_is_refused(capped, settings, trained):
    with pytest.raises(InputError, match="holds another training: settings was"):
        train(capped, settings.model_copy(update={"seed": 1}), trained[1])


def test_a_policy_survives_its_file(capped, trained, tmp_path):
    policy, out = trained
    again = load_policy(out / "policy.safetensors", capped.schema)
    save_policy(tmp_path / "again.safetensors", again)
    assert digest(tmp_path / "again.safetensors") == digest(out / "policy.safetensors")
    test = capped.splits["test"]
    one, other = (p.propose(test.arrays, test.feasible, top=3) for p in (policy, again))
    np.testing.assert_array_equal(one.designs, other.designs)


@pytest.mark.parametrize("head", ["softmax", "regression"])
def test_the_other_heads_train_too(capped, settings, tmp_path, head):
    changed = settings.model_copy(update={"head": head, "contrastive_epochs": 0, "epochs": 1})
    policy = train(capped, changed, tmp_path)
    assert policy.codes[0].table.shape[1] == {"softmax": 12, "regression": 1}[head]


def test_a_knob_without_an_order_gets_an_output_for_each_value(samples, tmp_path, settings):
    problem = load_problem(samples / "dataflow")
    assert [(k.name, k.ordered, k.levels) for k in problem.schema.knobs] == [
        ("dataflow", False, 3),
        ("num_pes", True, 12),
        ("buffer_bytes", True, 12),
    ]
    policy = train(problem, settings.model_copy(update={"buckets": 4}), tmp_path)
    assert [code.table.shape for code in policy.codes] == [(3, 3), (12, 4), (12, 4)]
    with pytest.raises(InputError, match="knob 'dataflow' is not ordered"):
        load_problem(samples / "dataflow", unordered="refuse")


def test_labels_alone_are_enough(samples, tmp_path, settings):
    problem = load_problem(samples / "accelerators")
    assert problem.splits["train"].regret is None
    assert len(problem.schema.knobs) == 10
    policy = train(problem, settings, tmp_path)
    arrays = problem.splits["train"].arrays
    assert policy.propose(arrays, top=3).designs.shape == (8, 3, 10)


def test_landscapes_agree_with_labels(capped):
    for examples in capped.splits.values():
        rows = np.arange(len(examples))
        assert (examples.regret[(rows, *examples.labels.T)] == 0).all()
        assert (examples.regret.reshape(len(rows), -1).min(axis=1) == 0).all()


def test_the_released_split_is_that_of_its_code(released, released_file):
    """The split runs over all rows in file order; rows that are no layers are left out afterwards."""
    from sklearn.model_selection import train_test_split

    rows = read_released(released_file)
    _, expected = train_test_split(np.arange(2, 205), train_size=0.95, random_state=0)
    legal = [line for line in expected if line not in rows.illegal]
    places = np.searchsorted(rows.lines, legal)
    test = released.splits["test"]
    np.testing.assert_array_equal(test.arrays["K"], rows.layers.K[places])
    np.testing.assert_array_equal(test.labels[:, 1] + 1, rows.num_pes[places])
    np.testing.assert_array_equal(test.labels[:, 0] + 1, rows.buffer_level[places])
    assert sum(map(len, released.splits.values())) == len(rows.layers)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"buckets": 0}, "buckets"),
        ({"head": "ordinal"}, "head"),
        ({"width": 20, "heads": 3}, "heads is 3, allowed: divisors of width, 20"),
        ({"bucket": 4}, "setting 'bucket'.*buckets"),
    ],
)
def test_bad_settings_are_named(given, message):
    with pytest.raises(InputError, match=message):
        TrainingSettings.parse(given)


def test_files_that_are_no_policy_are_refused(capped, trained, tmp_path):
    about, arrays = read_checkpoint(trained[1] / "policy.safetensors", POLICY, SCHEMA)
    path = tmp_path / "bad.safetensors"
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match="no checkpoint"):
        load_policy(path)
    write_checkpoint(path, POLICY, 99, about, arrays)
    with pytest.raises(InputError, match="has schema 99, allowed: 1"):
        load_policy(path)
    write_checkpoint(path, POLICY, SCHEMA, about, arrays | {"queries": arrays["queries"][:, :3]})
    with pytest.raises(InputError, match=r"'queries' has the shape \(2, 3\), its schema needs \(2, 16\)"):
        load_policy(path)
    other = Schema.from_json(capped.schema.to_json() | {"facts": {"cost_model": "physical"}})
    with pytest.raises(InputError, match="a policy of another schema: cost_model is maestro, not physical"):
        load_policy(trained[1] / "policy.safetensors", other)

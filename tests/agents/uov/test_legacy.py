"""The faithful mode is the network that was released, faults and all, and says so."""

import json
from collections import Counter

import numpy as np
import pytest
import torch

from accelgym.agents.checkpoint import checkpoint_kind, read_checkpoint, write_checkpoint
from accelgym.agents.uov import legacy_training
from accelgym.agents.uov.checkpoint import LEGACY, SCHEMA, load_policy
from accelgym.agents.uov.legacy_losses import LegacyOrdinalCode, focal_loss, supervised_contrast
from accelgym.agents.uov.legacy_network import LegacyDecoder, LegacyEncoder, legacy_indices
from accelgym.agents.uov.legacy_policy import load_legacy, save_legacy, score_legacy
from accelgym.agents.uov.legacy_training import LegacySettings, load_legacy_data, train_legacy
from accelgym.agents.uov.ordinal import OrdinalCode
from accelgym.costmodels.errors import InputError
from accelgym.dse_dataset.airchitect_csv import read_released

SMALL = {"batch": 32, "contrastive_epochs": 2, "epochs": 3, "rate": 1e-3}


def settings(**changes):
    return LegacySettings.parse(SMALL | changes)


@pytest.fixture(scope="module")
def data(released_file):
    pytest.importorskip("sklearn")
    return load_legacy_data(released_file)


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("legacy")
    return train_legacy(data, settings(), out), out


def inputs(**changes):
    given = {"K": 64, "C": 32, "Y": 16, "X": 56, "R": 3, "S": 3, "dataflow": "eye"} | changes
    return {name: np.array([value]) for name, value in given.items()}


# -- network ---------------------------------------------------------------------------------------------------------


def parameters(module):
    return sum(p.numel() for p in module.parameters())


def test_it_has_the_parameters_of_the_released_weights():
    """Counted in the release's two files of weights."""
    assert parameters(LegacyEncoder()) == 760_033
    assert parameters(LegacyDecoder(768, attention=True)) == 527_232


def test_an_answer_depends_on_the_batch(trained, data):
    """The exemption from the rule that holds for every other policy is a true one."""
    policy = trained[0]
    features = policy.features(data.indices)
    whole, halves, alone = (policy.outputs(features, n) for n in (len(features), len(features) // 2, 1))
    assert policy.depends_on_batch
    assert not np.allclose(whole, halves, atol=1e-4)
    assert not np.allclose(whole, alone, atol=1e-4)
    order = np.random.default_rng(0).permutation(len(features))
    np.testing.assert_allclose(policy.outputs(features[order], len(order)), whole[order], atol=1e-4)
    np.testing.assert_allclose(policy.features(data.indices[:1]), features[:1], atol=1e-5)


def test_the_decoder_of_layers_alone_does_not(data, tmp_path):
    policy = train_legacy(data, settings(decoder="layers", epochs=1, contrastive_epochs=1), tmp_path)
    features = policy.features(data.indices)
    assert not policy.depends_on_batch
    np.testing.assert_allclose(policy.outputs(features, 7), policy.outputs(features), atol=1e-5)


def test_inputs_are_indices_into_tables():
    found = legacy_indices({n: np.repeat(v, 2) for n, v in inputs(K=2, C=512, Y=1, X=256, R=1, S=9).items()})
    assert found.tolist() == [[0, 255, 0, 32, 0, 4, 1]] * 2


@pytest.mark.parametrize(("name", "value", "other"), [("K", 3, 2), ("C", 513, 512), ("Y", 7, 1), ("S", 10, 9)])
def test_sizes_off_the_grid_take_the_index_of_another(name, value, other):
    np.testing.assert_array_equal(legacy_indices(inputs(**{name: value})), legacy_indices(inputs(**{name: other})))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"K": 1}, r"row 0: K is 1, allowed: 2\.\.513"),
        ({"C": 514}, r"C is 514, allowed: 2\.\.513"),
        ({"Y": 264}, r"Y is 264, allowed: 1\.\.263"),
        ({"X": 0}, r"X is 0, allowed: 1\.\.263"),
        ({"R": 11}, r"R is 11, allowed: 1\.\.10"),
        ({"dataflow": "dpt"}, "dataflow is 'dpt', allowed: dla, eye, shi"),
    ],
)
def test_sizes_beyond_the_tables_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        legacy_indices(inputs(**changes))


# -- encoding and losses ---------------------------------------------------------------------------------------------


def test_decoding_does_not_undo_encoding():
    """8 of 64 levels come back, as measured with the released code; the consistent code brings back all."""
    code, levels = LegacyOrdinalCode(64, 16), np.arange(64)
    back = code.decode(code.encode(levels))
    assert (back.astype(int) == levels).mean() == 8 / 64
    assert np.abs(back - levels).max() == pytest.approx(3.94, abs=0.01)
    assert (np.abs(back - levels) <= 5).all()
    fewer = LegacyOrdinalCode(64, 8)
    assert (np.abs(fewer.decode(fewer.encode(levels)) - levels) <= 5).mean() == 0.625
    np.testing.assert_allclose(OrdinalCode(64, 16).decode(OrdinalCode(64, 16).encode(levels)), levels, atol=1e-9)


def test_vectors_are_those_of_the_release():
    code = LegacyOrdinalCode(64, 16)
    assert code.boundaries[:2].tolist() == [3.9375, 7.875]
    assert not code.encode([0, 1, 2, 3]).any()  # The first bucket: boundaries are cut to 3, 7, ...
    np.testing.assert_allclose(code.encode(9)[:3], [2.71828**-6, 2.71828**-2, 0], rtol=1e-6)
    assert code.encode(63).max() == pytest.approx(np.exp(-4), rel=1e-4)
    # Logits are decoded as if they were entries: any below 0 says the boundary itself.
    logits = np.full(16, -5.0)
    logits[4] = -1.0
    assert code.decode(logits) == code.boundaries[4]


@pytest.mark.parametrize("buckets", [0, 65])
def test_bucket_counts_are_checked(buckets):
    with pytest.raises(InputError, match=r"buckets is .*, allowed: 1\.\.64"):
        LegacyOrdinalCode(64, buckets)


def test_the_contrast_is_between_equal_labels_without_normalising():
    rng = np.random.default_rng(0)
    features, labels = rng.standard_normal((6, 4)) * 0.3, [0, 1, 0, 2, 1, 0]
    total = 0.0
    for i in range(6):
        others = [j for j in range(6) if j != i]
        norm = sum(np.exp(features[i] @ features[j] / 0.07) for j in others)
        same = [j for j in others if labels[j] == labels[i]]
        if same:  # Row 3 is alone, and counts 0.
            total -= np.mean([np.log(np.exp(features[i] @ features[j] / 0.07) / norm) for j in same])
    found = supervised_contrast(torch.tensor(features), torch.tensor(labels))
    assert float(found) == pytest.approx(total / 6)
    twice = supervised_contrast(torch.tensor(2 * features), torch.tensor(labels))
    assert float(twice) != pytest.approx(float(found), rel=0.01)


def test_the_focal_loss_weighs_zeros_by_what_is_said():
    outputs, vectors = torch.tensor([[0.4, -1.0]]), torch.tensor([[0.3, 0.0]])
    one, other = (1 / (1 + np.exp(-z)) for z in (0.4, -1.0))
    above = 0.75 * abs(0.3 - one) * -(0.3 * np.log(one) + 0.7 * np.log(1 - one))
    zero = 0.25 * other * -np.log(1 - other)
    assert float(focal_loss(outputs, vectors)) == pytest.approx((above + zero) / 2, rel=1e-5)


# -- data, training, files -------------------------------------------------------------------------------------------


def test_labels_are_the_released_ones(data, released_file):
    rows = read_released(released_file)
    released = Counter(((rows.num_pes - 1) * 12 + rows.buffer_level - 1).tolist())
    examples = data.test[1]
    test = examples.labels[:, 1] * 12 + examples.labels[:, 0]
    assert Counter(data.labels.tolist()) + Counter(test.tolist()) == released
    assert len(data.indices) + len(examples) == 200


def test_training_learns_and_says_that_it_is_legacy(trained, data):
    policy, out = trained
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [(row["stage"], row["epoch"]) for row in rows] == [(1, 1), (1, 2), (2, 1), (2, 2), (2, 3)]
    assert rows[1]["predictor"] < rows[0]["predictor"]
    assert rows[4]["cross_entropy"] < rows[2]["cross_entropy"]
    assert policy.schema.facts["mode"] == "legacy"
    found = score_legacy(policy, *data.test)
    assert list(found) == [1000, 128, 1]
    assert 0 <= found[1]["exact"] <= found[1]["pes"] <= found[1]["pes_within_5"] <= 1


def test_a_killed_training_goes_on_to_the_same_bytes(trained, data, tmp_path, monkeypatch):
    calls, contrast = {"count": 0}, legacy_training.supervised_contrast

    def killed(*arguments):
        calls["count"] += 1
        if calls["count"] == 8:  # In the second epoch.
            raise KeyboardInterrupt
        return contrast(*arguments)

    monkeypatch.setattr(legacy_training, "supervised_contrast", killed)
    with pytest.raises(KeyboardInterrupt):
        train_legacy(data, settings(), tmp_path)
    with pytest.raises(InputError, match="train stage 1 first"):
        train_legacy(data, settings(), tmp_path, stages=(2,))
    assert train_legacy(data, settings(), tmp_path, stages=(1,)) is None
    train_legacy(data, settings(), tmp_path, stages=(2,))
    for name in ("encoder.safetensors", "policy.safetensors"):
        assert (tmp_path / name).read_bytes() == (trained[1] / name).read_bytes()


def test_the_ordinal_head_names_pes_alone(data, tmp_path):
    policy = train_legacy(data, settings(head="uov", epochs=1, contrastive_epochs=1), tmp_path)
    assert [knob.name for knob in policy.schema.knobs] == ["num_pes"]
    assert "exact" not in score_legacy(policy, *data.test)[1000]
    assert policy.propose(data.indices).shape == (len(data.indices), 1)


def test_what_does_not_apply_is_refused(trained, data, samples, tmp_path):
    with pytest.raises(InputError, match="--legacy learns AIrchitect v2's released file of convolutions alone"):
        load_legacy_data(samples / "capped")
    with pytest.raises(InputError, match="batch is 1000, allowed: at most the 189 rows"):
        train_legacy(data, settings(batch=1000), tmp_path)
    with pytest.raises(
        InputError, match=r"holds another training: settings was \{'seed': 0\} and is now \{'seed': 1\}"
    ):
        train_legacy(data, settings(seed=1), trained[1])
    with pytest.raises(InputError, match="setting of --legacy 'width'"):
        LegacySettings.parse({"width": 3})
    with pytest.raises(InputError, match=r"a legacy policy of AIrchitect v2.*allowed: of 'a UOV policy'"):
        load_policy(trained[1] / "policy.safetensors")


def test_a_policy_survives_its_file(trained, data, tmp_path):
    path = trained[1] / "policy.safetensors"
    again = load_legacy(path)
    save_legacy(tmp_path / "again.safetensors", again)
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()
    np.testing.assert_array_equal(again.propose(data.indices), trained[0].propose(data.indices))
    assert checkpoint_kind(path) == LEGACY
    about, arrays = read_checkpoint(path, LEGACY, SCHEMA)
    del arrays["encoder.tables.0.weight"]
    write_checkpoint(path.with_name("bad.safetensors"), LEGACY, SCHEMA, about, arrays)
    with pytest.raises(InputError, match=r"lacks the parameter 'encoder\.tables\.0\.weight'"):
        load_legacy(path.with_name("bad.safetensors"))
    (tmp_path / "none.safetensors").write_bytes(b"nothing")
    assert checkpoint_kind(tmp_path / "none.safetensors") is None

"""The network answers row by row, the same from NumPy and torch, and within what is feasible."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelgym.agents.uov.features import Tokeniser, _distinct
from accelgym.agents.uov.schema import Input, Knob, Schema
from accelgym.agents.uov.torch_operations import TorchOperations
from accelgym.agents.uov.training import initial_policy
from accelgym.costmodels.errors import InputError, InputWarning


@pytest.fixture(scope="module")
def policy(capped, settings):
    return initial_policy(capped, settings)


def asked(examples, rows):
    part = examples.take(rows)
    return part.arrays, part.feasible


@pytest.mark.parametrize("operations", [None, TorchOperations()], ids=["numpy", "torch"])
@pytest.mark.parametrize("top", [1, 4])
def test_an_answer_does_not_depend_on_the_other_rows(policy, capped, operations, top):
    examples = capped.splits["train"]
    order = np.random.default_rng(0).permutation(len(examples))
    whole = policy.propose(*asked(examples, slice(None)), top=top, operations=operations)
    permuted = policy.propose(*asked(examples, order), top=top, operations=operations)
    np.testing.assert_array_equal(permuted.designs, whole.designs[order])
    np.testing.assert_allclose(permuted.log_probability, whole.log_probability[order], rtol=1e-4, atol=1e-4)
    parts = [policy.propose(*asked(examples, slice(i, i + 7)), top=top, operations=operations) for i in (0, 7, 14)]
    np.testing.assert_array_equal(np.concatenate([p.designs for p in parts]), whole.designs[:21])


def test_encoded_tokens_are_those_of_the_row_alone(policy, capped):
    examples = capped.splits["train"]
    whole = policy.log_best(*asked(examples, slice(None)))
    alone = np.concatenate([policy.log_best(*asked(examples, slice(i, i + 1))) for i in range(20)])
    np.testing.assert_allclose(alone, whole[:20], rtol=1e-5, atol=1e-5)


def test_numpy_and_torch_say_the_same(policy, capped):
    arrays, feasible = asked(capped.splits["train"], slice(None))
    one = policy.propose(arrays, feasible, top=8)
    other = policy.propose(arrays, feasible, top=8, operations=TorchOperations())
    np.testing.assert_allclose(one.log_probability, other.log_probability, rtol=1e-3, atol=1e-3)
    assert (one.designs[:, 0] == other.designs[:, 0]).all(axis=1).mean() > 0.99


@pytest.mark.parametrize("times", [1.0, 40.0], ids=["as drawn", "attention beyond what exp takes"])
def test_products_formed_once_are_the_network(capped, settings, times):
    """With several blocks of either kind, against torch, which follows the definition."""
    deep = settings.model_copy(update={"heads": 4, "encoder_blocks": 2, "decoder_blocks": 2})
    policy = initial_policy(capped, deep)
    rng = np.random.default_rng(0)
    drawn = {name: a + 0.3 * rng.standard_normal(a.shape).astype(np.float32) for name, a in policy.parameters.items()}
    scales = {name: drawn[name] * times for name in drawn if name.endswith(("qkv.weight", ".q.weight"))}
    kept = {name: a for name, a in policy.parameters.items() if name.startswith("features.")}
    policy = replace(policy, parameters=drawn | scales | kept)
    arrays, feasible = asked(capped.splits["train"], slice(0, 50))
    chosen = [np.arange(50)[:, None] % 12]
    for before, knob in (([], 0), (chosen, 1)):
        found = [next(policy._read(arrays, feasible, ops))[1](before, knob) for ops in (None, TorchOperations())]
        np.testing.assert_allclose(found[0], found[1], atol=1e-5 * np.abs(found[1]).max() * times)


def test_equal_inputs_are_worked_out_once(policy, capped):
    arrays, feasible = asked(capped.splits["train"], slice(None))
    tokens = policy.tokeniser.distinct(arrays, feasible)
    dense = policy.tokeniser(arrays, feasible)
    for place, (features, which) in enumerate(tokens):
        np.testing.assert_array_equal(features[which], dense[:, place, : features.shape[1]])
    alone = np.concatenate([policy.tokeniser(*asked(capped.splits["train"], slice(i, i + 1))) for i in range(40)])
    np.testing.assert_array_equal(alone, dense[:40])
    assert len(tokens[0][0]) == len(np.unique(arrays[policy.schema.inputs[0].name]))


@given(
    st.lists(st.tuples(st.integers(1, 2**31 - 1), st.integers(1, 9)), min_size=33, max_size=80),
    st.sampled_from([3, 50, 2**31]),
)
def test_rows_that_are_equal_share_a_token(pairs, modulus):
    columns = [np.array([a % modulus for a, _ in pairs]), np.array([b for _, b in pairs])]
    first, which = _distinct(columns)
    for column in columns:
        np.testing.assert_array_equal(column[first][which], column)
    assert len(first) == len({(int(a), int(b)) for a, b in zip(*columns, strict=True)})


def test_proposals_are_feasible_distinct_and_sorted(policy, capped):
    arrays, feasible = asked(capped.splits["train"], slice(None))
    found = policy.propose(arrays, feasible, top=12)
    rows = np.arange(len(feasible))[:, None]
    allowed = feasible[rows, found.designs[..., 0], found.designs[..., 1]]
    assert allowed[found.log_probability > -1e29].all()
    assert (np.diff(found.log_probability, axis=1) <= 1e-6).all()
    for designs, scores in zip(found.designs, found.log_probability, strict=True):
        there = designs[scores > -1e29]
        assert len(np.unique(there, axis=0)) == len(there)


def test_a_wide_beam_finds_the_most_likely_designs_of_all(policy, capped):
    """Against the product rule over all 768 designs, conditioned value by value."""
    arrays, _ = asked(capped.splits["train"], slice(0, 3))
    feasible = np.ones((3, 12, 64), dtype=bool)
    found = policy.propose(arrays, feasible, top=768)
    assert np.exp(found.log_probability.astype(np.float64)).sum(axis=1) == pytest.approx(np.ones(3), rel=1e-4)
    few = policy.propose(arrays, feasible, top=5, beam=768)
    np.testing.assert_array_equal(few.designs, found.designs[:, :5])


def schema(**changes):
    given = {
        "name": "test",
        "inputs": (
            Input("Y", "extent", (), 1, 64),
            Input("R", "extent", (), 1, 5),
            Input("df", "category", ("a", "b")),
        ),
        "knobs": (Knob("pes", (1, 2, 3, 4)), Knob("flow", ("x", "y"), ordered=False)),
    }
    return Schema(**(given | changes))


def test_features_are_sizes_and_what_rounding_up_costs():
    arrays = {"Y": np.array([8]), "R": np.array([3]), "df": np.array(["b"])}
    tokens = Tokeniser(schema())(arrays)[0]
    assert Tokeniser(schema()).levels.tolist() == [2, 3, 4]
    six = [np.ceil(6 / b) * b / 6 for b in (2, 3, 4)]
    assert tokens[0] == pytest.approx([3, np.log2(6), *np.log2(six)])
    assert tokens[2, :2].tolist() == [0, 1]
    assert not tokens[2, 2:].any()


def test_sizes_far_outside_the_training_are_taken():
    arrays = {"Y": np.array([2**30, 1]), "R": np.array([1, 9]), "df": np.array(["a", "a"])}
    assert np.isfinite(Tokeniser(schema())(arrays)).all()


def test_inputs_outside_the_range_are_warned_about_by_range():
    arrays = {"Y": np.array([8, 100, 300]), "R": np.array([1, 1, 1]), "df": np.array(["a", "a", "a"])}
    with pytest.warns(InputWarning, match=r"line 7: X is 100, outside the range .* 1\.\.64; so in 2 of 3 rows"):
        schema().checked(arrays, "file", np.array([6, 7, 8]), {"Y": "X"})


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"Y": [1], "R": [1]}, "input 'df'"),
        ({"Y": [1], "R": [1], "df": ["c"]}, "row 0: df is 'c', allowed: a, b"),
    ],
)
def test_wrong_inputs_are_named(arrays, message):
    with pytest.raises(InputError, match=message):
        schema().checked({name: np.array(values) for name, values in arrays.items()})


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({}, ""),
        ({"inputs": schema().inputs[:2]}, "its inputs are Y, R, df, not Y, R"),
        (
            {"knobs": (Knob("pes", (1, 2, 3, 8)), schema().knobs[1])},
            "has the values 1, 2, 3, 4, not 1, 2, 3, 8",
        ),
        ({"knobs": (schema().knobs[0], Knob("flow", ("x", "y")))}, r"\(unordered\)"),
        ({"facts": {"cost_model": "other"}}, "cost_model is None, not other"),
    ],
)
def test_what_keeps_two_schemas_apart_is_said(changes, difference):
    import re

    found = schema().difference(schema(**changes))
    assert re.search(difference, found)
    assert bool(found) == bool(difference)


def test_a_schema_survives_json():
    import json

    assert Schema.from_json(json.loads(json.dumps(schema().to_json()))) == schema()

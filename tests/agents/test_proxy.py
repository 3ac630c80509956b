"""Learned proxies: they learn, keep, warn, and adapt as the formulas say."""

import numpy as np
import pytest
import torch

from accelgym.agents.proxy import FitOptions, LinearAdaptation, Proxy, ProxyNetwork, fine_tune, log_errors, meta_train
from accelgym.agents.proxy.adaptation import _INPUT_SCALE, _STRENGTHS
from accelgym.costmodels.errors import InputError, InputWarning
from accelgym.dse_dataset.input_encoding import InputEncoder

QUICK = FitOptions(width=24, steps=300, batch=64)


def rows(seed, count=400):
    rng = np.random.default_rng(seed)
    K, C = (rng.integers(1, 512, count) for _ in range(2))
    kind = rng.choice(["a", "b"], count)
    cost = 3.0 * K * C**0.5 * np.where(kind == "a", 1.0, 10.0)
    return {"K": K, "C": C, "kind": kind, "cost": cost}


@pytest.fixture(scope="module")
def proxy():
    return Proxy.fitted(rows(0), ["K", "C", "kind"], ["cost"], options=QUICK)


def test_a_power_law_is_learnt(proxy):
    unseen = rows(1)
    error = log_errors(np.log(proxy.predict(unseen, warn=False)["cost"]), np.log(unseen["cost"]))
    assert error < 0.15 * np.log(unseen["cost"]).std()


def test_what_is_saved_is_loaded_and_trained_twice_is_the_same(proxy, tmp_path):
    again = Proxy.fitted(rows(0), ["K", "C", "kind"], ["cost"], options=QUICK)
    proxy.save(tmp_path / "one")
    again.save(tmp_path / "two")
    one, two = ((tmp_path / name / "proxy.safetensors").read_bytes() for name in ("one", "two"))
    assert one == two
    before = torch.random.get_rng_state()
    loaded = Proxy.load(tmp_path / "one")
    assert torch.equal(torch.random.get_rng_state(), before)
    found, expected = (one.predict(rows(2), warn=False)["cost"] for one in (loaded, proxy))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"K": np.array([1, 5000])}, r"column 'K' holds 1 to 5000, learnt from 2 to 510"),
        ({"kind": np.array(["a", "c"])}, "column 'kind' holds 'c', learnt from: a, b"),
    ],
)
def test_inputs_outside_the_range_are_a_warning_with_the_range(proxy, change, message):
    few = {name: values[:2] for name, values in rows(3).items()}
    with pytest.warns(InputWarning, match=message):
        proxy.predict(few | change)


def test_wrong_columns_are_refused(proxy):
    few = rows(3)
    with pytest.raises(InputError, match="column 'kind' is missing; the inputs are K, C, kind"):
        proxy.predict({name: few[name] for name in ("K", "C")})
    with pytest.raises(InputError, match=r"column 'K' holds .* allowed: numbers"):
        proxy.predict(few | {"K": few["kind"]})
    with pytest.raises(InputError, match="unknown column 'costs'"):
        Proxy.fitted(few, ["K"], ["costs"], options=QUICK)
    with pytest.raises(InputError, match="'cost' has no positive number"):
        Proxy.fitted(few | {"cost": np.zeros(400)}, ["K"], ["cost"], options=QUICK)


def test_an_encoder_survives_json():
    encoder = InputEncoder.of(rows(0), ["kind", "K"])
    again = InputEncoder.from_json(encoder.to_json())
    assert again == encoder
    expected = np.column_stack((rows(4)["kind"] == "a", rows(4)["kind"] == "b", np.log2(rows(4)["K"] + 1e-3)))
    np.testing.assert_allclose(again.encode(rows(4), warn=False), expected)


class Known:
    """Three cost models that are linear in two inputs."""

    mean, spread = torch.zeros(2), torch.ones(2)
    table = np.array([[1.0, 0.2, 0.5], [0.3, 1.0, -0.4]])

    def predict(self, features):
        return features @ self.table


def regressors(features):
    logs = Known().predict(features)
    mean = logs.mean(axis=1, keepdims=True)
    return np.concatenate((np.ones_like(mean), mean, logs - mean, _INPUT_SCALE * features), axis=1)


def test_a_combination_of_known_models_is_found_from_ten_samples():
    rng = np.random.default_rng(0)
    features, unseen = rng.normal(size=(10, 2)), rng.normal(size=(50, 2))
    new = Known.table @ np.array([0.7, 0.1, 0.2])
    found = LinearAdaptation.fitted(Known(), features, 4.0 + features @ new).predict(unseen)
    np.testing.assert_allclose(found, 4.0 + unseen @ new, atol=5e-3)


def test_the_strength_is_the_one_that_leaving_one_out_prefers():
    """Each strength is judged by fitting as many times as there are samples, instead of by the closed form."""
    rng = np.random.default_rng(1)
    features = rng.normal(size=(8, 2))
    targets = 1.0 + features @ np.array([0.4, 0.9]) + 0.3 * rng.normal(size=8)

    def fit(design, wanted, strength):
        ridge = np.full(design.shape[1], strength)
        ridge[:2] = 1e-8, strength * 1e-2
        prior = np.eye(design.shape[1])[1]
        return np.linalg.solve(design.T @ design + np.diag(ridge), design.T @ wanted + ridge * prior)

    design = regressors(features)
    errors = []
    for strength in _STRENGTHS:
        parts = [np.delete(np.arange(8), i) for i in range(8)]
        left = [targets[i] - design[i] @ fit(design[p], targets[p], strength) for i, p in enumerate(parts)]
        errors.append(np.mean(np.square(left)))
    expected = fit(design, targets, _STRENGTHS[int(np.argmin(errors))])
    np.testing.assert_allclose(LinearAdaptation.fitted(Known(), features, targets).weights, expected, atol=1e-6)


def test_too_few_samples_are_refused():
    with pytest.raises(InputError, match="2 samples, allowed >= 3"):
        LinearAdaptation.fitted(Known(), np.zeros((2, 2)), np.zeros(2))


def test_meta_learned_weights_adapt_better_than_new_ones():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3))

    def labels(level):
        return level + x @ np.array([1.0, -0.5, 0.25]) + 0.3 * x[:, 0] * x[:, 1]

    settings = {"width": 16, "samples": 10, "steps": 5, "learning_rate": 1e-2}
    tasks = [(x, labels(level)) for level in (-2.0, -1.0, 0.0, 1.0)]
    start = meta_train(tasks, rounds=60, seed=0, **settings)
    fresh = meta_train(tasks, rounds=1, seed=0, **settings)
    truth, given = labels(0.5), np.arange(10)
    errors = [
        log_errors(fine_tune(n, x[given], truth[given], steps=10, learning_rate=1e-2).predict(x)[:, 0], truth)
        for n in (start, fresh)
    ]
    assert errors[0] < errors[1]
    before = start.predict(x[:5])
    fine_tune(start, x[given], truth[given], steps=3, learning_rate=1e-2)
    np.testing.assert_array_equal(start.predict(x[:5]), before)


def test_only_a_network_of_one_cost_is_fine_tuned():
    with pytest.raises(InputError, match="predicts 2 costs"):
        fine_tune(ProxyNetwork(3, 2, 4), np.zeros((4, 3)), np.zeros(4), steps=1, learning_rate=1e-3)

"""Accuracy oracles: shipped networks, a user's network and data, proxies, and everything a user can get wrong."""

import io
import sys
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from typer.testing import CliRunner

from accelgym.cli.root import app
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.quantization import LayerQuantization, TensorFormat
from accelgym.envs.accuracy.glyphs import CHARACTERS, glyph_images, glyph_test_images
from accelgym.envs.accuracy.oracle import MeasuredOracle
from accelgym.envs.accuracy.proxies import ProxyOracle
from accelgym.envs.accuracy.reference_models import REFERENCE_MODELS, reference_oracle
from accelgym.envs.accuracy.schemes import uniform
from accelgym.envs.accuracy.text import SYMBOLS, characters, text_windows
from accelgym.envs.accuracy.user_data import read_labelled
from accelgym.envs.accuracy.user_model import CallableOracle, user_oracle
from accelgym.experiments.statistics import rank_correlation

RNG = np.random.default_rng(0)
EXAMPLES = 120
SHIPPED = [name for name, model in REFERENCE_MODELS.items() if model.weights.exists()]


class Classifier(nn.Module):
    def __init__(self, side=8, channels=3):
        super().__init__()
        self.conv = nn.Conv2d(channels, 6, 3, padding=1)
        self.head = nn.Linear(6 * side * side, 10)

    def forward(self, x):
        return self.head(torch.relu(self.conv(x)).flatten(1))


@pytest.fixture
def cache_folder(tmp_path, monkeypatch):
    """Keeps answers of earlier runs out of the tests."""
    monkeypatch.setattr("accelgym.envs.accuracy.oracle.default_cache_folder", lambda: tmp_path)


@pytest.fixture(scope="module")
def package():
    """A user's package of factories and functions."""
    module = types.ModuleType("users_networks")
    torch.manual_seed(0)
    state = Classifier().state_dict()

    def small():
        net = Classifier()
        net.load_state_dict(state)
        return net

    def broken():
        raise RuntimeError("no such dataset")

    module.small, module.broken = small, broken
    module.rubbish = lambda: 3
    module.script = lambda formats: {"value": 12.5 + len(formats)}
    module.bad_script = lambda formats: None
    module.cifar = lambda: Classifier(side=32)
    module.gray = lambda: Classifier(channels=1)
    sys.modules[module.__name__] = module
    yield module
    del sys.modules[module.__name__]


@pytest.fixture(scope="module")
def data(package, tmp_path_factory):
    """Images with the labels that the network gives them, so that its accuracy is 100 percent."""
    inputs = RNG.standard_normal((EXAMPLES, 3, 8, 8)).astype(np.float32)
    with torch.no_grad():
        targets = package.small()(torch.from_numpy(inputs)).argmax(dim=1).numpy()
    path = tmp_path_factory.mktemp("data") / "data.npz"
    np.savez(path, inputs=inputs, targets=targets)
    return path


# -- data and networks that ship ---------------------------------------------------------------------------------


def test_test_images_are_always_the_same():
    images, labels = glyph_test_images()
    assert images.shape == (10_000, 1, 24, 24)
    assert len(CHARACTERS) == len(set(CHARACTERS)) >= 60
    assert np.bincount(labels, minlength=len(CHARACTERS)).min() > 80
    again, _ = glyph_images(np.random.default_rng(20_000), 10_000)
    np.testing.assert_array_equal(images[:50], again[:50])


def test_text_for_tests_is_no_text_for_training():
    train, test = characters(test=False), characters(test=True)
    assert 0.05 < len(test) / len(train) < 0.3
    inputs, targets = text_windows(20)
    np.testing.assert_array_equal(inputs[:, 1:], targets[:, :-1])
    assert inputs.max() < len(SYMBOLS)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name != "glyph_cnn")) for name in SHIPPED]
)
def test_four_bits_everywhere_cost_what_eight_do_not(name, cache_folder):
    """What makes the networks fit for choosing types: 2 points, or 10 percent of perplexity, and more."""
    oracle = reference_oracle(name, 300 if REFERENCE_MODELS[name].data == "images" else 60)
    full, eight, four = (
        oracle.accuracy(dict.fromkeys(oracle.layer_names, formats))
        for formats in (LayerQuantization(), uniform("int8"), uniform("int4"))
    )
    if full.metric == "top1_percent":
        assert full.value > 60
        assert full.value - eight.value < 2 < full.value - four.value
    else:
        assert full.value < 6
        assert eight.value < 1.02 * full.value < 1.1 * full.value < four.value


def test_answers_are_kept_by_content(cache_folder, data):
    inputs, targets = read_labelled(data)
    first = user_oracle("users_networks:small", None, inputs, targets, calibration=20)
    formats = dict.fromkeys(first.layer_names, uniform("int4"))
    answer = first.accuracy(formats)
    again = user_oracle("users_networks:small", None, inputs, targets, calibration=20).accuracy(formats)
    assert (again.value, again.cross_entropy, again.cached) == (answer.value, answer.cross_entropy, True)
    others = (
        user_oracle("users_networks:small", None, inputs, targets, calibration=21).accuracy(formats),
        user_oracle("users_networks:small", None, inputs, targets, calibration=20, smoothing=0.5).accuracy(formats),
        first.accuracy(dict.fromkeys(first.layer_names, uniform("int5"))),
    )
    assert not any(other.cached for other in others)


def test_accuracy_is_what_counting_gives(cache_folder, data, package):
    inputs, targets = read_labelled(data)
    oracle = user_oracle("users_networks:small", None, inputs, targets, calibration=20, keep=False)
    assert oracle.accuracy({}).value == 100
    formats = dict.fromkeys(oracle.layer_names, uniform("int2"))
    found = oracle.accuracy(formats)
    losses, right = oracle.examples(formats)
    assert found.examples == len(losses) == EXAMPLES - 20
    assert found.value == pytest.approx(100 * right.mean())
    assert found.standard_error == pytest.approx(100 * right.std() / 10)
    batched = MeasuredOracle(oracle.network, [inputs[20:]], targets[20:], [inputs[:20]], batch=33, keep=False)
    assert batched.accuracy(formats).cross_entropy == pytest.approx(found.cross_entropy, rel=1e-6)


# -- a user's network and data -----------------------------------------------------------------------------------


def run(*arguments):
    return CliRunner().invoke(app, ["accuracy", *map(str, arguments)], catch_exceptions=True)


def test_the_command_measures_modules_programs_and_weights(cache_folder, data, package, tmp_path):
    program = torch.export.export(
        package.small(), (torch.zeros(2, 3, 8, 8),), dynamic_shapes=({0: torch.export.Dim.AUTO},)
    )
    torch.export.save(program, tmp_path / "net.pt2")
    save_file(package.small().state_dict(), tmp_path / "weights.safetensors")
    spec = tmp_path / "mixed.yaml"
    spec.write_text("default:\n  weight: {datatype: int4, scales: channel}\nlayers:\n  head: {}\n")
    fixed = torch.export.export(package.small(), (torch.zeros(7, 3, 8, 8),))  # Takes 7 examples at a time.
    torch.export.save(fixed, tmp_path / "fixed.pt2")
    for module in ("users_networks:small", tmp_path / "net.pt2", tmp_path / "fixed.pt2"):
        result = run("--module", module, "--data", data, "--types", "int8,int4")
        assert result.exit_code == 0, result.output
        assert "100.000" in result.output
    result = run("--module", tmp_path / "net.pt2", "--weights", tmp_path / "weights.safetensors", "--data", data)
    assert result.exit_code == 0, result.output
    result = run("--module", "users_networks:small", "--data", data, "--script", "users_networks:script")
    assert "14.500" in result.output
    assert "mixed" in run("--module", "users_networks:small", "--data", data, "--spec", spec).output


def test_images_and_cifar_files_are_read(tmp_path):
    for label, name in enumerate(("cats", "dogs")):
        (tmp_path / "images" / name).mkdir(parents=True)
        for index in range(3):
            pixels = np.full((8, 8, 3), 50 * label + index, dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{index}.png")
    inputs, targets = read_labelled(tmp_path / "images")
    assert inputs.shape == (6, 3, 8, 8)
    np.testing.assert_array_equal(targets, [0, 0, 0, 1, 1, 1])
    np.testing.assert_allclose(inputs[4], 51 / 255)
    records = RNG.integers(256, size=(5, 3073), dtype=np.uint8)
    records[:, 0] %= 10
    records.tofile(tmp_path / "test_batch.bin")
    inputs, targets = read_labelled(tmp_path / "test_batch.bin")
    np.testing.assert_array_equal(targets, records[:, 0])
    assert inputs[2, 1, 3, 4] == pytest.approx(records[2, 1 + 1024 + 3 * 32 + 4] / 255)
    (tmp_path / "folder").mkdir()
    records.tofile(tmp_path / "folder" / "test_batch.bin")
    np.testing.assert_array_equal(read_labelled(tmp_path / "folder")[1], targets)


def test_bad_data_is_named(tmp_path):
    def archive(**arrays):
        np.savez(tmp_path / "bad.npz", **arrays)
        return tmp_path / "bad.npz"

    (tmp_path / "short.bin").write_bytes(b"\0" * 3000)
    (tmp_path / "label.bin").write_bytes(b"\x0b" + b"\0" * 3072)
    (tmp_path / "text.npz").write_text("no archive")
    (tmp_path / "empty").mkdir()
    for path, message in (
        (tmp_path / "nothing.npz", "no such file"),
        (tmp_path / "text.npz", "no NumPy archive"),
        (archive(inputs=np.zeros(3)), "needed: one of targets, y, labels"),
        (tmp_path / "short.bin", "3000 bytes"),
        (tmp_path / "label.bin", "record 0 has label 11"),
        (tmp_path / "empty", "a subfolder"),
        (tmp_path / "text.csv", "no such file"),
    ):
        with pytest.raises(InputError, match=message):
            read_labelled(path)
    for arrays, message in (
        ({"x": np.zeros(3), "y": np.zeros(3)}, "targets are float64"),
        ({"x": np.zeros(3), "y": np.zeros(2, dtype=int)}, "3 inputs and 2 targets"),
        ({"x": np.array([{}]), "y": np.zeros(1, dtype=int)}, "plain arrays"),
    ):
        with pytest.raises(InputError, match=message):
            read_labelled(archive(**arrays))


def test_bad_modules_and_weights_are_one_line(cache_folder, data, package, tmp_path):
    good = package.small().state_dict()
    save_file({k: v for k, v in good.items() if k != "head.bias"}, tmp_path / "missing.safetensors")
    save_file({**good, "head.weight": torch.zeros(3, 4)}, tmp_path / "shape.safetensors")
    save_file({**good, "tail": torch.zeros(1)}, tmp_path / "more.safetensors")
    (tmp_path / "broken.safetensors").write_text("{}")
    (tmp_path / "broken.pt2").write_text("no zip")
    with zipfile.ZipFile(tmp_path / "pickled.pt2", "w") as archive:
        archive.writestr("net/data/constants/custom_obj_0", b"cos\nsystem\n")
    bad_labels = tmp_path / "labels.npz"
    np.savez(bad_labels, x=np.zeros((8, 3, 8, 8), dtype=np.float32), y=np.arange(8) * 5)
    small = "users_networks:small"
    for arguments, message in (
        (("--module", small, "--weights", "missing.safetensors"), "'head.bias' is missing"),
        (("--module", small, "--weights", "shape.safetensors"), "'head.weight' has shape (3, 4)"),
        (("--module", small, "--weights", "more.safetensors"), "'tail' is not of module"),
        (("--module", small, "--weights", "broken.safetensors"), "no safetensors file"),
        (("--module", "broken.pt2"), "no program of torch.export"),
        (("--module", "pickled.pt2"), "holds pickled objects"),
        (("--module", "users_networks:broken"), "factory failed: RuntimeError: no such dataset"),
        (("--module", "users_networks:rubbish"), "factory returned 3"),
        (("--module", "users_networks:nothing"), "cannot be imported: AttributeError"),
        (("--module", "no_such_package:net"), "cannot be imported: ModuleNotFoundError"),
        (("--module", "net"), "allowed: FILE.pt2 or package:factory"),
        (("--module", "users_networks:gray"), "cannot be exported"),
        (("--module", small, "--types", "int99"), "int99"),
        (("--module", small, "--smoothing", "3"), "smoothing is 3.0"),
        (("--module", small, "--data", str(bad_labels)), "targets 20..35, allowed 0..9"),
        (("--module", small, "--script", "users_networks:bad_script"), "returned None, allowed: a finite number"),
        (("--module", small, "--script", "users_networks:broken"), "'users_networks:broken' failed: TypeError"),
        ((), "--network or --module"),
        (("--network", "glyph"), "unknown network 'glyph'"),
    ):
        full = [tmp_path / a if a.endswith((".safetensors", ".pt2")) else a for a in arguments]
        if "--data" not in arguments and "--module" in arguments:
            full += ["--data", data]
        result = run(*full)
        assert isinstance(result.exception, InputError), (arguments, result.output, result.exception)
        assert message in str(result.exception)


def test_a_users_own_accuracy_is_checked():
    good = CallableOracle("mine", lambda formats: {"value": 70.5, "standard_error": 0.1}, ["a", "b"])
    found = good.accuracy({"a": uniform("int8")})
    assert (found.value, found.standard_error) == (70.5, 0.1)
    seen = []
    CallableOracle("mine", lambda formats: seen.append(formats) or 1.0, ["a"]).accuracy({"a": uniform("int8")})
    assert seen[0]["a"]["weight"]["datatype"] == "int8"
    for function, message in (
        (lambda formats: formats["nothing"], "'mine' failed: KeyError"),
        (lambda formats: "good", "'mine' returned 'good'"),
        (lambda formats: float("nan"), "'mine' returned nan"),
        (lambda formats: {"value": True}, "'mine' returned"),
        (lambda formats: {"value": 1.0, "examples": "many"}, "'mine' returned"),
    ):
        with pytest.raises(InputError, match=message):
            CallableOracle("mine", function, ["a"]).accuracy({})


# -- proxies -----------------------------------------------------------------------------------------------------


def test_the_noise_proxy_is_the_noise_of_the_stored_weights(package, data):
    inputs, targets = read_labelled(data)
    oracle = user_oracle("users_networks:small", None, inputs, targets, calibration=20, keep=False)
    calibration = [torch.from_numpy(inputs[:20])]
    proxy = ProxyOracle(oracle.inference, calibration, "sqnr")
    formats = LayerQuantization(weight=TensorFormat(datatype="int4", scales="channel"))
    layer = oracle.network.layers[0]
    weight = oracle.inference.prepared(layer, formats).weight
    net = package.small()
    with torch.no_grad():
        clean = net.conv(calibration[0])
        net.conv.weight.copy_(weight)
        noise = net.conv(calibration[0]) - clean
    expected = float(10 * torch.log10((clean**2).sum() / (noise**2).sum()))
    found = proxy.accuracy({"conv": formats})
    assert found.metric == "proxy_sqnr_db"
    assert found.value == pytest.approx(expected, abs=1e-4)


def test_proxies_rank_assignments_like_the_measurement(package, data):
    inputs, targets = read_labelled(data)
    oracle = user_oracle("users_networks:small", None, inputs, targets, calibration=40, keep=False)
    options = [uniform(t) for t in ("int2", "int3", "int4", "int6", "int8")]
    tried = [dict(zip(oracle.layer_names, pair, strict=True)) for pair in zip(options, options[::-1], strict=True)]
    tried += [dict.fromkeys(oracle.layer_names, o) for o in options]
    truth = [oracle.accuracy(a).cross_entropy for a in tried]
    for name, sign in (("sqnr", -1), ("fisher", 1)):
        proxy = ProxyOracle(oracle.inference, [torch.from_numpy(inputs[:40])], name)
        assert rank_correlation(truth, [sign * proxy.accuracy(a).value for a in tried]) > 0.7
    with pytest.raises(InputError, match="unknown proxy 'hessian'"):
        ProxyOracle(oracle.inference, [torch.from_numpy(inputs[:40])], "hessian")


def test_rank_correlation_shares_ranks():
    from scipy.stats import spearmanr

    first, second = RNG.integers(5, size=30).astype(float), RNG.normal(size=30)
    assert rank_correlation(list(first), list(second)) == pytest.approx(spearmanr(first, second).statistic)


def test_weights_are_small_and_plain():
    for name in SHIPPED:
        path: Path = REFERENCE_MODELS[name].weights
        assert path.stat().st_size < 400_000
        assert io.BytesIO(path.read_bytes()).read(9)[8:9] == b"{"

"""Quantised inference against PyTorch, against itself without shared prefixes, and against the accelerator's bits."""

import numpy as np
import pytest
import torch
from torch import nn

from accelgym.costmodels.datatypes import get_datatype
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.quantization import LayerQuantization, TensorFormat, quantise
from accelgym.costmodels.systolic.config import make_config
from accelgym.costmodels.systolic.scheduler import schedule
from accelgym.envs.accuracy.inference import Inference
from accelgym.envs.accuracy.network import TracedNetwork
from accelgym.envs.accuracy.reference_models import REFERENCE_MODELS, reference_oracle
from accelgym.envs.accuracy.rounding import fake_quantise, rounder
from accelgym.envs.accuracy.schemes import uniform
from accelgym.hwgen.emitter import emit
from accelgym.hwgen.program import compile_layer
from accelgym.hwgen.quantized_layer import quantise_layer
from accelgym.hwgen.simulator import Job, build_simulator

RNG = np.random.default_rng(0)


class Net(nn.Module):
    """Every kind of layer: a strided, a depthwise and a plain convolution, attention, products of activations."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.qkv = nn.Linear(8, 24)
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        x = torch.relu(self.norm(self.stem(x)))
        x = x + self.depthwise(x)
        q, k, v = self.qkv(x.flatten(2).transpose(1, 2)).unsqueeze(1).chunk(3, dim=-1)
        x = nn.functional.scaled_dot_product_attention(q, k, v)[:, 0]
        gram = x.transpose(1, 2) @ x / x.shape[1]
        return self.head(torch.cat((x.mean(dim=1), gram.mean(dim=1)), dim=-1))


def trained_net():
    torch.manual_seed(0)
    net = Net()
    for _ in range(3):  # Running statistics of the normalisation.
        net(torch.randn(16, 3, 8, 8))
    return net.eval()


NET = trained_net()
DATA = torch.from_numpy(RNG.standard_normal((12, 3, 8, 8))).float()


@pytest.fixture(scope="module")
def network():
    return TracedNetwork(NET, (DATA[:2],), "net")


@pytest.fixture(scope="module")
def inference(network):
    return Inference(network, [DATA])


def everywhere(network, formats):
    return dict.fromkeys(network.layer_names, formats)


@pytest.mark.parametrize("name", ["int4", "int9", "uint8", "e4m3", "e2m1", "e3m4", "posit8_1", "nf4", "bf16", "fp16"])
def test_the_fast_rounding_is_that_of_the_format(name):
    """For finite float32 numbers, midpoints and their neighbours among them."""
    datatype = get_datatype(name)
    values = np.unique(datatype.values[np.isfinite(datatype.values)])[:: max(1, 2 ** (datatype.bits - 9))]
    middles = ((values[1:] + values[:-1]) / 2).astype(np.float32)
    tried = [values.astype(np.float32), middles, np.nextafter(middles, np.float32(np.inf))]
    tried += [np.nextafter(middles, np.float32(-np.inf)), RNG.normal(size=500).astype(np.float32), [1e30, -1e30]]
    x = np.concatenate(tried).astype(np.float32)
    np.testing.assert_array_equal(rounder(name)(torch.from_numpy(x)).numpy(), datatype.round(x) + 0.0)


@pytest.mark.parametrize("scale_type", ["e8m0", "bf16"])
@pytest.mark.parametrize(("shape", "axis"), [((2, 12, 3, 3), 1), ((4, 5, 10), -1), ((3, 7, 6), -2)])
def test_fast_blocks_are_the_stored_blocks(shape, axis, scale_type):
    form = TensorFormat(datatype="int8", scales="block", block_size=4, scale_type=scale_type)
    x = RNG.standard_normal(shape).astype(np.float32)
    stored = quantise(x, form, reduction_axis=axis % len(shape)).values()
    found = fake_quantise(torch.from_numpy(x), form, None, axis).numpy()
    # Quotients by a float scale are rounded in float32 first.
    assert (found == stored).mean() > (0.999 if scale_type == "e8m0" else 0.97)
    np.testing.assert_allclose(found, stored, atol=0.02)


def test_the_float_network_is_the_module(network, inference):
    names = ("stem", "depthwise", "qkv", "scaled_dot_product_attention", "matmul", "head")
    assert network.layer_names == names
    with torch.no_grad():
        expected = NET(DATA)
    assert torch.allclose(inference.session([DATA]).outputs({}), expected, atol=1e-5)
    wide = everywhere(network, uniform("fp32"))
    assert torch.allclose(inference.session([DATA]).outputs(wide), expected, atol=1e-5)


def test_a_layer_computes_with_the_stored_numbers(network, inference):
    """The convolution by hand: rounded weights and inputs, the normalisation folded in."""
    formats = LayerQuantization(
        weight=TensorFormat(datatype="int4", scales="channel"), input=TensorFormat(datatype="int8")
    )
    found = inference.session([DATA]).outputs({"stem": formats})
    folded = nn.utils.fusion.fuse_conv_bn_eval(NET.stem, NET.norm)
    weight = quantise(folded.weight.detach().numpy(), formats.weight).values()
    inputs = quantise(DATA.numpy(), formats.input).values()
    copy = trained_net()
    copy.norm = nn.Identity()
    copy.stem = folded
    with torch.no_grad():
        copy.stem.weight.copy_(torch.from_numpy(weight))
        expected = copy(torch.from_numpy(inputs).float())
    assert torch.allclose(found, expected, atol=1e-5)


def test_sharing_prefixes_changes_nothing(network, inference):
    shared = inference.session([DATA])
    options = [LayerQuantization(), uniform("int4"), uniform("int8"), uniform("e4m3", "block")]
    for _ in range(12):
        assignment = {name: options[i] for name, i in zip(network.layer_names, RNG.integers(4, size=6), strict=True)}
        assert torch.equal(shared.outputs(assignment), inference.session([DATA]).outputs(assignment))
    before = shared.layers_run
    shared.outputs(assignment | {"head": LayerQuantization(weight=TensorFormat(datatype="int3"))})
    assert shared.layers_run == before + 1


@pytest.mark.parametrize(
    ("settings", "formats", "deviation"),
    [
        ({"input_type": "int8", "weight_type": ("int4", "int8")}, uniform("int4", activations="int8"), 1e-3),
        ({"input_type": "e4m3", "weight_type": "e4m3"}, uniform("e4m3"), 0.1),
        ({"scale_type": "e8m0"}, uniform("int8", "block"), 0.05),
    ],
    ids=["integers", "floats", "blocks"],
)
def test_the_fast_mode_is_close_to_the_accelerators_bits(inference, network, settings, formats, deviation):
    config = make_config(rows=4, columns=4, **settings)
    assignment = everywhere(network, formats)
    exact = inference.session([DATA[:4]], config).outputs(assignment)
    fast = inference.session([DATA[:4]]).outputs(assignment)
    assert 0 < float((exact - fast).std() / fast.std()) < deviation


@pytest.mark.slow
def test_a_batch_of_a_shipped_network_equals_the_rtl(cache, monkeypatch):
    """The codes of every layer that the bit-exact mode computes come out of the simulated Verilog."""
    config = make_config(rows=8, columns=8, input_type="int8", weight_type="int4")
    lowered = []

    def keep(*args, **kwargs):
        lowered.append(quantise_layer(*args, **kwargs))
        return lowered[-1]

    monkeypatch.setattr("accelgym.envs.accuracy.operators.quantise_layer", keep)
    model = REFERENCE_MODELS["glyph_cnn"]
    oracle = reference_oracle("glyph_cnn", 2, keep=False)
    images = [torch.from_numpy(np.array(model.test_data(2)[0]))]
    oracle.inference.session(images, config).outputs(
        dict.fromkeys(oracle.layer_names, uniform("int4", activations="int8"))
    )
    assert len(lowered) == 14
    programs = [compile_layer(x.config, x.layer, schedule(x.config, x.layer).tiling) for x in lowered]
    jobs = [
        Job(program, program.input_image(x.operands), program.weight_image(x.operands))
        for program, x in zip(programs, lowered, strict=True)
    ]
    for program, x, run in zip(programs, lowered, build_simulator(config, emit(config), cache).run(jobs), strict=True):
        assert run.done
        np.testing.assert_array_equal(program.outputs(run.outputs), x.codes())


def test_reconstruction_changes_a_layer_less():
    """Where inputs are alike: errors of one weight are made good by the next."""
    torch.manual_seed(2)
    for layer, shape in ((nn.Linear(24, 8), (200, 24)), (nn.Conv2d(6, 8, 3, padding=1, groups=2), (20, 6, 7, 7))):
        data = torch.randn(shape).cumsum(dim=1)
        network = TracedNetwork(layer, (data[:2],), "one layer")
        formats = {network.layer_names[0]: LayerQuantization(weight=TensorFormat(datatype="int3", scales="channel"))}
        with torch.no_grad():
            expected = layer(data)
        plain, chosen = (
            float((Inference(network, [data], reconstruction=r).session([data]).outputs(formats) - expected).std())
            for r in (False, True)
        )
        assert chosen < 0.85 * plain


def test_smoothing_tames_an_outlier_channel():
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(16, 8))
    data = torch.randn(64, 16)
    data[:, 3] *= 100
    with torch.no_grad():
        net[0].weight[:, 3] /= 100
        expected = net(data)
    network = TracedNetwork(net, (data[:2],), "outlier")
    formats = dict.fromkeys(network.layer_names, uniform("int8"))
    errors = [
        float((Inference(network, [data], smoothing=s).session([data]).outputs(formats) - expected).std())
        for s in (None, 0.5)
    ]
    assert errors[1] < errors[0] / 5


class Products(nn.Module):
    """Products in the forms that modules write them in."""

    def __init__(self):
        super().__init__()
        self.weight, self.vector = nn.Parameter(torch.randn(6, 4)), nn.Parameter(torch.randn(4))
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x):
        x = torch.einsum("bnc,ck->bnk", x, self.weight)
        x = self.attention(x, x, x, need_weights=False)[0]
        x = torch.addmm(self.vector, x.flatten(0, 1), torch.eye(4)).reshape(x.shape)
        return torch.baddbmm(x @ self.vector[:, None], x, x.transpose(1, 2)) @ torch.ones(x.shape[1])


@pytest.mark.parametrize("scheme", ["channel", "block"])
def test_products_are_found_in_any_form(scheme):
    torch.manual_seed(3)
    net, data = Products().eval(), torch.randn(5, 3, 6)
    network = TracedNetwork(net, (data[:2],), "products")
    assert len(network.layers) == 8
    inference = Inference(network, [data])
    with torch.no_grad():
        expected = net(data)
    assert torch.allclose(inference.session([data]).outputs({}), expected, atol=1e-4)
    formats = dict.fromkeys(network.layer_names, uniform("int8", scheme))
    fast = inference.session([data]).outputs(formats)
    assert 0 < float((fast - expected).std() / expected.std()) < 0.1
    config = make_config(rows=4, columns=4, **({"scale_type": "e8m0"} if scheme == "block" else {}))
    exact = inference.session([data], config).outputs(formats)
    assert float((exact - fast).std() / expected.std()) < (0.05 if scheme == "block" else 0.01)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.LSTM(4, 4)

    def forward(self, x):
        return self.cell(x)[0]


class Branching(nn.Module):
    def forward(self, x):
        return x @ x if x.sum() > 0 else x


def test_modules_that_cannot_be_quantised_are_named():
    with pytest.raises(InputError, match=r"operator 'lstm'.*allowed: addmm"):
        TracedNetwork(Recurrent(), (torch.zeros(2, 3, 4),), "recurrent")
    with pytest.raises(InputError, match=r"module 'branching' cannot be exported by torch.export: .*"):
        TracedNetwork(Branching(), (torch.zeros(3, 3),), "branching")
    with pytest.raises(InputError, match="no convolution, product or attention"):
        TracedNetwork(nn.ReLU(), (torch.zeros(2, 3),), "relu")


def test_bad_assignments_and_data_are_named(network, inference):
    with pytest.raises(InputError, match=r"'steam'.*stem"):
        inference.session([DATA]).outputs({"steam": uniform("int8")})
    bad = DATA.clone()
    bad[3, 0, 0, 0] = float("nan")
    with pytest.raises(InputError, match=r"input of layer 'stem' is nan at \[3, 0, 0, 0\] on the calibration data"):
        Inference(network, [bad])
    with pytest.raises(InputError, match="uint8 has no sign"):
        inference.session([DATA]).outputs({"stem": LayerQuantization(input=TensorFormat(datatype="uint8"))})
    config = make_config(rows=4, columns=4)
    with pytest.raises(InputError, match="layer 'stem': the bit-exact mode needs formats of both operands"):
        inference.session([DATA], config).outputs({"stem": LayerQuantization(input=TensorFormat(datatype="int8"))})
    with pytest.raises(InputError, match="smoothing is 2"):
        Inference(network, [DATA], smoothing=2.0)

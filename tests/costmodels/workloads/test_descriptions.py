"""Broken network descriptions: the error names file, line, column and key."""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.strict_model import load_spec
from accelgym.costmodels.workloads.cnn_table import CnnTable
from accelgym.costmodels.workloads.transformer import DecoderSpec
from accelgym.costmodels.workloads.zoo import _DATA

HEAD = "source: a test\ninput: [3, 8, 8]\n"


def build(tmp_path, text, model=CnnTable, variant=""):
    path = tmp_path / "net.yaml"
    path.write_text(text)
    spec = load_spec(model, path)
    return spec.build("net", variant, spec.parameters(variant))


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 12), st.integers(1, 4), st.integers(1, 4), st.integers(0, 2), st.booleans())
def test_pooling_has_the_output_size_of_pytorch(image, kernel, stride, padding, ceil):
    assume(2 * padding <= kernel <= image + 2 * padding)
    row = {"name": "p", "op": "max_pool", "kernel": kernel, "stride": stride, "padding": padding, "ceil": ceil}
    spec = CnnTable.model_validate({"source": "a test", "input": [3, image, image], "layers": [row]})
    layer = spec.build("net", "", {"batch": 2, "image": image}).layers[0]
    x = torch.zeros(2, 3, image, image)
    out = torch.nn.functional.max_pool2d(x, kernel, stride, padding, ceil_mode=ceil)
    assert tuple(out.shape) == (layer.N, layer.K, layer.P, layer.Q)


@pytest.mark.parametrize(("image", "size"), [(7, 7), (13, 6), (5, 6), (1, 7), (6, 1)])
def test_adaptive_pooling_has_the_output_size_of_pytorch(image, size):
    row = {"name": "p", "op": "adaptive_avg_pool", "size": size}
    last = {"name": "f", "op": "linear", "out": 2}
    spec = CnnTable.model_validate({"source": "a test", "input": [3, image, image], "layers": [row, last]})
    layers = spec.build("net", "", {"batch": 1, "image": image}).layers
    out = torch.nn.functional.adaptive_avg_pool2d(torch.zeros(1, 3, image, image), size)
    assert out.numel() == layers[-1].C
    assert len(layers) == (1 if image == size else 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("input: [3, 8, 8]\nlayers: [{}]\n", r"net\.yaml:1:1: source: missing"),
        (HEAD + "layres: []\n", r"net\.yaml:\d:\d+: (layers: missing|layres: unknown key)"),
        (HEAD + "layers: []\n", r"net\.yaml:3:9: layers: \[\]: list should have at least 1 item"),
        ("source: 3\ninput: [3, 8, 8]\nlayers: [{}]\n", r"net\.yaml:1:9: source: 3: "),
        ("source: x\ninput: [3, 0, 8]\nlayers: [{}]\n", r"net\.yaml:2:12: input\[1\]: 0: input should be greater"),
        ("source: x\ninput: [3, 8]\nlayers: [{}]\n", r"net\.yaml:2:8: input"),
        ("source: x\ninput: [3, 8.0, 8]\nlayers: [{}]\n", r"net\.yaml:2:12: input\[1\]: 8\.0"),
    ],
)
def test_broken_files(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        build(tmp_path, text)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("[{name: a, op: cnov}]", r"layers\[0\].*'cnov'.*'conv'"),
        ("[{op: conv, out: 4}]", r"layers\[0\].*missing"),
        ("[{name: a, op: conv}]", r"layers\[0\].*missing"),
        ("[{name: a, op: conv, out: four}]", r"layers\[0\]\.out: 'four'"),
        ("[{name: a, op: conv, out: 4, kernle: 3}]", r"layers\[0\].*unknown key"),
        ("[{name: a, op: conv, out: 4, kernel: 9}]", "kernel height 9 .*exceeds the padded input 8"),
        ("[{name: a, op: conv, out: 4, groups: 2}]", "groups=2 must divide K=4 and C=3"),
        ("[{name: a, op: max_pool, kernel: 9, stride: 1}]", "row 'a': window .*exceeds"),
        ("[{name: a, op: conv, out: 4, from: b}]", r"layers\[0\]\.from: 'b': no earlier row"),
        ("[{name: a, op: add, from: [in, in, in]}, {name: b, op: add}]", "row 'b': add needs two or more"),
        ("[{name: a, op: conv, out: 4}, {name: b, op: add, from: [a, in]}]", "row 'b': add needs .*one shape"),
        ("[{name: a, op: concat, shuffle: 4, from: [in, in]}]", "divisible by shuffle=4"),
        ("[{name: a, op: slice, channels: 5}]", "channels is 5, allowed 1..3"),
        ("[{name: a, op: linear, out: 5, from: [in, in]}]", "row 'a': one input allowed, found 2"),
        ("[{name: a, block: x}]", r"layers\[0\]\.block: 'x': allowed \['b', 'loop'\]"),
        ("[{name: a, block: b}]", r"blocks\.b\.layers\[0\]\.out: '\$w' has no value here: allowed \[\]"),
        ("[{name: a, block: b, with: {w: many}}]", r"layers\[0\]\.with\.w: 'many'"),
        ("[{name: a, block: b, repeat: 0, with: {w: 4}}]", r"layers\[0\]\.repeat: 0"),
        ("[{name: a, block: loop}]", "blocks may nest"),
    ],
)
def test_broken_rows(tmp_path, rows, message):
    blocks = "blocks:\n  b: {layers: [{name: c, op: conv, out: $w}]}\n  loop: {layers: [{name: c, block: loop}]}\n"
    with pytest.raises(InputError, match=message):
        build(tmp_path, f"{HEAD}{blocks}layers: {rows}\n")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("kv_heads: 8", "kv_heads: 7"), "kv_heads is 7, allowed: divisors of heads=32"),
        (("positions: rotary", "positions: rotaty"), r"positions: 'rotaty': input should be 'rotary' or 'learned'"),
        (("width: 14336", "widht: 14336"), r"net\.yaml:\d+:\d+: feed_forward\.(width: missing|widht: unknown key)"),
        (("per_token: 2", "per_token: 9"), r"experts\.per_token is 9, allowed 1\.\.8"),
        (("layers: 32", "layers: yes"), "layers: True"),
    ],
)
def test_broken_hyperparameters(tmp_path, change, message):
    text = (_DATA / "decoder" / "mixtral_8x7b.yaml").read_text()
    assert change[0] in text
    with pytest.raises(InputError, match=message):
        build(tmp_path, text.replace(*change), DecoderSpec, "decode")

"""Operators of ONNX Runtime in files that it optimised, and weights that do not fit their input."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.workloads import LayerKind
from accelgym.costmodels.workloads.importers import import_onnx


def read(folder, op, inputs, weights, *, domain="com.microsoft", version=13, quantised=False, shape=None, **attributes):
    """Reads a model of one node ``y``; weights are shapes, inputs come before them."""
    kind, number = (TensorProto.UINT8, np.uint8) if quantised else (TensorProto.FLOAT, np.float32)
    names = [f"x{i}" for i in range(len(inputs))] + [f"w{i}" for i in range(len(weights))]
    node = helper.make_node(op, names, ["y"], name="y", domain=domain, **attributes)
    infos = [helper.make_tensor_value_info(n, kind, s) for n, s in zip(names, inputs, strict=False)]
    tensors = [
        numpy_helper.from_array(np.zeros(s, number if s else np.float32), n)
        for n, s in zip(names[len(inputs) :], weights, strict=True)
    ]
    graph = helper.make_graph([node], "g", infos, [helper.make_tensor_value_info("y", kind, shape)], tensors)
    opsets = [helper.make_opsetid("", version), *([helper.make_opsetid(domain, 1)] if domain else [])]
    path = folder / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets), str(path))
    return import_onnx(path)


@pytest.mark.parametrize(
    ("op", "inputs", "weights", "attributes", "macs"),
    [
        ("FusedConv", [[1, 8, 10, 12]], [(16, 8, 3, 3)], {"activation": "Relu", "pads": [1, 1, 1, 1]}, 120 * 16 * 72),
        (
            "FusedConv",
            [[1, 8, 10, 12]],
            [(16, 8, 3, 3), (16,)],
            {"activation": "LeakyRelu", "activation_params": [0.1]},
            80 * 16 * 72,
        ),
        ("FusedGemm", [[3, 8]], [(16, 8)], {"activation": "Elu", "activation_alpha": 1.0, "transB": 1}, 384),
        ("GemmFastGelu", [[3, 8]], [(8, 16), (16,)], {}, 384),
    ],
)
def test_fused_activations_leave_the_product(tmp_path, op, inputs, weights, attributes, macs):
    assert read(tmp_path, op, inputs, weights, **attributes).macs == macs


@pytest.mark.parametrize("version", [11, 13, 17, 20])
@pytest.mark.parametrize(
    ("op", "weights", "attributes"),
    [("Gelu", [], {}), ("FastGelu", [(8,)], {}), ("BiasGelu", [(8,)], {}), ("QuickGelu", [], {"alpha": 1.702})],
)
def test_gelu_of_any_operator_set(tmp_path, version, op, weights, attributes):
    (layer,) = read(tmp_path, op, [[2, 3, 8]], weights, version=version, **attributes).layers
    assert (layer.kind, layer.output_words) == (LayerKind.ACTIVATION, 48)


@pytest.mark.parametrize(("opset", "axis", "width"), [(9, 1, 24), (12, 2, 8), (13, -1, 8), (13, 1, 3)])
def test_quantised_softmax_states_its_own_operator_set(tmp_path, opset, axis, width):
    workload = read(tmp_path, "QLinearSoftmax", [[2, 3, 8]], [()] * 4, quantised=True, opset=opset, axis=axis)
    assert (workload.layers[0].kind, workload.layers[0].K) == (LayerKind.SOFTMAX, width)


def test_channels_first_only(tmp_path):
    plain = read(tmp_path, "QLinearGlobalAveragePool", [[1, 8, 10, 12]], [()] * 4, quantised=True, channels_last=0)
    assert (plain.layers[0].kind, plain.layers[0].output_words) == (LayerKind.POOL, 8)
    with pytest.raises(InputError, match=r"node 'y' .*channels_last is set, allowed: 0"):
        read(tmp_path, "QLinearGlobalAveragePool", [[1, 8, 10, 12]], [()] * 4, quantised=True, channels_last=1)


@pytest.mark.parametrize("op", ["MultiHeadAttention", "GroupQueryAttention", "Attention", "MyGemm", "QMoE"])
def test_products_of_unknown_kind_are_no_vector_work(tmp_path, op):
    inputs = [[2, 6, 8]] * 3
    with pytest.raises(InputError, match=rf"node 'y' \(com.microsoft.{op}\): the operator is not supported, allowed"):
        read(tmp_path, op, inputs, [], shape=[2, 6, 8])
    with pytest.warns(match="operator ConvertLayout"):
        assert read(tmp_path, "ConvertLayout", inputs, [], shape=[2, 6, 8]).macs == 0


def test_products_over_exchanged_batches(tmp_path):
    with pytest.raises(InputError, match="transBatchA or transBatchB is set"):
        read(tmp_path, "FusedMatMul", [[3, 2, 8]], [(2, 8, 16)], transBatchA=1)


@pytest.mark.parametrize(
    ("op", "weights", "attributes"),
    [
        ("Conv", (16, 4, 3, 3), {}),
        ("Conv", (16, 8, 3, 3), {"group": 2}),
        ("Conv", (16, 8, 3, 3), {"kernel_shape": [5, 5]}),
        ("ConvTranspose", (4, 16, 3, 3), {}),
    ],
)
def test_weights_that_do_not_fit(tmp_path, op, weights, attributes):
    with pytest.raises(InputError, match=rf"node 'y' \({op}\): .*fit its input 1x8x10x12"):
        read(tmp_path, op, [[1, 8, 10, 12]], [weights], domain="", **attributes)


def test_layers_are_named_by_an_output_that_is_there(tmp_path):
    weights = {"w": np.zeros((1, 15, 8), np.float32), "r": np.zeros((1, 15, 5), np.float32)}
    node = helper.make_node("GRU", ["x", "w", "r"], ["", "last"], hidden_size=5)
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [6, 2, 8])],
        [helper.make_tensor_value_info("last", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    path = tmp_path / "gru.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), str(path))
    with pytest.warns(match="recurrent layers"):
        workload = import_onnx(path)
    assert [layer.name for layer in workload.layers] == ["last.input", "last.recurrent", "last.cell"]
    assert workload.macs == 6 * 2 * 15 * (8 + 5)

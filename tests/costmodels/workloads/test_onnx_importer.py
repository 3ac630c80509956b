"""ONNX models built node by node: expected layers by hand, output sizes against ONNX's reference evaluator."""

import numpy as np
import onnx
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.workloads import Layer, LayerKind
from accelgym.costmodels.workloads.importers import import_file, import_onnx


def save(path, nodes, inputs, outputs, constants=None, opset=20):
    """Writes a model; ``outputs`` maps names to shapes, or to None where they are to be inferred."""
    tensors = [
        numpy_helper.from_array(np.zeros(value, np.float32) if isinstance(value, tuple) else np.array(value), name)
        for name, value in (constants or {}).items()
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        initializer=tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    onnx.save(model, str(path))
    return path


def edges(workload):
    return {(workload.layers[a].name, workload.layers[b].name) for a, b in workload.edges}


def node(op, inputs, output, **attributes):
    return helper.make_node(op, inputs.split(), [output], name=output, **attributes)


def test_a_residual_network(tmp_path):
    nodes = [
        node("Conv", "x w1 b1", "conv1", strides=[2, 2], pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
        node("BatchNormalization", "conv1 s s s s", "bn1"),
        node("Relu", "bn1", "relu1"),
        node("Conv", "relu1 w2", "depthwise", group=8, pads=[1, 1, 1, 1]),
        node("Conv", "depthwise w3", "pointwise"),
        node("Add", "pointwise relu1", "add"),
        node("BatchNormalization", "add s s s s", "bn2"),
        node("MaxPool", "bn2", "pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("GlobalAveragePool", "pool", "gap"),
        node("Flatten", "gap", "flat"),
        node("Gemm", "flat w4 b4", "fc", transB=1),
    ]
    constants = {
        "w1": (8, 3, 3, 3),
        "b1": (8,),
        "s": (8,),
        "w2": (8, 1, 3, 3),
        "w3": (8, 8, 1, 1),
        "w4": (10, 8),
        "b4": (10,),
    }
    path = save(tmp_path / "net.onnx", nodes, {"x": (2, 3, 16, 16)}, {"fc": (2, 10)}, constants)
    workload = import_file(path)
    assert workload.name == "net"
    three = {"N": 2, "K": 8, "P": 8, "Q": 8, "R": 3, "S": 3, "padding": (1, 1)}
    eight = {"N": 2, "K": 8, "C": 8, "P": 8, "Q": 8}
    assert workload.layers == (
        Layer("conv1", LayerKind.CONV, C=3, stride=(2, 2), **three),
        Layer("relu1", LayerKind.ACTIVATION, op="relu", **eight),
        Layer("depthwise", LayerKind.CONV, C=8, groups=8, **three),
        Layer("pointwise", LayerKind.CONV, **eight),
        Layer("add", LayerKind.ELEMENTWISE, op="add", **eight),
        Layer("bn2", LayerKind.NORM, op="batch_norm", **eight),
        Layer("pool", LayerKind.POOL, N=2, K=8, C=8, P=4, Q=4, R=2, S=2, stride=(2, 2), op="max"),
        Layer("gap", LayerKind.POOL, N=2, K=8, C=8, R=4, S=4, stride=(4, 4), op="avg"),
        Layer.gemm("fc", M=2, K=10, C=8),
    )
    assert edges(workload) == {
        ("conv1", "relu1"),
        ("relu1", "depthwise"),
        ("depthwise", "pointwise"),
        ("pointwise", "add"),
        ("relu1", "add"),
        ("add", "bn2"),
        ("bn2", "pool"),
        ("pool", "gap"),
        ("gap", "fc"),
    }


def test_attention_through_reshapes_and_transposes(tmp_path):
    nodes = [
        node("Gather", "table ids", "embed"),
        node("LayerNormalization", "embed g g", "norm", axis=-1),
        node("MatMul", "norm wqkv", "qkv"),
        node("Add", "qkv bqkv", "biased"),
        helper.make_node("Split", ["biased"], ["q", "k", "v"], axis=2, num_outputs=3),
        *[
            made
            for role in "qkv"
            for made in (
                node("Reshape", f"{role} heads", f"{role}4"),
                node("Transpose", f"{role}4", f"{role}h", perm=[0, 2, 3, 1] if role == "k" else [0, 2, 1, 3]),
            )
        ],
        node("MatMul", "qh kh", "scores"),
        node("Mul", "scores scale", "scaled"),
        node("Softmax", "scaled", "softmax", axis=-1),
        node("MatMul", "softmax vh", "context"),
        node("Transpose", "context", "back", perm=[0, 2, 1, 3]),
        node("Reshape", "back rows", "joined"),
        node("MatMul", "joined wo", "out"),
        node("Add", "out embed", "residual"),
        node("Gelu", "residual", "gelu"),
        node("Concat", "gelu residual", "concat", axis=2),
    ]
    constants = {
        "table": (50, 16),
        "g": (16,),
        "wqkv": (16, 48),
        "bqkv": (48,),
        "wo": (16, 16),
        "scale": np.float32(0.5),
        "heads": np.array([2, 6, 4, 4], np.int64),
        "rows": np.array([2, 6, 16], np.int64),
    }
    path = save(tmp_path / "a.onnx", nodes, {}, {"concat": (2, 6, 32)}, constants)
    model = onnx.load(str(path))
    model.graph.input.append(helper.make_tensor_value_info("ids", TensorProto.INT64, (2, 6)))
    onnx.save(model, str(path))
    workload = import_onnx(path, name="attention")
    by_name = {layer.name: layer for layer in workload.layers}
    assert by_name["embed"].kind is LayerKind.EMBEDDING
    assert by_name["qkv"] == Layer.gemm("qkv", M=12, K=48, C=16)
    assert by_name["scores"] == Layer.gemm("scores", M=6, K=6, C=4, batch=8, weights_are_parameters=False)
    assert by_name["softmax"] == Layer("softmax", LayerKind.SOFTMAX, K=6, C=6, P=48, op="softmax")
    assert by_name["context"] == Layer.gemm("context", M=6, K=4, C=6, batch=8, weights_are_parameters=False)
    assert by_name["out"] == Layer.gemm("out", M=12, K=16, C=16)
    assert by_name["concat"].output_words == 2 * 6 * 32
    assert "biased" not in by_name  # the bias is folded
    assert edges(workload) == {
        ("embed", "norm"),
        ("norm", "qkv"),
        ("qkv", "scores"),
        ("scores", "scaled"),
        ("scaled", "softmax"),
        ("softmax", "context"),
        ("qkv", "context"),
        ("context", "out"),
        ("out", "residual"),
        ("embed", "residual"),
        ("residual", "gelu"),
        ("gelu", "concat"),
        ("residual", "concat"),
    }


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_convolutions_have_the_output_size_of_the_reference(tmp_path_factory, data):
    number = st.integers(1, 3)
    groups, kernel, stride = data.draw(st.sampled_from([1, 2])), data.draw(number), data.draw(number)
    size = data.draw(st.integers(3, 9))
    auto = data.draw(st.sampled_from(["NOTSET", "SAME_UPPER", "VALID"]))
    pad = data.draw(st.integers(0, 1)) if auto == "NOTSET" else 0
    assume(kernel <= size + 2 * pad and (size + 2 * pad - kernel) // stride * stride + kernel > 2 * pad)
    attributes = {"group": groups, "strides": [stride] * 2, "kernel_shape": [kernel] * 2}
    attributes |= {"pads": [pad] * 4} if auto == "NOTSET" else {"auto_pad": auto}
    weight = (4, 4 // groups, kernel, kernel)
    path = tmp_path_factory.mktemp("conv") / "c.onnx"
    save(path, [node("Conv", "x w", "y", **attributes)], {"x": (2, 4, size, size)}, {"y": None}, {"w": weight})
    layer = import_onnx(path).layers[0]
    out = ReferenceEvaluator(str(path)).run(None, {"x": np.zeros((2, 4, size, size), np.float32)})[0]
    assert out.shape == (layer.N, layer.K, layer.P, layer.Q)
    assert layer.macs == out.size * weight[1] * kernel * kernel
    assert layer.weight_words == int(np.prod(weight))


def test_a_batch_norm_or_bias_behind_a_fork_is_not_folded(tmp_path):
    nodes = [
        node("Conv", "x w", "conv"),
        node("BatchNormalization", "conv s s s s", "bn"),
        node("Add", "conv bn", "add"),
    ]
    path = save(tmp_path / "f.onnx", nodes, {"x": (1, 3, 4, 4)}, {"add": None}, {"w": (3, 3, 1, 1), "s": (3,)})
    assert edges(import_onnx(path)) == {("conv", "bn"), ("conv", "add"), ("bn", "add")}


def test_a_computed_scalar_is_an_operand_like_any_other(tmp_path):
    nodes = [node("ReduceMean", "x", "mean", keepdims=0), node("Add", "x mean", "add")]
    path = save(tmp_path / "m.onnx", nodes, {"x": (2, 3)}, {"add": (2, 3)})
    workload = import_onnx(path)
    assert edges(workload) == {("mean", "add")}
    assert workload.layers[0].input_words == 6


def test_shape_computations_are_constants(tmp_path):
    nodes = [
        node("Relu", "x", "relu"),
        node("Shape", "relu", "shape"),
        node("Gather", "shape zero", "batch"),
        node("Unsqueeze", "batch axis", "batch1"),
        helper.make_node("Concat", ["batch1", "rest"], ["target"], name="target", axis=0),
        node("Reshape", "relu target", "flat"),
        node("MatMul", "flat w", "y"),
    ]
    constants = {
        "zero": np.int64(0),
        "axis": np.array([0], np.int64),
        "rest": np.array([12], np.int64),
        "w": (12, 5),
    }
    path = save(tmp_path / "s.onnx", nodes, {"x": (2, 3, 4)}, {"y": (2, 5)}, constants)
    workload = import_onnx(path)
    assert [layer.name for layer in workload.layers] == ["relu", "y"]
    assert edges(workload) == {("relu", "y")}


RELU = [node("Relu", "x", "y")]


@pytest.mark.parametrize(
    ("nodes", "inputs", "constants", "message"),
    [
        (RELU, {"x": ("batch", 3, 8)}, {}, r"sizes batch are open \(inputs 'x' \[batch, 3, 8\]\).*bad.onnx\?batch=N"),
        (RELU, {"x": (None, 3)}, {}, r"sizes x.0 are open \(inputs 'x' \[\?, 3\]\)"),
        ([], {"x": (2, 3)}, {}, "the model has no nodes"),
        ([node("Identity", "x", "y")], {"x": (2, 3)}, {}, "has no layers"),
        ([node("Det", "x", "y")], {"x": (2, 3, 3)}, {}, r"node 'y' \(Det\): the operator is not supported"),
        ([node("Conv", "x w", "y")], {"x": (1, 2, 4, 4, 4, 4)}, {"w": (3, 2, 2, 2, 2, 2)}, "4-dimensional convolution"),
        ([node("MatMul", "x w", "y")], {"x": (2, 3)}, {"w": (4, 5)}, "shape inference failed"),
        ([node("Conv", "x w", "y")], {"x": (1, 2, 4, 4)}, {"w": (3, 2, 5, 5)}, "'y'"),
    ],
)
def test_refusals_name_the_file_and_the_node(tmp_path, nodes, inputs, constants, message):
    path = save(tmp_path / "bad.onnx", nodes, inputs, {"y": None}, constants)
    with pytest.raises(InputError, match=message):
        import_onnx(path)


@pytest.mark.parametrize("content", [b"", b"not a model", bytes(range(256))])
def test_files_that_are_no_models(tmp_path, content):
    path = tmp_path / "x.onnx"
    path.write_bytes(content)
    with pytest.raises(InputError, match=str(path)):
        import_file(path)

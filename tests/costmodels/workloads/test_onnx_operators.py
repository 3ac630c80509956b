"""ONNX operators: work by hand or by PyTorch, shapes against ONNX's own outputs; control flow and open sizes."""

import warnings

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from accelgym.costmodels.errors import InputError, InputWarning
from accelgym.costmodels.workloads import LayerKind, load_workload
from accelgym.costmodels.workloads.importers import import_file, import_onnx, onnx_graph


def save(path, nodes, inputs, outputs, constants=None, opset=20, domains=()):
    """Writes a model; constants are shapes of zeros, or arrays."""
    tensors = [
        numpy_helper.from_array(np.zeros(value, np.float32) if isinstance(value, tuple) else np.array(value), name)
        for name, value in (constants or {}).items()
    ]
    infos = [
        helper.make_tensor_value_info(name, *(shape if isinstance(shape, tuple) else (TensorProto.FLOAT, shape)))
        for name, shape in inputs.items()
    ]
    outs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    graph = helper.make_graph(nodes, "g", infos, outs, initializer=tensors)
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    onnx.save(helper.make_model(graph, opset_imports=opsets), str(path))
    return path


def node(op, inputs, output, **attributes):
    return helper.make_node(op, inputs.split(" "), [output], name=output, **attributes)


def body(nodes, inputs, outputs, name="body"):
    """A graph of control flow, whose shapes are left open."""
    infos = [helper.make_tensor_value_info(n, kind, None) for n, kind in inputs]
    outs = [helper.make_tensor_value_info(n, kind, None) for n, kind in outputs]
    return helper.make_graph(nodes, name, infos, outs)


def edges(workload):
    return {(workload.layers[a].name, workload.layers[b].name) for a, b in workload.edges}


FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


# Open sizes ----------------------------------------------------------------------------------------------------------


def dynamic(path):
    """A network in the manner of exporters: a reshape whose sizes are computed from the input's."""
    nodes = [
        node("Shape", "x", "shape"),
        node("Gather", "shape zero", "n", axis=0),
        node("Gather", "shape one", "t", axis=0),
        node("Mul", "n t", "rows"),
        node("Unsqueeze", "rows axis", "rows1"),
        node("Concat", "rows1 width", "target", axis=0),
        node("Reshape", "x target", "flat"),
        node("MatMul", "flat w", "y"),
    ]
    constants = {
        "zero": np.int64(0),
        "one": np.int64(1),
        "axis": np.array([0], np.int64),
        "width": np.array([8], np.int64),
        "w": (8, 5),
    }
    return save(path, nodes, {"x": ["batch", "seq", 8]}, ["y"], constants)


def test_open_sizes_are_given_by_name(tmp_path):
    path = dynamic(tmp_path / "net.onnx")
    workload = load_workload(f"{path}?batch=3&seq=7")
    assert workload.macs == 3 * 7 * 8 * 5
    assert workload.name == "net?batch=3&seq=7"
    assert workload == import_file(path, sizes={"seq": 7, "batch": 3}) == load_workload(f"onnx:{path}?seq=7&batch=3")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", r"sizes batch, seq are open \(inputs 'x' \[batch, seq, 8\]\), allowed: net.onnx\?batch=N&seq=N"),
        ("?batch=2", r"sizes seq are open"),
        ("?batch=2&seq=3&depth=4", r"no size is named 'depth', allowed: batch, seq"),
        ("?batch=2&batch=3", "'batch' is given twice"),
        ("?batch=-2&seq=3", "batch is '-2', allowed: an integer >= 0"),
        ("?batch=2&seq=many", "seq is 'many'"),
        ("?batch", "'batch' is no size, allowed: NAME=NUMBER"),
        ("?", "is no size"),
        ("?batch=0&seq=3", "'y'.*P is 0"),
        ("?batch=99999999999&seq=3", "'y'"),
    ],
)
def test_wrong_sizes(tmp_path, query, message):
    path = dynamic(tmp_path / "net.onnx")
    with pytest.raises(InputError, match=message):
        load_workload(f"{path}{query}")


def test_sizes_of_every_form(tmp_path):
    # An expression over names, a size without a name, and a shape that is not stated at all.
    nodes = [node("Concat", "past new", "all", axis=1), node("MatMul", "all w", "y"), node("Relu", "z", "r")]
    inputs = {"past": [None, "past", 4], "new": [2, "total - past", 4], "z": None}
    path = save(tmp_path / "kv.onnx", nodes, inputs, ["y", "r"], {"w": (4, 6)})
    with pytest.raises(InputError, match=r"sizes past.0, past, total, z are open.*z=AxBx"):
        load_workload(str(path))
    workload = load_workload(f"{path}?past.0=2&past=10&total=12&z=3x4")
    assert workload.macs == 2 * 12 * 4 * 6
    assert workload.layers[-1].output_words == 12


def test_tables_have_no_open_sizes(tmp_path):
    path = tmp_path / "net.csv"
    path.write_text("Layer, M, N, K\na, 2, 3, 4\n")
    with pytest.raises(InputError, match="size 'batch' is given, allowed: none"):
        load_workload(f"{path}?batch=2")


def test_shapes_that_depend_on_data_are_named_and_can_be_stated(tmp_path):
    nodes = [node("NonZero", "x", "found"), node("Cast", "found", "f", to=1), node("MatMul", "w f", "y")]
    path = save(tmp_path / "d.onnx", nodes, {"x": [4, 4]}, ["y"], {"w": (3, 2)})
    with pytest.raises(
        InputError, match=r"node 'y' \(MatMul\): the shape of its input 'f' .*'found' \(NonZero\).*\?f="
    ):
        import_onnx(path)
    assert import_onnx(path, sizes={"found": (2, 5)}).macs == 3 * 2 * 5


# Control flow --------------------------------------------------------------------------------------------------------


def branches():
    return {
        "then_branch": body([node("MatMul", "a w2", "t")], [], [("t", FLOAT)], "t"),
        "else_branch": body([node("MatMul", "a w3", "e0"), node("MatMul", "e0 w4", "e")], [], [("e", FLOAT)], "e"),
    }


@pytest.mark.parametrize("taken", [True, False])
def test_the_branch_that_a_constant_condition_takes(tmp_path, taken):
    nodes = [node("MatMul", "x w", "a"), node("If", "c", "z", **branches()), node("Relu", "z", "y")]
    constants = {"w": (8, 16), "w2": (16, 4), "w3": (16, 2), "w4": (2, 4), "c": np.array(taken)}
    workload = import_onnx(save(tmp_path / "if.onnx", nodes, {"x": [3, 8]}, ["y"], constants))
    assert workload.macs == 3 * 8 * 16 + 3 * (16 * 4 if taken else 16 * 2 + 2 * 4)
    last = "t" if taken else "e"
    assert (last, "y") in edges(workload)
    assert ("a", "t" if taken else "e0") in edges(workload)


def test_a_condition_from_shapes_an_input_or_the_data(tmp_path):
    shaped = [
        node("MatMul", "x w", "a"),
        node("Shape", "a", "s"),
        node("Size", "s", "rank"),
        node("Equal", "rank two", "c"),
        node("If", "c", "z", **branches()),
    ]
    constants = {"w": (8, 16), "w2": (16, 4), "w3": (16, 2), "w4": (2, 4), "two": np.int64(2)}
    assert import_onnx(save(tmp_path / "s.onnx", shaped, {"x": [3, 8]}, ["z"], constants)).macs == 3 * (128 + 64)
    nodes = [node("MatMul", "x w", "a"), node("If", "c", "z", **branches())]
    del constants["two"]
    path = save(tmp_path / "i.onnx", nodes, {"x": [3, 8], "c": (BOOL, [])}, ["z"], constants)
    with pytest.raises(InputError, match=r"node 'z' \(If\): its condition 'c' depends on the data"):
        import_onnx(path)
    assert load_workload(f"{path}?c=0").macs == 3 * (128 + 32 + 8)
    assert load_workload(f"{path}?c=1").macs == 3 * (128 + 64)


def counting_loop(trips, go_on="Identity"):
    step = body(
        [node("MatMul", "h w", "h2"), node("Relu", "h2", "r"), node(go_on, "cond", "go")],
        [("i", INT64), ("cond", BOOL), ("h", FLOAT)],
        [("go", BOOL), ("r", FLOAT), ("h2", FLOAT)],
    )
    nodes = [
        helper.make_node("Loop", [trips, "", "x"], ["state", "all"], name="loop", body=step),
        node("MatMul", "all v", "y"),
    ]
    return nodes, {"w": (8, 8), "v": (8, 5), "n": np.int64(4)}


def test_loops_are_unrolled(tmp_path):
    nodes, constants = counting_loop("n")
    workload = import_onnx(save(tmp_path / "l.onnx", nodes, {"x": [3, 8]}, ["y", "state"], constants))
    assert workload.macs == 4 * 3 * 8 * 8 + 4 * 3 * 8 * 5
    assert {("h2", "r"), ("r", "h2_1"), ("r_2", "h2_3")} <= edges(workload)
    assert {p for p, c in edges(workload) if c == "y"} == {"h2", "h2_1", "h2_2", "h2_3"}
    # The condition ends it after one trip.
    nodes, constants = counting_loop("n", "Not")
    assert import_onnx(save(tmp_path / "m.onnx", nodes, {"x": [3, 8]}, ["y"], constants)).macs == 3 * 64 + 3 * 40


def test_loops_without_a_known_end_are_refused(tmp_path, monkeypatch):
    nodes, constants = counting_loop("trips")
    del constants["n"]
    path = save(tmp_path / "l.onnx", nodes, {"x": [3, 8], "trips": (INT64, [])}, ["y"], constants)
    with pytest.raises(InputError, match=r"node 'loop' \(Loop\): its number of trips 'trips' depends on the data"):
        import_onnx(path)
    assert load_workload(f"{path}?trips=2").macs == 2 * (3 * 64 + 3 * 40)
    monkeypatch.setattr(onnx_graph, "MAX_UNROLLED", 100)
    with pytest.raises(InputError, match="its loop unrolls to more than 100 nodes"):
        load_workload(f"{path}?trips=999999999")
    nodes, constants = counting_loop("")
    with pytest.raises(InputError, match="unrolls to more than 100"):
        import_onnx(save(tmp_path / "e.onnx", nodes, {"x": [3, 8]}, ["y"], constants))


def test_scans_are_unrolled(tmp_path):
    step = body(
        [node("MatMul", "h w", "hw"), node("Add", "hw xt", "h2"), node("Identity", "h2", "out")],
        [("h", FLOAT), ("xt", FLOAT)],
        [("h2", FLOAT), ("out", FLOAT)],
    )
    nodes = [
        node("MatMul", "x u", "xu"),
        helper.make_node("Scan", ["h0", "xu"], ["last", "all"], name="scan", body=step, num_scan_inputs=1),
        node("MatMul", "all v", "y"),
    ]
    constants = {"u": (6, 8), "w": (8, 8), "v": (8, 5), "h0": (2, 8)}
    workload = import_onnx(save(tmp_path / "s.onnx", nodes, {"x": [5, 2, 6]}, ["y", "last"], constants))
    # The first state is a constant, and so is its product.
    assert workload.macs == 5 * 2 * (6 * 8 + 8 * 5) + 4 * 2 * 64
    assert {("xu", "h2"), ("h2", "hw"), ("h2_3", "y")} <= edges(workload) or ("h2", "hw_1") in edges(workload)


def test_sequences_of_known_tensors(tmp_path):
    nodes = [
        node("SplitToSequence", "x parts", "s", axis=1),
        node("SequenceAt", "s one", "second"),
        node("MatMul", "second w", "y"),
        node("SequenceInsert", "s y", "longer"),
        node("ConcatFromSequence", "longer", "z", axis=1),
    ]
    constants = {"parts": np.array([2, 6], np.int64), "one": np.int64(1), "w": (6, 5)}
    workload = import_onnx(save(tmp_path / "q.onnx", nodes, {"x": [3, 8]}, ["z"], constants))
    assert workload.macs == 3 * 6 * 5
    assert workload.layers[-1].output_words == 3 * (2 + 6 + 5)


# Operators -----------------------------------------------------------------------------------------------------------


def torch_macs(module, *inputs):
    with FlopCounterMode(display=False) as counter:
        module(*inputs)
    return counter.get_total_flops() // 2


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_transposed_and_three_dimensional_convolutions(tmp_path_factory, data):
    axes, transposed = data.draw(st.integers(1, 3)), data.draw(st.booleans())
    number, groups = st.integers(1, 3), data.draw(st.sampled_from([1, 2]))
    kernel = [data.draw(number) for _ in range(axes)]
    stride = [data.draw(number) for _ in range(axes)]
    size = [data.draw(st.integers(4, 6)) for _ in range(axes)]
    make = getattr(nn, f"Conv{'Transpose' if transposed else ''}{axes}d")
    module = make(4, 6, kernel, stride, groups=groups)
    x = torch.zeros(2, 4, *size)
    path = tmp_path_factory.mktemp("conv") / "c.onnx"
    op = "ConvTranspose" if transposed else "Conv"
    nodes = [node(op, "x w b", "y", strides=stride, group=groups), node("BatchNormalization", "y b b b b", "bn")]
    save(path, nodes, {"x": list(x.shape)}, ["bn"], {"w": tuple(module.weight.shape), "b": (6,)})
    workload = import_onnx(path)
    assert workload.macs == torch_macs(module, x)
    assert workload.parameters == module.weight.numel()
    assert workload.layers[-1].output_words == module(x).numel()
    assert "bn" not in {layer.name for layer in workload.layers}  # folded


@pytest.mark.parametrize("op", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_recurrent_layers(tmp_path, op, direction):
    gates, ways = {"LSTM": 4, "GRU": 3, "RNN": 1}[op], 1 + (direction == "bidirectional")
    nodes = [
        helper.make_node(op, ["x", "w", "r"], ["y", "h"], name="rec", hidden_size=5, direction=direction),
        node("Relu", "y", "relu"),
    ]
    constants = {"w": (ways, gates * 5, 4), "r": (ways, gates * 5, 5)}
    path = save(tmp_path / "r.onnx", nodes, {"x": [7, 2, 4]}, ["relu", "h"], constants)
    with pytest.warns(InputWarning, match="recurrent layers"):
        workload = import_onnx(path)
    # Every step multiplies with both matrices.
    assert workload.macs == ways * 7 * 2 * gates * 5 * (4 + 5)
    assert workload.parameters == ways * gates * 5 * (4 + 5)
    assert {("rec.input", "rec.cell"), ("rec.recurrent", "rec.cell"), ("rec.cell", "relu")} <= edges(workload)
    cell = next(layer for layer in workload.layers if layer.name == "rec.cell")
    assert (cell.kind, cell.P, cell.N, cell.K) == (LayerKind.SCAN, 7, 2, 5)
    assert workload.layers[-1].output_words == 7 * ways * 2 * 5


def test_integer_and_quantised_products(tmp_path):
    u8, i8 = np.zeros, np.int8
    constants = {
        "s": np.float32(1),
        "z": np.uint8(0),
        "zi": np.int8(0),
        "w": u8((6, 4, 3, 3), i8),
        "v": u8((6, 5), i8),
    }
    nodes = [
        node("QuantizeLinear", "x s z", "q"),
        node("QLinearConv", "q s z w s zi s z", "conv", pads=[1, 1, 1, 1]),
        node("ConvInteger", "conv wi z", "convi"),
        node("Transpose", "conv", "t", perm=[0, 2, 3, 1]),
        node("QLinearMatMul", "t s z v s zi s z", "mm"),
        node("MatMulInteger", "t v", "mmi"),
    ]
    constants["wi"] = u8((2, 6, 1, 1), i8)
    workload = import_onnx(save(tmp_path / "q.onnx", nodes, {"x": [1, 4, 8, 8]}, ["convi", "mm", "mmi"], constants))
    assert [layer.macs for layer in workload.compute_layers] == [64 * 6 * 36, 64 * 12, 64 * 30, 64 * 30]
    assert edges(workload) == {("conv", "convi"), ("conv", "mm"), ("conv", "mmi")}


def test_quantise_and_dequantise_pairs_are_views(tmp_path):
    nodes = [
        node("QuantizeLinear", "x s z", "q"),
        node("DequantizeLinear", "q s z", "dq"),
        node("DequantizeLinear", "w s zi", "wf"),
        node("Conv", "dq wf", "conv"),
        node("QuantizeLinear", "conv s z", "q2"),
        node("DequantizeLinear", "q2 s z", "dq2"),
        node("Relu", "dq2", "relu"),
    ]
    constants = {"s": np.float32(1), "z": np.uint8(0), "zi": np.int8(0), "w": np.zeros((6, 4, 3, 3), np.int8)}
    workload = import_onnx(save(tmp_path / "qdq.onnx", nodes, {"x": [1, 4, 8, 8]}, ["relu"], constants))
    assert [layer.name for layer in workload.layers] == ["conv", "relu"]
    assert workload.parameters == 6 * 36


def test_operators_of_onnx_runtime(tmp_path):
    def ms(op, inputs, output, **attributes):
        return node(op, inputs, output, domain="com.microsoft", **attributes)

    nodes = [
        ms("FusedMatMul", "x w", "a", transB=1),
        ms("FastGelu", "a b", "g"),
        ms("SkipLayerNormalization", "g a gamma", "n"),
        ms("MatMulNBits", "n packed s", "y", K=6, N=10, bits=4, block_size=32),
    ]
    constants = {"w": (6, 8), "b": (6,), "gamma": (6,), "packed": np.zeros((10, 1, 16), np.uint8), "s": (10,)}
    path = save(tmp_path / "ms.onnx", nodes, {"x": [2, 3, 8]}, ["y"], constants, domains=["com.microsoft"])
    workload = import_onnx(path)
    assert workload.macs == 6 * 8 * 6 + 6 * 6 * 10
    assert {("a", "g"), ("g", "n.add"), ("a", "n.add"), ("n.add", "n"), ("n", "y")} == edges(workload)


@pytest.mark.parametrize(
    ("opset", "attributes", "rows", "width"),
    [
        (9, {}, 2, 3 * 4 * 5),
        (11, {"axis": 2}, 6, 20),
        (11, {"axis": -1}, 24, 5),
        (13, {}, 24, 5),
        (13, {"axis": 1}, 40, 3),
    ],
)
def test_softmax_axes_by_operator_set(tmp_path, opset, attributes, rows, width):
    path = save(tmp_path / "s.onnx", [node("Softmax", "x", "y", **attributes)], {"x": [2, 3, 4, 5]}, ["y"], {}, opset)
    (layer,) = import_onnx(path).layers
    assert (rows, width) == (layer.N * layer.P * layer.Q, layer.K)


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("bqd,bkd->bqk", [(2, 3, 4), (2, 5, 4)]),
        ("bhqd,bhkd->bhqk", [(2, 2, 3, 4), (2, 2, 5, 4)]),
        ("...ij,jk", [(2, 3, 4), (4, 5)]),
        ("...ij,...jk->...ik", [(2, 3, 4), (2, 4, 5)]),
        ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 5)]),
        ("ij,k->ij", [(2, 3), (4,)]),
        ("bn,bm->bnm", [(2, 3), (2, 4)]),
        ("ii,ij->j", [(3, 3), (3, 4)]),
    ],
)
def test_einsum_counts_the_products_of_pytorch(tmp_path, equation, shapes):
    names = [f"x{i}" for i in range(len(shapes))]
    nodes = [node("Einsum", " ".join(names), "y", equation=equation)]
    path = save(tmp_path / "e.onnx", nodes, {n: list(s) for n, s in zip(names, shapes, strict=True)}, ["y"])
    operands = [torch.zeros(shape) for shape in shapes]
    with torch.backends.opt_einsum.flags(enabled=False):
        expected = torch_macs(lambda *xs: torch.einsum(equation, *xs), *operands)
    workload = import_onnx(path)
    assert workload.macs == expected
    assert workload.layers[-1].output_words == torch.einsum(equation, *operands).numel()


def test_unknown_operators_that_keep_a_shape_are_vector_work_and_said(tmp_path):
    nodes = [
        node("Relu", "x", "r"),
        node("MyActivation", "r", "m", domain="com.example"),
        node("MatMul", "m w", "y"),
    ]
    path = save(tmp_path / "u.onnx", nodes, {"x": [2, 8]}, ["y"], {"w": (8, 4)}, domains=["com.example"])
    with pytest.raises(
        InputError, match=r"node 'm' \(com.example.MyActivation\).*does not state the shape of its outp"
    ):
        import_onnx(path)
    with pytest.warns(InputWarning, match="operator MyActivation \\(1 times\\) is counted as vector work"):
        workload = import_onnx(path, sizes={"m": (2, 8)})
    assert edges(workload) == {("r", "m"), ("m", "y")}
    assert workload.notes
    assert workload.macs == 64


def test_normalisation_over_channels_and_pooling_with_automatic_padding(tmp_path):
    nodes = [
        node("Conv", "x w", "conv", auto_pad="SAME_UPPER"),
        node("LRN", "conv", "lrn", size=3),
        node("MaxPool", "lrn", "pool", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER"),
    ]
    workload = import_onnx(save(tmp_path / "l.onnx", nodes, {"x": [1, 8, 7, 7]}, ["pool"], {"w": (4, 8, 3, 3)}))
    assert [(layer.kind, layer.op) for layer in workload.layers[1:]] == [
        (LayerKind.NORM, "lrn"),
        (LayerKind.POOL, "max"),
    ]
    assert workload.macs == 49 * 4 * 72
    assert (workload.layers[-1].P, workload.layers[-1].padding) == (4, (1, 1))


@pytest.mark.parametrize(
    "maker",
    [
        lambda: [node("ConstantOfShape", "big", "c"), node("Reshape", "c flat", "r")],
        lambda: [node("Range", "zero end one", "r")],
        lambda: [node("Tile", "flat big", "r")],
        lambda: [node("Expand", "flat big", "r")],
        lambda: [node("OneHot", "flat end values", "o"), node("Reshape", "o flat", "r")],
    ],
)
def test_large_values_are_not_evaluated(tmp_path, maker):
    nodes = [*maker(), node("Shape", "r", "s"), node("MatMul", "x w", "y")]
    constants = {
        "big": np.array([2**40], np.int64),
        "flat": np.array([-1], np.int64),
        "zero": np.int64(0),
        "one": np.int64(1),
        "end": np.int64(2**40),
        "values": np.array([0, 1], np.int64),
        "w": (4, 5),
    }
    assert import_onnx(save(tmp_path / "b.onnx", nodes, {"x": [3, 4]}, ["y", "s"], constants)).macs == 60


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damaged_models_are_refused_in_words(tmp_path_factory, data):
    """Whatever is wrong with a node, the answer is a workload or an error that names the file."""
    path = dynamic(tmp_path_factory.mktemp("damaged") / "net.onnx")
    model = onnx.load(str(path))
    nodes, _ = counting_loop("n")
    model.graph.node.extend(
        [*nodes[:1], node("If", "c", "z", **branches()), node("Einsum", "y y", "e", equation="ij,kj")]
    )
    model.graph.initializer.extend(
        numpy_helper.from_array(np.array(v) if not isinstance(v, tuple) else np.zeros(v, np.float32), k)
        for k, v in {"n": np.int64(2), "c": np.array(True), "a": (3, 16), "w2": (16, 4)}.items()
    )
    for _ in range(data.draw(st.integers(1, 3))):
        victim = data.draw(st.sampled_from(list(model.graph.node)))
        kind = data.draw(st.integers(0, 5))
        if kind == 0:
            victim.op_type = data.draw(st.sampled_from(["Conv", "LSTM", "If", "Loop", "Scan", "Attention", "MaxPool"]))
        elif kind == 1 and victim.input:
            del victim.input[data.draw(st.integers(0, len(victim.input) - 1))]
        elif kind == 2 and victim.input:
            victim.input[0] = data.draw(st.sampled_from(["", "x", "shape", "nowhere"]))
        elif kind == 3 and victim.attribute:
            del victim.attribute[0]
        elif kind == 4 and victim.attribute:
            victim.attribute[0].type = data.draw(st.integers(0, 14))
        else:
            model.opset_import[0].version = data.draw(st.sampled_from([0, 1, 7, 9, 99]))
    path.write_bytes(model.SerializeToString())
    message = str(path)
    try:
        import_onnx(path, sizes={"batch": 2, "seq": 3})
    except InputError as error:
        message = str(error)
    assert str(path) in message


# ONNX's own examples -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_shapes_are_those_of_the_examples_that_come_with_onnx(tmp_path):
    """One example of every operator: what is read has the shape of the output stored beside it."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = {case.model.graph.node[0].op_type: case for case in collect_testcases(None) if case.model is not None}
    assert len(cases) > 150
    right = 0
    for case in cases.values():
        path = tmp_path / "case.onnx"
        onnx.save(case.model, str(path))
        model = onnx.load(str(path))
        sizes = onnx_graph.Sizes(path, model.graph, {})
        opsets = {entry.domain: entry.version for entry in model.opset_import}
        reader = onnx_graph._Reader("case", model.graph, sizes, opsets)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputWarning)
            try:
                reader.run()
            except InputError:
                continue
        for info, value in zip(model.graph.output, case.data_sets[0][1], strict=True):
            if isinstance(value, np.ndarray):
                assert reader.tensors[info.name].shape == value.shape, case.name
                right += 1
    assert right > 100

"""ConfuciuX, SCALE-Sim and Timeloop files: golden shapes, round trips and every kind of broken file."""

import csv
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.workloads import Layer, LayerKind
from accelgym.costmodels.workloads.importers import (
    import_file,
    import_maestro_csv,
    import_timeloop_problem,
)

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "workloads"
MAESTRO = "K,C,Y,X,R,S,T\n"
CONV = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"
GEMM = "Layer, M, N, K,\n"


def write(tmp_path, text, name="net.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


def golden(name):
    with (GOLDEN / name).open(newline="") as file:
        return list(csv.DictReader(file))


def test_maestro_rows(tmp_path):
    text = MAESTRO + "64,3,10,12,3,5,1\n\n1,32,9,9,3,3,2\n"
    workload = import_file(write(tmp_path, text))
    assert workload.name == "net"
    assert workload.edges == ()
    assert workload.layers == (
        Layer("L1", LayerKind.CONV, K=64, C=3, P=8, Q=8, R=3, S=5),
        Layer("L2", LayerKind.CONV, K=32, C=32, P=7, Q=7, R=3, S=3, groups=32),
    )


dim = st.integers(1, 40)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(dim, dim, dim, dim, dim, dim), min_size=1, max_size=4))
def test_maestro_round_trip(tmp_path_factory, rows):
    layers = [
        Layer(f"L{i + 1}", LayerKind.CONV, K=k, C=c, P=p, Q=q, R=r, S=s) for i, (k, c, p, q, r, s) in enumerate(rows)
    ]
    lines = [f"{x.K},{x.C},{x.P + x.R - 1},{x.Q + x.S - 1},{x.R},{x.S},1" for x in layers]
    path = write(tmp_path_factory.mktemp("maestro"), MAESTRO + "\n".join(lines))
    assert import_maestro_csv(path).layers == tuple(layers)


@pytest.mark.parametrize("row", golden("scalesim_layers.csv"), ids=lambda row: row["layer"])
def test_scalesim_layers_have_the_size_that_scalesim_counts(tmp_path, row):
    header = GEMM if row["kind"] == "gemm" else CONV.replace("Strides,", "Strides, Stride width,")
    line = ",".join([row["layer"], *row["params"].split("x"), "1:1", ""])
    layer = import_file(write(tmp_path, f"{header}{line}\n")).layers[0]
    assert layer.name == row["layer"]
    sizes = layer.P * layer.Q, layer.K, layer.C * layer.R * layer.S
    assert sizes == (int(row["gemm_M"]), int(row["gemm_N"]), int(row["gemm_K"]))
    assert layer.macs == int(row["macs"])


CNN_SHAPE = {
    "name": "CNN",
    "dimensions": ["N", "K", "C", "P", "Q", "R", "S"],
    "coefficients": [{"name": name, "default": 1} for name in ("Hstride", "Wstride", "Hdilation", "Wdilation")],
    "data-spaces": [
        {"name": "Weights", "projection": [[["K"]], [["C"]], [["R"]], [["S"]]]},
        {
            "name": "Inputs",
            "projection": [
                [["N"]],
                [["C"]],
                [["P", "Hstride"], ["R", "Hdilation"]],
                [["Q", "Wstride"], ["S", "Wdilation"]],
            ],
        },
        {"name": "Outputs", "projection": [[["N"]], [["K"]], [["P"]], [["Q"]]], "read-write": True},
    ],
}


def problem(tmp_path, shape, instance, version=0.3, name="problem.yaml"):
    text = yaml.safe_dump({"problem": {"version": version, "shape": shape, "instance": instance}})
    return write(tmp_path, text, name)


@pytest.mark.parametrize("row", golden("timeloop_table2.csv"), ids=lambda row: row["problem"])
def test_timeloop_convolutions(tmp_path, row):
    n, k, c, p, q, r, s = (int(row[d]) for d in "NKCPQRS")
    strides = (int(row["stride_p"]), int(row["stride_q"]))
    instance = {"N": n, "K": k, "C": c, "P": p, "Q": q, "R": r, "S": s, "Hstride": strides[0], "Wstride": strides[1]}
    layer = import_file(problem(tmp_path, CNN_SHAPE, instance)).layers[0]
    assert layer == Layer("CNN", LayerKind.CONV, N=n, K=k, C=c, P=p, Q=q, R=r, S=s, stride=strides)


def renamed(value, names):
    if isinstance(value, dict):
        return {names.get(k, k): renamed(v, names) for k, v in value.items()}
    if isinstance(value, list):
        return [renamed(v, names) for v in value]
    return names.get(value, value) if isinstance(value, str) else value


def test_timeloop_loops_are_recognised_whatever_their_names(tmp_path):
    # K and C trade names, P and R trade names, tensors are called after letters, keys are spelled as in 0.4.
    names = {
        "K": "C",
        "C": "K",
        "P": "R",
        "R": "P",
        "Weights": "A",
        "Inputs": "B",
        "Outputs": "Z",
        "data-spaces": "data_spaces",
        "read-write": "read_write",
    }
    instance = {"N": 2, "K": 5, "C": 7, "P": 11, "Q": 13, "R": 3, "S": 4, "Wdilation": 2, "Hstride": 3}
    path = problem(tmp_path, renamed(CNN_SHAPE, names), renamed(instance, names), version=0.4)
    expected = Layer("CNN", LayerKind.CONV, N=2, K=5, C=7, P=11, Q=13, R=3, S=4, stride=(3, 1), dilation=(1, 2))
    assert import_timeloop_problem(path).layers == (expected,)


def einsum(*spaces):
    """Data spaces from strings of one-letter loops; the last is the output."""
    rows = [{"name": f"T{i}", "projection": [[[d]] for d in dims]} for i, dims in enumerate(spaces)]
    rows[-1]["read-write"] = True
    return {"name": "E", "dimensions": sorted(set("".join(spaces))), "data-spaces": rows}


@pytest.mark.parametrize(
    ("spaces", "expected"),
    [
        (("IL", "LJ", "IJ"), Layer.gemm("E", M=2, K=3, C=4)),
        (("BIL", "BLJ", "BIJ"), Layer.gemm("E", M=2, K=3, C=4, batch=5)),
        (("XIL", "LJ", "XIJ"), Layer.gemm("E", M=14, K=3, C=4)),
        (("L", "LJ", "J"), Layer.gemm("E", M=1, K=3, C=4)),
    ],
)
def test_timeloop_matrix_products(tmp_path, spaces, expected):
    shape = einsum(*spaces)
    sizes = {"I": 2, "J": 3, "L": 4, "B": 5, "X": 7}
    path = problem(tmp_path, shape, {d: sizes[d] for d in shape["dimensions"]})
    assert import_timeloop_problem(path).layers == (expected,)


def test_timeloop_depthwise_and_grouped(tmp_path):
    shape = {
        "name": "G",
        "dimensions": ["G", "K", "C", "P", "Q", "R", "S"],
        "data-spaces": [
            {"name": "W", "projection": [[["G"]], [["K"]], [["C"]], [["R"]], [["S"]]]},
            {"name": "I", "projection": [[["G"]], [["C"]], [["P", 2], ["R"]], [["Q", 2], ["S"]]]},
            {"name": "O", "projection": [[["G"]], [["K"]], [["P"]], [["Q"]]], "read-write": True},
        ],
    }
    sizes = {"G": 8, "K": 3, "C": 5, "P": 6, "Q": 7, "R": 3, "S": 2}
    layer = import_timeloop_problem(problem(tmp_path, shape, sizes)).layers[0]
    assert layer == Layer("G", LayerKind.CONV, K=24, C=40, P=6, Q=7, R=3, S=2, stride=(2, 2), groups=8)
    depthwise = import_timeloop_problem(problem(tmp_path, shape, {**sizes, "K": 1, "C": 1})).layers[0]
    assert depthwise.is_depthwise


def test_timeloop_one_dimensional_convolution(tmp_path):
    shape = {
        "name": "conv1d",
        "dimensions": ["M", "P", "R"],
        "data-spaces": [
            {"name": "Weights", "projection": [[["M"]], [["R"]]]},
            {"name": "Inputs", "projection": [[["P"], ["R"]]]},
            {"name": "Outputs", "projection": [[["M"]], [["P"]]], "read-write": True},
        ],
    }
    layer = import_timeloop_problem(problem(tmp_path, shape, {"M": 8, "P": 16, "R": 3})).layers[0]
    assert layer == Layer("conv1d", LayerKind.CONV, K=8, P=16, R=3)


def with_space(index, **changes):
    spaces = [dict(space) for space in CNN_SHAPE["data-spaces"]]
    spaces[index].update(changes)
    return {**CNN_SHAPE, "data-spaces": spaces}


ONES = dict.fromkeys("NKCPQRS", 4)


@pytest.mark.parametrize(
    ("shape", "instance", "message"),
    [
        ("cnn", {k: v for k, v in ONES.items() if k != "K"}, "instance: the bound of dimension 'K' is missing"),
        ("gnn", ONES, "shape: unknown problem.shape 'gnn'"),
        (CNN_SHAPE, {k: v for k, v in ONES.items() if k != "K"}, "instance: the bound of dimension 'K' is missing"),
        (CNN_SHAPE, {**ONES, "K": 0}, r"instance\.K is 0, allowed integers 1\.\.2147483647"),
        (CNN_SHAPE, {**ONES, "K": "four"}, r"instance\.K is 'four'"),
        (CNN_SHAPE, {**ONES, "K": 2**31}, r"instance\.K is 2147483648"),
        (CNN_SHAPE, {**ONES, "Hstride": 0}, r"instance\.Hstride is 0"),
        (CNN_SHAPE, dict.fromkeys("NKCPQRS", 10**6), "exceed the exact range"),
        (with_space(2, **{"read-write": False}), ONES, "0 written and 3 read tensors"),
        (with_space(0, projection=[[["K"]], [["C"]], [["R"]], [["Z"]]]), ONES, "unknown dimension 'Z'"),
        (with_space(0, projection=[[["K"]], [["C"]], [["R"]], [["S", "q"]]]), ONES, "unknown coefficient 'q'"),
        (with_space(0, projection=[[["K"]], [["C"]], [["R"]]]), ONES, "is no window"),
        (with_space(0, projection=[[["K"]], [["R"]], [["S"]]]), ONES, r"loop 'C' indexes \['Inputs'\]"),
        (with_space(0, projection=[[["K"]], [["C"], ["R"]], [["S"]]]), ONES, "both read tensors have sliding"),
        (with_space(2, projection=[[["N"]], [["K"], ["P"]], [["Q"]]]), ONES, "more than plain loops"),
        (with_space(0, projection=[[["K"]], [["K"]], [["C"]], [["R"]], [["S"]]]), ONES, "indexes 'Weights' twice"),
        (with_space(0, projection="K C R S"), ONES, "projection of 'Weights' is 'K C R S', allowed: a list"),
    ],
)
def test_timeloop_refusals(tmp_path, shape, instance, message):
    path = problem(tmp_path, shape, instance)
    with pytest.raises(InputError, match=rf"{path}:\d+:\d+: .*{message}"):
        import_timeloop_problem(path)


def test_a_timeloop_error_points_at_the_line(tmp_path):
    text = "problem:\n  shape:\n    name: G\n    dimensions: [I]\n    data-spaces: []\n  instance:\n    I: -3\n"
    path = write(tmp_path, text, "p.yaml")
    with pytest.raises(InputError, match=rf"{path}:7:8: problem\.instance\.I is -3"):
        import_timeloop_problem(path)


ROW = "64,3,10,10,3,3,1\n"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "", ":1:1: the file is empty"),
        ("a.csv", "\n\n", ":1:1: the file is empty"),
        ("a.csv", MAESTRO, ":1:1: no layer follows"),
        ("a.csv", "K,C,Y,X,R,S\n64,3,10,10,3,3\n", ":1:1: header is 'K,C,Y,X,R,S', allowed: 'K,C,Y,X,R,S,T'"),
        (
            "a.csv",
            "a,b,c\n1,2,3\n",
            ":1:1: tables with header 'a,b,c' are not known as networks; known: .*SCALE-Sim.*Another suffix",
        ),
        ("a.csv", MAESTRO + ROW + "64,3,10,10,3\n", ":3:6: column 'S' is missing"),
        ("a.csv", MAESTRO + ROW + "64,,10,10,3,3,1\n", ":3:2: column 'C' is missing"),
        ("a.csv", MAESTRO + "64,3.0,10,10,3,3,1\n", ":2:2: column 'C' is '3.0', allowed: integers 1..2147483647"),
        ("a.csv", MAESTRO + "64,x,10,10,3,3,1\n", ":2:2: column 'C' is 'x'"),
        ("a.csv", MAESTRO + "64,²,10,10,3,3,1\n", ":2:2: column 'C' is '²'"),
        ("a.csv", MAESTRO + "-1,3,10,10,3,3,1\n", ":2:1: column 'K' is '-1'"),
        ("a.csv", MAESTRO + f"{2**31},3,10,10,3,3,1\n", ":2:1: column 'K' is '2147483648'"),
        ("a.csv", MAESTRO + "9" * 5000 + ",3,10,10,3,3,1\n", ":2:1: column 'K' is"),
        ("a.csv", MAESTRO + "64,3,10,10,11,3,1\n", ":2:5: kernel R = 11 exceeds the input 10"),
        ("a.csv", MAESTRO + "64,3,10,10,3,11,1\n", ":2:6: kernel S = 11 exceeds the input 10"),
        ("a.csv", MAESTRO + "64,3,10,10,3,3,4\n", ":2:7: column 'T' is 4, allowed: 0"),
        ("a.csv", MAESTRO + "64,3,10,10,3,3,3\n", ":2:4: column 'X' is 10, allowed for T = 3: 1"),
        ("a.csv", MAESTRO + "64,3,10,1,1,1,0\n", ":2:3: column 'Y' is 10, allowed for T = 0: 1"),
        ("a.csv", "M,N,K,0,0,0,T\n64,3,10,1,1,1,1\n", ":2:7: column 'T' is 1, allowed: 3"),
        ("a.csv", "K,C,Y,X,R,S,K\n64,3,10,1,1,1,1\n", ":1:1: header is 'K,C,Y,X,R,S,K', allowed"),
        ("a.csv", MAESTRO + "64,3,10,10,3,3,2\n", ":2:1: column 'K' is 64, allowed for a depthwise layer"),
        ("a.csv", MAESTRO + "64,3,10,10,3,3,1,7\n", ":2:8: '7' stands behind the last column"),
        ("a.csv", MAESTRO + f"{2**30},{2**30},9,9,3,3,1\n", ":2:1: .*exceed the exact range"),
        ("a.csv", CONV, ":1:1: no layer follows"),
        ("a.csv", "Layer name, IFMAP Height\na,3\n", ":1:2: column 'IFMAP Width' is missing"),
        ("a.csv", CONV + "a, 9, 9, 3, 3, 4, 8,\n", ":2:8: column 'Strides' is missing"),
        ("a.csv", CONV + "a, 9, 9, 3, 3, 4, 8, 0,\n", ":2:8: column 'Strides' is '0'"),
        ("a.csv", CONV + "a, 9, 9, 10, 3, 4, 8, 1,\n", ":2:4: Filter Height = 10 exceeds the input 9"),
        ("a.csv", CONV + ", 9, 9, 3, 3, 4, 8, 1,\n", ":2:1: the layer has no name"),
        ("a.csv", GEMM + "a, 3, 4\n", ":2:4: column 'K' is missing"),
        ("a.csv", GEMM + "a, 3, 4, 5, 6,\n", ":2:5: '6' stands in a column without a name"),
        ("a.yaml", "", ": a mapping of sections is expected, found an empty file"),
        ("a.yaml", "- 1\n", ": a mapping of sections is expected, found list"),
        ("a.yaml", "problem: [\n", ":2:1: not valid YAML"),
        ("a.yaml", "nodes: [!Container {}]\nproblem: !X {}\n", ":2:10: problem.instance is None, allowed: a mapping"),
        ("a.yaml", "problem: !!python/name:os.system {}\n", ":1:10: not valid YAML: could not determine a constructor"),
        ("a.yaml", "architecture: {}\n", ": no 'problem' section"),
        ("a.yaml", "problem: &a {shape: *a}\n", ":1:10: not valid YAML: an alias contains itself"),
        ("a.yaml", "[" * 1200, "not valid YAML: nested more than 60 deep"),
        ("a.txt", "x", "suffix '.txt' are not known as networks; known: .*SCALE-Sim.*MAESTRO.*Timeloop.*ONNX"),
        ("a", "x", "files without a suffix are not known"),
    ],
)
def test_broken_files(tmp_path, name, text, message):
    path = write(tmp_path, text, name)
    with pytest.raises(InputError, match=message) as caught:
        import_file(path)
    assert str(path) in str(caught.value)


def test_unreadable_files(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        import_file(tmp_path / "missing.csv")
    for name in ("x.csv", "x.yaml"):
        (tmp_path / name).write_bytes(b"\xff\xfe\x00\x01")
        with pytest.raises(InputError, match="cannot be read as text"):
            import_file(tmp_path / name)


def error_of(path):
    """The message of the error that a file causes; a file without error gives its own path."""
    try:
        import_file(path)
    except InputError as error:
        return str(error)
    return str(path)


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet='KCYXRST,01-.\n" ;:[]{}&*!problemLay', max_size=80), st.sampled_from([".csv", ".yaml"]))
def test_no_text_escapes_the_error_class(tmp_path_factory, text, suffix):
    path = tmp_path_factory.mktemp("fuzz") / f"x{suffix}"
    path.write_text(text)
    assert str(path) in error_of(path)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["1", "3", "x", "", "-2", "2147483648", "1:1", " 7 "]), min_size=1, max_size=10))
def test_no_row_escapes_the_error_class(tmp_path_factory, cells):
    for header in (MAESTRO, CONV, GEMM):
        path = write(tmp_path_factory.mktemp("rows"), header + ",".join(cells) + "\n")
        assert str(path) in error_of(path)

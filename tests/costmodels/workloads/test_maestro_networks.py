"""Networks in MAESTRO's language, GAMMA's tables, and how a file's kind is found."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelgym.costmodels.errors import InputError, InputWarning
from accelgym.costmodels.workloads import Layer, LayerKind, load_workload
from accelgym.costmodels.workloads.importers import FILE_KINDS, import_file


def read(folder, text, name="net.m"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return import_file(path)


def network(*layers):
    return "Network n {\n" + "\n".join(f"Layer l{i} {{\n{layer}\n}}" for i, layer in enumerate(layers)) + "\n}\n"


def one(folder, text):
    return read(folder, network(text)).layers[0]


dim = st.integers(1, 40)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(*[dim] * 7, st.integers(1, 5), st.integers(1, 5), st.booleans()), min_size=1, max_size=4))
def test_convolutions_round_trip(tmp_path_factory, rows):
    layers, texts = [], []
    for i, (n, k, c, p, q, r, s, y_stride, x_stride, outputs) in enumerate(rows):
        strides = (y_stride, x_stride)
        layer = Layer(f"l{i}", LayerKind.CONV, N=n, K=k, C=c, P=p, Q=q, R=r, S=s, stride=strides)
        size = f"Y': {p}, X': {q}" if outputs else f"Y: {layer.input_height} , X {layer.input_width}"
        layers.append(layer)
        texts.append(
            f"Type: CONV // comment {{\nDimensions {{ N {n},K: {k},C:{c} R: {r}, S: {s}, {size} }}\n"
            f"Stride {{ X: {x_stride}, Y: {y_stride} }}"
        )
    assert read(tmp_path_factory.mktemp("m"), network(*texts)).layers == tuple(layers)


def test_depthwise_and_products(tmp_path):
    depthwise = one(tmp_path, "Type: DSCONV Dimensions { K: 1, C: 8, R: 3, S: 3, Y: 9, X: 9 }")
    assert depthwise.is_depthwise
    assert depthwise.macs == 8 * 49 * 9
    product = one(tmp_path, "Type: GEMM Dimensions { M: 4, N: 6, K: 8 }")
    assert (product.kind, product.P, product.K, product.C) == (LayerKind.GEMM, 4, 6, 8)
    full = one(tmp_path, "Type: FC Dimensions { N: 2, K: 6, C: 8 }")
    assert (full.macs, full.weight_words) == (96, 48)


def test_groups_and_transposed_convolutions_say_how_they_are_read(tmp_path):
    with pytest.warns(InputWarning, match="net.m:3: NGCONV: C counts"):
        grouped = one(tmp_path, "Type: NGCONV Dimensions { G: 4, K: 2, C: 12, R: 3, S: 3, Y: 5, X: 5 }")
    assert (grouped.groups, grouped.K, grouped.macs) == (4, 8, 9 * 9 * 8 * 3)
    with pytest.warns(InputWarning, match="net.m:3: TRCONV: a transposed"):
        transposed = one(tmp_path, "Type: TRCONV Dimensions { K: 2, C: 12, R: 2, S: 3, Y: 5, X: 6 }")
    # Every input value meets every weight of its channel once.
    assert transposed.macs == 12 * 5 * 6 * (2 * 2 * 3)


def test_constants_and_blocks_without_meaning_for_a_workload(tmp_path):
    text = "Constant T 64;\nAccelerator { PE { NumPEs: 4; } }\n" + network(
        "Type: CONV Dimensions { K: T, C: 3, R: 1, S: 1, Y: T, X: 1 }\n"
        "Dataflow { SpatialMap(T,1) K; TemporalMap(Sz(R),Sz(R)) R; Cluster(Sz(S), P); SpatialMap (1,1) X'; }"
    )
    assert read(tmp_path, text).layers[0].macs == 64 * 3 * 64


FULL = "Type: CONV Dimensions { K: 2, C: 2, R: 3, S: 3, Y: 9, X: 9 }"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ":1:1: the file has no network$"),
        ("Dataflow { SpatialMap(1,1) K; }", ":1:1: the file has no network, only a dataflow"),
        ("num_pes: 4\n", ":1:1: 'num_pes' is not understood, allowed: Constant, Network"),
        ("Network n { }", ":1:1: network 'n' has no layer"),
        ("Network n {\n Layer a {", ":2:10: the file ends where a part of a layer or '}'"),
        (network(FULL) + network(FULL), ":6:1: a second network"),
        (network("Type: CONV"), ":2:7: layer 'l0' has no Dimensions"),
        (
            network(FULL.replace("CONV", "POOL")),
            ":3:7: type 'POOL' is named in MAESTRO's language but analysed nowhere",
        ),
        (network(FULL.replace("CONV", "conv")), ":3:7: type 'conv' is not understood, allowed: CONV, DSCONV"),
        (network(FULL.replace("K: 2, ", "")), ":3:7: dimension K of layer 'l0' is missing for type CONV"),
        (network(FULL.replace("K: 2", "K: 2, K: 2")), ":3:31: dimension K stands twice"),
        (network(FULL.replace("K: 2", "K: 2, Z: 2")), ":3:31: 'Z' is no dimension of Dimensions"),
        (network(FULL.replace("K: 2", "K: 2, M: 2")), ":3:34: dimension M has no meaning for type CONV"),
        (network(FULL.replace("K: 2", "K: -2")), ":3:28: the size of K is '-2', allowed: integers 1"),
        (network(FULL.replace("K: 2", "K: 1_0")), ":3:28: the size of K is '1_0'"),
        (network(FULL.replace("K: 2", "K: 9999999999")), ":3:28: the size of K is '9999999999'"),
        (network(FULL.replace("R: 3", "R: 10")), ":2:7: .*exceeds the padded input 9"),
        (network(FULL.replace("Y: 9", "Y: 9, Y': 7")), ":3:59: both Y and Y' are given"),
        (network(FULL.replace("CONV", "DSCONV")), ":3:30: dimension K is 2, allowed for type DSCONV: 1"),
        (network(FULL + " Type: CONV"), ":3:62: Type stands twice"),
        (network(FULL + " Pad { X: 1 }"), ":3:62: 'Pad' is not understood"),
        (network(FULL + " Dataflow { Unroll(1,1) K; }"), ":3:73: 'Unroll' is no directive"),
        (network(FULL + " Dataflow { SpatialMap(1,1) W; }"), ":3:89: 'W' is not understood here"),
    ],
)
def test_refused_files(tmp_path, text, message):
    with pytest.raises(InputError, match=f"net.m{message}"):
        read(tmp_path, text)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([*"{}:;(),KCRSYX'/19", "Network ", "Layer ", "Type ", "CONV ", "Dimensions ", "Sz"])))
def test_no_text_escapes_the_error_class(tmp_path_factory, parts):
    folder = tmp_path_factory.mktemp("fuzz")
    said = str(folder / "net.m")
    try:
        read(folder, "".join(parts))
    except InputError as error:
        said = str(error)
    assert str(folder / "net.m") in said


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(dim, dim, dim), min_size=1, max_size=4), st.booleans())
def test_products_of_gamma_round_trip(tmp_path_factory, rows, own_header):
    header = "M,N,K,0,0,0,T" if own_header else "K,C,Y,X,R,S,T"
    text = "\n".join([header, *(f"{m},{n},{k},1,1,1,3" for m, n, k in rows)])
    layers = read(tmp_path_factory.mktemp("g"), text, "net.csv").layers
    assert layers == tuple(Layer.gemm(f"L{i}", M=m, K=n, C=k) for i, (m, n, k) in enumerate(rows, 1))


def test_fully_connected_rows_of_gamma_and_reordered_columns(tmp_path):
    (full,) = read(tmp_path, "O,I,0,0,0,0,T\n256,128,1,1,1,1,0\n", "net.csv").layers
    assert full == Layer.gemm("L1", M=1, K=256, C=128)
    (conv,) = read(tmp_path, "T,S,R,X,Y,C,K\n1,3,5,10,12,4,8\n", "net.csv").layers
    assert conv == Layer.conv("L1", K=8, C=4, H=12, W=10, R=5, S=3)


def test_a_stated_kind_overrules_the_suffix(tmp_path):
    path = tmp_path / "net.txt"
    path.write_text("Layer, M, N, K,\nfc,4,6,8,\n")
    assert load_workload(f"scalesim:{path}").macs == 192
    with pytest.raises(InputError, match=r"suffix '.txt' are not known as networks.*scalesim:FILE"):
        load_workload(str(path))
    with pytest.raises(InputError, match=r"net.txt:1:1: header is 'LAYER,M,N,K', allowed"):
        load_workload(f"confuciux:{path}")
    with pytest.raises(InputError, match="unknown kind of file 'word'"):
        import_file(path, kind="word")


@pytest.mark.parametrize("kind", FILE_KINDS)
def test_devices_and_folders_are_no_files(tmp_path, kind):
    for path in ("/dev/zero", str(tmp_path)):
        with pytest.raises(InputError, match=f"{path}: no regular file"):
            load_workload(f"{kind}:{path}")
        with pytest.raises(InputError, match=f"{path}: no regular file"):
            load_workload(path)


def test_a_table_that_fits_two_kinds_asks_for_one(tmp_path, monkeypatch):
    first, *_ = FILE_KINDS
    other = FILE_KINDS[first]
    monkeypatch.setitem(FILE_KINDS, "other", other)
    with pytest.raises(InputError, match=rf"net.csv:1:1: .* fits {first} and other; state which, as in {first}:"):
        read(tmp_path, "K,C,Y,X,R,S,T\n1,1,1,1,1,1,1\n", "net.csv")

"""SCALE-Sim topologies whose columns, names and rows are not the plain ones."""

import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelgym.costmodels.errors import InputError, InputWarning
from accelgym.costmodels.workloads import LayerKind
from accelgym.costmodels.workloads.importers import import_file

COLUMNS = ("Layer name", "IFMAP Height", "IFMAP Width", "Filter Height", "Filter Width", "Channels", "Num Filter")
CONV = ", ".join((*COLUMNS, "Strides,")) + "\n"


def read(folder, text, name="net.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return import_file(path).layers


dim = st.integers(1, 40)


@st.composite
def topologies(draw):
    """Rows as dictionaries by column, without any header yet."""
    rows = []
    for index in range(draw(st.integers(1, 4))):
        R, S = draw(dim), draw(dim)
        values = (f"l{index}", R + draw(dim), S + draw(dim), R, S, draw(dim), draw(dim), draw(st.integers(1, 9)))
        row = dict(zip((*COLUMNS, "Strides"), values, strict=True))
        row |= {"Stride width": draw(st.integers(1, 9)), "Batch Size": draw(st.integers(1, 5))}
        rows.append(row)
    return rows


@settings(max_examples=80, deadline=None)
@given(
    topologies(),
    st.randoms(use_true_random=False),
    st.booleans(),
    st.sampled_from([" ", "_", "-", "  "]),
    st.sampled_from([",", "\t"]),
)
def test_columns_are_found_by_their_header(tmp_path_factory, rows, shuffle, upper, blank, delimiter):
    columns = list(rows[0])
    shuffle.shuffle(columns)
    lines = [delimiter.join(c.upper() if upper else c for c in columns).replace(" ", blank)]
    lines += [delimiter.join(str(row[c]) for c in columns) for row in rows]
    layers = read(tmp_path_factory.mktemp("ss"), "\n".join(lines))
    for layer, row in zip(layers, rows, strict=True):
        # SCALE-Sim's own formula for the output, counted here by stepping.
        outputs = [
            len(range(0, row[size] - row[kernel] + row[stride], row[stride]))
            for size, kernel, stride in (
                ("IFMAP Height", "Filter Height", "Strides"),
                ("IFMAP Width", "Filter Width", "Stride width"),
            )
        ]
        assert tuple(outputs) == (layer.P, layer.Q)
        work = outputs[0] * outputs[1] * row["Filter Height"] * row["Filter Width"] * row["Channels"]
        assert layer.macs == work * row["Num Filter"] * row["Batch Size"]


def test_a_depthwise_row_has_its_filters_on_each_channel(tmp_path):
    plain, one, two = read(tmp_path, CONV + "a,9,9,3,3,4,8,1,\nx_DP,9,9,3,3,4,1,1,\nDP2,9,9,3,3,4,3,2,\n")
    assert (plain.groups, plain.macs) == (1, 49 * 9 * 4 * 8)
    assert one.is_depthwise
    assert (one.K, one.C, one.macs) == (4, 4, 4 * 49 * 9)
    assert two.is_depthwise
    assert (two.K, two.C, two.macs) == (12, 4, 4 * 3 * 16 * 9)


def test_repeated_names_get_a_suffix(tmp_path):
    layers = read(tmp_path, "Layer, M, N, K,\nfc,4,6,8,\nfc,4,6,8,\nfc_1,2,2,2,\n")
    assert len({layer.name for layer in layers}) == 3
    assert [layer.macs for layer in layers] == [192, 192, 8]


def test_batches_of_products(tmp_path):
    (layer,) = read(tmp_path, "batch, L, K, M, N\n5, fc, 8, 4, 6\n")
    assert layer.kind is LayerKind.GEMM
    assert (layer.N, layer.macs, layer.weight_words) == (5, 5 * 192, 48)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (CONV + "a,9,9,3,3,4,8,1,#first\n", ":2: text behind the last comma is dropped"),
        (CONV.strip() + "Sparsity,\na,9,9,3,3,4,8,1,2:4,\n", ":2: sparsity ratios are not modelled, 1 layers"),
        (CONV + "b,9,9,3,3,4,8,1,1:1,\na,9,9,3,3,4,8,1,2:4,\n", ":3: sparsity ratios are not modelled, 1 layers"),
        (CONV.strip() + "Eh,,\na,9,9,3,3,4,8,1,7,,\nb,9,9,3,3,4,8,1,7,,\n", ":2: column 'Eh' is not read"),
        (CONV.replace("IFMAP Height", "IFMAP Width") + "a,9,9,3,3,4,8,1,\n", ":1: the first of two columns"),
        ("Layer,M,N,K,Strides,\nfc,49,8,36,2,\n", ":2: column 'Strides' is not read"),
    ],
)
def test_what_is_left_out_is_said_once(tmp_path, text, message):
    with pytest.warns(InputWarning, match=message) as caught:
        layer = read(tmp_path, text)[-1]
    assert len(caught) == 1
    assert layer.macs == 49 * 9 * 4 * 8


def test_a_plain_file_gives_no_warning(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(tmp_path, CONV.strip() + "Sparsity,\n,,,,\na,9,9,3,3,4,8,1,1:1,\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (CONV.replace("Channels", "Strides") + "a,9,9,3,3,4,8,1,\n", ":1:8: column 'Strides' stands twice"),
        (CONV + "a,9,9,3,3,4,8,1,7,\n", ":2:9: '7' stands in a column without a name"),
        (CONV + "a,9,9,3,3,4,8\n", ":2:8: column 'Strides' is missing"),
        (CONV + "a,9,9,3,3,4,8,1_0,\n", ":2:8: column 'Strides' is '1_0'"),
        (CONV + "a,9,9,3,3,٣,8,1,\n", ":2:6: column 'Channels' is"),
        (CONV + "a,999999999999,9,3,3,4,8,1,\n", ":2:2: column 'IFMAP Height' is '999999999999'"),
        (CONV.strip() + "Batch Size,\na,9,9,3,3,4,8,1,0,\n", ":2:9: column 'Batch Size' is '0'"),
        (CONV.strip() + "Sparsity,\na,9,9,3,3,4,8,1,4:2,\n", ":2:9: column 'Sparsity' is '4:2'"),
        (CONV.strip() + "Sparsity,\na,9,9,3,3,4,8,1,half,\n", ":2:9: column 'Sparsity' is 'half'"),
        (CONV.strip() + "M,N,K,\na,9,9,3,3,4,8,1,4,6,8,\n", ":1:1: the header has columns of both forms"),
        ("Layer,M,N,K,\nfc,2147483647,2147483647,2147483647,\n", ":2:1: .*exceed the exact range"),
    ],
)
def test_refused_rows(tmp_path, text, message):
    with pytest.raises(InputError, match=f"net.csv{message}"):
        read(tmp_path, text)

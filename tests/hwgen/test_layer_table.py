"""Layer tables and what is wrong with them."""

import pytest

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.systolic.operand_types import OperandTypes
from accelgym.costmodels.workloads.layer import Layer, LayerKind
from accelgym.hwgen.layer_table import COLUMNS, read_layers, read_types

HEADER = ",".join(COLUMNS)


def table(tmp_path, *lines: str, header: str = HEADER):
    path = tmp_path / "layers.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def test_every_kind_is_read(tmp_path):
    path = table(
        tmp_path,
        "c,conv,2,8,6,7,5,3,1,2,1,1",
        "d,depthwise,1,12,6,4,4,3,3,1,1,1",
        "g,gemm,,5,7,3,,,,,,",
        "b,bmm,4,5,7,3,,,,,,",
        "r,conv,1,2,3,4,5,3,2,2x1,1x0,1x2",
    )
    conv, depthwise, gemm, batched, uneven = read_layers(path)
    assert conv == Layer(
        "c", LayerKind.CONV, N=2, K=8, C=6, P=7, Q=5, R=3, S=1, stride=(2, 2), padding=(1, 1), dilation=(1, 1)
    )
    assert (depthwise.groups, depthwise.K) == (6, 12)
    assert gemm == Layer.gemm("g", M=3, K=5, C=7)
    assert batched == Layer.gemm("b", M=3, K=5, C=7, batch=4)
    assert (uneven.stride, uneven.padding, uneven.dilation) == ((2, 1), (1, 0), (1, 2))


def test_groups_are_an_optional_column(tmp_path):
    (layer,) = read_layers(table(tmp_path, "c,conv,1,4,6,3,3,1,1,1,0,1,2", header=HEADER + ",groups"))
    assert layer.groups == 2


def test_rows_may_name_their_number_formats(tmp_path):
    lines = ("a,gemm,1,2,3,4,,,,,,,int4,", "b,gemm,1,2,3,4,,,,,,,,e4m3", "c,gemm,1,2,3,4")
    path = table(tmp_path, *lines, header=HEADER + ",weight_type,input_type")
    assert read_types(path) == (OperandTypes(None, "int4"), OperandTypes("e4m3", None), OperandTypes())
    assert [layer.name for layer in read_layers(path)] == ["a", "b", "c"]
    path = table(tmp_path, "a,gemm,1,2,3,4,,,,,,,int4x,", header=HEADER + ",weight_type,input_type")
    with pytest.raises(InputError, match=":2:13: unknown datatype 'int4x'"):
        read_types(path)
    assert read_types(table(tmp_path, "a,gemm,1,2,3,4")) == (OperandTypes(),)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("c,pool,1,1,1,1,1,1,1,1,0,1", ":2:2: unknown kind 'pool'"),
        ("c,conv,0,1,1,1,1,1,1,1,0,1", ":2:3: column 'N' is '0'"),
        ("c,conv,1,x,1,1,1,1,1,1,0,1", ":2:4: column 'K' is 'x'"),
        ("c,conv,1,1,1,1,1,1,1,0,0,1", ":2:10: column 'stride' is '0'"),
        ("c,conv,1,1,1,1,1,1,1,1,-1,1", ":2:11: column 'padding' is '-1'"),
        ("c,conv,1,1,1,1,1,1,1,1,0,1x1x1", ":2:12: column 'dilation'"),
        ("c,conv,1,1,1,1,1,1,1,1,3,1", ":2:1: .*leaves no input"),
    ],
)
def test_bad_cells_are_named(line, message, tmp_path):
    with pytest.raises(InputError, match=message):
        read_layers(table(tmp_path, line))


def test_missing_columns_and_rows_are_named(tmp_path):
    with pytest.raises(InputError, match="column 'kind' is missing"):
        read_layers(table(tmp_path, header="name,N"))
    with pytest.raises(InputError, match="no layer below the header"):
        read_layers(table(tmp_path))


@pytest.mark.parametrize(
    ("header", "lines", "message"),
    [
        (HEADER + ",K", ("c,conv,1,1,1,1,1,1,1,1,0,1,2",), "column 'K' stands twice, as columns 4 and 13"),
        (HEADER + ",group", ("c,conv,1,1,1,1,1,1,1,1,0,1,2",), ":1:13: unknown column 'group'"),
        (HEADER, ("c,conv,1,64,32",), ":2:6: the row has 5 cells, the header 12"),
        (HEADER, ("c,conv,1,1,1,1,1,1,1,1,0",), ":2:12: the row has 11 cells"),
        (HEADER, ("g,gemm,1,2,3",), ":2:6: the row has 5 cells"),
        (HEADER, ("c,conv,1,1,1,1,1,1,1,1,0,1,7",), ":2:13: the row has 13 cells"),
        (HEADER, ("c,conv,1,1,1,1,1,1,1,1,0,1", "c,conv,1,1,1,1,1,1,1,1,0,1"), ":3:1: layer 'c' stands in line 2"),
        (HEADER, ("c,conv,1,1_0,1,1,1,1,1,1,0,1",), ":2:4: column 'K' is '1_0'"),
        (HEADER, ("c,conv,1,1,1,1,1,1,1,\uff12,0,1",), ":2:10: column 'stride'"),
        (HEADER, ("c,conv,1,8,8,8,8,3,3,999999999999,1,1",), ":2:10: column 'stride'"),
    ],
)
def test_ambiguous_tables_are_refused(header, lines, message, tmp_path):
    with pytest.raises(InputError, match=message):
        read_layers(table(tmp_path, *lines, header=header))


def test_empty_cells_behind_the_last_column_are_nothing(tmp_path):
    (layer,) = read_layers(table(tmp_path, "g,gemm,1,2,3,4,,,,,,,,", header=HEADER + ","))
    assert layer == Layer.gemm("g", M=4, K=2, C=3)

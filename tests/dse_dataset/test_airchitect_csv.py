"""The released layout of AIrchitect v2."""

from pathlib import Path

import pytest
from labelled import small_spec

from accelgym.costmodels.errors import InputError
from accelgym.dse_dataset.airchitect_csv import check_released, read_released
from accelgym.dse_dataset.runner import label_dataset

GOLDEN = Path(__file__).parent.parent / "golden" / "airchitect_v2"


def test_the_released_rewards_are_reproduced():
    found = check_released(GOLDEN / "conv_rows.csv")
    assert (found.rows, found.reproduced, found.illegal) == (200, 200, (202, 203, 204))
    assert found.first_wrong is None
    assert found.optimal == 200
    assert found.canonical < 60
    assert 1.0 < found.constant_ratio < 1.1


def test_a_changed_reward_is_named(tmp_path):
    lines = (GOLDEN / "conv_rows.csv").read_text().splitlines()
    lines[7] = lines[7][:-1] + ("1" if lines[7][-1] != "1" else "2")
    path = tmp_path / "changed.csv"
    path.write_text("\n".join(lines) + "\n")
    found = check_released(path)
    assert (found.reproduced, found.first_wrong) == (199, 8)


@pytest.mark.parametrize("layout", ["config_id", "two_columns"])
def test_the_csv_we_write_checks_and_is_canonical(tmp_path, layout):
    out = tmp_path / "set"
    label_dataset(small_spec(rows=150, released=layout), out, executor="inline")
    header = (out / "conv_dataset.csv").read_text().splitlines()[0]
    assert header == f"K,C,X,Y,R,S,df,{'ConfigID' if layout == 'config_id' else 'num_pes,buffer_level'},rewards"
    found = check_released(out / "conv_dataset.csv", illegal="refuse")
    assert found.rows == found.reproduced == found.optimal == found.canonical == 150


def test_the_products_are_the_convolutions_unrolled(dataset):
    for folder, names in (
        (GOLDEN, ("conv_rows.csv", "gemm_rows.csv")),
        (dataset, ("conv_dataset.csv", "gemm_dataset.csv")),
    ):
        conv, gemm = ([line.split(",") for line in (folder / n).read_text().splitlines()[1:]] for n in names)
        assert len(conv) == len(gemm)
        for one, other in list(zip(conv, gemm, strict=True))[:200]:
            K, C, X, Y, R, S = map(int, one[:6])
            assert [int(v) for v in other[:3]] == [K, (X - R + 1) * (Y - S + 1), C * R * S]
            assert other[3:5] == one[6:8]
            assert float(other[5]) == float(one[8])


BAD = {
    "K,C,X,Y,R,S,df,rewards\n": "line 1: column 'num_pes' is missing",
    "M,N,GEMM_K,df,ConfigID,rewards\n2,2,2,dla,1,3\n": "a file of matrix products",
    "K,C,X,Y,R,S,df,ConfigID,rewards\n2,2,8,8,1,1,dla,768,3\n": "line 2: ConfigID is '768', allowed: integers 0..767",
    "K,C,X,Y,R,S,df,ConfigID,rewards\n2,2,8,8,1,1,wse,7,3\n": "line 2: df is 'wse', allowed: dla, eye, shi",
    "K,C,X,Y,R,S,df,ConfigID,rewards\n2,2.5,8,8,1,1,dla,7,3\n": "line 2: C is '2.5'",
    "K,C,X,Y,R,S,df,ConfigID,rewards\n2,2,1,8,3,1,dla,7,3\n": "no legal row",
    "K,C,X,Y,R,S,df,ConfigID,rewards\n2,2,1\n": "line 2: expected 9 cells",
    "": "line 1: column 'K' is missing",
}


@pytest.mark.parametrize("text", BAD)
def test_bad_files_are_named(tmp_path, text):
    path = tmp_path / "rows.csv"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        check_released(path)
    assert str(error.value).startswith(str(path))
    assert BAD[text] in str(error.value)


ROWS = """K,C,X,Y,R,S,df,ConfigID,rewards
2,2,1,8,3,1,dla,0,1
0,2,8,8,1,1,dla,0,1
2,2,8,8,1,1,dla,0,149
2,2,8,-8,1,1,eye,0,1
2147483647,2147483647,2147483647,2147483647,1,1,dla,0,1
"""


def test_rows_that_are_no_layers_or_have_no_design_are_counted_and_named(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(ROWS)
    found = check_released(path)
    assert (found.rows, found.illegal, found.without_design) == (2, (2, 3, 5), (6,))
    assert found.optimal == found.canonical == 0
    assert 1.0 < found.worst < 10.0
    assert found.constant_ratio == found.constant_optimal == 1.0
    with pytest.raises(InputError, match="line 2: the kernel is larger than the input, or a size below 1, as in 3 row"):
        check_released(path, illegal="refuse")
    path.write_text("\n".join(ROWS.splitlines()[:1] + ROWS.splitlines()[5:]) + "\n")
    with pytest.raises(InputError, match="MAESTRO knows no design for any row"):
        check_released(path)


def test_illegal_rows_can_be_refused():
    with pytest.raises(InputError, match=r"line 202: the kernel is larger than the input.*as in 3 rows"):
        read_released(GOLDEN / "conv_rows.csv", illegal="refuse")

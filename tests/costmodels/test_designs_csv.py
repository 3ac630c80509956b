"""Tables of designs, read in blocks: the fast way and the ``csv`` module's say the same."""

import csv
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files import csv_blocks
from accelgym.costmodels.files.csv_blocks import PlainBlock, read_blocks
from accelgym.costmodels.maestro import MaestroModel, designs_csv
from accelgym.costmodels.maestro.designs_csv import evaluate_file
from accelgym.costmodels.maestro.physical import PhysicalModel

HEADER = "layer_type,K,C,Y,X,R,S,dataflow,num_pes,buffer_level"
ROW = "CONV,8,6,12,10,3,3,dla,4,2"


def outcome(folder, text, model=None):
    """What a table comes to: the bytes written, or the message."""
    (folder / "in.csv").write_bytes(text.encode())
    try:
        evaluate_file(model or MaestroModel(), folder / "in.csv", folder / "out.csv")
    except InputError as error:
        assert not (folder / "out.csv").exists()
        return str(error)
    found = (folder / "out.csv").read_bytes()
    (folder / "out.csv").unlink()
    return found


CELLS = st.sampled_from(
    [
        "8",
        "1",
        "007",
        "",
        " 8",
        "8 ",
        "-3",
        "0",
        "1_0",
        "1e3",
        "\u0664",
        "9" * 15,
        "9" * 16,
        "9" * 30,
        '"8"',
        '"8\n"',
        "x",
    ]
)
KINDS = st.sampled_from(["CONV", "DSCONV", "CONV ", "conv", "CONVX", ""])
FLOWS = st.sampled_from(["dla", "eye", "shi", "dpt", "DLA", " dla", "dlaa", "dl"])


@st.composite
def tables(draw):
    extra = draw(st.sampled_from(["", ",note", ",noc_bw", ",noc_bw,note", ",energy_nj", ","]))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    lines = [HEADER + extra]
    for _ in range(draw(st.integers(0, 6))):
        cells = ROW.split(",") + [draw(st.sampled_from(["", "7", "a b", '"a,b"'])) for _ in range(extra.count(","))]
        if draw(st.integers(0, 3)) == 0:
            at = draw(st.integers(0, 9))
            cells[at] = draw(KINDS if at == 0 else FLOWS if at == 7 else CELLS)
        if draw(st.integers(0, 9)) == 0:
            cells = draw(st.sampled_from([cells[:-1], [*cells, "1"], [""]]))
        lines.append(",".join(cells))
    return end.join(lines) + draw(st.sampled_from(["", end, end + end]))


@settings(max_examples=80, deadline=None)
@given(text=tables(), characters=st.sampled_from([8, 64, 1 << 20]))
def test_both_ways_agree(text, characters, tmp_path_factory):
    folder = tmp_path_factory.mktemp("t")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_blocks, "_CHARACTERS", characters)
        fast = outcome(folder, text)
        patch.setattr(csv_blocks, "_plain", lambda *_: None)
        patch.setattr(csv_blocks, "_CHARACTERS", 1 << 20)
        slow = outcome(folder, text)
    one_row = len(text.splitlines()) == 2
    if isinstance(fast, bytes) or one_row:
        assert fast == slow
    else:  # Of faults in several rows, a block may meet another one first.
        assert isinstance(slow, str)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_plain_lines_are_read_the_fast_way_and_costs_follow_each_line(end, tmp_path, monkeypatch):
    monkeypatch.setattr(csv_blocks, "_CHARACTERS", 100)
    sizes = range(1, 50)
    text = end.join([HEADER + ",note", *(f"CONV,{k},6,12,10,3,3,eye,4,2,n {k}" for k in sizes)])
    path = tmp_path / "designs.csv"
    path.write_bytes(text.encode())
    blocks = [block for _, block in read_blocks(path, ("K",))]
    assert len(blocks) > 5
    assert all(isinstance(block, PlainBlock) for block in blocks)
    assert np.concatenate([block.integers("K") for block in blocks]).tolist() == list(sizes)
    assert evaluate_file(MaestroModel(), path, tmp_path / "costs.csv") == (49, 49)
    with (tmp_path / "costs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["note"] for row in rows] == [f"n {k}" for k in sizes]
    assert [int(row["filter_l2_reads"]) for row in rows] == sorted(int(row["filter_l2_reads"]) for row in rows)


def test_a_fault_far_down_is_named_with_its_line_and_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_blocks, "_CHARACTERS", 200)
    lines = [HEADER, *[ROW] * 300]
    lines[250] = ROW.replace("8,6", "8,1_000")
    assert "line 251: column 'C' is '1_000', expected an integer" in outcome(tmp_path, "\n".join(lines))
    lines[250] = ROW + ",1"
    assert "line 251: expected 10 cells" in outcome(tmp_path, "\n".join(lines))
    lines[250] = ROW.replace("dla", "dpt")
    assert "line 251: column 'dataflow' is 'dpt', allowed dla, eye, shi" in outcome(tmp_path, "\n".join(lines))
    lines[100:101] = ["", '"CONV",8,6,"12",10,3,3,dla,4,2', ""]
    assert "line 253: column 'dataflow' is 'dpt'" in outcome(tmp_path, "\n".join(lines))


def test_a_bandwidth_missing_in_another_block_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_blocks, "_CHARACTERS", 200)
    lines = [f"{HEADER},noc_bw", *[f"{ROW},"] * 100, *[f"{ROW},8"] * 100]
    assert "line 2: noc_bw is empty while other rows have one" in outcome(tmp_path, "\n".join(lines))
    lines = [f"{HEADER},noc_bw", *[f"{ROW},8"] * 100, *[f"{ROW},"] * 100]
    assert "line 102: noc_bw is empty while other rows have one" in outcome(tmp_path, "\n".join(lines))
    wide, narrow = (outcome(tmp_path, f"{HEADER},noc_bw\n{ROW},{bw}\n") for bw in (64, 1))
    assert wide != narrow
    assert outcome(tmp_path, f"{HEADER},noc_bw\n{ROW},1\n", MaestroModel(noc_bw=5)) == narrow


def test_memory_does_not_grow_with_the_table(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_blocks, "_CHARACTERS", 1 << 16)
    peaks = []
    for rows in (6_000, 24_000):
        path = tmp_path / "designs.csv"
        path.write_text("\n".join([HEADER, *[ROW] * rows]))
        tracemalloc.start()
        evaluate_file(MaestroModel(), path, tmp_path / "costs.csv")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


@pytest.mark.parametrize("quotes", ["", '"'])
def test_cells_that_a_spreadsheet_would_run_follow_an_apostrophe(quotes, tmp_path):
    notes = ["=1+2", "@x", "-3.5", "plain"]
    rows = [f"{quotes}{note}{quotes},{ROW}" for note in notes]
    text = outcome(tmp_path, "\n".join([f"=note,{HEADER}", *rows]) + "\n").decode()
    found = list(csv.reader(text.splitlines()))
    assert [row[0] for row in found] == ["'=note", "'=1+2", "'@x", "-3.5", "plain"]


def test_machine_code_writes_the_same_bytes(tmp_path, monkeypatch):
    pytest.importorskip("numba", reason="the extra 'fast' is not installed")
    monkeypatch.setattr(csv_blocks, "_CHARACTERS", 300)
    rows = [
        f"CONV,{k},6,12,{10 + k},3,3,{flow},4,2,na\u00efve {k}" for k in range(40) for flow in ("dla", "eye", "shi")
    ]
    rows += ["CONV,8,6,2,10,3,3,dla,4,2,", "CONV,900719925474099,900719925474099,12,10,3,3,dla,4,2,="]
    text = "\n".join([HEADER + ",note", *rows])
    for model in (MaestroModel(), PhysicalModel()):
        plain = outcome(tmp_path, text, model)
        with monkeypatch.context() as patch:
            patch.setattr(designs_csv, "_WORTH_COMPILING", 0)
            assert outcome(tmp_path, text, model) == plain

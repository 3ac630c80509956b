"""Readers: ours, Hugging Face's, NumPy and torch, and users' own files."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelgym.costmodels.errors import DamagedFileError, InputError, InputWarning
from accelgym.dse_dataset.columns import content_digest
from accelgym.dse_dataset.load import load_dataset, numpy_view, read_table, split_table, torch_dataset


def test_a_split_is_read_as_it_was_written(dataset):
    found = load_dataset(dataset)
    assert {"train": 320, "validation": 40, "test": 40}.items() <= found.splits.items()
    table = found.table("train")
    assert table.column("row").to_pylist() == list(range(320))
    arrays = found.arrays("test", ["K", "best_objective", "top_num_pes", "depthwise"])
    assert arrays["top_num_pes"].shape == (40, 5)
    assert arrays["depthwise"].dtype == bool
    assert arrays["best_objective"].dtype == np.float64


def test_views_share_the_memory_of_the_table(dataset):
    table = load_dataset(dataset).table("train")
    for name in ("K", "best_objective", "top_objective"):
        array = table.column(name).chunk(0)
        data = (array.flatten() if name == "top_objective" else array).buffers()[1]
        view = numpy_view(table, name)
        assert view.__array_interface__["data"][0] == data.address
        assert not view.flags.writeable


def test_tensors_share_the_memory_of_the_table(dataset):
    torch = pytest.importorskip("torch")
    table = load_dataset(dataset).table("train")
    rows = torch_dataset(table, ["K", "C"], ["best_num_pes", "top_objective"])
    inputs, labels = rows[7]
    assert (int(inputs["K"]), int(labels["best_num_pes"])) == (table["K"][7].as_py(), table["best_num_pes"][7].as_py())
    assert rows.tensors[0]["K"].data_ptr() == table.column("K").chunk(0).buffers()[1].address
    batch = next(iter(torch.utils.data.DataLoader(rows, batch_size=16)))
    assert batch[1]["top_objective"].shape == (16, 5)
    with pytest.raises(InputError, match="'dataflow' holds string"):
        torch_dataset(table, ["dataflow"], [])


@pytest.mark.parametrize(("split", "columns", "message"), [("dev", None, "'dev'"), ("test", ["k"], "'k'")])
def test_unknown_names_are_refused(dataset, split, columns, message):
    with pytest.raises(InputError, match=message):
        load_dataset(dataset).table(split, columns)


def test_a_changed_shard_is_not_read(dataset, tmp_path):
    out = tmp_path / "changed"
    shutil.copytree(dataset, out)
    path = next(out.glob("data/test-*"))
    table = pq.read_table(path)
    place = table.schema.get_field_index("best_num_pes")
    other = table.set_column(place, table.schema.field(place), pa.array([1] * 40, pa.int32()))
    pq.write_table(other, path)
    with pytest.raises(DamagedFileError, match="test-00000"):
        load_dataset(out).table("test")


def test_hugging_face_reads_the_folder_offline(dataset, tmp_path):
    pytest.importorskip("datasets")
    code = (
        "import sys, json, datasets, pyarrow as pa;"
        "found = datasets.load_dataset(sys.argv[1]);"
        "table = found['train'].with_format('arrow')[:];"
        "print(json.dumps([{s: len(d) for s, d in found.items()}, table['best_objective'].to_pylist()[:5],"
        "str(table.schema.field('top_num_pes').type), str(table.schema.field('K').type)]))"
    )
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "HF_DATASETS_OFFLINE": "1"}
    ended = subprocess.run(
        [sys.executable, "-c", code, str(dataset)], env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    splits, values, kind, whole = json.loads(ended.stdout.splitlines()[-1])
    ours = load_dataset(dataset)
    assert splits == ours.splits
    assert values == ours.table("train")["best_objective"].to_pylist()[:5]
    assert whole == "int32"
    assert kind.startswith("fixed_size_list")
    assert kind.endswith("int32>[5]")


CSV = "k,c,h,w,r,s,who\n8,6,10,7,3,3,a\n8,6,7,10,3,3,b\n8,54,40,1,1,1,a\n16,6,10,7,3,3,c\n"
MAP = {"k": "K", "c": "C", "h": "Y", "w": "X", "r": "R", "s": "S"}


def test_a_users_csv_is_split_so_that_no_twin_leaks(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(CSV)
    table = read_table(path, MAP)
    parts = split_table(table)
    assert sum(part.num_rows for part in parts.values()) == 4
    # The first three rows are one product.
    assert any({"a", "b"} <= set(part["who"].to_pylist()) and part.num_rows >= 3 for part in parts.values())
    held = split_table(table, held_out=("who", ["b"]))
    assert held["heldout"].num_rows == 3
    grouped = split_table(table, group=["who"])
    assert sum(len(set(part["who"].to_pylist())) for part in grouped.values()) == 3


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=1, max_size=40))
def test_groups_are_never_torn(rows):
    table = pa.table({"a": [a for a, _ in rows], "b": [b for _, b in rows]})
    parts = split_table(table, group=["a"])
    seen = [set(part["a"].to_pylist()) for part in parts.values()]
    assert sum(map(len, seen)) == len({a for a, _ in rows})


def test_rows_that_are_no_layers_are_counted_and_refused_or_left_out(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(CSV + "8,6,2,7,3,3,d\n0,6,10,7,3,3,e\n")
    table = read_table(path, MAP)
    with pytest.raises(InputError, match=r"row 4: no layer.*as in 2 rows"):
        split_table(table)
    with pytest.warns(InputWarning, match=r"row 4: no layer.*as in 2 rows; left out"):
        parts = split_table(table, illegal="skip")
    assert sorted(who for part in parts.values() for who in part["who"].to_pylist()) == ["a", "a", "b", "c"]


@pytest.mark.parametrize("names", ["d", ["a", "d"]])
def test_a_network_that_is_not_there_cannot_be_held_out(tmp_path, names):
    path = tmp_path / "mine.csv"
    path.write_text(CSV)
    with pytest.raises(InputError, match="unknown value of column 'who' 'd'"):
        split_table(read_table(path, MAP), held_out=("who", names))


def test_the_first_rows_are_read_without_opening_the_shards_behind_them(dataset, tmp_path):
    out = tmp_path / "part"
    shutil.copytree(dataset, out)
    (out / "data" / "train-00002-of-00005.parquet").unlink()
    found = load_dataset(out)
    assert found.table("train", ["row"], most_rows=100)["row"].to_pylist() == list(range(100))
    assert len(found.arrays("train", ["row"], most_rows=128)["row"]) == 128
    with pytest.raises(InputError, match="train-00002-of-00005"):
        found.table("train", most_rows=129)


BAD = {
    "k,c,h,w,r,s\n1,,2,2,1,1\n1,1,2,2,1,1\n": "column 'C': row 0 is empty, allowed: int64",
    "k,c,h,w,r,s,depthwise\n1,1,2,2,1,1,true\n1,1,2,2,1,1,\n": "column 'depthwise': row 1 is empty",
    "k,c,h,w,r,s,depthwise\n1,1,2,2,1,1,no\n": "column 'depthwise' holds string, allowed: true and false",
    "a,b\n1,2\n": "unknown column 'k'",
    "k,c,h,w,r,s,K\n1,1,1,1,1,1,1\n": "two columns are called 'K'",
    "k,c,h,w,r,s\n1,1,2,1,3,1\n": "row 0: no layer",
    "k,c,h,w,r,s\n1.5,1,2,1,1,1\n": "column 'K' holds double",
    "k,c,h,w,r,s\n1,1\n": "cannot be read",
}


@pytest.mark.parametrize("text", BAD)
def test_bad_files_are_refused(tmp_path, text):
    path = tmp_path / "mine.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=BAD[text]):
        split_table(read_table(path, MAP))


def test_the_content_hash_does_not_depend_on_chunks_and_sees_every_value():
    table = pa.table({"a": [1, 2, 3], "t": ["x", "", "yz"], "l": pa.array([[1], [], [2, 3]], pa.list_(pa.int32()))})
    digest = content_digest(table)
    chunked = pa.concat_tables([table.slice(0, 1), table.slice(1)])
    assert content_digest(chunked) == digest
    for name, values in (("a", [1, 2, 4]), ("t", ["x", "y", "z"]), ("t", ["", "x", "yz"])):
        place = table.schema.get_field_index(name)
        assert content_digest(table.set_column(place, name, pa.array(values))) != digest
    moved = pa.array([[1], [2], [3]], pa.list_(pa.int32()))
    assert content_digest(table.set_column(2, "l", moved)) != digest

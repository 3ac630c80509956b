"""JSON and arrays with checksums; NumPy's scalars; one process in a folder."""

import io
import json
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as hs

from accelgym.costmodels.errors import DamagedFileError, InputError
from accelgym.costmodels.files.arrays import compact, read_arrays, write_arrays
from accelgym.costmodels.files.json_file import read_sealed, write_json, write_sealed
from accelgym.costmodels.files.lock import folder_lock
from accelgym.costmodels.files.packing import pack, unpack
from accelgym.costmodels.files.plain import count, native, plain
from accelgym.costmodels.files.text import read_bytes

DATA = {"small": 1e-05, "text": "größe Ab", "list": [1, 2.5, None, True], "nested": {"sha256": "mine"}}
ARRAYS = {"x": np.arange(40.0), "flags": np.array([True, False]), "none": np.zeros((0, 3), np.uint8)}


def each_byte(data):
    """One changed bit in every byte, each of the eight in turn."""
    for bit in range(0, 8 * len(data), 9):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        yield bytes(changed)


def test_sealed_json_comes_back_and_a_changed_bit_anywhere_is_found(tmp_path):
    path = tmp_path / "data.json"
    write_sealed(path, DATA)
    assert read_sealed(path) == DATA
    assert json.loads(path.read_text()).keys() == {*DATA, "sha256"}
    for changed in each_byte(path.read_bytes()):
        path.write_bytes(changed)
        with pytest.raises(DamagedFileError, match=r"data\.json"):
            read_sealed(path)


def test_arrays_come_back_and_a_changed_bit_anywhere_or_lost_byte_is_found(tmp_path):
    path = tmp_path / "data.npz"
    write_arrays(path, {"a": np.int64(3)}, ARRAYS)
    header, arrays = read_arrays(path)
    assert header == {"a": 3}
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].dtype == array.dtype
    with np.load(path) as file:  # NumPy alone reads it too.
        np.testing.assert_array_equal(file["x"], ARRAYS["x"])
    whole = path.read_bytes()
    for changed in (*each_byte(whole), whole[:-1], whole[1:], whole + b"\0", b""):
        path.write_bytes(changed)
        with pytest.raises(DamagedFileError, match=r"data\.npz"):
            read_arrays(path)


def test_a_small_file_that_unpacks_to_a_large_one_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("accelgym.costmodels.files.arrays._MOST", 100_000)
    write_arrays(tmp_path / "bomb.npz", {}, {"zeros": np.zeros(20_000)})
    assert (tmp_path / "bomb.npz").stat().st_size < 2000
    with pytest.raises(DamagedFileError, match="unpacks to"):
        read_arrays(tmp_path / "bomb.npz")


def test_pickles_are_not_read(tmp_path):
    import accelgym.costmodels.files.arrays as module

    buffer = io.BytesIO()
    np.savez(buffer, header=np.array("{}"), bad=np.array([{}], dtype=object))
    assert zipfile.is_zipfile(buffer)
    body = buffer.getvalue()[:-2] + (len(module._NOTE) + 64).to_bytes(2, "little") + module._NOTE
    (tmp_path / "pickle.npz").write_bytes(body + module.hashlib.sha256(body).hexdigest().encode())
    with pytest.raises(DamagedFileError, match="not a file of arrays"):
        read_arrays(tmp_path / "pickle.npz")


@given(hs.lists(hs.integers(0, 2**40)))
def test_compact_integers_are_the_same_numbers(values):
    array = np.array(values, dtype=np.int64)
    found = compact(array)
    assert found.astype(np.int64).tolist() == values
    most = max(values, default=0)
    assert found.itemsize == (1 if most < 2**8 else 2 if most < 2**16 else 4 if most < 2**32 else 8)


@given(hs.data(), hs.lists(hs.sampled_from([1, 2, 3, 5, 7, 12, 255, 256, 257, 70_000, 2**33]), max_size=9))
def test_packed_integers_are_the_same_numbers(data, sizes):
    rows = data.draw(hs.lists(hs.tuples(*(hs.integers(0, size - 1) for size in sizes)), max_size=6))
    table = np.array(rows, dtype=np.int64).reshape(len(rows), len(sizes))
    packed, found = pack(table)
    np.testing.assert_array_equal(unpack(packed, found), table)
    assert found.tolist() == [max(column, default=0) + 1 for column in table.T.tolist()]
    # As few entries as their values need, or at most twice as many.
    assert len(packed) <= 1 + 2 * sum(np.log(found)) / np.log(max(256, *found, 1))


def test_packed_integers_that_do_not_belong_together_are_refused():
    packed, sizes = pack(np.array([[3, 200, 4], [0, 7, 1]]))
    for wrong in ((packed[:1], sizes), (packed, sizes[:1]), (packed, sizes - 1), (packed.astype(np.int8), sizes)):
        with pytest.raises(ValueError, match=r"packed|entries|entry"):
            unpack(*wrong)


def test_a_name_that_can_be_guessed_is_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("keep")
    for name in ("data.json.tmp", "data.tmp", ".data.json.tmp"):
        (tmp_path / name).symlink_to(victim)
    write_json(tmp_path / "data.json", {})
    assert victim.read_text() == "keep"
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "lock").symlink_to(victim)
    with pytest.raises(InputError, match="lock"), folder_lock(tmp_path / "folder"):
        pass
    assert victim.read_text() == "keep"


@pytest.mark.parametrize("path", ["/dev/zero", "nowhere", "."])
def test_what_is_no_file_is_not_read(path, tmp_path):
    with pytest.raises(InputError, match=r"no regular file|no such file"):
        read_bytes(tmp_path / path)


def test_a_file_above_the_limit_is_not_read(tmp_path):
    (tmp_path / "large").write_bytes(bytes(11))
    assert read_bytes(tmp_path / "large", 11) == bytes(11)
    with pytest.raises(InputError, match="more than 10 bytes"):
        read_bytes(tmp_path / "large", 10)


def test_numpy_scalars_become_pythons():
    given_ = {"a": np.int64(3), "b": (np.float32(0.5), [np.bool_(True)]), np.str_("c"): np.str_("text"), "d": {1}}
    found = native(given_)
    assert found == {"a": 3, "b": (0.5, [True]), "c": "text", "d": {1}}
    assert [type(found["a"]), type(found["b"][0]), type(found["b"][1][0]), type(found["c"])] == [int, float, bool, str]
    assert plain({"x": np.inf, "y": np.array([1.0, np.nan]), 3: (1,)}) == {"x": None, "y": [1.0, None], "3": [1]}


@pytest.mark.parametrize("value", [0, True, np.bool_(True), 1.0, "3", None, np.float64(2)])
def test_counts_are_integers_from_their_least_value_on(value):
    assert count(np.int64(7), "budget", 1) == 7
    with pytest.raises(InputError, match=r"budget is .*allowed >= 1"):
        count(value, "budget", 1)


HOLD = """
import sys, time
from pathlib import Path
from accelgym.costmodels.files.lock import folder_lock
with folder_lock(Path(sys.argv[1])):
    sys.stdout.write("in\\n")
    sys.stdout.flush()
    sys.stdin.read()
"""


def test_a_folder_in_use_is_said_and_free_when_its_process_dies(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "in\n"
        with (
            pytest.raises(InputError, match=f"run: in use by another process .number {holder.pid}.*another folder"),
            folder_lock(tmp_path / "run"),
        ):
            pass
        holder.kill()
        holder.wait()
    with folder_lock(tmp_path / "run"):
        assert (tmp_path / "run" / "lock").read_text() == f"{os.getpid()}\n"


def test_a_folder_in_which_nothing_came_about_goes(tmp_path):
    with pytest.raises(ZeroDivisionError), folder_lock(tmp_path / "new"):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
    with folder_lock(tmp_path / "new"):
        (tmp_path / "new" / "result").touch()
    assert (tmp_path / "new" / "result").exists()

"""Checkpoints: the same bytes for the same content, and nothing else is read."""

import json

import numpy as np
import pytest

pytest.importorskip("safetensors", reason="extra agents")

from accelgym.agents.checkpoint import read_checkpoint, write_checkpoint
from accelgym.costmodels.errors import DamagedFileError, InputError

TENSORS = {"b": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.array(3, dtype=np.int64)}
ABOUT = {"z": [1, 2], "a": {"y": 1.5, "x": None}}


def test_what_is_written_is_read_and_the_order_of_the_content_does_not_matter(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    write_checkpoint(one, "thing", 2, ABOUT, TENSORS)
    write_checkpoint(other, "thing", 2, dict(reversed(ABOUT.items())), dict(reversed(TENSORS.items())))
    assert one.read_bytes() == other.read_bytes()
    about, tensors = read_checkpoint(one, "thing", 2)
    assert about == ABOUT
    for name, values in TENSORS.items():
        np.testing.assert_array_equal(tensors[name], values)
        assert tensors[name].dtype == values.dtype
    header = json.loads(one.read_bytes()[8 : 8 + int.from_bytes(one.read_bytes()[:8], "little")])
    assert list(header["__metadata__"]) == ["accelgym"]


@pytest.mark.parametrize(
    ("kind", "schema", "message"), [("other", 2, "weights of 'thing', allowed: of 'other'"), ("thing", 3, "schema 2")]
)
def test_another_kind_or_schema_is_refused(tmp_path, kind, schema, message):
    write_checkpoint(tmp_path / "file", "thing", 2, ABOUT, TENSORS)
    with pytest.raises(InputError, match=message):
        read_checkpoint(tmp_path / "file", kind, schema)


def test_every_changed_byte_of_the_weights_is_noticed(tmp_path):
    path = tmp_path / "file"
    write_checkpoint(path, "thing", 2, ABOUT, TENSORS)
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    for place in range(start, len(data)):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(DamagedFileError):
            read_checkpoint(path, "thing", 2)


@pytest.mark.parametrize("content", [b"", b"\x00" * 40, b"\xff" * 16, b"PK\x03\x04 not this"])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(DamagedFileError, match="no checkpoint of accelgym"):
        read_checkpoint(tmp_path / "file", "thing", 2)

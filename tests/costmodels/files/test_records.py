"""Append-only records: whatever happens to the bytes, what is read is what was written, up to some record."""

import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as hs

from accelgym.costmodels.errors import InputError, InputWarning
from accelgym.costmodels.files.records import RecordFile

RECORDS = [b"", b"first", b"second" * 20, b"third"]


def written(path, records=RECORDS, identity=b"mine"):
    path.unlink(missing_ok=True)
    file = RecordFile(path, identity)
    ends = [0]
    for record in records:
        file.append(record)
        ends.append(path.stat().st_size)
    return ends


def read(path, identity=b"mine"):
    return list(RecordFile(path, identity).replay())


def test_records_come_back_in_order_and_more_can_follow(tmp_path):
    path = tmp_path / "records"
    written(path)
    file = RecordFile(path, b"mine")
    assert list(file.replay()) == RECORDS
    file.append(b"more")
    assert read(path) == [*RECORDS, b"more"]


def test_nothing_is_made_before_the_first_record(tmp_path):
    assert read(tmp_path / "records") == []
    assert list(tmp_path.iterdir()) == []


def test_a_torn_file_keeps_its_whole_records_without_a_word(tmp_path):
    path = tmp_path / "records"
    ends = written(path)
    whole = path.read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("error", InputWarning)
        for size in range(len(whole)):
            path.write_bytes(whole[:size])
            expected = max(sum(end <= size for end in ends) - 1, 0)
            assert read(path) == RECORDS[:expected]
            assert path.stat().st_size <= size
            if expected:
                assert path.stat().st_size == ends[expected]


def test_every_changed_bit_is_found(tmp_path):
    path = tmp_path / "records"
    ends = written(path)
    whole = path.read_bytes()
    for bit in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        if bit < 32:  # It may be a file of another kind.
            with pytest.raises(InputError, match="not a journal"):
                read(path)
            continue
        kept = max(sum(end <= bit // 8 for end in ends) - 1, 0)
        with pytest.warns(InputWarning, match="damaged from byte"):
            assert read(path) == RECORDS[:kept]


@given(cut=hs.integers(1, 400), zeros=hs.integers(1, 5000))
@settings(max_examples=50, deadline=None)
def test_a_tail_of_zeros_is_cut_off(tmp_path_factory, cut, zeros):
    path = tmp_path_factory.mktemp("power") / "records"
    ends = written(path)
    whole = path.read_bytes()
    at = min(cut, len(whole))
    path.write_bytes(whole[:at] + bytes(zeros))
    expected = max(sum(end <= at for end in ends) - 1, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)
        # A zero may be what stood there.
        assert read(path)[:expected] == RECORDS[:expected]
        assert read(path) == RECORDS[: len(read(path))]


def test_records_cannot_change_places(tmp_path):
    path = tmp_path / "records"
    ends = written(path, [b"a", b"b", b"c"])
    data = path.read_bytes()
    second, third = data[ends[1] : ends[2]], data[ends[2] : ends[3]]
    path.write_bytes(data[: ends[1]] + third + second)
    with pytest.warns(InputWarning):
        assert read(path) == [b"a"]


def test_records_of_something_else_are_refused_and_kept(tmp_path):
    path = tmp_path / "records"
    written(path)
    before = path.read_bytes()
    with pytest.raises(InputError, match="another search"):
        read(path, b"yours")
    assert path.read_bytes() == before


def test_a_file_of_another_kind_is_refused_and_kept(tmp_path):
    path = tmp_path / "records"
    path.write_text('{"agent": "random"}\n')
    with pytest.raises(InputError, match="remove it"):
        read(path)
    assert path.read_text() == '{"agent": "random"}\n'

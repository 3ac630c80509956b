"""What a file holds is never a traceback, never a hang, and never an answer that cannot be."""

import os
from pathlib import Path

import pytest
from hostile_files import READERS, Tally, throw

from accelgym.costmodels.errors import InputError

each_reader = pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)


@each_reader
def test_spoiled_files_are_refused_or_read(reader, tmp_path):
    tally = Tally()
    throw(reader, tmp_path, inputs=40, seed=0, tally=tally)
    assert not tally.faults, "\n".join(tally.faults)


@each_reader
@pytest.mark.parametrize("place", ["/dev/zero", "a folder", "nothing", "a name without end"])
def test_places_that_are_no_files(reader, place, tmp_path):
    path = {"a folder": tmp_path, "nothing": tmp_path / reader.name, "a name without end": tmp_path / ("x" * 5000)}.get(
        place, Path(place)
    )
    if reader.name in ("settings.txt", "journal", "manifest.json", "MANIFEST.json"):
        pytest.skip("its name is not the caller's to choose")
    with pytest.raises(InputError):
        reader.read(path)


@pytest.mark.slow
def test_ten_thousand_spoiled_files(tmp_path, capsys):
    tally = Tally()
    seed = int(os.environ.get("ACCELGYM_FUZZ_SEED", "1"))
    for reader in READERS:
        folder = tmp_path / reader.name
        folder.mkdir()
        throw(reader, folder, inputs=-(-10_000 // len(READERS)), seed=seed, tally=tally)
    with capsys.disabled():
        print(f"\n{tally}; CPU-s {', '.join(f'{k} {v:.0f}' for k, v in tally.seconds.most_common(6))}")
    assert not tally.faults, "\n".join(tally.faults)

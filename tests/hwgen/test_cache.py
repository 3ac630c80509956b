"""The cache of simulators and records: damage is found, concurrent processes do not clash."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from accelgym.costmodels.files.json_file import write_sealed
from accelgym.costmodels.systolic.config import make_config
from accelgym.costmodels.workloads.layer import Layer
from accelgym.hwgen.cache import ContentCache, content_key
from accelgym.hwgen.verification import verify
from accelgym.hwgen.verification_record import VerificationRecord

CONFIG = make_config(rows=2, columns=2)
LAYERS = (Layer.gemm("product", M=4, K=3, C=5),)


def files_of(cache: ContentCache) -> list[Path]:
    return sorted(path for path in cache.root.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def built(tmp_path_factory, cold_cache) -> tuple[Path, VerificationRecord]:
    root = tmp_path_factory.mktemp("built")
    return root, verify(CONFIG, LAYERS, cache=cold_cache(root))


def test_borders_between_parts_count():
    assert content_key("ab", "c") != content_key("a", "bc")


def test_a_second_verification_builds_nothing(built):
    cache, first = ContentCache(built[0]), built[1]
    before = {path: path.stat().st_mtime_ns for path in files_of(cache)}
    assert verify(CONFIG, LAYERS, cache=cache) == first
    assert {path: path.stat().st_mtime_ns for path in files_of(cache)} == before


def test_a_record_depends_on_config_layers_and_seed(built, tmp_path):
    cache = ContentCache(shutil.copytree(built[0], tmp_path / "cache"))
    count = len(list(cache.root.rglob("record.json")))
    verify(CONFIG, LAYERS, 1, cache=cache)
    verify(CONFIG, (Layer.gemm("product", M=4, K=3, C=6),), cache=cache)
    assert (count, len(list(cache.root.rglob("record.json")))) == (1, 3)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("record.json", "flip"),
        ("simulator", "truncate"),
        pytest.param("simulator", "remove", marks=pytest.mark.slow),
        pytest.param("MANIFEST.json", "flip", marks=pytest.mark.slow),
    ],
)
def test_damaged_entries_are_rebuilt(name, damage, built, tmp_path):
    root, first = built
    cache = ContentCache(shutil.copytree(root, tmp_path / "cache"))
    for path in [path for path in files_of(cache) if path.name == name and not (path.parent / "verilated.o").exists()]:
        data = path.read_bytes()
        if damage == "remove":
            path.unlink()
        elif damage == "truncate":
            path.write_bytes(data[: len(data) // 2])
        else:
            path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    # What was made from a damaged entry goes too, so that the entry itself is asked for.
    for made in {"simulator": ["record.json"], "verilated.o": ["record.json", "simulator"]}.get(name, []):
        for path in cache.root.rglob(made):
            path.unlink()
    assert verify(CONFIG, LAYERS, cache=cache) == first
    for folder in (path.parent for path in files_of(cache) if path.name == "MANIFEST.json"):
        assert cache.get(folder.name) == folder


def test_a_record_that_says_something_else_is_not_believed(built, tmp_path):
    cache = ContentCache(shutil.copytree(built[0], tmp_path / "cache"))
    (path,) = cache.root.rglob("record.json")
    data = json.loads(path.read_text())
    data["layers"][0]["cycles_rtl"] += 1
    path.write_text(json.dumps(data))
    assert verify(CONFIG, LAYERS, cache=cache) == built[1]


BUILDER = """
import sys, time
from pathlib import Path
from accelgym.hwgen.cache import ContentCache, content_key
root = Path(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
def slow(folder):
    (folder / "value").write_text("the same")
    time.sleep(0.3)
folder, _ = ContentCache(root).get_or_build(content_key("x"), slow)
print(folder, (folder / "value").read_text())
"""


def test_processes_that_build_the_same_entry_at_once_agree(tmp_path):
    command = [sys.executable, "-c", BUILDER, str(tmp_path)]
    workers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    found = [worker.communicate(timeout=60)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0]
    assert len(set(found)) == 1
    assert not list(tmp_path.rglob(".building-*"))


def test_a_build_that_fails_leaves_nothing(tmp_path):
    cache = ContentCache(tmp_path)

    def broken(folder: Path) -> None:
        (folder / "half").write_text("")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        cache.get_or_build(content_key("x"), broken)
    assert files_of(cache) == []


def test_an_interrupt_that_comes_with_the_making_of_a_folder_leaves_nothing(tmp_path, monkeypatch):
    make = os.mkdir

    def interrupted(path, *arguments, **options):
        make(path, *arguments, **options)
        if ".building-" in Path(path).name:
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "mkdir", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ContentCache(tmp_path).get_or_build(content_key("x"), value)
    assert not list(tmp_path.rglob(".building-*"))


def value(folder: Path) -> None:
    (folder / "value").write_text("here")


def test_a_cache_that_cannot_be_written_is_left_for_a_temporary_folder(tmp_path):
    (tmp_path / "file").write_text("")
    cache = ContentCache(tmp_path / "file")
    with pytest.warns(UserWarning, match=r"file: cannot be written.*ACCELGYM_CACHE"):
        folder, found = cache.get_or_build(content_key("x"), value)
    assert not found
    assert (folder / "value").read_text() == "here"
    assert cache.get_or_build(content_key("x"), value) == (folder, True)  # No second warning.


def test_a_disk_that_is_full_while_an_entry_is_built(tmp_path):
    cache = ContentCache(tmp_path / "cache")

    def full(folder: Path) -> None:
        if tmp_path in folder.parents:
            (folder / "value").write_text("ha")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        value(folder)

    with pytest.warns(UserWarning, match="No space left"):
        folder, _ = cache.get_or_build(content_key("x"), full)
    assert (folder / "value").read_text() == "here"
    assert files_of(ContentCache(tmp_path / "cache")) == []


def test_a_failure_that_another_folder_does_not_mend_is_raised(tmp_path):
    def broken(folder: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.warns(UserWarning, match="cannot be written"), pytest.raises(OSError, match="No space left"):
        ContentCache(tmp_path).get_or_build(content_key("x"), broken)


KILLED = """
import sys, time
from pathlib import Path
from accelgym.hwgen.cache import ContentCache, content_key
def slow(folder):
    (folder / "half").write_text("")
    print("building", flush=True)
    time.sleep(60)
ContentCache(Path(sys.argv[1])).get_or_build(content_key("x"), slow)
"""


def test_the_next_run_removes_what_a_killed_build_left(tmp_path):
    """But nothing of a build that goes on."""
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    killed, living = (subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2))
    try:
        for process in (killed, living):
            assert process.stdout is not None
            assert process.stdout.readline() == "building\n"
        killed.kill()
        killed.wait()
        assert len(list(tmp_path.rglob(".building-*"))) == 2
        ContentCache(tmp_path).get_or_build(content_key("y"), lambda folder: None)
        assert len(list(tmp_path.rglob(".building-*"))) == 1
    finally:
        for process in (killed, living):
            process.kill()
            process.communicate()
    ContentCache(tmp_path).get_or_build(content_key("z"), lambda folder: None)
    assert not list(tmp_path.rglob(".building-*"))


def test_a_cache_that_others_may_write_is_not_believed(tmp_path):
    root = tmp_path / "cache"
    mine, _ = ContentCache(root).get_or_build(content_key("x"), value)
    root.chmod(0o777)
    with pytest.warns(UserWarning, match="others may write it"):
        folder, found = ContentCache(root).get_or_build(content_key("x"), value)
    assert (found, root in folder.parents) == (False, False)
    root.chmod(0o755)
    assert ContentCache(root).get_or_build(content_key("x"), value) == (mine, True)


@pytest.mark.parametrize("fault", ["empty", "swapped", "more", "link", "nested"])
def test_an_entry_that_says_less_than_it_holds_is_built_again(fault, tmp_path):
    cache = ContentCache(tmp_path / "cache")
    one, _ = cache.get_or_build(content_key("x"), value)
    other, _ = cache.get_or_build(content_key("y"), lambda folder: (folder / "value").write_text("the other"))
    manifest = one / "MANIFEST.json"
    if fault == "empty":
        write_sealed(manifest, {"key": one.name, "files": {}})
    elif fault == "swapped":  # A whole entry under the name of another one.
        shutil.rmtree(one)
        shutil.copytree(other, one)
    elif fault == "more":
        (one / "yaml.py").write_text("")
    elif fault == "link":
        (one / "value").unlink()
        (one / "value").symlink_to(other / "value")
    else:
        manifest.write_text("[" * 100_000)
    folder, found = cache.get_or_build(content_key("x"), value)
    assert (found, (folder / "value").read_text(), sorted(p.name for p in folder.iterdir())) == (
        False,
        "here",
        ["MANIFEST.json", "value"],
    )

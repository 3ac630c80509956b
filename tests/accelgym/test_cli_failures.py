"""What the machine refuses is one line and exit code 2, and what brackets mean in data is nothing."""

import errno
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import PROCESS, answer

from accelgym.cli import root
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.whole_file import whole_file

HEADER = "name,kind,N,K,C,P,Q,R,S,stride,padding,dilation"
LAYERS = f"{HEADER}\nblock[relu],gemm,1,4,4,4,1,1,1,1,0,1\n[/bad],gemm,1,4,4,4,1,1,1,1,0,1\n"
LAYER = ("--set", "workload=net[/x].csv", "--set", "layer=1")
NETWORK = "Layer, M, N, K\nblock[relu], 4, 4, 4\n[/bad], 4, 4, 4\n"
SEARCH = ("search", "--set", "workload=confuciux/resnet18", "--agent", "random", "--budget", "10", "--out")


@pytest.fixture
def work(tmp_path):
    (tmp_path / "layers.csv").write_text(LAYERS)
    for folder in ("array[", "net["):
        (tmp_path / folder).mkdir()
    (tmp_path / "array[/x].yaml").write_text("rows: 2\ncolumns: 2\n")
    (tmp_path / "net[/x].csv").write_text(NETWORK)
    (tmp_path / "taken").write_text("here")
    return tmp_path


def run(*arguments: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROCESS, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
        env={**os.environ, "COLUMNS": "200", **environment},
    )


def refused(result: subprocess.CompletedProcess[str], message: str) -> None:
    assert result.returncode == 2, result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((*SEARCH, "taken"), "taken: is a file, allowed: a folder"),
        ((*SEARCH, "taken/folder"), "taken/folder: Not a directory"),
        (("bench", "quick", "--out", "taken"), "taken: is a file, allowed: a folder"),
        (("rtl", "emit", "array[/x].yaml", "--out", "taken"), "taken: is a file, allowed: a folder"),
        (("report", "r[/x]"), "r[/x]"),
        (("oracle", "--env", "accelgym/Mapping-v0", *LAYER, "--export-timeloop", "taken"), "taken"),
        (("rtl", "timeline", "array[/x].yaml", "--layers", "layers.csv", "--out", "/proc/o.png"), "/proc/o.png"),
        (("rtl", "timeline", "array[/x].yaml", "--layers", "layers.csv", "--out", "taken/o.png"), "taken"),
        (
            ("evaluate", "--model", "systolic", "--config", "array[/x].yaml", "--in", "layers.csv", "--out", "/proc/o"),
            "/proc/o: cannot be written",
        ),
        (
            ("evaluate", "--model", "systolic", "--config", "array[/x].yaml", "--in", "layers.csv", "--out", "."),
            "cannot be written (it is a folder)",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_places_that_cannot_be_written(arguments, message, work):
    refused(answer(*arguments, cwd=work), message)
    assert (work / "taken").read_text() == "here"


def test_a_compiler_that_does_not_work(work):
    arguments = ("rtl", "verify", "array[/x].yaml", "--layers", "layers.csv")
    refused(run(*arguments, cwd=work, CXX="/bin/false", ACCELGYM_CACHE=str(work / "cache")), "/bin/false failed")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError("Unable to allocate 12 GiB"), "not enough memory: Unable to allocate 12 GiB"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "results/[/x].csv"), "results/[/x].csv: No space left"),
        (RecursionError("maximum recursion depth exceeded"), "nested too deeply"),
        (InputError("first\n  second [bold]third[/bold]"), "first second [bold]third[/bold]"),
        (InputError("x" * 100_000), "x ..."),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_command_ends_in_one_line(error, message, monkeypatch, capsys):
    def fail() -> None:
        raise error

    monkeypatch.setattr(root, "app", fail)
    with pytest.raises(SystemExit) as caught:
        root.main()
    assert caught.value.code == 2
    text = capsys.readouterr().err
    assert message in text
    assert len(text.splitlines()) == 1
    assert len(text) < 1100


@pytest.mark.parametrize("place", [("--out", ""), ("--out=",)], ids=str)
def test_an_empty_place_is_not_the_current_folder(place, work):
    before = sorted(work.rglob("*"))
    done = answer(*SEARCH[:-1], *place, cwd=work)
    assert (done.returncode, done.stderr) == (2, "error: --out is '', allowed: a path\n")
    assert sorted(work.rglob("*")) == before


def test_an_interrupt_while_the_commands_are_imported_is_one_like_others(tmp_path):
    code = (
        "import builtins, sys\n"
        "plain = builtins.__import__\n"
        "def interrupted(name, *rest):\n"
        "    if name == 'typer':\n"
        "        raise KeyboardInterrupt\n"
        "    return plain(name, *rest)\n"
        "builtins.__import__ = interrupted\n"
        "from accelgym.cli import main\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (130, "interrupted; the same command goes on from here\n")


def test_brackets_in_names_are_printed_as_they_are(work):
    result = run("rtl", "timeline", "array[/x].yaml", "--layers", "layers.csv", "--out", "o[/x].png", cwd=work)
    assert result.returncode == 0, result.stderr
    assert "block[relu]: " in result.stdout
    assert "[/bad]: " in result.stdout
    assert "wrote o[/x].png" in result.stdout
    result = run("workloads", "net[/x].csv", cwd=work)
    assert result.returncode == 0, result.stderr
    assert "block[relu]" in result.stdout
    assert "[/bad]" in result.stdout
    machine = ("--set", "architecture=eyeriss_thistle", "--set", "objective=energy")
    result = run("oracle", "--env", "accelgym/NetworkMapping-v0", *LAYER[:2], *machine, cwd=work)
    assert result.returncode == 0, result.stderr
    assert "block[relu]" in result.stdout
    assert "\\[" not in result.stdout


def test_an_answer_is_printed_even_if_its_export_cannot_be_written(work):
    (work / "out" / "timeloop.yaml").mkdir(parents=True)  # A folder stands where a file shall be.
    result = run("oracle", "--env", "accelgym/Mapping-v0", *LAYER, "--json", "--export-timeloop", "out", cwd=work)
    refused(result, "timeloop.yaml: cannot be written (it is a folder)")
    assert json.loads(result.stdout)["value"] > 0


def test_files_are_whole_or_not_there(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("before")
    with pytest.raises(TypeError), whole_file(path) as file:
        file.writelines(["half", None])
    assert path.read_text() == "before"
    with whole_file(path) as file:
        file.write("after")
    assert path.read_text() == "after"
    assert [entry.name for entry in tmp_path.iterdir()] == ["table.csv"]
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask
    with pytest.raises(InputError, match="No space left"), whole_file(Path("/dev/full")) as file:
        file.write("x" * 100_000)
    with whole_file(Path("/dev/null")) as file:
        file.write("gone")


ENDLESS = """
import signal, sys, tempfile, time
from accelgym.cli import root

for number in (signal.SIGTERM, signal.SIGHUP):  # What has started the tests may ignore one.
    signal.signal(number, signal.SIG_DFL)

def work():
    with tempfile.TemporaryDirectory(prefix="kept-"):
        print("ready", flush=True)
        time.sleep(600)

root.app = work
root.main()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_command_that_is_asked_to_end_leaves_no_temporary_files(number, tmp_path):
    command = [sys.executable, "-c", ENDLESS]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=os.environ | {"TMPDIR": str(tmp_path)}, **pipes) as process:
        assert process.stdout.readline() == "ready\n"
        assert len(list(tmp_path.iterdir())) == 1
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said == "interrupted; the same command goes on from here\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("module", ["accelgym.costmodels.files.yaml_source", "somebodys_plugin"])
def test_input_that_is_nested_too_deeply_is_told_from_code_that_calls_itself(monkeypatch, capsys, module):
    space = {"__name__": module}
    exec("def again(): again()", space)
    monkeypatch.setattr(root, "app", space["again"])
    monkeypatch.setattr(sys, "argv", ["accelgym"])
    with pytest.raises(RecursionError if module == "somebodys_plugin" else SystemExit):
        root.main()
    assert ("nested too deeply" in capsys.readouterr().err) == (module != "somebodys_plugin")

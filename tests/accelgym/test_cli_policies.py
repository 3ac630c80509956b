"""``accelgym train uov`` and ``accelgym predict`` as a user meets them."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("safetensors", reason="extra agents")

from command_line import answer

import accelgym.dse_dataset
from accelgym.agents.uov.checkpoint import load_shipped

SAMPLES = Path(accelgym.dse_dataset.__file__).parent / "samples"
GOLDEN = Path(__file__).parents[1] / "golden" / "airchitect_v2" / "conv_rows.csv"
HEADER = "K,C,X,Y,R,S,df"
ROWS = ["64,32,16,56,3,3,dla", "128,64,56,8,1,1,eye", "256,2,8,8,5,5,shi"]


def write(path, rows, header=HEADER):
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def predict(tmp_path, rows, header=HEADER, *more):
    source = write(tmp_path / "in.csv", rows, header)
    done = answer("predict", "--space", "airchitect-v2", "--in", source, "--out", tmp_path / "out.csv", *more)
    return done, (read(tmp_path / "out.csv") if (tmp_path / "out.csv").exists() else [])


def test_a_file_of_layers_gets_pes_and_buffers(tmp_path):
    done, rows = predict(tmp_path, ROWS)
    assert (done.returncode, done.stderr) == (0, "")
    assert list(rows[0]) == [*HEADER.split(","), "num_pes", "buffer_level"]
    assert [",".join(list(row.values())[:7]) for row in rows] == ROWS
    assert all(1 <= int(row["num_pes"]) <= 64 and 1 <= int(row["buffer_level"]) <= 12 for row in rows)


def test_columns_x_and_y_are_rows_and_columns(tmp_path):
    """As in the released file: its X is what MAESTRO, and so the policy, calls Y."""
    rng = np.random.default_rng(0)
    rows = [f"{2 * rng.integers(1, 256)},64,{8 * rng.integers(2, 32)},16,3,3,eye" for _ in range(50)]
    _, found = predict(tmp_path, rows)
    table = np.array([[int(v) for v in row.split(",")[:6]] for row in rows])
    K, C, X, Y, R, S = table.T
    policy = load_shipped("airchitect-v2")
    arrays = {"K": K, "C": C, "Y": X, "X": Y, "R": R, "S": S, "dataflow": np.full(50, "eye")}
    designs = policy.propose(arrays).designs[:, 0]
    names = [knob.name for knob in policy.schema.knobs]
    for name in ("num_pes", "buffer_level"):
        assert [int(row[name]) for row in found] == (designs[:, names.index(name)] + 1).tolist()


def test_answers_on_released_rows_are_nearly_all_fastest(tmp_path):
    from accelgym.agents.uov.problem import load_problem
    from accelgym.dse_dataset.airchitect_csv import read_released

    pytest.importorskip("sklearn")
    legal = read_released(GOLDEN).lines - 2
    rows = [",".join(list(row.values())[:7]) for row in read(GOLDEN)]
    _, found = predict(tmp_path, [rows[i] for i in legal])
    problem = load_problem(GOLDEN)
    order = np.argsort(legal)
    regrets = []
    table = {tuple(str(v) for v in row.values())[:7]: row for row in found}
    assert len(order) == len(found) == 200
    for part in problem.splits.values():
        a = part.arrays
        for i in range(len(part)):
            key = tuple(str(a[n][i]) for n in ("K", "C", "Y", "X", "R", "S", "dataflow"))
            row = table[key]
            regrets.append(part.regret[i, int(row["buffer_level"]) - 1, int(row["num_pes"]) - 1])
    assert np.mean(np.array(regrets) < 1e-6) > 0.98
    assert np.exp(np.max(regrets)) < 1.05


def test_odd_and_huge_sizes_are_answered_with_the_range(tmp_path):
    done, rows = predict(tmp_path, [*ROWS, "16384,4096,2048,1,1,1,dla", "7,3,15,21,3,1,shi"])
    assert done.returncode == 0
    assert "line 5: K is 16384, outside the range that airchitect-v2 was trained on, 2..512; so in 1 of 5 rows" in (
        " ".join(done.stderr.split())
    )
    assert "X is 2048" in done.stderr
    assert len([row for row in rows if row["num_pes"]]) == 5


def test_rows_that_are_no_layers_are_left_open_or_refused(tmp_path):
    rows = [ROWS[0], "64,32,2,56,3,3,dla", ROWS[1]]
    done, found = predict(tmp_path, rows)
    assert done.returncode == 0
    assert "line 3: the kernel is larger than the input, or a size below 1, as in 1 rows; left" in done.stderr
    assert [bool(row["num_pes"]) for row in found] == [True, False, True]
    done, _ = predict(tmp_path, rows, HEADER, "--illegal", "refuse")
    assert done.returncode == 2
    assert "line 3: the kernel is larger than the input" in done.stderr


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        ("K,C,Y,X,R,df", ["1,1,1,1,1,dla"], "line 1: column 'S' is missing; needed: K, C, X, Y, R, S, df"),
        ("M,N,GEMM_K,df", ["1,1,1,dla"], "line 1: column 'K' is missing"),
        (HEADER, ["64,32,16,56,3,3,ws"], "line 2: df is 'ws', allowed: dla, eye, shi"),
        (HEADER, ["64,32,16.5,56,3,3,dla"], "line 2: X is '16.5', allowed: integers"),
        (HEADER, ["0,32,16,56,3,3,dla"], "line 2: the kernel is larger than the input, or a size below 1"),
        (f"{HEADER},num_pes", ["64,32,16,56,3,3,dla,3"], "column 'num_pes' is there already"),
        (HEADER, ["64,32,2,56,3,3,dla"], "no legal row"),
        (HEADER, [], "no legal row"),
    ],
)
def test_wrong_files_are_refused(tmp_path, header, rows, message):
    done, _ = predict(tmp_path, rows, header)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())
    assert not (tmp_path / "out.csv").exists()


def test_further_columns_are_kept_and_said(tmp_path):
    done, rows = predict(tmp_path, [f"{row},note" for row in ROWS], f"{HEADER},tag")
    assert "column 'tag' is no input" in done.stderr
    assert all(row["tag"] == "note" for row in rows)


def test_weights_of_another_schema_are_refused(tmp_path):
    from accelgym.agents.uov.checkpoint import SHIPPED

    done, _ = predict(tmp_path, ROWS, HEADER, "--weights", str(SHIPPED / "capped.safetensors"))
    assert done.returncode == 2
    assert "a policy of another schema: its inputs are" in " ".join(done.stderr.split())


def test_capped_layers_are_answered_within_their_caps(tmp_path):
    source = write(
        tmp_path / "in.csv",
        [f"{row},{o},{c},{f}" for row in ROWS for o in ("latency", "edp") for c, f in (("area", 0.1), ("none", 1))],
        f"{HEADER},objective,cap,cap_fraction",
    )
    done = answer("predict", "--space", "capped", "--in", source, "--out", tmp_path / "out.csv", "--json")
    assert json.loads(done.stdout)["rows"] == 12
    rows = read(tmp_path / "out.csv")
    by_cap = {c: np.mean([int(row["num_pes"]) for row in rows if row["cap"] == c]) for c in ("none", "area")}
    assert by_cap["area"] < by_cap["none"]
    write(source, [f"{ROWS[0]},latency,area,2"], f"{HEADER},objective,cap,cap_fraction")
    done = answer("predict", "--space", "capped", "--in", source, "--out", tmp_path / "out.csv")
    assert "line 2: cap_fraction is '2', allowed: numbers 0..1" in " ".join(done.stderr.split())


def test_a_network_is_answered_without_torch(tmp_path):
    """Importing torch takes longer than the answer."""
    code = (
        "import sys; from accelgym.cli import main\n"
        "sys.argv = ['accelgym', 'predict', '--workload', 'resnet50', '--budget', '0.1', '--json']\n"
        "main()\nsys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["feasible"] is True
    assert len(found["design"]) == 54


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give --workload, or --space"),
        (["--space", "airchitect-v2"], "--in: is missing"),
        (["--space", "airchitect", "--in", "x", "--out", "y"], "space 'airchitect'"),
        (["--workload", "resnet50", "--in", "x"], "go with --space"),
        (["--workload", "resnet50", "--budget", "tiny"], "budget"),
        (["--workload", "resnet50", "--set", "granularity=levels"], "do not fit the task"),
        (["--workload", "resnet99"], "resnet99"),
        (["--workload", "resnet50", "--set", "workload=vgg16"], "workload is given twice: 'resnet50', and 'vgg16'"),
        (["--workload", "resnet50", "--budget", "0.1", "--set", "budget=0.2"], "budget is given twice: '0.1', and 0.2"),
    ],
)
def test_what_cannot_be_asked_is_said(arguments, message):
    done = answer("predict", *arguments)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())


def test_training_from_the_command_line(tmp_path):
    pytest.importorskip("torch")
    small = ["--set", "width=16", "--set", "heads=2", "--set", "epochs=1", "--set", "encoder_blocks=1"]
    command = ["train", "uov", "--data", SAMPLES / "capped", "--out", tmp_path / "run", "--share", "0.1", *small]
    first = answer(*command, "--stage", "1")
    assert first.returncode == 0, first.stderr
    assert (tmp_path / "run" / "encoder.safetensors").exists()
    second = answer(*command, "--stage", "2")
    assert "learnt from 160 rows" in second.stdout
    assert "heldout" in second.stdout
    other = answer(*command, "--set", "seed=3")
    assert other.returncode == 2
    assert "holds another training" in other.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "no/such"], "no/such"),
        (["--data", SAMPLES / "mappings"], "do not choose values of fixed knobs"),
        (["--data", SAMPLES / "dataflow", "--unordered", "refuse"], "knob 'dataflow' is not ordered"),
        (["--data", SAMPLES / "capped", "--set", "bucket=3"], "setting 'bucket'"),
        (["--data", SAMPLES / "capped", "--set", "buckets=0"], "buckets"),
        (["--data", SAMPLES / "capped", "--share", "0"], "--share is 0"),
        (["--data", SAMPLES / "capped", "--stage", "2"], "train stage 1 first"),
        (["--data", SAMPLES / "capped", "--legacy"], "--legacy learns AIrchitect v2's released file"),
        (["--data", GOLDEN, "--legacy", "--set", "width=3"], "setting of --legacy 'width'"),
    ],
)
def test_what_cannot_be_trained_is_said(tmp_path, arguments, message):
    pytest.importorskip("pyarrow")
    done = answer("train", "uov", *arguments, "--out", tmp_path / "run")
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())


def test_the_faithful_mode_from_training_to_answers(tmp_path):
    """Answers say that they depend on the other rows."""
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    small = ["--set", "batch=32", "--set", "contrastive_epochs=1", "--set", "epochs=1"]
    done = answer("train", "uov", "--legacy", "--data", GOLDEN, "--out", tmp_path / "run", *small)
    assert done.returncode == 0, done.stderr
    assert "answers depend on the rows that are asked at once" in " ".join(done.stdout.split())
    weights = tmp_path / "run" / "policy.safetensors"
    done, rows = predict(tmp_path, ROWS, HEADER, "--weights", weights)
    assert done.returncode == 0
    assert "a legacy policy, which attends over the batch: answers depend on the other rows" in (
        " ".join(done.stderr.split())
    )
    assert all(1 <= int(row["num_pes"]) <= 64 and 1 <= int(row["buffer_level"]) <= 12 for row in rows)
    done, _ = predict(tmp_path, [*ROWS, "1024,64,16,16,3,3,dla"], HEADER, "--weights", weights)
    assert done.returncode == 2
    assert "line 5: K is 1024, allowed: 2..513" in " ".join(done.stderr.split())
    write(tmp_path / "in.csv", [f"{ROWS[0]},edp,area,0.1"], f"{HEADER},objective,cap,cap_fraction")
    given = ["--in", tmp_path / "in.csv", "--out", tmp_path / "capped.csv", "--weights", weights]
    for arguments, message in (
        (["--space", "capped", *given], "a legacy policy takes neither objective nor cap"),
        (["--workload", "resnet50", "--weights", weights], "allowed: of 'a UOV policy'"),
    ):
        done = answer("predict", *arguments)
        assert done.returncode == 2
        assert message in " ".join(done.stderr.split())

"""A user's simulator: what it says is what counts, and nothing that it does is an exception or lost."""

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from fake_simulators import CONFIG, MODEL, expected, plug_in
from gymnasium.utils.env_checker import check_env

import accelgym.envs.external.simulator as simulator_module
from accelgym.agents import search
from accelgym.costmodels.errors import InputError, InputWarning
from accelgym.envs.external import ExternalSimulatorTask, Reason
from accelgym.envs.external.placeholders import fill
from accelgym.envs.hardness import audit


@pytest.fixture
def task_of(tmp_path):
    """Builds a task whose results lie in the folder of the test."""

    def build(program=MODEL, arguments=(), **changes):
        path = plug_in(tmp_path / "tool", program, **changes)
        return ExternalSimulatorTask(**{"config": path, "cache": str(tmp_path / "kept"), "jobs": 2} | dict(arguments))

    return build


def every(task):
    sizes = tuple(task.space.nvec)
    return np.stack(np.unravel_index(np.arange(task.space.cardinality), sizes), axis=1)


def reasons(task, designs=None):
    return [Reason(code) for code in task.evaluate(every(task) if designs is None else designs).costs["reason"]]


# -- what a simulator says -----------------------------------------------------------------------------------


def test_the_objective_is_what_the_simulator_printed(task_of):
    task = task_of()
    designs = every(task)
    found = task.evaluate(designs)
    values = [task.space.decode(row) for row in designs]
    np.testing.assert_allclose(found.objective, [expected(v["rows"], v["columns"]) for v in values])
    np.testing.assert_allclose(found.costs["area"], [2.5 * v["rows"] * v["columns"] for v in values])
    assert (found.costs["stalls"] == 7.5).all()
    assert found.feasible.all()
    assert (found.costs["reason"] == 0).all()


def test_constraints_and_requirements(task_of):
    task = task_of(constraints={"area": 100.0}, requires=["rows * columns < 200"])
    designs = every(task)
    found = task.evaluate(designs)
    pes = np.array([4 << c << r + 1 for r, c in designs]) // 1
    np.testing.assert_array_equal(found.valid, pes < 200)
    np.testing.assert_array_equal(found.feasible, 2.5 * pes <= 100)
    over = found.valid & ~found.feasible
    np.testing.assert_allclose(found.violation[over], 2.5 * pes[over] / 100 - 1)
    assert {Reason(code) for code in found.costs["reason"][~found.valid]} == {Reason.REFUSED}
    assert task.simulator.runs == int(found.valid.sum()), "what is refused is not run"


@pytest.mark.parametrize(
    ("output", "text", "value"),
    [
        ({"json": ["a b", 1]}, '{"a b": [1, 2.5]}', 2.5),
        ({"json": "a.1.b"}, '{"a": [0, {"b": 1e3}]}', 1000.0),
        ({"csv": "n", "take": "last"}, "m,n\n1,2\n3,4\n\n", 4.0),
        ({"csv": "n", "take": "mean"}, "\ufeffn\n1\n2\n", 1.5),
        ({"csv": "n", "take": "max"}, ' "n" , m,\n 5, 1,\n 7, 2,\n', 7.0),
        ({"regex": r"(?m)^n=(.+)$"}, "x\nn=.5e1\ny", 5.0),
        ({"regex": r"n=([0-9]+)", "take": "min"}, "n=3 n=2", 2.0),
    ],
)
def test_outputs_are_read(task_of, output, text, value):
    program = f"open('out.txt', 'w', encoding='utf-8').write({text!r})"
    task = task_of(program, outputs={"n": output | {"file": "out.txt"}}, objective="2 * n")
    assert task.evaluate(np.array([[0, 0]])).objective[0] == 2 * value


@pytest.mark.parametrize(
    ("output", "text", "reason"),
    [
        ({"json": "a.b"}, '{"a": 1}', Reason.UNREADABLE),
        ({"json": "a"}, '{"a": "much"}', Reason.UNREADABLE),
        ({"json": "a"}, '{"a": true}', Reason.UNREADABLE),
        ({"json": "a"}, '{"a": NaN}', Reason.UNREADABLE),
        ({"json": "a"}, '{"a": 1', Reason.UNREADABLE),
        ({"json": "a"}, "[" * 100_000, Reason.UNREADABLE),
        ({"json": "a"}, '{"a": 1' + "0" * 400 + "}", Reason.OUT_OF_RANGE),
        ({"json": "a"}, '{"a": -1}', Reason.OUT_OF_RANGE),
        ({"csv": "n"}, "m\n1\n", Reason.UNREADABLE),
        ({"csv": "n"}, "n,n\n1,2\n", Reason.UNREADABLE),
        ({"csv": "n"}, "m,n\n1\n", Reason.UNREADABLE),
        ({"csv": "n"}, "n\n1\n2\n", Reason.UNREADABLE),
        ({"csv": "n"}, "n\n", Reason.UNREADABLE),
        ({"csv": "n"}, "", Reason.UNREADABLE),
        ({"csv": "n"}, "n\n1_000\n", Reason.UNREADABLE),
        ({"csv": "n"}, "n\nnan\n", Reason.OUT_OF_RANGE),
        ({"csv": "n"}, "n\n1e999\n", Reason.OUT_OF_RANGE),
        ({"regex": "n=(.*)"}, "\x00\xff\xfe rubbish", Reason.UNREADABLE),
        ({"regex": "n=(.*)"}, "n=", Reason.UNREADABLE),
        ({"regex": "n=(.*)", "most": 5}, "n=6", Reason.OUT_OF_RANGE),
    ],
)
def test_rubbish_is_an_invalid_design_with_a_reason(task_of, output, text, reason):
    program = f"open('out.txt', 'w', encoding='latin-1').write({text!r})"
    task = task_of(program, outputs={"n": output | {"file": "out.txt"}}, objective="n")
    found = task.evaluate(np.array([[0, 0]]))
    assert Reason(found.costs["reason"][0]) is reason
    assert not found.valid[0]
    assert np.isinf([found.objective[0], found.violation[0]]).all()
    assert "out.txt" in task.report(np.array([0, 0]))["detail"]


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("import sys; print('no such layer', file=sys.stderr); sys.exit(3)", Reason.EXIT_CODE),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", Reason.SIGNAL),
        ("print('done')", Reason.NO_OUTPUT),
        ("import os; os.mkfifo('result.json')", Reason.NO_OUTPUT),
        ("import os; os.symlink('/dev/zero', 'result.json')", Reason.NO_OUTPUT),
        ("f = open('result.json', 'w')\nwhile True: f.write('x' * 65536)", Reason.SIGNAL),
        ("while True: print('x' * 65536)", Reason.SIGNAL),
    ],
)
def test_a_crash_is_an_invalid_design_with_a_reason(task_of, program, reason):
    task = task_of(f"import signal; signal.signal(signal.SIGXFSZ, signal.SIG_DFL)\n{program}", most_file_mib=1)
    assert reasons(task, np.array([[1, 1]])) == [reason]
    assert task.report(np.array([1, 1]))["reason"] == reason.name


def test_the_last_words_are_kept(task_of):
    task = task_of("import sys; print('tile 7 does not fit', file=sys.stderr); sys.exit(3)")
    task.evaluate(np.array([[1, 1]]))
    assert "exit code 3; stderr ends: tile 7 does not fit" in task.report(np.array([1, 1]))["detail"]


def test_an_objective_that_cannot_be_is_no_result(task_of):
    assert set(reasons(task_of(objective="cycles / (rows - 8)"))) == {Reason.OK, Reason.OUT_OF_RANGE}
    assert set(reasons(task_of(objective="cycles", lower_bound=200.0))) == {Reason.OK, Reason.OUT_OF_RANGE}


# -- time and processes --------------------------------------------------------------------------------------


def alive(pid):
    """Whether a process is still there after a while: a signal takes a moment to end one."""
    for _ in range(200):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False
        if state in "ZX":
            return False
        time.sleep(0.05)
    return True


def test_what_hangs_is_killed_with_all_its_descendants_and_the_others_stay(task_of, tmp_path):
    mark = tmp_path / "pids"
    program = f"""
    import json, os, subprocess, sys, time
    design = json.load(open("design.json"))
    if design["rows"] == 8:
        child = subprocess.Popen([sys.executable, "-c", "import signal, time;"
            "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"])
        open({str(mark)!r}, "a").write(f"{{os.getpid()}} {{child.pid}}\\n")
        time.sleep(600)
    """
    task = task_of(joined(program, MODEL), timeout_s=1.5)
    designs = every(task)
    found = [Reason(code) for code in task.evaluate(designs).costs["reason"]]
    assert found == [Reason.TIMEOUT if task.space.decode(row)["rows"] == 8 else Reason.OK for row in designs]
    pids = [int(pid) for pid in mark.read_text().split()]
    assert len(pids) == 6
    assert not any(map(alive, pids))


def joined(*programs):
    return "\n".join(map(textwrap.dedent, programs))


def test_descendants_that_outlive_their_parent_are_ended_and_hold_up_nothing(task_of, tmp_path):
    mark = tmp_path / "pid"
    program = f"""
    import subprocess, sys
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    open({str(mark)!r}, "w").write(str(child.pid))
    """
    task = task_of(joined(program, MODEL))
    assert reasons(task, np.array([[0, 0]])) == [Reason.OK]
    assert not alive(int(mark.read_text()))


def test_an_interrupt_kills_what_runs_and_keeps_what_is_over(tmp_path):
    path = plug_in(
        tmp_path / "tool",
        joined(
            f"""
    import json, os, time
    if json.load(open("design.json"))["rows"] > 4:
        open({str(tmp_path / "pid")!r}, "w").write(str(os.getpid()))
        time.sleep(600)
    """,
            MODEL,
        ),
        timeout_s=600,
    )
    code = f"""
    from accelgym.envs.external import ExternalSimulatorTask
    import numpy as np
    task = ExternalSimulatorTask(config={str(path)!r}, cache={str(tmp_path / "kept")!r}, jobs=1)
    task.evaluate(np.array([[0, 0], [1, 0], [2, 0], [3, 0]]))
    """
    process = subprocess.Popen([sys.executable, "-c", joined(code)], stderr=subprocess.PIPE)
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert b"KeyboardInterrupt" in process.communicate(timeout=60)[1]
    assert not alive(int((tmp_path / "pid").read_text()))
    kept = list((tmp_path / "kept").glob("*/*.json"))
    assert len(kept) == 2
    plug_in(tmp_path / "tool", "", timeout_s=600)
    assert all(record.stat().st_size for record in kept)


# -- what is kept --------------------------------------------------------------------------------------------


def test_nothing_is_run_twice(task_of):
    task = task_of()
    designs = every(task)
    first = task.evaluate(np.concatenate((designs, designs)))
    assert task.simulator.runs == len(designs)
    again = task_of()
    np.testing.assert_array_equal(again.evaluate(designs).objective, first.objective[: len(designs)])
    assert again.simulator.runs == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"program": MODEL + "\n"},
        {"version": "2"},
        {"files": {"design.json": '{"rows": ${rows}, "columns": ${columns} }'}},
        {"command": [*CONFIG["command"], "-v"]},
        {"environment": {"LEVEL": "2"}},
        {"objective": "cycles"},
        {"timeout_s": 21},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_result_is_that_of_all_it_depends_on(task_of, changes):
    one = task_of()
    one.evaluate(np.array([[0, 0]]))
    first = one.id
    other = task_of(**changes)
    assert other.id != first or "timeout_s" in changes, "a search on another simulator is no continuation"
    other.evaluate(np.array([[0, 0]]))
    assert other.simulator.runs == 1


def test_failures_are_kept_until_a_retry(task_of, tmp_path):
    program = f"import os, sys; sys.exit(not os.path.exists({str(tmp_path / 'licence')!r}))"
    flaky = joined(program.replace("sys.exit(", "bad = (") + "\nif bad: sys.exit(1)", MODEL)
    row = np.array([[0, 0]])
    assert reasons(task_of(flaky), row) == [Reason.EXIT_CODE]
    (tmp_path / "licence").touch()
    assert reasons(task_of(flaky), row) == [Reason.EXIT_CODE]
    assert reasons(task_of(flaky, {"retry": True}), row) == [Reason.OK]
    assert reasons(task_of(flaky), row) == [Reason.OK]


@pytest.mark.parametrize("spoil", [b"", b"{}", b"\x00" * 100, None])
def test_a_spoiled_record_is_not_believed(task_of, tmp_path, spoil):
    row = np.array([[0, 0]])
    objective = task_of().evaluate(row).objective
    (record,) = (tmp_path / "kept").glob("*/*.json")
    record.write_bytes(record.read_bytes().replace(b"7.5", b"9.5") if spoil is None else spoil)
    task = task_of()
    assert task.evaluate(row).objective == objective
    assert task.simulator.runs == 1


def test_a_folder_that_cannot_be_written_costs_a_warning(task_of, tmp_path):
    (tmp_path / "file").touch()
    task = task_of(arguments={"cache": str(tmp_path / "file" / "kept")})
    with pytest.warns(UserWarning, match="cannot be kept"):
        assert reasons(task, np.array([[0, 0]])) == [Reason.OK]
    assert reasons(task, np.array([[0, 0]])) == [Reason.OK]
    assert task.simulator.runs == 1


def test_a_program_that_goes_is_no_result_and_is_not_kept(task_of, tmp_path):
    tool = tmp_path / "tool" / "program"
    tool.parent.mkdir()
    tool.write_text("#!/nowhere/interpreter\n")
    tool.chmod(0o755)
    task = task_of(command=["./program"])
    assert reasons(task, np.array([[0, 0]])) == [Reason.NOT_STARTED]
    assert not (tmp_path / "kept").exists()
    tool.write_text(f"#!/bin/sh\nexec {sys.executable} -S -E {tool.parent}/simulator.py\n")
    assert reasons(task, np.array([[0, 0]])) == [Reason.OK]


def test_runs_leave_no_folder_behind(task_of, tmp_path, monkeypatch):
    monkeypatch.setattr(simulator_module.tempfile, "tempdir", str(tmp_path / "runs"))
    (tmp_path / "runs").mkdir()
    reasons(task_of("import os; os.makedirs('a/b'); open('a/b/c', 'w'); os.chmod('a/b', 0o500)"))
    assert list((tmp_path / "runs").iterdir()) == []


# -- the task as others see it -------------------------------------------------------------------------------


def test_no_optimum_is_claimed(task_of):
    task = task_of()
    found = task.reference()
    assert not found.exact
    assert found.value == expected(4, 8)
    assert found.lower_bound == 0
    assert "no optimum is known" in found.method
    best = min(expected(2**r, 2**c) for r in range(1, 5) for c in range(2, 5))
    assert found.regret(best) == pytest.approx(best / expected(4, 8) - 1), "negative where better than the baseline"


def test_a_large_task_is_called_open(task_of):
    names = {name: list(range(4)) for name in "abcdef"}
    files = {"design.json": '{"rows": ${a + 1}, "columns": ${b + 1}}'}
    task = task_of(parameters=names, files=files, baseline=None)
    reference = task.reference()

    def evaluate(designs):
        a, b = designs[:, 0] + 1, designs[:, 1] + 1
        value = 6400 / (a * b) + 10.0 * a + 7.5
        yes = np.ones(len(designs), dtype=bool)
        return type(outcome)(value, yes, 0.0 * value, yes)

    outcome = task.evaluate(np.array([[1, 2, 0, 0, 0, 0]]))
    assert outcome.objective == evaluate(np.array([[1, 2, 0, 0, 0, 0]])).objective
    task.evaluate = evaluate  # 20,000 runs are no test
    assert audit(task).hardness == "open"
    assert reference.gap == 1


def test_a_baseline_without_result(task_of):
    with pytest.warns(
        InputWarning, match=r"simulator\.yaml: the baseline has no result: EXIT_CODE .*: no licence; a fail"
    ):
        found = task_of("import sys; sys.exit('no licence')").reference()
    assert found.design is None
    assert np.isinf(found.value)
    assert "baseline has no result" in found.method


def test_rewards_rank_designs_and_the_baseline_earns_a_half(task_of):
    lanes = task_of(constraints={"area": 100.0}).vector_env(3)
    lanes.reset()
    lanes.step(np.array([1, 0, 3]))
    rewards = lanes.step(np.array([1, 1, 2]))[1]
    assert rewards[0] == 0.5
    assert 0 < rewards[1] < 1
    assert rewards[2] < 0


def test_it_is_an_environment_with_a_plain_specification(task_of):
    task = task_of()
    arguments = {"config": task.spec.config, "cache": task.spec.cache}
    env = gym.make("accelgym/ExternalSimulator-v0", **arguments)
    check_env(env.unwrapped, skip_render_check=True)
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert again.unwrapped.task.id == task.id
    assert gym.make("accelgym/Task-v0", task="ExternalSimulator-v0", **arguments).unwrapped.task.id == task.id
    lanes = gym.make_vec("accelgym/ExternalSimulator-v0", num_envs=4, **arguments)
    lanes.reset(seed=0)
    assert lanes.step(lanes.action_space.sample())[0].shape == (4, 3)


@pytest.mark.parametrize("agent", ["random", "ga", "annealing", "aco", "uniform", "oracle", "optuna"])
def test_agents_run_on_it(task_of, agent):
    task = task_of(constraints={"area": 100.0})
    found = search(task, agent, budget=24, seed=0, certificate=task.reference())
    assert np.isfinite(found.best)
    assert found.best == task.evaluate(np.array([found.best_design])).objective[0]
    assert task.simulator.runs <= 12


def test_the_inputs_of_the_best_design_are_artifacts(task_of):
    found = task_of().artifacts(np.array([1, 2]))
    assert found["inputs/design.json"] == '{"rows": 4, "columns": 16}'
    assert found["command.txt"].splitlines()[-1].endswith("simulator.py")


# -- configurations ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": None}, r"simulator.yaml:\d+:\d+: name: missing"),
        ({"timeout": 3}, r"timeout: unknown key"),
        ({"timeout_s": 0}, r"timeout_s: 0: .*greater than 0"),
        ({"timeout_s": "soon"}, r"timeout_s: 'soon'"),
        ({"parameters": {}}, r"parameters: "),
        ({"parameters": {"rows": [1, 1], "columns": [4]}}, r"parameters.rows: \[1, 1\]: a value is given twice"),
        ({"parameters": {"rows": [], "columns": [4]}}, r"parameters.rows"),
        ({"parameters": {"rows of it": [1], "columns": [4]}}, r"parameters"),
        ({"parameters": {"here": [1], "rows": [4], "columns": [8]}}, r"parameters.here: 'here' stands for the folder"),
        ({"baseline": {"rows": 3}}, r"baseline: parameter 'rows' is 3, allowed 2, 4, 8, 16"),
        ({"baseline": {"row": 2}}, r"baseline: unknown parameter 'row': did you mean 'rows'"),
        ({"command": ["no-such-simulator"]}, r"command\[0\]: 'no-such-simulator': allowed: a program on PATH"),
        ({"command": ["./gone"]}, r"command\[0\]: './gone': allowed"),
        ({"command": [sys.executable, "${row}"]}, r"command\[1\]: unknown name 'row': did you mean 'rows'"),
        ({"command": [sys.executable, "${rows +}"]}, r"command\[1\]: 'rows \+' is no expression"),
        ({"command": [sys.executable, "${rows / (rows - 4)}"]}, r"command\[1\]: cannot evaluate .*division"),
        ({"files": {"../x": "a"}}, r"files.../x: name is '../x', allowed: a file below the folder of the run"),
        ({"files": {"x": {"template": "gone.cfg"}}}, r"files.x: .*gone.cfg: no such file"),
        ({"files": {"x": {"text": "a", "copy": "b"}}}, r"files.x: give exactly one of text, template and copy"),
        ({"environment": {"A": "${b}"}}, r"environment.A: unknown name 'b'"),
        ({"outputs": {"n": {"json": "a", "csv": "b"}}}, r"outputs.n: give exactly one of json, csv and regex"),
        ({"outputs": {"n": {"regex": "(a)(b)"}}}, r"has 2 groups, allowed: one"),
        ({"outputs": {"n": {"regex": "(a"}}}, r"outputs.n: regex '\(a': "),
        ({"outputs": {"n": {"csv": "a", "take": "some"}}}, r"outputs.n.take: 'some'"),
        ({"outputs": {"n": {"csv": "a", "file": "/etc/passwd"}}}, r"file is '/etc/passwd', allowed"),
        ({"outputs": {"rows": {"csv": "a"}}, "objective": "rows"}, r"outputs.rows: has the name of a parameter"),
        ({"objective": "cycle"}, r"objective: unknown name 'cycle': did you mean 'cycles'"),
        ({"objective": "cycles +"}, r"objective: 'cycles \+' is no expression"),
        ({"lower_bound": float("nan")}, r"lower_bound: nan"),
        ({"constraints": {"power": 1.0}}, r"constraints.power: no output, there are: cycles, area, stalls"),
        ({"constraints": {"area": 0}}, r"constraints.area: 0"),
        ({"requires": ["rows < depth"]}, r"requires\[0\]: unknown name 'depth'"),
        ({"requires": ["'a'"]}, r"requires\[0\]: .*allowed: a number"),
    ],
)
def test_an_error_of_the_configuration_names_file_key_and_value(task_of, changes, message):
    with pytest.raises(InputError, match=message) as caught:
        task_of(**changes)
    assert "simulator.yaml:" in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "config"),
        ({"config": "gone.yaml"}, "gone.yaml: no such file"),
        ({"config": "x", "cache": "a\0b"}, "x: no such file"),
        ({"config": "x", "jobs": 0}, "jobs is 0"),
        ({"config": "x", "job": 1}, "unknown argument 'job': did you mean 'jobs'"),
    ],
)
def test_an_error_of_the_arguments_names_them(arguments, message):
    with pytest.raises(InputError, match=message):
        ExternalSimulatorTask(**arguments)


def test_placeholders():
    values = {"n": 3, "dataflow": "n", "fast": True}
    text = "${n} ${n * 2} $n $${n} ${dataflow} ${fast} ${dataflow == 'n'} {n}"
    assert fill(text, values, "here") == "3 6 $n ${n} n true true {n}"


SCALE_SIM = """
import configparser, sys
from pathlib import Path
from accelgym.costmodels.systolic.presets.scalesim import MatrixProduct, total_cycles
words = dict(zip(sys.argv[1::2], sys.argv[2::2]))
config = configparser.ConfigParser()
config.read(words["-c"])
machine = config["architecture_presets"]
folder = Path(words["-p"]) / config["general"]["run_name"]
folder.mkdir(parents=True)
lines = ["LayerID, Total Cycles (incl. prefetch), Total Cycles, Stall Cycles,"]
for number, line in enumerate(Path(words["-t"]).read_text().strip().splitlines()[1:]):
    product = MatrixProduct(*map(int, line.split(",")[1:4]))
    cycles = total_cycles(int(machine["ArrayHeight"]), int(machine["ArrayWidth"]), machine["Dataflow"], product)
    lines.append(f"{number}, 0.0, {float(cycles)}, 0.0,")
(folder / "COMPUTE_REPORT.csv").write_text("\\n".join(lines) + "\\n")
"""


def test_the_example_plugs_in_scale_sim(tmp_path, monkeypatch):
    """A stand-in with its command line, files and report; its cycles are those measured of scalesim 3.0.0."""
    package = tmp_path / "scalesim"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "scale.py").write_text(SCALE_SIM)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    config = Path(__file__).resolve().parents[2] / "examples" / "external" / "scalesim.yaml"
    task = ExternalSimulatorTask(config=config, program=sys.executable, cache=str(tmp_path / "kept"))
    designs = [
        {"rows": 16, "columns": 16, "dataflow": "ws"},
        {"rows": 8, "columns": 32, "dataflow": "os"},
        {"rows": 32, "columns": 32, "dataflow": "os"},
    ]
    found = task.evaluate(np.array([task.space.encode(design) for design in designs]))
    assert found.objective.tolist() == [11781, 4693, np.inf]
    assert Reason(found.costs["reason"][2]) is Reason.REFUSED

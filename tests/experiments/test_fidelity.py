"""The fidelity ladder's study."""

import csv

import numpy as np
import pytest

from accelgym.experiments.fidelity.__main__ import main
from accelgym.experiments.fidelity.study import Case, grid_cases, ladder, measured_cases
from accelgym.experiments.fidelity.table import format_tools


@pytest.fixture(scope="module")
def measured():
    pytest.importorskip("pyarrow")
    return measured_cases()


def test_the_exact_model_has_the_cycles_of_the_measured_verilog(measured):
    assert len(measured) == 60
    found = {row.figure: row for row in ladder("measured", measured[::4], ["systolic"])}
    assert found["cycles"].error == 0
    assert found["cycles"].rank == pytest.approx(1)
    assert found["cycles"].pick == 0
    assert found["area"].error < 0.01
    assert found["energy"].error < 0.3


def test_figures_by_hand(measured):
    one = measured[0]
    cases = [Case(one.config, one.layer, cycles) for cycles in (50.0, 100.0, 200.0)]
    row = ladder("hand", cases, ["systolic"])[0]
    logs = np.log(one.cycles / np.array([50.0, 100.0, 200.0]))
    assert row.error == pytest.approx(np.sqrt((logs**2).mean()))
    assert row.ratio == pytest.approx(one.cycles / 100)
    assert row.rank == 0
    assert row.pick == pytest.approx(350 / 3 / 50 - 1)


def test_drawn_accelerators_follow_their_seed():
    assert grid_cases(3, seed=4) == grid_cases(3, seed=4)
    assert grid_cases(3, seed=4) != grid_cases(3, seed=5)


def test_the_command_writes_tables_and_resumes(measured, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("accelgym.experiments.fidelity.__main__.ANALYTIC", ("roofline", "systolic"))
    arguments = ["--out", str(tmp_path), "--designs", "2", "--tools", "0"]
    main(arguments)
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    main(arguments)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == first
    rows = list(csv.DictReader(first["ladder.csv"].decode().splitlines()))
    assert {row["level"] for row in rows} == {"roofline", "systolic"}
    assert first["table.md"].decode() in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--designs", "1"], ["--tools", "-1"], ["--data", "nowhere"]])
def test_bad_arguments_end_with_code_2(arguments, tmp_path):
    with pytest.raises(SystemExit) as caught:
        main(["--out", str(tmp_path), *arguments])
    assert caught.value.code == 2


def test_a_tool_row_shows_its_median():
    from accelgym.experiments.fidelity.study import ToolRow

    rows = [ToolRow(4, 4, 10, 10, 5.0, 5.0, seconds, 2 * seconds) for seconds in (1.0, 3.0, 9.0)]
    assert format_tools(rows).splitlines()[-1].split("|")[6:8] == [" 3.0 ", " 6.0 "]

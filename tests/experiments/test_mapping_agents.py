"""The table of mapping agents: its numbers are those of the searches."""

import csv

import pytest

from accelgym.agents import search
from accelgym.costmodels.errors import InputError
from accelgym.envs import make_task
from accelgym.experiments.config import BenchConfig, load_config
from accelgym.experiments.mapping_agents import THISTLE, format_table, run_searches, write_csv
from accelgym.experiments.mapping_agents.__main__ import main

LAYER = {"workload": "thistle/resnet18", "architecture": "eyeriss_thistle", "objective": "energy"}


def config(**arguments):
    return {
        "name": "few",
        "tasks": [{"env": "accelgym/Mapping-v0", "arguments": {**LAYER, "layer": [2, 5], **arguments}}],
        "agents": ["random_pruned", {"name": "gamma", "budget": 40, "options": {"population": 10}}],
        "budget": 60,
        "seeds": 2,
    }


def test_every_cell_is_the_mean_of_its_searches(tmp_path):
    runs = list(run_searches(BenchConfig.parse(config())))
    assert [(r.layer, r.agent, r.seed, r.evaluations) for r in runs] == [
        (layer, agent, seed, budget)
        for layer in ("L2", "L5")
        for agent, budget in (("random_pruned", 60), ("gamma", 40))
        for seed in (0, 1)
    ]
    task = make_task("Mapping-v0", **LAYER, layer=5)
    again = [search(task, "gamma", budget=40, seed=s, options={"population": 10}).best for s in (0, 1)]
    table = format_table(runs).splitlines()
    assert table[0] == "| layer | optimum | timeloop-mapper | random_pruned (60) | gamma (40) |"
    assert table[2].split("|")[3].strip() == "22.54"
    assert float(table[3].split("|")[5]) == pytest.approx(sum(again) / 2 / task.problem.macs, abs=0.005)
    assert [float(cell) for cell in table[4].split("|")[4:6]] == pytest.approx(
        [(float(table[2].split("|")[i]) + float(table[3].split("|")[i])) / 2 for i in (4, 5)], abs=0.011
    )
    assert float(table[3].split("|")[2]) == pytest.approx(task.reference().value / task.problem.macs, abs=0.005)
    assert all(run.bound_pj_per_mac <= run.optimum_pj_per_mac <= run.pj_per_mac for run in runs)
    write_csv(tmp_path / "runs.csv", runs)
    with (tmp_path / "runs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["pj_per_mac"]) for row in rows] == [run.pj_per_mac for run in runs]


def test_the_shipped_config_is_thistles_layers():
    shipped, _ = load_config(THISTLE)
    assert sum(len(entry.expand()) for entry in shipped.tasks) == 23


def test_other_objectives_are_refused():
    with pytest.raises(InputError, match="objective=energy"):
        next(run_searches(BenchConfig.parse(config(objective="latency"))))


def test_a_bad_config_exits_with_2(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--out", str(tmp_path), "--config", str(tmp_path / "no_such_config.yaml")])
    assert stopped.value.code == 2
    assert "no_such_config" in capsys.readouterr().err

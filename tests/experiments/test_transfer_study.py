"""The transfer study: it goes on where it was, and its tables say what the searches say."""

import dataclasses

import pytest

pytest.importorskip("torch", reason="extra agents")

from accelgym.agents.transfer import TrainingOptions
from accelgym.costmodels.errors import DamagedFileError, InputError
from accelgym.experiments.transfer import TransferRun, format_table, run_study

FILE = """
task: accelgym/ResourceAssignment-v0
train: [{workload: confuciux/alexnet, budget: [0.1, 0.3]}]
test:
  - {workload: confuciux/alexnet, budget: 0.2}
  - {workload: thistle/resnet18, budget: 0.2}
"""
OPTIONS = TrainingOptions(evaluations=16, lanes=4, members=2, epochs=1, minibatches=1, width=8)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    (folder / "family.yaml").write_text(FILE)

    def run(lengths=(1, 3), progress=None):
        return run_study(
            folder / "out",
            family=folder / "family.yaml",
            seeds=1,
            evaluations=lengths,
            options=OPTIONS,
            progress=progress,
        )

    return folder / "out", run, run()


def test_every_agent_searches_every_held_out_member(study):
    _, _, runs = study
    found = {(run.workload, run.trained, run.agent, run.evaluations) for run in runs}
    agents = {("pretrained_ppo", 1), ("pretrained_ppo", 3), ("nearest", 1), ("nearest", 3), ("greedy", 1)}
    agents |= {("greedy", 3), ("ga", 1), ("ga", 3), ("maskable_ppo", 3)}
    networks = (("confuciux/alexnet", True), ("thistle/resnet18", False))
    assert found == {(*network, *agent) for network in networks for agent in agents}
    assert len(runs) == len(found)
    assert all(run.regret >= 0 for run in runs)


def test_what_is_over_is_not_searched_again(study):
    out, run, runs = study
    assert run(progress=lambda news: pytest.fail(str(news))) == runs
    # A kill in the middle of a line costs that search and no other.
    path = out / "runs.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    made = []
    again = run(progress=made.append)
    assert len(made) == 1
    assert [dataclasses.replace(r, cpu_s=0.0) for r in again] == [dataclasses.replace(r, cpu_s=0.0) for r in runs]


def test_another_study_and_other_lines_are_refused(study):
    out, run, _ = study
    with pytest.raises(InputError, match="holds another study"):
        run(lengths=(1, 4))
    path = out / "runs.jsonl"
    whole = path.read_text()
    path.write_text('{"member": 1}\n' + whole)
    with pytest.raises(DamagedFileError, match=r"runs.jsonl:1: no row of this study"):
        run()
    path.write_text(whole)


def test_tables_hold_medians_and_say_what_was_not_found():
    one = TransferRun(3, "net", 0.1, False, "ga", 10, 0, 0.5, 1.0)
    runs = [dataclasses.replace(one, seed=i, regret=r) for i, r in enumerate((0.02, 0.5, 3.0))]
    runs += [
        dataclasses.replace(one, agent="greedy", seed=i, regret=r) for i, r in enumerate((0.01, 0.03, float("inf")))
    ]
    table = format_table(runs)
    assert "| held-out networks (1 tasks, 3 seeds) | 10 evaluations | CPU-s for 10 |" in table
    assert "| `ga` | 50.0% (at most 300%) | 1.0 |" in table
    assert "| `greedy` | 3.00% (at most 3.00%, 67% feasible) | 1.0 |" in table

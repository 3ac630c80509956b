"""Recipes that work row by row, against the models and solvers behind them."""

import json

import numpy as np
import pytest
import yaml
from labelled import digests
from typer.testing import CliRunner

from accelgym.cli import app
from accelgym.costmodels.dataflow_template import LayerDesigns, TemplateModel
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.maestro.designs import Dataflow
from accelgym.costmodels.workloads import Layer
from accelgym.dse_dataset import collect as collection
from accelgym.dse_dataset.collect import Collected, collect
from accelgym.dse_dataset.columns import Column
from accelgym.dse_dataset.layers import draw_airchitect
from accelgym.dse_dataset.load import load_dataset
from accelgym.dse_dataset.recipes.base import draw_apart
from accelgym.dse_dataset.recipes.catalogue import PRESETS, build_recipe, preset_spec
from accelgym.dse_dataset.recipes.mapping import MappingRecipe
from accelgym.dse_dataset.runner import label_dataset
from accelgym.dse_dataset.streams import RowStreams
from accelgym.envs import make_task
from accelgym.experiments.labelling import SOLVER, pool_runs


def layer_of(row):
    groups = row["C"] if row["depthwise"] else 1
    K = row["C"] if row["depthwise"] else row["K"]
    return Layer.conv("x", K=K, C=row["C"], H=row["Y"], W=row["X"], R=row["R"], S=row["S"], groups=groups)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_has_a_recipe_with_documented_columns(preset):
    changes = {"solver": SOLVER} if PRESETS[preset]["kind"] == "search" else {}
    recipe = build_recipe(preset_spec(preset, **changes))
    names = [column.name for column in recipe.columns]
    assert len(names) == len(set(names))
    assert names[0] == "row"
    assert {column.role for column in recipe.columns} >= {"key", "label"}
    assert sum(list(recipe.splits.values())[:3]) == recipe.spec.rows
    assert recipe.facts()["label"]


def test_dataflow_labels_are_the_best_of_all_designs():
    spec = preset_spec("dataflow", rows=40, held_out=[], networks=["resnet18"], seed=5)
    recipe = build_recipe(spec)
    for number in range(2):
        row = recipe.label_row("train", number)
        model, layer, best = TemplateModel(objective=row["objective"]), layer_of(row), []
        for flow in ("dla", "eye", "shi"):
            for pes in [*recipe.facts()["num_pes"][:12:4], row["best_num_pes"]]:
                for size in [*recipe.facts()["buffer_bytes"][:12:4], row["best_buffer_bytes"]]:
                    flow_value = np.array(int(Dataflow[flow.upper()]))
                    one = LayerDesigns((layer,), np.array(0), flow_value, np.array(pes), np.array(size))
                    costs = model.evaluate(one)
                    if costs.valid and costs.area_um2 <= row["cap_area_um2"]:
                        cycles, energy = float(costs.latency_cycles), float(costs.energy_pj)
                        value = {"latency": cycles, "energy": energy, "edp": cycles * energy}[row["objective"]]
                        best.append((value, pes, size, flow))
        label = (row["best_num_pes"], row["best_buffer_bytes"], row["best_dataflow"])
        assert min(best)[0] == pytest.approx(row["best_objective"], rel=1e-12)
        assert next(v for v in best if v[1:] == label)[0] == pytest.approx(row["best_objective"], rel=1e-12)
        assert np.isfinite(row["landscape"]).sum() == row["feasible_designs"]


def test_mapping_labels_are_what_their_task_says_they_are():
    recipe = build_recipe(
        preset_spec(
            "mappings", rows=20, held_out=[], networks=["resnet18"], architectures=["nvdla_like"], most_nodes=60
        )
    )
    for number in range(2):
        row = recipe.label_row("train", number)
        assert row["lower_bound"] <= row["best_objective"]
        assert row["gap"] == pytest.approx(1 - row["lower_bound"] / row["best_objective"], abs=1e-9)
        assert row["proven"] == (row["gap"] <= 1e-3)
        parts = {"energy": row["energy_pj"], "latency": row["latency_cycles"]}
        parts["edp"] = row["energy_pj"] * row["latency_cycles"]
        assert parts[row["objective"]] == pytest.approx(row["best_objective"], rel=1e-12)
        assert row["macs"] == layer_of(row).macs
        bounds = [loop["bound"] for level in json.loads(row["loops_json"])["temporal"].values() for loop in level]
        spatial = json.loads(row["loops_json"])["spatial"]
        bounds += [loop["bound"] for between in spatial for axis in "xy" for loop in between[axis]]
        assert np.prod(bounds, dtype=float) == row["macs"]


@pytest.mark.slow
def test_accelerator_labels_are_the_best_of_all_designs():
    recipe = build_recipe(preset_spec("accelerators", rows=20, held_out=[], networks=["resnet18"], block_share=0.0))
    row = recipe.label_row("train", 3)
    task, _ = recipe.build(layer_of(row), RowStreams.of(0, np.array([3])))
    designs = np.argwhere(task.feasible)
    cycles = task.objective(designs)
    assert row["best_cycles"] == cycles.min()
    assert row["tied_designs"] == (cycles == cycles.min()).sum()
    assert row["feasible_designs"] == len(designs)


def small_search(**changes):
    one = {"model": ["maestro"], "dataflow": ["dla"], "objective": ["latency"], "constraint": ["area"]}
    vary = one | {"workload": ["confuciux/resnet18"], "budget": [0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]}
    given = {"rows": 10, "vary": vary, "budget": 40, "solver": SOLVER, "shard_rows": 3}
    given["shares"] = {"train": 1000, "validation": 0, "test": 0}
    return preset_spec("searched", **given | changes)


def test_rows_labelled_by_an_agent_carry_a_certified_gap_and_resume(tmp_path):
    whole, again = tmp_path / "whole", tmp_path / "again"
    label_dataset(small_search(), whole, executor="inline")
    table = load_dataset(whole).table("train")
    for row in table.to_pylist():
        task = make_task(row["env"], **json.loads(row["arguments_json"]))
        outcome = task.evaluate(np.array([row["design"]]))
        assert (task.id, bool(outcome.feasible[0])) == (row["task_id"], row["feasible"])
        assert outcome.objective[0] == row["objective"]
        assert row["lower_bound"] == task.reference().value
        assert row["gap"] == pytest.approx(1 - row["lower_bound"] / row["objective"])
        assert (row["agent"], row["budget"], row["evaluations"]) == ("ga", 40, 40)

    class Killed(BaseException):
        pass

    def stop(state):
        if state.rows_done >= 5:
            raise Killed

    with pytest.raises(Killed):
        label_dataset(small_search(), again, executor="inline", progress=stop)
    assert list(again.glob("work/*/rows"))
    result = label_dataset(small_search(), again, executor="inline")
    assert result.made == 5
    assert digests(again) == digests(whole)


def test_an_agent_is_refused_where_labels_are_exact(tmp_path):
    ended = CliRunner().invoke(app, ["label", "--preset", "capped", "--agent", "ga", "--out", str(tmp_path / "x")])
    assert isinstance(ended.exception, InputError)
    assert "kind 'resource' are labelled exactly" in str(ended.exception)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: telepathy\nname: x\nrows: 3\n", "kind: is 'telepathy', allowed: accelerator"),
        ("kind: resource\nname: x\nrows: many\n", "rows"),
        ("kind: resource\nname: x\nrows: 3\nmost_pe: 4\n", "most_pe"),
        ("kind: search\nname: x\nrows: 3\nvary: {budget: []}\n", "vary: budget has no values"),
        ("kind: search\nname: x\nrows: 3\nenv: Nothing-v0\n", "Nothing-v0"),
        ("kind: mapping\nname: x\nrows: 3\narchitectures: [tpu]\n", "tpu"),
        ("kind: resource\nname: A b\nrows: 3\n", "name"),
        ("kind: resource\nname: x\nrows: 3\ntop: 769\n", "top: 769, allowed: 1..768"),
        ("kind: dataflow\nname: x\nrows: 3\ntop: 433\n", "top: 433, allowed: 1..432"),
        (
            "kind: resource\nname: x\nrows: 3\nlandscape: true\nmost_pes: 1024\nmost_levels: 1024\n",
            "shard_rows: 16384 rows of 1048576 objectives each are 128 GiB in memory, allowed with as many: 1..256",
        ),
        ("kind: resource\nname: x\nrows: 10000000000000\n", "488281250 files, allowed: 99999; take shard_rows of 800"),
        ("kind: dataflow\nname: x\nrows: 3\nnetworks: [nope]\n", "unknown workload 'nope'"),
        ("kind: mapping\nname: x\nrows: 3\nheld_out: [nope]\n", "unknown workload 'nope'"),
        ("kind: accelerator\nname: x\nrows: 3\nblocks: [nope]\nblock_share: 0.1\n", "unknown workload 'nope'"),
        ("kind: accelerator\nname: x\nrows: 3\narea_budgets: [150000.0, -1.0]\n", "area_budgets[1]: -1.0"),
        ("kind: accelerator\nname: x\nrows: 3\nbandwidths_bits: [95]\n", "bandwidths_bits[0]: 95"),
        ("kind: search\nname: x\nrows: 3\nvary: {workloud: [a]}\n", "unknown argument 'workloud'"),
        ("kind: search\nname: x\nrows: 3\nvary: {dataflow: [dla, wse]}\n", "'wse'"),
        (
            "kind: search\nname: x\nrows: 3\narguments: {budget: 0.1}\nvary: {budget: [0.2]}\n",
            "vary: 'budget' stands among the arguments",
        ),
        ("kind: search\nname: x\nrows: 3\nagent: nope\n", "unknown agent 'nope'"),
        ("kind: search\nname: x\nrows: 3\nagent: ga\nagent_options: {tribes: 3}\n", "'tribes'"),
    ],
)
def test_bad_configs_are_named(tmp_path, text, message):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    ended = CliRunner().invoke(app, ["label", "--config", str(path), "--out", str(tmp_path / "out")])
    assert isinstance(ended.exception, InputError)
    assert message in str(ended.exception)
    assert not (tmp_path / "out").exists()


def test_a_card_holds_the_file_that_makes_its_dataset_again(dataset, tmp_path):
    text = (dataset / "README.md").read_text()
    (tmp_path / "recipe.yaml").write_text(text.split("```yaml\n")[1].split("```")[0])
    out = tmp_path / "again"
    arguments = ["label", "--config", str(tmp_path / "recipe.yaml"), "--out", str(out), "--executor", "inline"]
    ended = CliRunner().invoke(app, arguments)
    assert ended.exit_code == 0, ended.exception
    assert digests(out) == digests(dataset)
    front = yaml.safe_load(text.split("---\n")[1])
    assert front["dataset_info"][0]["splits"][0]["num_examples"] == 320


def test_searches_are_pooled_evaluation_by_evaluation(tmp_path):
    runs = tmp_path / "runs"
    for seed in ("0", "1"):
        arguments = ["search", "--agent", "random", "--budget", "30", "--seed", seed, "--out", str(runs / seed)]
        assert CliRunner().invoke(app, [*arguments, "--set", "workload=confuciux/resnet18"]).exit_code == 0
    manifest = pool_runs([runs], tmp_path / "pool")
    assert sum(manifest["splits"].values()) == 60
    pool = load_dataset(tmp_path / "pool")
    rows = [row for split in pool.splits if pool.splits[split] for row in pool.table(split).to_pylist()]
    task = make_task(rows[0]["env"], **json.loads(rows[0]["arguments_json"]))
    outcome = task.evaluate(np.array([row["design"] for row in rows]))
    assert task.id == rows[0]["task_id"]
    assert outcome.objective.tolist() == [row["objective"] for row in rows]
    assert sorted((row["agent_seed"], row["evaluation"]) for row in rows) == [
        (s, e + 1) for s in (0, 1) for e in range(30)
    ]
    with pytest.raises(InputError, match="no finished search"):
        pool_runs([tmp_path / "pool"], tmp_path / "other")
    with pytest.raises(InputError, match="holds a dataset; choose an empty folder"):
        pool_runs([runs], tmp_path / "pool")


def pooled(count):
    columns = (
        Column("design", "int32", "value indices", "input", 0),
        Column("objective", "float64", "to be minimised", "label"),
    )
    rows = [{"design": [i // 2, 3], "objective": float(i)} for i in range(count)]
    return Collected("pooled", "Some rows.", {"searches": 1}, columns, ("design",)), lambda: iter(rows)


def test_a_pool_that_a_full_disk_ended_is_made_again_by_the_same_call(tmp_path, monkeypatch):
    collect(*pooled(60), tmp_path / "whole")
    writing = collection.write_shard

    def full(path, *rest):
        if "validation" in path.name:
            raise InputError(f"{path}: cannot be written (No space left on device)")
        return writing(path, *rest)

    monkeypatch.setattr(collection, "write_shard", full)
    message = r"validation-00000-of-00001.*No space left.*not complete, the same command makes it again"
    with pytest.raises(InputError, match=message):
        collect(*pooled(60), tmp_path / "full")
    monkeypatch.setattr(collection, "write_shard", writing)
    with pytest.raises(InputError, match="holds another dataset"):
        collect(*pooled(40), tmp_path / "full")
    collect(*pooled(60), tmp_path / "full")
    assert digests(tmp_path / "full") == digests(tmp_path / "whole")


def test_a_pool_leaves_other_files_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match=r"holds 'thesis\.tex'"):
        collect(*pooled(4), tmp_path)
    assert [p.name for p in tmp_path.iterdir() if p.name != "lock"] == ["thesis.tex"]


def test_changes_of_a_preset_reach_into_mappings():
    spec = preset_spec("searched", solver=SOLVER, vary={"workload": ["confuciux/vgg16"]}, seed=None)
    assert spec.vary["workload"] == ["confuciux/vgg16"]
    assert spec.vary["budget"] == PRESETS["searched"]["vary"]["budget"]
    assert spec.seed == 0


def test_limits_that_nothing_meets_are_said():
    class Hopeless(MappingRecipe):
        def build(self, layer, streams):
            raise InputError("nothing fits")

    recipe = Hopeless(preset_spec("mappings", rows=10, held_out=[]))
    with pytest.raises(InputError, match=r"row 3: none of 200 layers has a task; the last: nothing fits"):
        recipe.label_row("train", 3)
    with pytest.raises(InputError, match=r"row 7: none of 20000 layers drawn is of its split"):
        draw_apart(
            draw_airchitect, 0, np.array([7]), (0, 0), np.zeros(0, dtype=np.uint64), lambda layers, _: layers.legal
        )

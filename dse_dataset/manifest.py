"""What a dataset's folder says about itself: a manifest that is the same wherever the rows are made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from accelgym.costmodels.errors import DamagedFileError, InputError
from accelgym.costmodels.files.json_file import read_sealed, write_sealed
from accelgym.costmodels.files.plain import plain
from accelgym.dse_dataset.columns import Column, arrow, column_data
from accelgym.dse_dataset.recipes.base import Recipe
from accelgym.dse_dataset.shards import Shard, read_shard, shard_facts

__all__ = [
    "MANIFEST",
    "RUN_LOG",
    "SCHEMA",
    "check_folder",
    "claim_folder",
    "columns_of",
    "describe",
    "identity",
    "read_manifest",
    "version_of",
    "write_manifest",
]

MANIFEST = "manifest.json"
RUN_LOG = "run.jsonl"
"""A line for every call that labelled: times, host and CPU seconds, which no other file holds."""
_PLAN = "recipe.json"
SCHEMA = 1
"""Of the manifest and of the shards' notes."""


def version_of() -> str:
    """Returns the version of this package."""
    return version("accelgym")


def describe(recipe: Recipe) -> dict[str, Any]:
    """Returns what a recipe makes on this machine, as plain data without rows.

    Raises:
        AccelGymError: A program that makes labels is not installed.
    """
    tools = recipe.tools()
    described: dict[str, Any] = plain(
        {
            "schema": SCHEMA,
            "name": recipe.spec.name,
            "title": recipe.title,
            "recipe": recipe.spec.model_dump(mode="json"),
            "facts": {"accelgym": version_of(), **recipe.facts(), **({"tools": tools} if tools else {})},
            "splits": recipe.splits,
            "columns": column_data(recipe.columns),
        }
    )
    return described


def identity(described: dict[str, Any]) -> str:
    """Returns the hash under which shards know their dataset."""
    text = json.dumps(described, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def claim_folder(out: Path, described: dict[str, Any]) -> None:
    """Marks a folder as a dataset's, and removes what a kill has left half written in it.

    Args:
        out: The folder.
        described: See :func:`describe`.

    Raises:
        InputError: It holds another dataset, or other files.
    """
    plan = out / _PLAN
    _sweep(out, f".{_PLAN}-*.tmp")
    if not plan.exists():
        others = sorted(p.name for p in out.iterdir() if p.name not in ("lock", RUN_LOG))
        if others:
            raise InputError(f"{out}: holds {others[0]!r}, which is no part of a dataset; choose an empty folder")
        write_sealed(plan, {"identity": identity(described), **described})
        return
    found = read_sealed(plan)
    if found.get("identity") != identity(described):
        raise InputError(
            f"{out}: holds another dataset ({found.get('name')!r}, or another seed, number of rows or version of a "
            "model or tool); choose another folder, or remove it"
        )
    _sweep(out, ".*.tmp")
    _sweep(out, "data/.*.tmp")


def _sweep(out: Path, pattern: str) -> None:
    for path in out.glob(pattern):
        path.unlink()


def columns_of(manifest: dict[str, Any]) -> tuple[Column, ...]:
    """Returns the columns that a manifest lists."""
    return tuple(Column(**column) for column in manifest["columns"])


def write_manifest(
    out: Path, described: dict[str, Any], shards: Sequence[Shard], digests: Sequence[str], files: Sequence[Path] = ()
) -> None:
    """Writes the manifest of a complete dataset.

    Args:
        out: The dataset's folder.
        described: See :func:`describe`.
        shards: All shards.
        digests: Hash of each one's content.
        files: What else belongs to it.
    """
    entries = [
        {"path": s.path, "split": s.split, "first_row": s.start, "rows": s.rows, "content_sha256": digest}
        | shard_facts(out / s.path)
        for s, digest in zip(shards, digests, strict=True)
    ]
    content = hashlib.sha256("".join(digests).encode()).hexdigest()
    about = {"identity": identity(described), "content_sha256": content, "pyarrow": arrow().__version__}
    others = [{"path": str(path.relative_to(out)), **shard_facts(path)} for path in files]
    write_sealed(out / MANIFEST, described | about | {"shards": entries, "files": others})


def read_manifest(folder: Path) -> dict[str, Any]:
    """Reads a dataset's manifest.

    Raises:
        InputError: The folder holds none.
        DamagedFileError: It was changed, or is of another version.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise InputError(
            f"{folder}: no dataset, or an unfinished one (there is no {MANIFEST}); accelgym label makes it"
        )
    found = read_sealed(path)
    if found.get("schema") != SCHEMA:
        raise DamagedFileError(f"{path}: schema {found.get('schema')!r}, allowed: {SCHEMA}")
    return found


def check_folder(folder: Path) -> dict[str, Any]:
    """Checks every shard of a dataset against the manifest.

    Returns:
        The manifest.

    Raises:
        InputError: A shard is missing.
        DamagedFileError: Naming the shard that was changed.
    """
    manifest = read_manifest(folder)
    for entry in manifest["shards"]:
        path = folder / entry["path"]
        table, note = read_shard(path)
        if note["content_sha256"] != entry["content_sha256"] or table.num_rows != entry["rows"]:
            raise DamagedFileError(f"{path}: changed: its content has another hash than the manifest says")
        if shard_facts(path)["sha256"] != entry["sha256"]:
            raise DamagedFileError(
                f"{path}: its bytes have another SHA-256 than the manifest says, its content the same: written by "
                f"another version of pyarrow (the manifest names {manifest['pyarrow']})"
            )
    known = {entry["path"] for entry in manifest["shards"]}
    for path in sorted(folder.glob("data/*.parquet")):
        if str(path.relative_to(folder)) not in known:
            raise InputError(f"{path}: no part of the dataset, but readers that know no manifest would take it for one")
    for entry in manifest["files"]:
        path = folder / entry["path"]
        if not path.is_file():
            raise InputError(f"{path}: no such file")
        if shard_facts(path)["sha256"] != entry["sha256"]:
            raise DamagedFileError(f"{path}: changed: it has another SHA-256 than the manifest says")
    return manifest

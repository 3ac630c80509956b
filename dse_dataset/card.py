"""Dataset cards: a README with the front matter that Hugging Face's ``datasets`` reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from accelgym.costmodels.files.whole_file import write_whole
from accelgym.dse_dataset.manifest import read_manifest

__all__ = ["CARD", "write_card"]

CARD = "README.md"


def write_card(folder: Path) -> None:
    """Writes :data:`CARD` beside a dataset's manifest."""
    manifest = read_manifest(folder)
    write_whole(folder / CARD, f"---\n{_front_matter(manifest)}---\n\n{_text(manifest)}")


def _front_matter(manifest: dict[str, Any]) -> str:
    splits = [name for name, rows in manifest["splits"].items() if rows]
    sizes = {split: sum(s["bytes"] for s in manifest["shards"] if s["split"] == split) for split in splits}
    data = {
        "pretty_name": manifest["name"],
        "tags": ["accelerator", "design-space-exploration"],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": split, "path": f"data/{split}-*.parquet"} for split in splits],
            }
        ],
        "dataset_info": [
            {
                "config_name": "default",
                "features": [_feature(column) for column in manifest["columns"]],
                "splits": [
                    {"name": split, "num_bytes": sizes[split], "num_examples": manifest["splits"][split]}
                    for split in splits
                ],
            }
        ],
    }
    return yaml.safe_dump(data, sort_keys=False)


def _feature(column: dict[str, Any]) -> dict[str, Any]:
    if column["length"] is None:
        return {"name": column["name"], "dtype": column["type"]}
    feature = {"name": column["name"], "list": column["type"]}
    return feature | ({"length": column["length"]} if column["length"] else {})


def _text(manifest: dict[str, Any]) -> str:
    rows = ", ".join(f"{split} {count:,}" for split, count in manifest["splits"].items())
    size = sum(s["bytes"] for s in manifest["shards"])
    facts = "\n".join(f"| {name.replace('_', ' ')} | {_shown(value)} |" for name, value in manifest["facts"].items())
    columns = "\n".join(f"| `{c['name']}` | {_type(c)} | {c['role']} | {c['meaning']} |" for c in manifest["columns"])
    return f"""# {manifest["name"]}

{manifest["title"]}

Rows: {rows}. Bytes: {size:,} in {len(manifest["shards"])} Parquet files. Content hash: `{manifest["content_sha256"]}`.

## What the labels rest on

| | |
|---|---|
{facts}

## Columns

| name | type | role | meaning |
|---|---|---|---|
{columns}

{_again(manifest["recipe"])}## How to check it

`accelgym dataset check DIR`. The bytes of a shard hold for pyarrow {manifest["pyarrow"]}, the content hashes in
`manifest.json` for every version.
"""


def _again(recipe: dict[str, Any] | None) -> str:
    if recipe is None:
        return ""
    return f"""## How to make it again

`accelgym label --config recipe.yaml --out DIR` with this file:

```yaml
{yaml.safe_dump(recipe, sort_keys=False)}```

"""


def _type(column: dict[str, Any]) -> str:
    if column["length"] is None:
        return str(column["type"])
    return f"{column['length'] or ''} x {column['type']}".strip()


def _shown(value: Any) -> str:
    return "..".join(map(str, value)) if isinstance(value, list) and len(value) == 2 else str(value)

"""Writes audits into the package, where every installation finds them.

Run: ``python tools/store_audits.py results/hardness/audits.jsonl``, with what ``benchmarks/hardness.py`` has measured;
``python tools/write_env_pages.py`` then shows the classes of default arguments. With ``--keep`` the audits of other
environments stay as they are.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

from accelgym.costmodels.files.json_file import read_sealed
from accelgym.envs import make_task
from accelgym.envs.audits import write_audits
from accelgym.envs.certificates import ProvedTask
from accelgym.envs.hardness import Audit

TARGET = Path(__file__).resolve().parent.parent / "envs" / "stored_audits.json"


def entry(row: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Returns the id of the task of a row, and what is stored about it."""
    env = f"accelgym/{row['env']}-v0"
    task = make_task(env, **row["arguments"])
    if not isinstance(task, ProvedTask):
        raise SystemExit(f"{env}: references of this kind of task are not kept")
    audit = Audit(**{field.name: row[field.name] for field in fields(Audit)})
    return task.id, {
        "env": env,
        "arguments": row["arguments"],
        "default": task.id == _default(env),
        "proof": task.proof,
        "audit": audit.to_json(),
    }


@cache
def _default(env: str) -> str:
    return make_task(env).id


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("audits", type=Path, nargs="+")
    parser.add_argument("--keep", action="store_true", help="keep stored audits of environments that are not in these")
    chosen = parser.parse_args()
    rows = [json.loads(line) for path in chosen.audits for line in path.read_text().splitlines()]
    entries = dict(map(entry, rows))
    if chosen.keep:
        fresh = {row["env"] for row in entries.values()}
        stored = read_sealed(TARGET)["tasks"]
        entries = {name: row for name, row in stored.items() if row["env"] not in fresh} | entries
    write_audits(TARGET, entries)
    print(f"{len(entries)} audits in {TARGET}, {TARGET.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()

"""Writes audits into the package, where every installation finds them.

Run: ``python tools/store_audits.py results/hardness/audits.jsonl``, with what ``benchmarks/hardness.py`` has measured;
``--add`` keeps what the package has of other tasks.
``python tools/write_env_pages.py`` then shows the classes of default arguments.
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
    parser.add_argument("--add", action="store_true", help="keep the audits of other tasks")
    chosen = parser.parse_args()
    files = chosen.audits
    rows = [json.loads(line) for path in files for line in path.read_text().splitlines()]
    kept = read_sealed(TARGET)["tasks"] if chosen.add else {}
    write_audits(TARGET, kept | dict(map(entry, rows)))
    print(f"{len(rows)} audits in {TARGET}, {TARGET.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()

"""Proves tasks and writes their certificates into the package, where every installation finds them.

Run: ``python tools/store_certificates.py [ENV [JSON]]``; by default the default arguments of every environment and
the tasks whose audits ship (``tools/store_audits.py``). JSON holds arguments of the task. A certificate of the proof
in force is kept as it is; ``accelgym oracle --check`` proves it again. Files of tasks or proofs that no longer exist
are to be deleted by hand.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from accelgym.costmodels.files.json_file import read_sealed
from accelgym.envs import make_task
from accelgym.envs.audits import SHIPPED_AUDITS
from accelgym.envs.certificates import ProvedTask, write_certificate
from accelgym.envs.registration import ENVIRONMENTS

FOLDER = Path(__file__).resolve().parent.parent / "envs" / "stored_certificates"


def store(env: str, arguments: dict[str, object]) -> None:
    """Proves one task and writes its certificate."""
    task = make_task(env, **arguments)
    if not isinstance(task, ProvedTask):
        raise SystemExit(f"{env}: references of this kind of task are not kept")
    found = task.reference()
    about = {"env": env, "arguments": arguments, "task": task.id, "proof": task.proof}
    write_certificate(FOLDER / f"{task.id}.json", found, about)
    print(f"{env} {arguments}: {found.value:.10g}, gap {found.gap:.2e}, {found.nodes} nodes, {found.seconds:.1f} s")


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("env", nargs="?")
    parser.add_argument("arguments", nargs="?", type=json.loads, default={}, metavar="JSON")
    chosen = parser.parse_args()
    if chosen.env:
        store(chosen.env, chosen.arguments)
        return
    audited = read_sealed(SHIPPED_AUDITS)["tasks"].values()
    known = [(entry.id, {}) for entry in ENVIRONMENTS] + [(row["env"], row["arguments"]) for row in audited]
    for env, arguments in known:
        store(env, arguments)


if __name__ == "__main__":
    main()

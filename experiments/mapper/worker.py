"""The job that an executor runs: one layer, into its folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accelgym.costmodels.errors import DamagedFileError, InputError
from accelgym.costmodels.executors import Report
from accelgym.costmodels.files.json_file import read_sealed, write_sealed
from accelgym.costmodels.files.plain import plain
from accelgym.costmodels.loopnest import LoopnestModel
from accelgym.costmodels.mapper import Settings, optimal_mapping
from accelgym.costmodels.mapper.descents import descend_from
from accelgym.costmodels.mapper.plain_data import machine_from_plain, problem_from_plain
from accelgym.costmodels.solvers.mapping import PROOF_VERSION
from accelgym.experiments.mapper.outputs import write_layer

__all__ = ["ERROR", "MAP_JOB", "identity", "load_layer", "map_job", "order_hash"]

MAP_JOB = "accelgym.experiments.mapper.worker:map_job"
_RESULT, ERROR = "result.json", "error.json"


def identity(order: Mapping[str, Any]) -> str:
    """Returns the hash of everything that a result is a function of: the order, cost model and proof."""
    version = f"{LoopnestModel.name} {LoopnestModel.version}, {PROOF_VERSION}"
    return hashlib.sha256(f"{order_hash(order)} {version}".encode()).hexdigest()


def order_hash(order: Mapping[str, Any]) -> str:
    """Returns the hash of what an order asks for, wherever its folder is."""
    what = {key: value for key, value in order.items() if key != "folder"}
    return hashlib.sha256(json.dumps(plain(what), sort_keys=True).encode()).hexdigest()


def map_job(order: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Maps one layer and writes its files; ``result.json`` comes last.

    Args:
        order: ``problem``, ``machine``, ``metrics``, ``settings`` and ``fanouts`` as plain data, and the ``folder``.
        report: Not called: a search has no measure of how far it is.

    Returns:
        Nothing; the results are in the folder.

    Raises:
        InputError: The layer cannot be mapped.
    """
    folder = Path(order["folder"])
    (folder / ERROR).unlink(missing_ok=True)
    layer = optimal_mapping(
        problem_from_plain(order["problem"]),
        machine_from_plain(order["machine"]),
        tuple(order["metrics"]),
        Settings(**order["settings"]),
        descend_from,
    )
    write_layer(folder, layer, tuple((x, y) for x, y in order["fanouts"]))
    write_sealed(folder / _RESULT, {"identity": identity(order), **layer.to_json()})
    return {}


def load_layer(order: Mapping[str, Any]) -> dict[str, Any] | None:
    """Reads the result of a job that is over; ``None`` where there is none, or one of another job."""
    try:
        found = read_sealed(Path(order["folder"]) / _RESULT)
    except (DamagedFileError, InputError):
        return None
    return found if found.get("identity") == identity(order) else None

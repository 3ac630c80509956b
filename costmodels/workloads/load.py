"""A workload by name or from a file, for commands and task arguments."""

from __future__ import annotations

from pathlib import Path

from accelgym.costmodels.workloads.workload import Workload
from accelgym.costmodels.workloads.zoo import get_workload

__all__ = ["load_workload"]

_FILE_SUFFIXES = frozenset({".csv", ".yaml", ".yml", ".onnx"})


def load_workload(name: str) -> Workload:
    """Returns a workload of the zoo, or the network in a file.

    Args:
        name: A name as for :func:`get_workload`, or a path that ends in .csv, .yaml, .yml or .onnx.

    Raises:
        InputError: Unknown name, no such file, or an error in the file.
    """
    if Path(name).suffix.lower() in _FILE_SUFFIXES:
        from accelgym.costmodels.workloads.importers import import_file

        return import_file(name)
    return get_workload(name)

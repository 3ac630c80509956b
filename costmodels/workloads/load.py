"""A workload by name or from a file, for commands and task arguments."""

from __future__ import annotations

from pathlib import Path

from accelgym.costmodels.files.plain import as_path
from accelgym.costmodels.workloads.workload import Workload
from accelgym.costmodels.workloads.zoo import get_workload, workload_names

__all__ = ["load_workload"]


def load_workload(name: str) -> Workload:
    """Returns a workload of the zoo, or the network in a file.

    Args:
        name: A name as for :func:`get_workload`, or a path. A path may be preceded by the kind of the file, as in
            ``scalesim:net.txt``; otherwise suffix and header tell it. Sizes that an ONNX file leaves open follow a
            question mark: ``net.onnx?batch=1&seq=128``.

    Raises:
        InputError: Unknown name, no such file, a file of unknown kind, or an error in the file.
    """
    from accelgym.costmodels.workloads.importers import FILE_SUFFIXES, import_file, split_kind
    from accelgym.costmodels.workloads.importers.onnx_model import parse_sizes

    kind, path = split_kind(name)
    base, mark, query = path.partition("?")
    as_path(path, "workload")
    if mark and not Path(path).exists() and (kind is not None or Path(base).suffix.lower() in FILE_SUFFIXES):
        return import_file(base, kind=kind, sizes=parse_sizes(base, query))
    if kind is not None or Path(path).suffix.lower() in FILE_SUFFIXES:
        return import_file(path, kind=kind)
    # Whatever lies at the path is meant, unless the zoo has the name: a folder or an unknown kind is said as such.
    if name not in workload_names() and Path(path).exists():
        return import_file(path)
    return get_workload(name)

"""Choosing an importer by the file itself."""

from __future__ import annotations

from pathlib import Path

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.workloads.importers.csv_rows import read_csv
from accelgym.costmodels.workloads.importers.maestro_csv import HEADER, import_maestro_csv
from accelgym.costmodels.workloads.importers.onnx_graph import import_onnx
from accelgym.costmodels.workloads.importers.scalesim_csv import import_scalesim_csv, is_scalesim_header
from accelgym.costmodels.workloads.importers.timeloop_problem import import_timeloop_problem
from accelgym.costmodels.workloads.workload import Workload

__all__ = ["import_file"]

_FORMATS = (
    f".csv with header {','.join(HEADER)} (ConfuciuX/MAESTRO)",
    ".csv with header 'Layer name, IFMAP Height, ...' or 'Layer, M, N, K' (SCALE-Sim topology)",
    ".yaml or .yml with a key 'problem' (Timeloop)",
    ".onnx (ONNX model)",
)


def import_file(path: str | Path, *, name: str | None = None) -> Workload:
    """Reads a network from a file, choosing the importer by suffix and header.

    Args:
        path: The file.
        name: Name of the workload; taken from the file when omitted.

    Raises:
        InputError: No such file, a format that is not supported, or an error in the file.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    match path.suffix.lower():
        case ".onnx":
            return import_onnx(path, name=name)
        case ".yaml" | ".yml":
            return import_timeloop_problem(path, name=name)
        case ".csv":
            header = read_csv(path)[0]
            if is_scalesim_header(header.cells):
                return import_scalesim_csv(path, name=name)
            if header.cells[0].upper() == HEADER[0]:
                return import_maestro_csv(path, name=name)
            raise header.error(0, f"header {','.join(header.cells)!r} is not known, supported: {'; '.join(_FORMATS)}")
        case suffix:
            raise InputError(f"{path}: format {suffix!r} is not supported: {'; '.join(_FORMATS)}")

"""Importers: one module a format, each returning a workload."""

from accelgym.costmodels.workloads.importers.dispatch import FILE_KINDS, FILE_SUFFIXES, import_file, split_kind
from accelgym.costmodels.workloads.importers.maestro_csv import import_maestro_csv
from accelgym.costmodels.workloads.importers.maestro_network import import_maestro_network
from accelgym.costmodels.workloads.importers.onnx_graph import import_onnx
from accelgym.costmodels.workloads.importers.scalesim_csv import import_scalesim_csv
from accelgym.costmodels.workloads.importers.timeloop_problem import import_timeloop_problem
from accelgym.costmodels.workloads.importers.torch_export import import_torch

__all__ = [
    "FILE_KINDS",
    "FILE_SUFFIXES",
    "import_file",
    "import_maestro_csv",
    "import_maestro_network",
    "import_onnx",
    "import_scalesim_csv",
    "import_timeloop_problem",
    "import_torch",
    "split_kind",
]

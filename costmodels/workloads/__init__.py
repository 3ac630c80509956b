"""Layers, networks, the zoo and the importers."""

from accelgym.costmodels.workloads.layer import Layer, LayerKind
from accelgym.costmodels.workloads.load import load_workload
from accelgym.costmodels.workloads.workload import Workload
from accelgym.costmodels.workloads.zoo import get_workload, workload_info, workload_names

__all__ = ["Layer", "LayerKind", "Workload", "get_workload", "load_workload", "workload_info", "workload_names"]

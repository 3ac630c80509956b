"""Layers, networks, the zoo and the importers."""

from accelgym.costmodels.workloads.layer import Layer, LayerKind
from accelgym.costmodels.workloads.workload import Workload

__all__ = ["Layer", "LayerKind", "Workload"]

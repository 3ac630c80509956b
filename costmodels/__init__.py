"""Workloads, hardware and mapping descriptions, cost models, and what can be proved about them."""

from accelgym.costmodels.certificate import Certificate
from accelgym.costmodels.costs import CostModel, Costs, Reason
from accelgym.costmodels.errors import AccelGymError, InputError, MissingExtraError
from accelgym.costmodels.maestro.designs import Dataflow, LayerShapes, ResourceDesigns
from accelgym.costmodels.registry import Registry

__all__ = [
    "AccelGymError",
    "Certificate",
    "CostModel",
    "Costs",
    "Dataflow",
    "InputError",
    "LayerShapes",
    "MissingExtraError",
    "Reason",
    "Registry",
    "ResourceDesigns",
]

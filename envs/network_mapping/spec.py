"""What defines a network-mapping task, validated with errors that name the key."""

from __future__ import annotations

from pydantic import Field

from accelgym.costmodels.architecture.machine import Leakage
from accelgym.costmodels.objective import Objective
from accelgym.envs.arguments import TaskSpec

__all__ = ["NetworkMappingSpec"]


class NetworkMappingSpec(TaskSpec):
    """Arguments of ``accelgym/NetworkMapping-v0``."""

    workload: str = "thistle/resnet18"
    """Name in the workload zoo, or a network file; its convolutions and GEMMs are mapped."""
    architecture: str = "eyeriss_thistle"
    """Name of a preset, or a Timeloop v0.3 or v0.4 file; its constraints bind."""
    objective: Objective = Objective.ENERGY
    """Of the network: energies and latencies add up over the layers, and so do their proofs; EDP is the product of the
    two sums."""
    bypass: bool = False
    """Also choose which level holds which tensor, where the architecture's constraints leave that open."""
    padding: float = Field(default=0.0, ge=0.0, le=1.0)
    """How far a loop bound may grow, as a fraction, to a number with more prime factors. Padded work costs."""
    leakage: Leakage | None = None
    """Which instances leak: of each memory the ``instances_in_use``, as Timeloop charges them, or the ``whole_chip``.
    By default what the architecture states; presets and files leak as in Timeloop."""

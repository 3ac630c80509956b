"""The part of a joint task that masks and repairs read."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from accelgym.envs.joint.figures import Figures
from accelgym.envs.joint.machines import MachineSpace
from accelgym.envs.joint.network import JointNetwork

__all__ = ["JointParts"]


class JointParts(Protocol):
    """What designs consist of and which limits they keep."""

    machines: MachineSpace
    network: JointNetwork
    figures: Figures
    limit: int

    @property
    def columns(self) -> dict[str, npt.NDArray[np.int64]]: ...

    @property
    def reserve(self) -> npt.NDArray[np.int64]: ...

    @property
    def feasible(self) -> npt.NDArray[np.bool_]: ...

    @property
    def action_sizes(self) -> npt.NDArray[np.int64]: ...

    @property
    def num_actions(self) -> int: ...

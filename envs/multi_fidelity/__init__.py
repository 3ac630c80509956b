"""Tasks that can be asked at several fidelities, each at its price."""

from accelgym.envs.multi_fidelity.levels import LEVELS, Level, NoFidelityError
from accelgym.envs.multi_fidelity.task import Fidelity, MultiFidelityTask, hwgen_at_fidelities

__all__ = ["LEVELS", "Fidelity", "Level", "MultiFidelityTask", "NoFidelityError", "hwgen_at_fidelities"]

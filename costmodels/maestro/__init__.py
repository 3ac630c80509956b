"""MAESTRO's cost model, as published or mended."""

from accelgym.costmodels.maestro.faults import FIXED, MAESTRO_FAULTS, Faults
from accelgym.costmodels.maestro.model import CONFUCIUX_NOC_BW, MaestroModel

__all__ = ["CONFUCIUX_NOC_BW", "FIXED", "MAESTRO_FAULTS", "Faults", "MaestroModel"]

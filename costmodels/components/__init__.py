"""Energy, area and leakage of memories and multipliers."""

from accelgym.costmodels.components.laws import ComponentCost
from accelgym.costmodels.components.technologies import Technology, technology

__all__ = ["ComponentCost", "Technology", "technology"]

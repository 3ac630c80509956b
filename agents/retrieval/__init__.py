"""Warm starts from tasks that are solved already: the nearest solved decision gives its choice."""

from accelgym.agents.retrieval.agent import Nearest
from accelgym.agents.retrieval.solved import SolvedDecisions

__all__ = ["Nearest", "SolvedDecisions"]

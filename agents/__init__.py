"""Agents behind one ask/tell contract, and the loop that runs them."""

from accelgym.agents.base import Agent, agents, make_agent
from accelgym.agents.catalogue import register_agents
from accelgym.agents.search import search
from accelgym.agents.trajectory import Trajectory

register_agents()

__all__ = ["Agent", "Trajectory", "agents", "make_agent", "search"]

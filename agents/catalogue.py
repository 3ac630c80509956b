"""The agents that ship with AccelGym, by name; modules are imported when an agent is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from accelgym.agents.base import Agent, agents

__all__ = ["SHIPPED", "register_agents"]

SHIPPED = {
    "random": "accelgym.agents.random_search:RandomSearch",
    "uniform": "accelgym.agents.uniform:Uniform",
    "greedy": "accelgym.agents.greedy:Greedy",
    "optuna": "accelgym.agents.optuna_agent:OptunaAgent",
    "ga": "accelgym.agents.genetic:GeneticAlgorithm",
    "annealing": "accelgym.agents.annealing:SimulatedAnnealing",
    "aco": "accelgym.agents.ant_colony:AntColony",
    "oracle": "accelgym.agents.oracle:Oracle",
    "random_pruned": "accelgym.agents.mapping.random_pruned:RandomPruned",
    "gamma": "accelgym.agents.mapping.gamma:Gamma",
    "mapping_gradient": "accelgym.agents.mapping.gradient:MappingGradient",
    "thistle": "accelgym.agents.mapping.thistle:Thistle",
    "ppo": "accelgym.agents.policy_gradient:PPOAgent",
    "maskable_ppo": "accelgym.agents.policy_gradient:MaskablePPOAgent",
    "a2c": "accelgym.agents.policy_gradient:A2CAgent",
    "confuciux": "accelgym.agents.confuciux:ConfuciuX",
}
"""Name to ``module:class``."""


def register_agents() -> None:
    """Adds the shipped agents to the registry; safe to call twice."""
    for name, path in SHIPPED.items():
        if name not in agents:
            agents.register(name, _Lazy(path))


class _Lazy:
    """Stands for an agent class until it is needed."""

    def __init__(self, path: str) -> None:
        self._module, self._class = path.split(":")

    @property
    def cls(self) -> type[Agent]:
        """The class itself."""
        found: type[Agent] = getattr(import_module(self._module), self._class)
        return found

    @property
    def __signature__(self) -> Any:
        import inspect

        return inspect.signature(self.cls)

    def __call__(self, *args: Any, **kwargs: Any) -> Agent:
        return self.cls(*args, **kwargs)

"""The agents that ship with AccelGym, by name; modules are imported when an agent is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from accelgym.agents.base import Agent, agents

__all__ = ["SHIPPED", "register_agents"]

SHIPPED = {
    "random": (
        "accelgym.agents.random_search:RandomSearch",
        "feasible designs at random",
    ),
    "uniform": (
        "accelgym.agents.uniform:Uniform",
        "all designs that make the same choice in every group",
    ),
    "greedy": (
        "accelgym.agents.greedy:Greedy",
        "marginal allocation from probes, then iterated greedy",
    ),
    "optuna": (
        "accelgym.agents.optuna_agent:OptunaAgent",
        "Optuna's samplers: TPE, GP, CMA-ES, NSGA-II",
    ),
    "ga": (
        "accelgym.agents.genetic:GeneticAlgorithm",
        "genetic algorithm over groups",
    ),
    "annealing": (
        "accelgym.agents.annealing:SimulatedAnnealing",
        "simulated annealing in parallel chains",
    ),
    "aco": (
        "accelgym.agents.ant_colony:AntColony",
        "ant colony with a pheromone per value",
    ),
    "oracle": (
        "accelgym.agents.oracle:Oracle",
        "the task's reference, then its neighbours",
    ),
    "random_pruned": (
        "accelgym.agents.mapping.random_pruned:RandomPruned",
        "random mappings without equivalent ones, as timeloop-mapper",
    ),
    "gamma": (
        "accelgym.agents.mapping.gamma:Gamma",
        "GAMMA's genetic algorithm over mappings",
    ),
    "mapping_gradient": (
        "accelgym.agents.mapping.gradient:MappingGradient",
        "gradient descent on relaxed tile sizes",
    ),
    "thistle": (
        "accelgym.agents.mapping.thistle:Thistle",
        "geometric programs per permutation class, rounded",
    ),
    "ppo": (
        "accelgym.agents.policy_gradient:PPOAgent",
        "proximal policy optimisation (Stable-Baselines3)",
    ),
    "maskable_ppo": (
        "accelgym.agents.policy_gradient:MaskablePPOAgent",
        "PPO that honours the task's masks",
    ),
    "a2c": (
        "accelgym.agents.policy_gradient:A2CAgent",
        "advantage actor-critic (Stable-Baselines3)",
    ),
    "pretrained_ppo": (
        "accelgym.agents.transfer:PretrainedPPO",
        "a policy trained on other tasks, then fine-tuned (accelgym train ppo)",
    ),
    "nearest": (
        "accelgym.agents.retrieval:Nearest",
        "designs of the nearest solved layers, then a genetic algorithm",
    ),
    "confuciux": (
        "accelgym.agents.confuciux:ConfuciuX",
        "REINFORCE, then a local genetic algorithm (MICRO 2020)",
    ),
    "successive_halving": (
        "accelgym.agents.successive_halving:SuccessiveHalving",
        "many designs at a cheap fidelity, the best at a dearer one",
    ),
    "uov": (
        "accelgym.agents.uov.agent:UOVAgent",
        "trained policy of unified ordinal vectors (AIrchitect v2), then local search",
    ),
}
"""Name to ``module:class`` and a summary."""


def register_agents() -> None:
    """Adds the shipped agents to the registry; safe to call twice."""
    for name, (path, _) in SHIPPED.items():
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

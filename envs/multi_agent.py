"""Any task as a PettingZoo environment: its groups, or its knobs, are agents that build one design together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.error import ResetNeeded

from accelgym.costmodels.errors import InputError, MissingExtraError, shown
from accelgym.envs.any_task import design_reward
from accelgym.envs.registration import make_task
from accelgym.envs.space import Parameter
from accelgym.envs.task import Outcome, Task

try:
    from pettingzoo import ParallelEnv
except ModuleNotFoundError as error:
    if error.name is None or error.name.partition(".")[0] != "pettingzoo":
        raise
    raise MissingExtraError("multi-agent environments", "pettingzoo", "multiagent") from error

__all__ = ["DIVISIONS", "ORDERS", "Choice", "DesignTeamEnv", "Team", "parallel_env"]

DIVISIONS = ("group", "knob", "design")
ORDERS = ("turns", "rounds")

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Seen = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Choice:
    """What one agent decides in one step: a decision of the task, or one of the factors that it combines."""

    agent: str
    decision: int
    """Its place among the task's decisions; in rounds that of a parameter."""
    size: int
    """Number of actions."""
    factors: tuple[int, ...] = ()
    """Sizes of all factors of the decision, empty where the choice is the whole of it."""
    place: int = 0
    """Which of them this is."""


class Team:
    """Who decides what, and what choices mean: the stateless part of :class:`DesignTeamEnv`, for any number of designs.

    ``made`` holds the choices so far, shape ``(n, choices)``, -1 where a choice is open.

    Args:
        task: The task.
        by: How it is divided, one of :data:`DIVISIONS`.
        order: Who acts when, one of :data:`ORDERS`.

    Raises:
        InputError: Another division or order.
    """

    def __init__(self, task: Task, *, by: str = "group", order: str = "turns") -> None:
        for name, value, allowed in (("by", by, DIVISIONS), ("order", order, ORDERS)):
            if value not in allowed:
                raise InputError(f"{name} is {shown(value)}, allowed {', '.join(allowed)}")
        self.task, self.by, self.order = task, by, order
        self.choices = _choices(task, by) if order == "turns" else _parameters(task, by)
        """All choices of a design, in the order of the task's decisions, or of its parameters in rounds."""
        self.agents = list(dict.fromkeys(choice.agent for choice in self.choices))
        self.steps = _steps(self.choices, self.agents, order)
        """Choices that are made in each step of an episode, by their place in :attr:`choices`."""
        self.actions = {name: max(c.size for c in self.choices if c.agent == name) for name in self.agents}
        """Number of actions of every agent."""
        self._sizes = np.array([choice.size for choice in self.choices])

    def choose(self, actions: Ints, place: int) -> tuple[Ints, Bools]:
        """Returns the choices that actions make, and which of them were replaced; shape ``(n,)`` each."""
        size = self.choices[place].size
        return np.minimum(actions, size - 1), np.asarray(actions >= size)

    def mask(self, made: Ints, place: int) -> Bools:
        """Returns which actions the agent of a choice may take, shape ``(n, actions)``; those before it are made."""
        choice = self.choices[place]
        exists = np.tile(np.arange(self.actions[choice.agent]) < choice.size, (len(made), 1))
        if self.order == "rounds":
            return exists
        found = self.task.masks(self._decisions(made), choice.decision)
        if choice.factors:
            rest = found[:, : int(np.prod(choice.factors))].reshape(-1, *choice.factors)
            chosen = made[:, place - choice.place : place]
            rest = rest[(np.arange(len(made)), *chosen.T)]
            found = rest.reshape(len(made), choice.size, -1).any(axis=2)
        mask = np.zeros_like(exists)
        mask[:, : choice.size] = found[:, : choice.size]
        # After a choice that the mask had closed nothing may be left.
        return np.where(mask.any(axis=1, keepdims=True), mask, exists)

    def state(self, made: Ints) -> Floats:
        """Returns choices as numbers: actions scaled to [0, 1], -1 where open; shape ``(n, choices)``."""
        return np.where(made < 0, -1.0, made / np.maximum(self._sizes - 1, 1)).astype(np.float32)

    def designs(self, made: Ints) -> Ints:
        """Returns complete designs, value indices of shape ``(n, parameters)``."""
        return made.copy() if self.order == "rounds" else self.task.designs(self._decisions(made))

    def evaluate(self, made: Ints, replaced: Ints) -> tuple[npt.NDArray[np.float64], Outcome]:
        """Evaluates complete designs.

        Args:
            made: All choices.
            replaced: How many of them were replaced, shape ``(n,)``; such designs count as infeasible.

        Returns:
            What the agents earn, shape ``(n,)``, and the outcome with ``feasible`` as it counts.
        """
        outcome = self.task.evaluate(self.designs(made))
        feasible = outcome.feasible & (replaced == 0)
        reward = design_reward(self.task, outcome, feasible, replaced / len(self.choices))
        return reward, replace(outcome, feasible=feasible)

    def _decisions(self, made: Ints) -> Ints:
        """The task's decisions that the choices so far make; what is open counts as action 0."""
        decisions = np.zeros((len(made), len(self.task.action_sizes)), dtype=np.int64)
        for place, choice in enumerate(self.choices):
            later = int(np.prod(choice.factors[choice.place + 1 :], dtype=np.int64))
            decisions[:, choice.decision] += np.maximum(made[:, place], 0) * later
        return decisions


class DesignTeamEnv(ParallelEnv[str, Seen, int]):  # type: ignore[misc]
    """A team of agents that builds one design per episode and shares its reward.

    ## Agents
    With ``by="group"`` one agent for every group of the task's parameters (a layer, a level of the memory, a
    component); with ``by="knob"`` one for every knob (the number of PEs, the buffer), which sets it in all groups;
    with ``by="design"`` a single one that decides everything.

    ## Order
    Constraints of a design are joint ones: whether an agent may take 64 PEs depends on what the others take. With
    ``order="turns"`` (the default) the decisions are made one after the other, in the order of the task, so that masks
    are the task's own: sound and tight. In every step all agents act, as the interface wants it, but the action of one
    counts; the mask of every other leaves it action 0, which does nothing. With ``order="rounds"`` every agent sets its
    next parameter at once, in as many steps as the busiest agent has parameters. Masks then show the values that
    exist; the constraint is felt in the reward.

    ## Action spaces
    ``Discrete(n)``, ``n`` the number of actions of the agent's widest decision. An action that does not exist is
    replaced by the last that does, and the design counts as infeasible.

    ## Observation spaces
    A dictionary of ``observation``, ``Box(-1, 1, (choices + 2,), float32)``: every choice of all agents so far, its
    action scaled to [0, 1], -1 while it is open, which is also :meth:`state`; the share that is made; and 1 where the
    agent's action counts in this step, else 0. And of ``action_mask``, int8 of shape ``(n,)``.

    ## Rewards
    All agents earn the same: 0 until the design is complete, then what
    :class:`~accelgym.envs.any_task.AnyTaskEnv` gives: ``1 / (1 + regret)`` to the certified bound where it is feasible,
    else ``-v / (1 + v)``, ``v`` its violation and the share of its replaced choices.

    ## Episode end
    All agents terminate when the design is complete. There is no randomness.

    ## Infos
    For every agent the same keys at reset and at every step: ``objective`` (``inf`` until a feasible design is
    complete) and ``feasible``.

    Args:
        task: The task.
        by: How it is divided, one of :data:`DIVISIONS`.
        order: Who acts when, one of :data:`ORDERS`.

    Raises:
        InputError: Another division or order.
    """

    metadata: ClassVar[dict[str, Any]] = {
        "name": "accelgym_design_team_v0",
        "render_modes": [],
        "is_parallelizable": True,
    }

    def __init__(self, task: Task, *, by: str = "group", order: str = "turns") -> None:
        self.team = Team(task, by=by, order=order)
        """Who decides what."""
        self.render_mode = None
        self.possible_agents = list(self.team.agents)
        self.agents: list[str] = []
        self._made: Any = None
        seen = spaces.Box(-1.0, 1.0, (len(self.team.choices) + 2,), np.float32)
        self.action_spaces = {name: spaces.Discrete(size) for name, size in self.team.actions.items()}
        self.observation_spaces = {
            name: spaces.Dict({"observation": seen, "action_mask": spaces.Box(0, 1, (size,), np.int8)})
            for name, size in self.team.actions.items()
        }

    @property
    def task(self) -> Task:
        """The task."""
        return self.team.task

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space[Any]:
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Seen], dict[str, dict[str, Any]]]:
        """Begins a design. There is no randomness to seed."""
        self.agents = list(self.possible_agents)
        self._step = 0
        self._made = np.full((1, len(self.team.choices)), -1, dtype=np.int64)
        self._replaced = np.zeros(1, dtype=np.int64)
        self._found: dict[str, Any] = {"objective": float("inf"), "feasible": True}
        return self._observe(), self._infos()

    def step(
        self, actions: dict[str, int]
    ) -> tuple[dict[str, Seen], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        """Makes the choices of one step.

        Raises:
            ResetNeeded: The design is complete, or none has begun.
            InputError: An agent whose action counts has none, or one outside its action space.
        """
        if not self.agents:
            raise ResetNeeded("call reset() before step(): no design has begun, or it is complete")
        places = self.team.steps[self._step]
        # All are checked before the first is made: a refused step changes nothing.
        for place, action in [(place, self._action_of(self.team.choices[place].agent, actions)) for place in places]:
            self._made[:, place], replaced = self.team.choose(np.array([action]), place)
            self._replaced += replaced
        self._step += 1
        over = self._step == len(self.team.steps)
        reward = self._evaluate() if over else 0.0
        agents = self.agents
        result = (
            self._observe(),
            dict.fromkeys(agents, reward),
            dict.fromkeys(agents, over),
            dict.fromkeys(agents, False),
            self._infos(),
        )
        self.agents = [] if over else agents
        return result

    def _action_of(self, agent: str, actions: Any) -> int:
        if not isinstance(actions, Mapping):
            raise InputError(f"actions is {shown(actions)}, allowed a table of actions by agent")
        action = actions.get(agent)
        if action is None or isinstance(action, bool) or not self.action_spaces[agent].contains(action):
            allowed = f"0..{self.team.actions[agent] - 1}"
            raise InputError(f"the action of agent {agent!r} is {shown(action)}, allowed {allowed}")
        return int(action)

    def state(self) -> Floats:
        """Returns every choice so far, its action scaled to [0, 1], -1 while it is open; shape ``(choices,)``.

        Raises:
            ResetNeeded: No design has begun.
        """
        if self._made is None:
            raise ResetNeeded("call reset() before state(): no design has begun")
        return np.asarray(self.team.state(self._made)[0])

    @property
    def movers(self) -> list[str]:
        """Agents whose action counts in the coming step; none when the design is complete."""
        if not self.agents:
            return []
        return [self.team.choices[place].agent for place in self.team.steps[self._step]]

    def design(self) -> Ints:
        """Returns the complete design, value indices of shape ``(parameters,)``.

        Raises:
            ResetNeeded: It is not complete.
        """
        if self._made is None or (self._made < 0).any():
            raise ResetNeeded("the design is not complete")
        return np.asarray(self.team.designs(self._made)[0])

    def _evaluate(self) -> float:
        reward, outcome = self.team.evaluate(self._made, self._replaced)
        self._found = {"objective": float(outcome.score[0]), "feasible": bool(outcome.feasible[0])}
        return float(reward[0])

    def _observe(self) -> dict[str, Seen]:
        steps = self.team.steps
        over = self._step == len(steps)
        acting = {} if over else {self.team.choices[place].agent: place for place in steps[self._step]}
        shared = np.concatenate((self.state(), np.array([self._step / len(steps), 0], dtype=np.float32)))
        result = {}
        for name in self.agents:
            seen = shared.copy()
            seen[-1] = name in acting
            if name in acting:
                mask = self.team.mask(self._made, acting[name])[0]
            else:  # When a design is complete there is nothing to decide, and every action does.
                mask = np.full(self.team.actions[name], over)
                mask[0] = True
            result[name] = {"observation": seen, "action_mask": mask.astype(np.int8)}
        return result

    def _infos(self) -> dict[str, dict[str, Any]]:
        return {name: dict(self._found) for name in self.agents}


def parallel_env(task: str | Task, *, by: str = "group", order: str = "turns", **arguments: Any) -> DesignTeamEnv:
    """Returns a task as a PettingZoo environment, see :class:`DesignTeamEnv`.

    Args:
        task: Name of a registered task, as for :func:`~accelgym.envs.make_task`, or a task.
        by: What the agents are: ``group``, ``knob``, or ``design`` for a single one.
        order: ``turns`` or ``rounds``.
        **arguments: The task's specification.

    Raises:
        InputError: Unknown task, or a bad argument.
    """
    if isinstance(task, str):
        task = make_task(task, **arguments)
    elif not isinstance(task, Task):
        raise InputError(f"task is {shown(task)}, allowed a task, or the name of one")
    elif arguments:
        raise InputError(f"give either a task or a name with its arguments, not both: {', '.join(arguments)}")
    return DesignTeamEnv(task, by=by, order=order)


def _choices(task: Task, by: str) -> tuple[Choice, ...]:
    parameters = task.space.parameters
    choices = []
    for decision, (own, size) in enumerate(zip(task.decision_parameters, task.action_sizes.tolist(), strict=True)):
        owners = [_owner(parameters[place], by) for place in own]
        if len(set(owners)) == 1:
            choices.append(Choice(owners[0], decision, size))
            continue
        factors = tuple(len(parameters[place].values) for place in own)
        choices += [Choice(owner, decision, factors[i], factors, i) for i, owner in enumerate(owners)]
    return tuple(choices)


def _parameters(task: Task, by: str) -> tuple[Choice, ...]:
    parameters = enumerate(task.space.parameters)
    return tuple(Choice(_owner(parameter, by), place, len(parameter.values)) for place, parameter in parameters)


def _owner(parameter: Parameter, by: str) -> str:
    return {"group": parameter.group, "knob": parameter.knob, "design": "designer"}[by]


def _steps(choices: Sequence[Choice], agents: Sequence[str], order: str) -> list[list[int]]:
    if order == "turns":
        return [[place] for place in range(len(choices))]
    own = [[place for place, choice in enumerate(choices) if choice.agent == name] for name in agents]
    return [[places[i] for places in own if i < len(places)] for i in range(max(map(len, own)))]

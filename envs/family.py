"""Families of tasks: contextual episodes, each on a task drawn from a set of one kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.error import ResetNeeded

from accelgym.costmodels.certificate import Certificate
from accelgym.costmodels.errors import InputError, shown, unknown_name
from accelgym.costmodels.files.plain import is_table
from accelgym.envs.any_task import make_env
from accelgym.envs.member_observation import MemberObserver
from accelgym.envs.registration import make_task
from accelgym.envs.sequential import checked_seed
from accelgym.envs.task import Task

__all__ = ["SPLITS", "Family", "FamilyEnv"]

SPLITS = ("train", "test")

Spec = Mapping[str, Any]


class Family:
    """Tasks of one kind that differ in workload, layer, budget or whatever else their specifications say.

    Args:
        task: Name of a registered task.
        train: Specifications of the members to learn from.
        test: Specifications of the members held out.
        common: Arguments that all members share.

    Raises:
        InputError: No member, a bad specification, one that is there twice, or members whose knobs differ: a policy
            could not act on all of them.
    """

    def __init__(
        self, task: str, train: Sequence[Spec], *, test: Sequence[Spec] = (), common: Spec | None = None
    ) -> None:
        if common is not None and not is_table(common):
            raise InputError(f"common is {shown(common)}, allowed: a table of arguments")
        self.name = task
        self.specs: list[dict[str, Any]] = []
        self.splits: dict[str, list[int]] = {}
        for split, members in zip(SPLITS, (train, test), strict=True):
            if not isinstance(members, (list, tuple)) or not all(map(is_table, members)):
                raise InputError(f"{split} is {shown(members)}, allowed: a list of specifications, one table a member")
            self.splits[split] = list(range(len(self.specs), len(self.specs) + len(members)))
            self.specs += [dict(common or {}) | dict(member) for member in members]
        if not self.splits["train"]:
            raise InputError("train: a family needs at least one member to learn from")
        self.tasks: list[Task] = [make_task(task, **spec) for spec in self.specs]
        seen: dict[str, int] = {}
        for i, member in enumerate(self.tasks):
            if member.id in seen:
                raise InputError(f"members {seen[member.id]} and {i} of the family are one task: {self.specs[i]}")
            seen[member.id] = i
            if member.interface != self.tasks[0].interface:
                raise InputError(
                    f"member {i} of the family, {self.specs[i]}, has other knobs than member 0: "
                    f"{_difference(member.interface, self.tasks[0].interface)}"
                )

    def __len__(self) -> int:
        return len(self.tasks)

    def members(self, split: str) -> list[int]:
        """Returns the numbers of the members of a split.

        Raises:
            InputError: Unknown split, or one without members.
        """
        if split not in SPLITS:
            raise unknown_name("split", split, SPLITS)
        if not self.splits[split]:
            raise InputError(f"split {split!r} of the family has no members")
        return self.splits[split]

    def reference(self, member: int) -> Certificate:
        """Returns the optimum of a member; stored certificates are used where there are any."""
        return self.tasks[member].reference()


class FamilyEnv(gym.Env[npt.NDArray[np.float32], int]):
    """A family of tasks as one environment: every episode decides a design of a member drawn at its start.

    ## Description
    ``task`` names the kind; ``train`` and ``test`` list specifications. Members have the same knobs, hence the same
    observations and actions; what tells them apart, the shape of the layer or how tight the budget is, is in the
    observation. Their number of decisions may differ.

    ## Action space
    That of the members' own environments, masks included.

    ## Observation space
    That of the members' own environments, followed by ``Task.decision_features`` of the decision to be made next:
    numbers that mean the same in every member, where the members' own are relative to each. Tasks of
    ``ResourceAssignment-v0`` have 28 (``accelgym.envs.resource_assignment.features.FEATURES``), others none so far.

    ## Rewards
    Those of the member's own environment.

    ## Starting state
    ``reset(seed=...)`` draws a member of the ``split`` uniformly. ``options={"split": "test"}`` draws from another one,
    ``options={"member": 3}`` names one.

    ## Episode end
    Terminates when everything is decided.

    ## Arguments
    ``task``, ``train``, ``test``, ``common``: see :class:`Family`. ``split``: what is drawn from unless an option says
    otherwise, ``train`` by default. ``family``: a :class:`Family` in place of all these. ``render_mode``: as the
    members allow.

    ```python
    import accelgym, gymnasium

    gymnasium.register_envs(accelgym)
    env = gymnasium.make(
        "accelgym/Family-v0",
        task="accelgym/ResourceAssignment-v0",
        common={"model": "maestro", "dataflow": "dla"},
        train=[{"workload": "confuciux/resnet18", "budget": b} for b in (0.1, 0.2, 0.4)],
        test=[{"workload": "confuciux/mobilenet_v2", "budget": 0.1}],
    )
    obs, info = env.reset(seed=0)
    info["member"], env.unwrapped.reference.value
    ```

    ## Info
    The member's, with ``member``, its number; ``design`` is as long as the longest of any member, -1 beyond its own
    decisions. ``reference`` is the certificate of the current member.

    ## Vectorised environment
    ``gymnasium.make_vec(id, num_envs=8, ...)`` gives lanes of Gymnasium's own, each of which draws its members.

    ## Version history
    * v0: first version.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["ansi", "rgb_array"], "render_fps": 4}  # type: ignore[misc]

    def __init__(
        self,
        task: str | None = None,
        train: Sequence[Spec] = (),
        test: Sequence[Spec] = (),
        common: Spec | None = None,
        *,
        split: str = "train",
        family: Family | None = None,
        render_mode: str | None = None,
    ) -> None:
        if (task is None) == (family is None):
            raise InputError("give either a family, or a task with its members")
        self.family = family or Family(str(task), train, test=test, common=common)
        self.split = split
        self.render_mode = render_mode
        self.family.members(split)
        self._envs: list[Any] = [make_env(member, render_mode=render_mode) for member in self.family.tasks]
        self._observers = [MemberObserver(env.lane) for env in self._envs]
        self.action_space = self._envs[0].action_space
        for i, env in enumerate(self._envs):
            if env.action_space != self.action_space:
                raise InputError(
                    f"member {i} of the family acts in {env.action_space}, member 0 in {self.action_space}"
                )
            if env.observation_space != self._envs[0].observation_space:
                first = self._envs[0].observation_space
                raise InputError(f"member {i} of the family observes {env.observation_space}, member 0 {first}")
        self.observation_space = spaces.Box(-1.0, 1.0, (self._observers[0].size,), np.float32)
        self._decisions = max(len(member.action_sizes) for member in self.family.tasks)
        self._member: int | None = None

    @property
    def task(self) -> Task:
        """The task of the episode."""
        return self.family.tasks[self._current()]

    @property
    def reference(self) -> Certificate:
        """The certificate of the episode's task."""
        return self.family.reference(self._current())

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
        """Begins an episode on another member.

        Args:
            seed: Restarts the sequence of members.
            options: ``split`` or ``member``.

        Raises:
            InputError: A bad seed, or an unknown option, split or member.
        """
        super().reset(seed=checked_seed(seed))
        if options is not None and not isinstance(options, Mapping):
            raise InputError(f"options is {shown(options)}, allowed: a table")
        given = dict(options or {})
        for name in given:
            if name not in ("split", "member"):
                raise unknown_name("option of reset", name, ("split", "member"))
        if "member" in given:
            member = given["member"]
            if isinstance(member, bool) or not isinstance(member, int | np.integer):
                raise InputError(f"option member is {shown(member)}, allowed 0..{len(self.family) - 1}")
            if not 0 <= member < len(self.family):
                raise InputError(f"option member is {member}, allowed 0..{len(self.family) - 1}")
            self._member = int(member)
        else:
            members = self.family.members(given.get("split", self.split))
            self._member = members[int(self.np_random.integers(len(members)))]
        obs, info = self._envs[self._member].reset()
        return self._observers[self._member].extend(obs[None])[0], self._family_info(info, self._member)

    def step(self, action: Any) -> tuple[npt.NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Makes the next decision."""
        member = self._current()
        obs, reward, terminated, truncated, info = self._envs[member].step(action)
        return (
            self._observers[member].extend(obs[None])[0],
            reward,
            terminated,
            truncated,
            self._family_info(info, member),
        )

    def action_masks(self) -> npt.NDArray[np.bool_]:
        """The member's masks, shape ``(actions,)``."""
        return np.asarray(self._envs[self._current()].action_masks())

    def render(self) -> Any:
        """Renders the member."""
        return self._envs[self._current()].render()

    def close(self) -> None:
        """Closes all members."""
        for env in self._envs:
            env.close()

    def _family_info(self, info: dict[str, Any], member: int) -> dict[str, Any]:
        # Lanes of Gymnasium stack what their members say, whose designs are of different lengths.
        design = np.full(self._decisions, -1, dtype=np.int64)
        design[: len(info["design"])] = info["design"]
        return info | {"design": design, "member": member}

    def _current(self) -> int:
        if self._member is None:
            raise ResetNeeded("the environment has no task before reset()")
        return self._member


def _difference(mine: frozenset[Any], other: frozenset[Any]) -> str:
    return "; ".join(
        f"{who} {', '.join(sorted({str(name) for name, *_ in knobs}))}"
        for who, knobs in (("it alone has", mine - other), ("it lacks", other - mine))
        if knobs
    )

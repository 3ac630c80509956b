"""A user's own simulator as an environment: one parameter a step."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from accelgym.envs.any_task import AnyTaskVectorEnv
from accelgym.envs.external.task import ExternalSimulatorTask
from accelgym.envs.sequential import LANE_OPTIONS, SequentialEnv
from accelgym.envs.task import Outcome

__all__ = ["ExternalSimulatorEnv", "ExternalSimulatorVectorEnv"]


class ExternalSimulatorVectorEnv(AnyTaskVectorEnv):
    """Many lanes of :class:`ExternalSimulatorEnv`; the runs of designs that are complete in one step go side by side.

    Args:
        num_envs: Number of lanes.
        task: The task; or its arguments, see :class:`ExternalSimulatorEnv`.
        **arguments: Of the task, and options of lanes.
    """

    task: ExternalSimulatorTask

    def __init__(
        self,
        num_envs: int = 1,
        *,
        task: ExternalSimulatorTask | None = None,
        render_mode: str | None = None,
        **arguments: Any,
    ) -> None:
        options = {name: arguments.pop(name) for name in LANE_OPTIONS if name in arguments}
        if task is None:
            task, arguments = ExternalSimulatorTask(**arguments), {}
        super().__init__(num_envs, task=task, render_mode=render_mode, **options, **arguments)

    def _reward(self, rows: npt.NDArray[np.int64], outcome: Outcome) -> npt.NDArray[np.float64]:
        reference, good = self.task.reference(), self._feasible[rows]
        bound = reference.lower_bound
        scale = reference.value - bound if reference.design is not None and reference.value > bound else 1.0
        excess = np.where(good, outcome.objective, bound) - bound
        broken = np.where(outcome.feasible, 0.0, outcome.violation) + self._replaced[rows] / self._steps
        return np.where(good, 1.0 / (1.0 + excess / scale), 1.0 / (1.0 + broken) - 1.0)


class ExternalSimulatorEnv(SequentialEnv):
    """A command-line simulator of one's own: every design is a run of it.

    ## Description
    A YAML file says which parameters there are, how a design becomes a command line and input files, where the numbers
    stand in what the simulator writes, and what is minimised. An episode chooses one parameter after the other and
    ends with a run. Runs go side by side, within a time limit, each in a folder and a process group of its own, and
    their results are kept on disk by the content of all that they depend on: the program, the command, the files, the
    limits and how results are read. A simulator that hangs, crashes or prints rubbish gives an invalid design with a
    reason, never an exception. How to write the file: `docs/external.md`.

    **No optimum is known**, and none is claimed: the reference is the baseline design of the file, with the lower bound
    that the file states (0 by default, not proved). Regrets are relative to the baseline, negative where better.

    ## Action space
    ``Discrete(n)``, ``n`` the number of values of the widest parameter: the value of the next one. An action that does
    not exist is replaced by the last that does, and the design counts as infeasible. ``action_masks()`` are the actions
    that exist.

    ## Observation space
    ``Box(-1, 1, (parameters + 1,), float32)``: each choice made so far scaled to [0, 1], -1 while it is open; and the
    share of the parameters that are chosen.

    ## Rewards
    0 until the last parameter. A feasible design earns ``b / (b + x)``, in (0, 1]: ``x`` is its objective and ``b``
    that of the baseline, both above the lower bound, so the baseline earns 0.5 (``1 / (1 + x)`` where the baseline has
    no result). An infeasible one earns ``-v / (1 + v)``, in [-1, 0): ``v`` is its violation (relative overshoot of the
    constraints) plus the share of its choices that were replaced; -1 where it has no result.

    ## Starting state
    Nothing chosen. There is no randomness, unless the simulator's own; the first result of a design counts for good.

    ## Episode end
    Terminates when every parameter is chosen.

    ## Arguments
    | argument | default | meaning |
    |---|---|---|
    | ``config`` | required | path of the YAML file |
    | ``program`` | of the file | path of a program to run instead of the first word of the file's command |
    | ``cache`` | ``external`` in the cache of AccelGym | folder of kept results |
    | ``jobs`` | number of CPUs | runs at a time |
    | ``retry`` | false | do runs again whose kept result is a failure |

    ``render_mode`` is ``ansi``.

    ``gymnasium.make("accelgym/ExternalSimulator-v0", config="scalesim.yaml")``; ``examples/external/scalesim.yaml`` is
    one such file.

    ## Info
    The same keys at reset and at every step: ``feasible``, ``position``, ``design`` (choice per parameter, -1 where
    open), and ``objective``, ``inf`` until a feasible design is complete.

    ## Vectorised environment
    ``gymnasium.make_vec(id, num_envs=8, config=...)`` gives :class:`ExternalSimulatorVectorEnv`.

    ## Version history
    * v0: first version.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["ansi"], "render_fps": 4}  # type: ignore[misc]

    def __init__(
        self, *, task: ExternalSimulatorTask | None = None, render_mode: str | None = None, **arguments: Any
    ) -> None:
        super().__init__(ExternalSimulatorVectorEnv(1, task=task, render_mode=render_mode, **arguments))

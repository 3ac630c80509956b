"""The datatype environment, scalar and vectorised."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from accelgym.envs.any_task import AnyTaskVectorEnv
from accelgym.envs.datatype.task import DatatypeTask
from accelgym.envs.sequential import LANE_OPTIONS, SequentialEnv

__all__ = ["DatatypeEnv", "DatatypeVectorEnv"]

Obs = npt.NDArray[np.float32]


class DatatypeVectorEnv(AnyTaskVectorEnv):
    """Many lanes of :class:`DatatypeEnv`, stepped as arrays.

    Args:
        num_envs: Number of lanes.
        task: A task object in place of ``arguments``.
        **arguments: Fields of ``DatatypeSpec``, and the options of :class:`SequentialVectorEnv`.
    """

    def __init__(
        self,
        num_envs: int = 1,
        *,
        task: DatatypeTask | None = None,
        render_mode: str | None = None,
        **arguments: Any,
    ) -> None:
        options = {key: arguments.pop(key) for key in LANE_OPTIONS if key in arguments}
        self.check_arguments(num_envs, task, render_mode, arguments)
        chosen = task or DatatypeTask(**arguments)
        super().__init__(num_envs, task=chosen, render_mode=render_mode, **options)
        table = chosen.table
        last = np.zeros((1, table.options))  # What is seen after the last decision.
        cost = np.where(table.allowed, table.cost, 0.0)
        loss = np.where(table.allowed, table.resource, table.capacity + 1)
        self._cost_rows = np.concatenate((cost / cost.max(), last))
        self._loss_rows = np.concatenate((np.minimum(loss / (table.capacity + 1), 1.0), last))
        self._width = self._steps + 2 + 2 * table.options
        self.set_spaces(self._width, spaces.Discrete(chosen.num_actions))

    def _observe(self) -> Obs:
        table = self.task.table
        obs = np.empty((self.num_envs, self._width), dtype=np.float32)
        steps = self._steps
        obs[:, : steps + 1] = super()._observe()
        taken = np.where(self._actions < 0, 0.0, table.gather(table.resource, np.maximum(self._actions, 0)))
        obs[:, steps + 1] = np.clip((table.limit - taken.sum(axis=1)) / (table.capacity + 1), -1.0, 1.0)
        obs[:, steps + 2 : steps + 2 + table.options] = self._cost_rows[self._position]
        obs[:, steps + 2 + table.options :] = self._loss_rows[self._position]
        return obs


class DatatypeEnv(SequentialEnv):
    """Choose number formats for every layer of a network under a limit on what accuracy may be lost.

    ## Description
    An accelerator whose array takes several number formats runs a trained network. Narrow formats need less energy,
    time and traffic, and cost accuracy; which layers bear them is what is searched. Each layer gets a type for its
    weights (keys and values in an attention), one for its activations and, where the accelerator has block scales, the
    number of values that share one. Minimise the energy, the cycles or the traffic of one example, by the cost model
    ``systolic``.

    The limit is stated on a table of integers that ships with the project: the loss of each layer in each format
    alone, all others in float32, on the test examples of the network, in units of 1e-4 nats or of 0.01 percentage
    points. They are added up, and the optimum under that sum is exact (a multiple-choice knapsack). What the chosen
    formats really lose is measured by ``accelgym.envs.datatype.measure``, with PyTorch: the difference is the error of
    the table. Networks of the zoo have no weights; ``workload`` gives them a table of relative noise, which is a proxy
    and not an accuracy.

    | hardware | types of both operands | groups |
    |----------|------------------------|--------|
    | integer | int4, int6, int8 | a scale for each output channel, one for the activations |
    | microscaling | e2m1, e4m3 | 16, 32, 64 values a power of two |

    Where losses add up, a greedy rule by ratio is nearly optimal: see the hardness of the default arguments.

    ## Action space
    ``Discrete(options)``: type of the weights, type of the activations, group size, the last varying fastest.
    ``action_masks()`` leaves the actions after which the limit can still be met; it is sound and tight.

    ## Observation space
    ``Box(-1, 1, (size,), float32)``; ``O`` options.

    | width | observation |
    |-------|-------------|
    | decisions | option chosen, scaled to [0, 1]; -1 while it is open |
    | 1 | share of the decisions made |
    | 1 | share of the loss limit that is left |
    | O | cost of each option for the next layer, relative to the dearest of all |
    | O | its loss, relative to the limit, at most 1 |

    ## Rewards
    0 until the last decision. A feasible design earns ``1 / (1 + regret)``, in (0, 1], its regret taken to the optimum
    of the table. An infeasible one earns ``-v / (1 + v)``, in [-1, 0): ``v`` is its overshoot relative to the limit; -1
    where the accelerator cannot run it.

    ## Starting state
    Nothing decided. There is no randomness.

    ## Episode end
    Terminates when every layer has formats.

    ## Arguments
    Fields of ``DatatypeSpec``, checked with errors that name the key: ``network`` (``glyph_cnn``, ``glyph_vit``,
    ``text_lm``) or ``workload``; ``hardware`` (``integer``, ``microscaling``, or a YAML file of a systolic
    configuration, whose types must be in the table); ``objective`` (``energy``, ``latency``, ``traffic``); ``metric``
    (``cross_entropy`` or ``accuracy``) and ``max_loss`` in nats or percentage points; ``slots`` (``layer`` or
    ``block``). A limit that nothing meets is refused with the best reachable one. ``render_mode`` is ``ansi``.

    ```python
    import accelgym, gymnasium

    gymnasium.register_envs(accelgym)
    env = gymnasium.make("accelgym/Datatype-v0", network="glyph_cnn", hardware="integer", max_loss=0.05)
    ```

    ## Info
    The same keys at reset and at every step: ``feasible``, ``position``, ``design`` (option per layer, -1 where open),
    and ``objective``, ``inf`` until a feasible design is complete.

    ## Vectorised environment
    ``gymnasium.make_vec(id, num_envs=64)`` gives :class:`DatatypeVectorEnv`.

    ## Version history
    * v0: first version.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["ansi"], "render_fps": 4}  # type: ignore[misc]

    def __init__(self, *, render_mode: str | None = None, task: DatatypeTask | None = None, **arguments: Any) -> None:
        super().__init__(DatatypeVectorEnv(1, task=task, render_mode=render_mode, **arguments))

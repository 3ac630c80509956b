"""The joint environment, scalar and vectorised."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from accelgym.envs.any_task import AnyTaskVectorEnv
from accelgym.envs.joint.observation import Observer
from accelgym.envs.joint.task import JointTask
from accelgym.envs.sequential import LANE_OPTIONS, SequentialEnv

__all__ = ["JointEnv", "JointVectorEnv"]

Obs = npt.NDArray[np.float32]


class JointVectorEnv(AnyTaskVectorEnv):
    """Many lanes of :class:`JointEnv`, stepped as arrays.

    Args:
        num_envs: Number of lanes.
        task: A task object in place of ``arguments``.
        **arguments: Fields of ``JointSpec``, and the options of :class:`SequentialVectorEnv`.
    """

    def __init__(
        self,
        num_envs: int = 1,
        *,
        task: JointTask | None = None,
        render_mode: str | None = None,
        **arguments: Any,
    ) -> None:
        options = {key: arguments.pop(key) for key in LANE_OPTIONS if key in arguments}
        self.check_arguments(num_envs, task, render_mode, arguments)
        chosen = task or JointTask(**arguments)
        super().__init__(num_envs, task=chosen, render_mode=render_mode, **options)
        self._observer = Observer(chosen)
        self.set_spaces(self._steps + 1 + self._observer.width, spaces.Discrete(chosen.num_actions))

    def _observe(self) -> Obs:
        begin = self._steps + 1
        obs = np.empty((self.num_envs, begin + self._observer.width), dtype=np.float32)
        obs[:, :begin] = super()._observe()
        obs[:, begin:] = self._observer.rows(self._actions, self._position)
        return obs


class JointEnv(SequentialEnv):
    """Choose one machine for a whole network, with types and a tiling for every layer and a place for activations.

    ## Description
    All layers of a network run one after the other on one systolic accelerator. Its array, template, buffers, ports,
    pipeline, the sets of types it takes and an SRAM for activations are chosen once; every layer then gets types of
    weights and activations from the set and one of four tilings, and every reading of an activation by a later layer
    is from memory or from the SRAM. Nothing separates: a type that one layer needs costs area in every processing
    element and bits in every buffer; losses of accuracy add up under one limit; an activation on chip takes room from
    the layer that writes it to the last one that reads it there. Minimise the cycles, the energy or the product of
    both sums (``edp``) under limits on area, port widths, clock and loss.

    Cycles are those of the generated Verilog, by the recurrence of the cost model ``systolic``, for every pair of
    types; an activation on chip is read and written a word a cycle. Energy is that of component laws, which hold for
    all machines alike: memory, buffers, array, leakage, and the SRAM. Area and critical path follow from the closed
    forms of ``HwGen-v0`` for the widest types, a multiplexer a lane bit for every further type, and the law of
    memories. Vector operations run where the array's results leave it and take no time; what else they read is counted.

    Losses are those of ``Datatype-v0``: measured for the shipped networks, layer by layer, and added up; networks of
    the zoo have a proxy, which is no accuracy.

    The reference is the optimum: machines in the order of a Lagrangian bound, those that may hold it by a dynamic
    program along the layers over loss and what is on chip. ``docs/joint.md`` lists settings and how hard they are.

    ## Action space
    ``Discrete(n)``, one decision a step: the parameters of the machine (types, SRAM, template, rows, columns, buffers,
    ports, pipeline stages), then layer by layer its types, its tiling, and for every later reader whether it finds the
    layer's activation on chip; with ``order="machine_last"`` the machine comes behind the layers. ``action_masks()``
    leaves the actions after which all limits can still be met; it is sound and tight.

    ## Observation space
    ``Box(-1, 1, (size,), float32)``.

    | width | observation |
    |-------|-------------|
    | decisions | option chosen, scaled to [0, 1]; -1 while it is open |
    | 1 | share of the decisions made |
    | 1 | share of the loss limit that is left |
    | 1 | share of the SRAM that is taken where the next activation is written; of the largest while it is open |
    | 3 | whether the next decision is of the machine, of a layer's types, of an activation |
    | 9 | loss of each pair of types for the next layer, relative to the limit, at most 1 |
    | 2 | elements of its activation, relative to the largest; its share of the multiply-adds |

    ## Rewards
    0 until the last decision. A feasible design earns ``1 / (1 + regret)``, in (0, 1], its regret taken to the optimum.
    An infeasible one earns ``-v / (1 + v)``, in [-1, 0): ``v`` is its overshoot relative to the limits and to the room
    of the SRAM; -1 where the machine does not take its types.

    ## Starting state
    Nothing decided. There is no randomness.

    ## Episode end
    Terminates when everything is decided.

    ## Arguments
    Fields of ``JointSpec``, checked with errors that name the key: ``network`` (``glyph_cnn``, ``glyph_vit``,
    ``text_lm``) or ``workload`` (the zoo, or a network file); ``machines`` (``standard``, 5,400 of them, or ``small``,
    96) and ``types``, a list of sets such as ``int8``, ``int4/int8`` or ``int4*int8`` (weights, activations);
    ``objective`` (``latency``, ``energy``, ``edp``); ``area_budget`` in NAND2 equivalents, ``bandwidth_bits``,
    ``clock_ghz``, ``max_loss``; ``order``. Limits that no machine meets are refused with the nearest one.
    ``render_mode`` is ``ansi``.

    ```python
    import accelgym, gymnasium

    gymnasium.register_envs(accelgym)
    env = gymnasium.make("accelgym/Joint-v0", network="glyph_cnn", objective="edp", max_loss=0.02)
    ```

    ## Info
    The same keys at reset and at every step: ``feasible``, ``position``, ``design`` (action per decision, -1 where
    open), and ``objective``, ``inf`` until a feasible design is complete.

    ## Vectorised environment
    ``gymnasium.make_vec(id, num_envs=64)`` gives :class:`JointVectorEnv`.

    ## Version history
    * v0: first version.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["ansi"], "render_fps": 4}  # type: ignore[misc]

    def __init__(self, *, render_mode: str | None = None, task: JointTask | None = None, **arguments: Any) -> None:
        super().__init__(JointVectorEnv(1, task=task, render_mode=render_mode, **arguments))

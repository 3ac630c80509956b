"""The joint environment, scalar and vectorised."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from accelgym.envs.any_task import AnyTaskVectorEnv
from accelgym.envs.hwgen.built_designs import BuiltDesigns
from accelgym.envs.joint import hardware
from accelgym.envs.joint.observation import Observer
from accelgym.envs.joint.task import JointTask
from accelgym.envs.sequential import LANE_OPTIONS, SequentialEnv
from accelgym.envs.task import Outcome

__all__ = ["VERIFY", "JointEnv", "JointVectorEnv"]

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Obs = npt.NDArray[np.float32]
Infos = dict[str, Any]

VERIFY = ("never", "best")
"""Which finished designs are built: none, or those better than all of their lane before."""


class JointVectorEnv(AnyTaskVectorEnv):
    """Many lanes of :class:`JointEnv`, stepped as arrays.

    Args:
        num_envs: Number of lanes.
        verify: ``"never"`` or ``"best"``, see :class:`JointEnv`.
        task: A task object in place of ``arguments``.
        **arguments: Fields of ``JointSpec``, and the options of :class:`SequentialVectorEnv`.
    """

    def __init__(
        self,
        num_envs: int = 1,
        *,
        verify: str = "never",
        task: JointTask | None = None,
        render_mode: str | None = None,
        **arguments: Any,
    ) -> None:
        options = {key: arguments.pop(key) for key in LANE_OPTIONS if key in arguments}
        self.check_arguments(num_envs, task, render_mode, arguments)
        self._built = BuiltDesigns(verify, VERIFY, num_envs)
        chosen = task or JointTask(**arguments)
        super().__init__(num_envs, task=chosen, render_mode=render_mode, **options)
        self._observer = Observer(chosen)
        self.set_spaces(self._steps + 1 + self._observer.width, spaces.Discrete(chosen.num_actions))

    def _reward(self, rows: Ints, outcome: Outcome) -> Floats:
        rewards = super()._reward(rows, outcome)
        for at in self._built.choose(rows, self._objective[rows]):
            record = hardware.prove(self.task, self.task.designs(self._actions[rows[at]][None])[0])
            self._built.note(rows[at], record)
            rewards[at] *= record.share
        return rewards

    def _begin(self, lanes: Bools) -> None:
        super()._begin(lanes)
        self._built.clear(lanes)

    def _values(self) -> Infos:
        return super()._values() | self._built.columns()

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

    With ``verify="best"``, a finished design that is better than all of its lane before is built: the Verilog of its
    accelerator is generated, linted and simulated on the design's layers, each with its own types and tiling, and
    compared bit by bit with the golden and to the cycle with the model. The SRAM has no RTL: a layer with an activation
    on chip runs with a port of a word a cycle. Layers of more than 100,000 cycles are left out, and the record says how
    many. That takes minutes a design, milliseconds from the cache; it needs the extra ``rtl`` and a C++ compiler.

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
    of the SRAM; -1 where the machine does not take its types. A verified design earns the share ``level / 3`` of its
    reward: ``level`` counts the stages passed before the first that is not, of lints, bit-exact, cycle-exact.

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
    ``verify`` is ``never`` or ``best``. ``render_mode`` is ``ansi``.

    ```python
    import accelgym, gymnasium

    gymnasium.register_envs(accelgym)
    env = gymnasium.make("accelgym/Joint-v0", network="glyph_cnn", objective="edp", max_loss=0.02)
    ```

    ## Info
    The same keys at reset and at every step: ``feasible``, ``position``, ``design`` (action per decision, -1 where
    open), ``objective``, ``inf`` until a feasible design is complete, ``level`` (-1 where not verified) and, unless
    ``verify`` is ``never``, ``record`` (JSON text of what was proved, empty where not verified).

    ## Vectorised environment
    ``gymnasium.make_vec(id, num_envs=64)`` gives :class:`JointVectorEnv`.

    ## Version history
    * v0: first version.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["ansi"], "render_fps": 4}  # type: ignore[misc]

    def __init__(
        self,
        *,
        verify: str = "never",
        task: JointTask | None = None,
        render_mode: str | None = None,
        **arguments: Any,
    ) -> None:
        super().__init__(JointVectorEnv(1, verify=verify, task=task, render_mode=render_mode, **arguments))

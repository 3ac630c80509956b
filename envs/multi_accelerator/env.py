"""The multi-accelerator environment, scalar and vectorised."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.vector import AutoresetMode

from accelgym.costmodels.solvers.scheduling import ReadyList
from accelgym.envs.any_task import AnyTaskVectorEnv
from accelgym.envs.multi_accelerator.render import draw_gantt, format_schedule
from accelgym.envs.multi_accelerator.task import MultiAcceleratorTask
from accelgym.envs.sequential import LANE_OPTIONS, SequentialEnv

__all__ = ["MultiAcceleratorEnv", "MultiAcceleratorVectorEnv"]

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Obs = npt.NDArray[np.float32]


class MultiAcceleratorVectorEnv(AnyTaskVectorEnv):
    """Many lanes of :class:`MultiAcceleratorEnv`, stepped as arrays.

    Args:
        num_envs: Number of lanes.
        task: A task object in place of ``arguments``.
        **arguments: Fields of ``MultiAcceleratorSpec``, and the options of :class:`SequentialVectorEnv`.
    """

    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc]
        "render_modes": ["ansi", "rgb_array"],
        "render_fps": 4,
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(
        self,
        num_envs: int = 1,
        *,
        task: MultiAcceleratorTask | None = None,
        render_mode: str | None = None,
        **arguments: Any,
    ) -> None:
        options = {key: arguments.pop(key) for key in LANE_OPTIONS if key in arguments}
        self.check_arguments(num_envs, task, render_mode, arguments)
        chosen = task or MultiAcceleratorTask(**arguments)
        super().__init__(num_envs, task=chosen, render_mode=render_mode, **options)
        problem = chosen.problem
        self._accelerators, self._layers = len(problem.accelerators), len(problem.layers)
        self._ready = ReadyList(problem, num_envs)
        self._chosen = np.arange(self._accelerators)
        ticks = np.where(problem.allowed, problem.ticks, 0).astype(np.float64)
        energy = np.where(problem.allowed, problem.energy_pj, 0.0)
        # Relative to the slowest and the dearest option of the same layer; 0 where it cannot run.
        self._time = ticks / ticks.max(axis=(1, 2), keepdims=True)
        self._energy = energy / np.maximum(energy.max(axis=(1, 2), keepdims=True), 1e-300)
        self._share = ticks / max(float(ticks.max(axis=(1, 2)).sum()), 1.0)
        self._width = self._steps + 3 + 3 * self._accelerators
        self.set_spaces(self._width, spaces.Discrete(chosen.num_actions))

    def paint(self, design: Ints) -> Any:
        """Returns the schedule of a design as text or as a Gantt chart."""
        return (format_schedule if self.render_mode == "ansi" else draw_gantt)(self.task, design)

    def _advance(self, lanes: Ints, actions: Ints) -> tuple[Floats, Bools]:
        position = self._position[lanes]
        orders = position >= self.task.choices
        if orders.any():
            rows = lanes[orders]
            self._ready.pick(rows, np.minimum(actions[orders], self._sizes[position[orders]] - 1))
        return super()._advance(lanes, actions)

    def _begin(self, lanes: Bools) -> None:
        super()._begin(lanes)
        self._ready.restart(np.flatnonzero(lanes))

    def _masks(self, lanes: Ints) -> Bools:
        mask = np.zeros((self.num_envs, self.task.num_actions), dtype=bool)
        position = self._position[lanes]
        for at in np.unique(position):
            rows = lanes[position == at]
            found = self.task.masks_of_choices(self._actions[rows], min(int(at), self.task.choices))
            if at >= self.task.choices:
                found = self.task.masks_of_order(found[:, 0], self._ready.counts(rows), int(at))
            mask[rows] = found
        return mask

    def _observe(self) -> Obs:
        problem, steps, count = self.task.problem, self._steps, self._accelerators
        obs = np.zeros((self.num_envs, self._width), dtype=np.float32)
        obs[:, : steps + 1] = super()._observe()
        sizes = np.maximum(self._actions[:, :count], 0)
        taken = np.where(self._actions[:, :count] < 0, 0.0, problem.area_um2[self._chosen, sizes])
        obs[:, steps + 1] = np.clip(1 - taken.sum(axis=1) / problem.area_limit_um2, -1.0, 1.0)
        obs[:, steps + 2] = self._ready.counts() / max(problem.width, 1)
        placed = self._actions[:, count : self.task.choices]
        at = np.maximum(placed, 0)
        load = np.where(
            placed < 0, 0.0, self._share[np.arange(self._layers), at, np.take_along_axis(sizes, at, axis=1)]
        )
        for k in range(count):
            obs[:, steps + 3 + k] = np.minimum(np.where(placed == k, load, 0.0).sum(axis=1), 1.0)
        next_layer = self._position - count
        rows = np.flatnonzero((next_layer >= 0) & (next_layer < self._layers))
        layer = next_layer[rows]
        first = steps + 3 + count
        obs[rows, first : first + count] = self._time[layer[:, None], self._chosen, sizes[rows]]
        obs[rows, first + count :] = self._energy[layer[:, None], self._chosen, sizes[rows]]
        return obs


class MultiAcceleratorEnv(SequentialEnv):
    """Size the accelerators of one chip, put every layer on one of them and dispatch the layers in an order.

    ## Description
    A chip has two or three accelerators with different dataflows, or with different datatypes, which share its area.
    Several batches of one or several networks are in flight. Every layer gets an accelerator, which runs all its
    batches; a layer starts when its producers of the same batch have ended and the accelerator is free. Minimise the
    makespan, the energy or their product.

    Costs of layers are those of the cost models ``dataflow_template`` (``dla``, ``eye``, ``shi``: 64, 128, 256 or 512
    PEs with 32 to 256 KiB) and ``systolic`` (``int4``, ``int8``, ``bf16`` and the like: arrays of 8, 16, 24 or 32 rows
    and columns), each layer under its best mapping. An accelerator has a DRAM channel of its own; layers hand over
    through DRAM, which their costs contain. All accelerators leak until the last layer ends. Time is counted in
    ticks of the dispatcher. Convolutions and GEMMs are scheduled; vector layers are free and keep the dependencies.

    Choices do not separate: a faster accelerator takes area from the others, and where a layer runs matters as far as
    others wait for it. The reference prunes chips by a Lagrangian bound and solves the schedules of the rest as
    mixed-integer programs (HiGHS, extra ``oracle``); its gap is part of the certificate.

    ## Action space
    ``Discrete(n)``. First the size of each accelerator; then, layer by layer, its accelerator; then, for each dispatch
    but the last, how many ready operations that are more urgent are passed over, where urgency is HEFT's upward rank.
    With nothing to order (one batch of a chain) these are left out. ``action_masks()`` leaves the sizes that a chip
    within the area can have, accelerators that run the layer, and operations that are ready; it is sound and tight.
    A number beyond the ready operations means the last of them.

    ## Observation space
    ``Box(-1, 1, (size,), float32)``; ``K`` accelerators.

    | width | observation |
    |-------|-------------|
    | decisions | each decision made, scaled to [0, 1]; -1 while it is open |
    | 1 | share of the decisions made |
    | 1 | share of the area that is left |
    | 1 | operations that are ready, relative to the most there can be |
    | K | load of each accelerator, relative to all layers on their slowest option |
    | K | time of the next layer on each, relative to its slowest option; 0 where it cannot run, or outside of layers |
    | K | its energy, likewise |

    ## Rewards
    0 until the last decision. A feasible design earns ``1 / (1 + regret)``, in (0, 1], its regret taken to the
    Lagrangian bound, for which no solver is needed. An infeasible one earns ``-v / (1 + v)``, in [-1, 0): ``v`` is its
    overshoot relative to the area, plus the share of actions that did not exist; -1 where a layer cannot run.

    ## Starting state
    Nothing decided. There is no randomness.

    ## Episode end
    Terminates when everything is decided.

    ## Arguments
    Fields of ``MultiAcceleratorSpec``, checked with errors that name the key: ``workloads``, ``accelerators`` (two or
    three), ``batches``, ``objective`` (``makespan``, ``energy``, ``edp``), ``budget`` (fraction of the range of areas)
    or ``area_um2``, ``wide_ends``, ``after`` (further dependencies between layers, as pairs of names),
    ``tick_cycles``. Dependencies that form a cycle are refused with the cycle, an area that nothing fits with the
    smallest that would do. ``render_mode`` is ``ansi`` or ``rgb_array``, a Gantt chart.

    ```python
    import accelgym, gymnasium

    gymnasium.register_envs(accelgym)
    env = gymnasium.make("accelgym/MultiAccelerator-v0", workloads=("alexnet",), accelerators=("dla", "eye"), batches=2)
    ```

    ## Info
    The same keys at reset and at every step: ``feasible``, ``position``, ``design`` (decisions, -1 where open), and
    ``objective``, ``inf`` until a feasible design is complete.

    ## Vectorised environment
    ``gymnasium.make_vec(id, num_envs=64)`` gives :class:`MultiAcceleratorVectorEnv`.

    ## Version history
    * v0: first version.
    """

    def __init__(
        self, *, render_mode: str | None = None, task: MultiAcceleratorTask | None = None, **arguments: Any
    ) -> None:
        super().__init__(MultiAcceleratorVectorEnv(1, task=task, render_mode=render_mode, **arguments))

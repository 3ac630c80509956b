"""The resource-assignment environment, scalar and vectorised."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from accelgym.envs.resource_assignment.observation import POSITION, Observer
from accelgym.envs.resource_assignment.render import draw_assignment, format_assignment
from accelgym.envs.resource_assignment.rewards import reward_scheme
from accelgym.envs.resource_assignment.task import ResourceAssignmentTask
from accelgym.envs.sequential import SequentialEnv, SequentialVectorEnv

__all__ = ["ResourceAssignmentEnv", "ResourceAssignmentVectorEnv"]

Obs = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Infos = dict[str, Any]


class ResourceAssignmentVectorEnv(SequentialVectorEnv):
    """Thousands of lanes of :class:`ResourceAssignmentEnv`, stepped as arrays.

    Every row equals what the scalar environment returns, bit for bit.

    Args:
        num_envs: Number of lanes.
        reward: ``"regret"`` or ``"confuciux"``, see :class:`ResourceAssignmentEnv`.
        task: A task object in place of ``arguments``.
        **arguments: Fields of ``ResourceAssignmentSpec``, and the options of :class:`SequentialVectorEnv`.
    """

    def __init__(
        self,
        num_envs: int = 1,
        *,
        reward: str = "regret",
        task: ResourceAssignmentTask | None = None,
        render_mode: str | None = None,
        **arguments: Any,
    ) -> None:
        self.check_arguments(num_envs, task, render_mode, arguments)
        self.task = task or ResourceAssignmentTask(**arguments)
        self.table = self.task.table
        self._observer = Observer(self.task)
        self.progress_column = POSITION
        self._scheme = reward_scheme(reward, self.table, num_envs)
        self.set_spaces(self._observer.size, spaces.Discrete(self.table.options))
        self._position = np.zeros(num_envs, dtype=np.int64)
        self._used = np.zeros(num_envs)
        self._objective = np.zeros(num_envs)
        self._feasible = np.ones(num_envs, dtype=bool)
        self._valid = np.ones(num_envs, dtype=bool)
        self._options = np.full((num_envs, self.table.slots), -1, dtype=np.int32)

    def _advance(self, lanes: Ints, actions: Ints) -> tuple[Floats, BoolArray]:
        # A slice of all lanes copies nothing.
        rows = slice(None) if len(lanes) == self.num_envs else lanes
        table, slot = self.table, self._position[rows].copy()
        cost, allowed = table.cost[slot, actions], table.allowed[slot, actions]
        used = self._used[rows] + table.resource[slot, actions]
        before = self._objective[rows]
        self._options[lanes, slot] = actions
        self._objective[rows] = np.maximum(before, cost) if table.aggregate_max else before + cost
        self._used[rows] = used
        self._position[rows] = slot + 1
        self._valid[rows] &= allowed
        self._feasible[rows] &= allowed & ~(used + table.reserve[slot + 1] > table.limit)
        rewards, ended = self._scheme.step(rows, slot, cost, allowed, used)
        return rewards, ended | (slot + 1 == table.slots)

    def _masks(self, lanes: Ints) -> BoolArray:
        # Those of lanes whose episode is over are not read.
        position = np.minimum(self._position, self.table.slots - 1)
        mask = self.table.mask(position, self._used)
        stuck = ~mask.any(axis=1)
        mask[stuck] = self.table.allowed[position[stuck]]
        return np.asarray(mask)

    def paint(self, design: npt.NDArray[np.int64]) -> Any:
        """Returns a frame of an assignment."""
        return (format_assignment if self.render_mode == "ansi" else draw_assignment)(self.task, design)

    def _designs(self) -> npt.NDArray[Any]:
        return self._options

    def _begin(self, lanes: BoolArray) -> None:
        self._position = np.where(lanes, 0, self._position)
        self._used = np.where(lanes, 0.0, self._used)
        self._objective = np.where(lanes, 0.0, self._objective)
        self._feasible = self._feasible | lanes
        self._valid = self._valid | lanes
        self._options[lanes] = -1
        self._scheme.begin(lanes)

    def _observe(self) -> Obs:
        done = self._position == self.table.slots
        previous = self._options[self._all, np.maximum(self._position - 1, 0)]
        return self._observer.observe(self._position, self._used, previous, done)

    def _values(self) -> Infos:
        return {
            "objective": self._objective.copy(),
            "resource": self._used.copy(),
            "feasible": self._feasible.copy(),
            "valid": self._valid.copy(),
            "position": self._position.copy(),
            "design": self._options.copy(),
        }


class ResourceAssignmentEnv(SequentialEnv):
    """Assign PEs and buffer to every layer of a network under a chip budget.

    ## Description
    A network runs layer-pipelined: each layer gets its own partition of the chip, with a number of processing
    elements, a buffer level (output channels tiled per PE) and, optionally, a dataflow. The partitions share a
    budget of area, power or PEs. Minimise latency, energy, energy-delay product or latency-area product. This is
    the problem of ConfuciuX (Kao, Jeong and Krishna, MICRO 2020). With ``deployment="sequential"`` one
    configuration serves all layers and an episode has one step.

    With ``model="dataflow_template"`` the knobs are PEs, bytes of buffer and dataflow, and every layer runs under the
    best mapping that these allow, found by exhaustive search over all tilings inside a template (Timeloop's rules).
    Tiles and loop orders minimise the task's objective, or latency. The table of a 53-layer network takes seconds.

    | dataflow | loops that may spread over the PEs | in a PE | stationary |
    |----------|------------------------------------|---------|------------|
    | dla, after NVDLA | output and input channels, groups | - | weights, while output positions stream by |
    | eye, after Eyeriss | kernel rows (whole), output rows and channels, groups | a kernel row | kernel rows |
    | shi, after ShiDianNao | output rows and columns | - | outputs, while the kernel streams by |

    A matrix product is a convolution of one column, so ``shi`` spreads its rows. Audit with
    ``model="dataflow_template"`` at area budget 0.1, ``dataflow="mix"``: objective relative to the optimum of the best
    constant design, the best of 1,000 random designs and greedy allocation, and the optimum without the budget.

    | workload | objective | constant | random | greedy | unconstrained |
    |----------|-----------|----------|--------|--------|---------------|
    | resnet18 | latency | 1.44 | 6.9 | 1.012 | 0.35 |
    | resnet18 | energy | 1.06 | 1.6 | 1.000 | 0.92 |
    | resnet18 | edp | 1.46 | 8.1 | 1.000 | 0.23 |
    | resnet50 | latency | 1.44 | 20 | 1.001 | 0.35 |
    | resnet50 | energy | 1.14 | 1.8 | 1.000 | 0.80 |
    | resnet50 | edp | 1.42 | 28 | 1.001 | 0.19 |
    | mobilenet_v2 | latency | 1.66 | 16 | 1.000 | 0.53 |
    | mobilenet_v2 | energy | 1.13 | 1.5 | 1.000 | 0.91 |
    | mobilenet_v2 | edp | 2.11 | 20 | 1.000 | 0.47 |

    Budgets 0.05 and 0.1 pass the audit with every dataflow and objective, but for energy with ``shi`` at 0.1. At 0.5
    the budget binds hardly or not at all: do not compare agents there. With ``aggregate="max"`` many designs tie.

    ## Action space
    ``Discrete(options)``: the flat index over (dataflow if ``mix``), PEs, buffer of the current layer, the last
    varying fastest; 144 for the 12 x 12 levels. One action decides both knobs, so that a mask can express the
    joint constraint. ``action_masks()`` is sound (every masked-in prefix can be completed within the budget) and
    tight (every feasible design is reachable).

    | num | choice | values |
    |-----|--------|--------|
    | 0 | dataflow (``dataflow="mix"`` only) | dla, eye, shi |
    | 1 | PEs | 1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128 (``levels``); 1..64; 1..128 |
    | 2 | buffer level | 1..12; with ``model="dataflow_template"`` 1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128 KiB |

    ## Observation space
    ``Box(-1, 1, (15,), float32)``, 16 with ``mix``; the layer shown is the one to be decided *next*.

    | num | observation |
    |-----|-------------|
    | 0-5 | K, C, Y, X, R, S of the layer: log, relative to the largest in the network |
    | 6 | 1 for depthwise layers |
    | 7 | position in the network |
    | 8 | budget left, as a fraction |
    | 9 | budget left beyond what the cheapest completion needs, as a fraction of that at the start |
    | 10 | MACs of the layer over those of the layers left |
    | 11 | MACs of the layer over those of the network |
    | 12 | layers left whose MACs exceed this one's, as a fraction |
    | 13- | previous action, each choice scaled to [0, 1]; 0 at the start |

    ## Rewards
    ``reward="regret"``: ``(best - cost) / scale`` per layer, where ``best`` is the layer's least cost over all
    options and ``scale`` their sum, so that a feasible episode returns ``1 - objective / unconstrained optimum``
    (for ``aggregate="max"``, the increase of the running maximum). An assignment that makes the budget
    unreachable costs the optimum once, so that no infeasible design returns as much as the best feasible one, and
    5 times every further relative overshoot; an invalid option costs the layer's worst valid cost and 1. No
    potential is added.

    ``reward="confuciux"``: the reward of ConfuciuX's code, for reproduction: this layer's fitness above the worst
    fitness seen so far in the lane's life, in any layer; past the budget the episode ends with minus the earlier
    rewards of the episode times the relative overshoot; an invalid option ends it with -1.

    ## Starting state
    The first layer, the whole budget. There is no randomness.

    ## Episode end
    Terminates when every layer is assigned; with ``reward="confuciux"`` also when the budget is exceeded.

    ## Arguments
    Fields of ``ResourceAssignmentSpec``, checked with errors that name the key: ``workload``, ``model``,
    ``model_options``, ``dataflow``, ``deployment``, ``granularity``, ``objective``, ``aggregate``, ``constraint``,
    ``budget``, ``target``. ``render_mode`` is ``ansi`` or ``rgb_array``.

    ```python
    import accelgym, gymnasium

    gymnasium.register_envs(accelgym)
    env = gymnasium.make("accelgym/ResourceAssignment-v0", workload="confuciux/resnet18", model="maestro", budget=0.1)
    ```

    ## Info
    The same keys at reset and at every step: ``objective`` and ``resource`` so far, ``feasible`` (a completion
    within the budget exists), ``valid``, ``position``, ``design`` (flat option per layer, -1 where open).

    ## Vectorised environment
    ``gymnasium.make_vec(id, num_envs=1024)`` gives :class:`ResourceAssignmentVectorEnv`.

    ## Version history
    * v0: first version.
    """

    def __init__(
        self,
        *,
        reward: str = "regret",
        task: ResourceAssignmentTask | None = None,
        render_mode: str | None = None,
        **arguments: Any,
    ) -> None:
        lane = ResourceAssignmentVectorEnv(1, reward=reward, task=task, render_mode=render_mode, **arguments)
        super().__init__(lane)

"""The mapping environment, scalar and vectorised."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from accelgym.costmodels.mapspace.construction import Construction
from accelgym.envs.mapping.observation import Observer
from accelgym.envs.mapping.render import draw_mapping, format_mapping
from accelgym.envs.mapping.task import MappingTask
from accelgym.envs.sequential import SequentialEnv, SequentialVectorEnv

__all__ = ["MappingEnv", "MappingVectorEnv"]

Obs = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Infos = dict[str, Any]

_UNKNOWN = -1


class MappingVectorEnv(SequentialVectorEnv):
    """Thousands of lanes of :class:`MappingEnv`, stepped as arrays.

    Every row equals what the scalar environment returns, bit for bit.

    Args:
        num_envs: Number of lanes.
        one_shot: Decide everything in one step, see :class:`MappingEnv`.
        task: A task object in place of ``arguments``.
        **arguments: Fields of ``MappingSpec``, and the options of :class:`SequentialVectorEnv`.
    """

    task_type: ClassVar[type[MappingTask]] = MappingTask

    def __init__(
        self,
        num_envs: int = 1,
        *,
        one_shot: bool = False,
        task: MappingTask | None = None,
        render_mode: str | None = None,
        **arguments: Any,
    ) -> None:
        self.check_arguments(num_envs, task, render_mode, arguments)
        self.task = task or self.task_type(**arguments)
        self.one_shot = one_shot
        self._observer = Observer(self.task.mapspace)
        self._state = Construction(self.task.mapspace, num_envs)
        self._decisions = len(self.task.mapspace.decisions)
        choices = self.task.mapspace.num_actions
        self.set_spaces(
            self._observer.size, spaces.MultiDiscrete(self.task.space.nvec) if one_shot else spaces.Discrete(choices)
        )
        outermost = self.task.evaluate(self.task.outermost[None])
        # Returns of the order of 1: libraries' defaults are made for them.
        self._scale = 1.0 + float(np.log(outermost.objective[0] / self.task.bound))
        self._feasible = np.ones(num_envs, dtype=bool)
        self._figures = {
            "objective": np.full(num_envs, np.inf),
            "energy_pj": np.full(num_envs, np.inf),
            "latency_cycles": np.full(num_envs, np.inf),
            "bound_by": np.full(num_envs, _UNKNOWN, dtype=np.int64),
            "energy_by": np.full(num_envs, _UNKNOWN, dtype=np.int64),
        }

    def _advance(self, lanes: Ints, actions: Ints) -> tuple[Floats, Bools]:
        rewards = np.zeros(self.num_envs)
        if self.one_shot:
            wanted = self.task.actions(actions)
            for at in range(self._decisions):
                self._decide(lanes, at, wanted[:, at], rewards)
        else:
            position = self._state.position[lanes]
            for at in np.unique(position):
                here = position == at
                self._decide(lanes[here], int(at), actions[here], rewards)
        over = self._state.position[lanes] == self._decisions
        if over.any():
            self._finish(lanes[over], rewards)
        return rewards[lanes], over

    def _masks(self, lanes: Ints) -> Bools:
        if self.one_shot:  # The masks of all parameters, concatenated: everything is allowed.
            return np.ones((self.num_envs, int(self.task.space.nvec.sum())), dtype=bool)
        mask = np.zeros((self.num_envs, self.task.mapspace.num_actions), dtype=bool)
        position = self._state.position[lanes]
        for at in np.unique(position):
            rows = lanes[position == at]
            part = self._state.mask(rows, at, canonical=True)
            stuck = ~part.any(axis=1) | ~self._feasible[rows]
            part[stuck] = self._state.available(rows[stuck], at)
            mask[rows] = part
        return mask

    def paint(self, design: Ints) -> Any:
        """Returns a frame of a mapping, completed with all that is open outermost."""
        return (format_mapping if self.render_mode == "ansi" else draw_mapping)(self.task, design)

    def _designs(self) -> Ints:
        return self._state.attempted

    def _observe(self) -> Obs:
        return self._observer.observe(self._state)

    def _decide(self, rows: Ints, at: int, choices: Ints, rewards: Floats) -> None:
        broken = self._state.attempt(rows, at, choices)
        rewards[rows] -= broken / self._decisions
        self._feasible[rows] &= ~broken

    def _finish(self, rows: Ints, rewards: Floats) -> None:
        outcome = self.task.evaluate(self.task.designs(self._state.attempted[rows]))
        # What the masks do not know: the least utilisation that constraints may ask for.
        self._feasible[rows] &= outcome.feasible
        good = self._feasible[rows]
        figures = {"objective": outcome.objective, **outcome.costs}
        for name, column in self._figures.items():
            column[rows] = np.where(good, figures[name], np.inf if column.dtype.kind == "f" else _UNKNOWN)
        distance = np.log(np.where(good, outcome.objective, self.task.bound) / self.task.bound)
        # What every infeasible mapping pays comes last: earlier it would drown what each decision costs by itself.
        rewards[rows] += np.where(good, -distance / self._scale, -1.0)

    def _begin(self, lanes: Bools) -> None:
        self._state.begin(np.flatnonzero(lanes))
        self._feasible = self._feasible | lanes
        for name, column in self._figures.items():
            blank = np.inf if column.dtype.kind == "f" else _UNKNOWN
            self._figures[name] = np.where(lanes, blank, column).astype(column.dtype)

    def _values(self) -> Infos:
        figures = {name: column.copy() for name, column in self._figures.items()}
        return figures | {
            "feasible": self._feasible.copy(),
            "position": self._state.position.copy(),
            "design": self._state.attempted.copy(),
        }


class MappingEnv(SequentialEnv):
    """Map a layer onto an accelerator: spatial unrolling, tile sizes and loop orders.

    ## Description
    A convolution or matrix product is a nest of loops. A mapping splits every loop over the levels of a memory
    hierarchy and over the rows and columns of the arrays between them, and orders the loops of every level. It
    decides how often each word moves and how many multipliers work, hence energy and latency. Costs follow
    Timeloop's rules (model ``loopnest``). Minimise energy, latency or their product.

    The mapping is built decision by decision: which level keeps which tensor (``bypass=True`` only); for every
    prime factor of every loop bound, the slot it lies in (time loops of a level, or y or x of its fan-out), so that
    factors always multiply to the bound; and for every level but the innermost the order of its time loops, from
    the innermost outwards.

    ## Action space
    ``Discrete(choices)``, the meaning depends on the decision at hand. ``action_masks()`` is sound (every
    masked-in prefix can be completed within memories and fan-outs) and tight (every feasible mapping is reachable,
    by exactly one path: equal factors of a loop are placed from the inside outwards).

    | decision | action |
    |----------|--------|
    | keep a tensor at a level | 0 keep, 1 bypass |
    | place a prime factor | slot, numbered from the outermost |
    | order | dimension of the next loop, numbered as in the problem |

    With ``one_shot=True`` there is one step with ``MultiDiscrete(task.space.nvec)``: the task's design.

    ## Observation space
    ``Box(-1, 1, (size,), float32)``; ``D`` loops of the problem, ``S`` slots, ``L`` levels, ``T`` tensors.

    | width | observation |
    |-------|-------------|
    | 1 | share of the decisions made |
    | 3 | kind of the next decision: keep, place, order (one-hot) |
    | D + 1 | its dimension (one-hot), and its prime factor: log, relative to the longest loop |
    | L + T | its level and its tensor (one-hot) |
    | D | loop bounds: log, relative to the longest |
    | D | share of each loop not placed yet (log) |
    | S x D | share of each loop placed in each slot (log) |
    | limited levels | share of the capacity in use |
    | fan-outs | share of the fan-out in use |
    | L x T | tensors kept |
    | (L - 1) x D | positions of ordered loops: 1 innermost, falling outwards, 0 open |

    ## Rewards
    0 until the mapping is complete, then ``-log(objective / lower bound) / scale`` with the task's certified lower
    bound, so that 0 cannot be beaten. ``scale`` is 1 more than that logarithm is for the mapping with all loops
    outermost, which thus earns more than -1. Of an infeasible mapping the sum is -1, paid at the end, less the share of
    its decisions that broke something: each that does not exist, or after which no completion would fit, costs its
    part of the share at once. The next decisions are judged as if the nearest action that fits had been taken, and
    that is what is observed.

    ## Starting state
    Nothing decided. There is no randomness.

    ## Episode end
    Terminates when everything is decided. An action that does not exist (a slot closed to the loop, a dimension
    ordered already) is replaced by the first that does, and the mapping counts as infeasible.

    ## Arguments
    Fields of ``MappingSpec``, checked with errors that name the key: ``workload``, ``layer`` (counted from 1, or a
    name), ``architecture`` (a preset, or a Timeloop file whose constraints bind), ``objective``, ``bypass``,
    ``padding``. ``one_shot`` as above. ``render_mode`` is ``ansi`` (the loop nest) or ``rgb_array`` (data movement
    per level and a roofline).

    ```python
    import accelgym, gymnasium

    gymnasium.register_envs(accelgym)
    env = gymnasium.make("accelgym/Mapping-v0", workload="thistle/resnet18", layer=2, objective="energy")
    ```

    ## Info
    The same keys at reset and at every step: ``feasible`` (a completion fits), ``position``, ``design`` (choice per
    decision, -1 where open); and, ``inf`` or -1 until a feasible mapping is complete, ``objective``, ``energy_pj``,
    ``latency_cycles``, ``bound_by`` (the level whose bandwidth sets the latency, or the number of levels for the
    multipliers) and ``energy_by`` (the level that spends most, likewise).

    ## Vectorised environment
    ``gymnasium.make_vec(id, num_envs=1024)`` gives :class:`MappingVectorEnv`.

    ## Version history
    * v0: first version.
    """

    lanes_type: ClassVar[type[MappingVectorEnv]] = MappingVectorEnv

    def __init__(
        self,
        *,
        one_shot: bool = False,
        task: MappingTask | None = None,
        render_mode: str | None = None,
        **arguments: Any,
    ) -> None:
        lane = self.lanes_type(1, one_shot=one_shot, task=task, render_mode=render_mode, **arguments)
        super().__init__(lane)

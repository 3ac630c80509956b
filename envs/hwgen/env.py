"""The hardware-generation environment, scalar and vectorised."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from accelgym.envs.hwgen import proof
from accelgym.envs.hwgen.built_designs import BuiltDesigns
from accelgym.envs.hwgen.observation import Observer
from accelgym.envs.hwgen.proof import HardwareRecord
from accelgym.envs.hwgen.render import draw_design, format_design
from accelgym.envs.hwgen.task import HwGenTask
from accelgym.envs.sequential import SequentialEnv, SequentialVectorEnv

__all__ = ["VERIFY", "HwGenEnv", "HwGenVectorEnv"]

Obs = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Infos = dict[str, Any]

VERIFY = ("never", "best", "always")
"""Which finished designs are built: none, those better than all of their lane before, or every feasible one."""


class HwGenVectorEnv(SequentialVectorEnv):
    """Many lanes of :class:`HwGenEnv`, stepped as arrays.

    Every row equals what the scalar environment returns, bit for bit.

    Args:
        num_envs: Number of lanes.
        verify: ``"never"``, ``"best"`` or ``"always"``, see :class:`HwGenEnv`.
        task: A task object in place of ``arguments``.
        **arguments: Fields of ``HwGenSpec``, and the options of :class:`SequentialVectorEnv`.
    """

    def __init__(
        self,
        num_envs: int = 1,
        *,
        verify: str = "never",
        task: HwGenTask | None = None,
        render_mode: str | None = None,
        **arguments: Any,
    ) -> None:
        self.check_arguments(num_envs, task, render_mode, arguments)
        self._built = BuiltDesigns(verify, VERIFY, num_envs)
        self.task = task or HwGenTask(**arguments)
        self._nvec = self.task.space.nvec
        self._observer = Observer(self.task)
        self.progress_column = self._observer.parameters
        self.set_spaces(self._observer.size, spaces.Discrete(int(self._nvec.max())))
        self._position = np.zeros(num_envs, dtype=np.int64)
        self._design = np.full((num_envs, len(self._nvec)), -1, dtype=np.int64)
        self._feasible = np.ones(num_envs, dtype=bool)
        self._replaced = np.zeros(num_envs, dtype=np.int64)
        self._objective = np.full(num_envs, np.inf)
        self._area = np.full(num_envs, np.inf)
        self._path = np.full(num_envs, np.inf)

    def _advance(self, lanes: Ints, actions: Ints) -> tuple[Floats, Bools]:
        position, rewards = self._position[lanes], np.zeros(self.num_envs)
        last = self._nvec[position] - 1
        # What does not exist is replaced, so that the episode can go on; it is lost all the same.
        chosen = np.minimum(actions, last)
        self._replaced[lanes] += actions > last
        for at in np.unique(position):
            here = position == at
            rows = lanes[here]
            mask = self.task.prefixes.mask(self._design[rows], int(at))
            completes = mask[np.arange(len(rows)), chosen[here]]
            self._feasible[rows] &= completes & (actions[here] <= last[here])
        self._design[lanes, position] = chosen
        self._position[lanes] = position + 1
        over = self._position[lanes] == len(self._nvec)
        if over.any():
            self._finish(lanes[over], rewards)
        return rewards[lanes], over

    def _masks(self, lanes: Ints) -> Bools:
        mask = np.zeros((self.num_envs, int(self._nvec.max())), dtype=bool)
        mask[lanes] = np.arange(mask.shape[1]) < self._nvec[self._position[lanes]][:, None]
        for position, rows in self._groups():
            if position < len(self._nvec):
                good = rows[self._feasible[rows]]
                mask[good, : self._nvec[position]] = self.task.prefixes.mask(self._design[good], position)
        return mask

    def paint(self, design: Ints) -> Any:
        """Returns a frame of a design."""
        return (format_design if self.render_mode == "ansi" else draw_design)(self.task, design)

    def _designs(self) -> Ints:
        return self._design

    def _groups(self) -> list[tuple[int, Ints]]:
        """Lanes by their next decision."""
        return [(int(at), np.flatnonzero(self._position == at)) for at in np.unique(self._position)]

    def _finish(self, lanes: Ints, rewards: Floats) -> None:
        designs = self._design[lanes]
        good = self._feasible[lanes]
        violation = self.task.violation(designs)
        # A value that did not exist may have been replaced by one that fits; it is no design all the same.
        broken = violation + self._replaced[lanes] / len(self._nvec)
        rewards[lanes] = np.where(good, 0.0, 1.0 / (1.0 + broken) - 1.0)
        self._area[lanes], self._path[lanes] = self.task.estimates(designs)
        if not good.any():
            return
        winners = lanes[good]
        cycles = self.task.objective(self._design[winners])
        self._objective[winners] = cycles
        rewards[winners] = self.task.reference().value / cycles
        for lane in winners[self._built.choose(winners, cycles)]:
            record = self._prove(self._design[lane])
            self._built.note(lane, record)
            self._area[lane], self._path[lane] = record.area_nand2, record.critical_path_ps
            rewards[lane] *= record.share

    def _prove(self, design: Ints) -> HardwareRecord:
        layers = [layer for layer, _ in self.task.layers]
        return proof.prove(self.task.config(design), layers, self.task.spec.area_budget)

    def _begin(self, lanes: Bools) -> None:
        self._position = np.where(lanes, 0, self._position)
        self._design[lanes] = -1
        self._feasible = self._feasible | lanes
        self._replaced = np.where(lanes, 0, self._replaced)
        for column in (self._objective, self._area, self._path):
            column[lanes] = np.inf
        self._built.clear(lanes)

    def _observe(self) -> Obs:
        obs = np.empty((self.num_envs, self._observer.size), dtype=np.float32)
        for position, lanes in self._groups():
            obs[lanes] = self._observer.observe(self._design[lanes], position)
        return obs

    def _values(self) -> Infos:
        columns = {
            "objective": self._objective,
            "area_nand2": self._area,
            "critical_path_ps": self._path,
            "feasible": self._feasible,
            "position": self._position,
            "design": self._design,
        }
        return {key: column.copy() for key, column in columns.items()} | self._built.columns()


class HwGenEnv(SequentialEnv):
    """Generate a systolic accelerator for a workload under an area budget, and have it proved by its RTL.

    ## Description
    An episode decides an accelerator parameter by parameter. Its cycles for the whole workload, every layer with its
    best tiling, are those of the cycle model, which equals the generated RTL. Minimise them within four limits: area
    (``area_budget``, NAND2 equivalents), port widths together (``bandwidth_bits``), the critical path (it has to meet
    ``clock_ghz``) and the precision of products (``min_sqnr_db``). Area and critical path are closed forms fitted to
    synthesis with Yosys; ``accelgym.costmodels.systolic.area`` states their errors.

    With ``verify``, finished designs are built: Verilog is generated, linted by two front ends, simulated on cropped
    layers of the workload and compared with the golden bit by bit and with the cycle model, and synthesised; the
    measured area and critical path replace the estimates. That takes seconds a design, milliseconds from the cache.

    ## Action space
    ``Discrete(8)``: index of the value of the parameter at hand. ``action_masks()`` is sound (every masked-in prefix
    can be completed within the limits) and tight (every feasible design is reachable). An index beyond the values
    takes the last one, and makes the design infeasible.

    | num | parameter | values |
    |-----|-----------|--------|
    | 0 | formats (input x weight, sums) | int4, w4a8, int8 (int24); e4m3, posit8, bf16 (bf16) |
    | 1 | template | weight_stationary, output_stationary |
    | 2-3 | rows, columns | 4, 8, 12, 16, 20, 24, 28, 32 |
    | 4-6 | depth of input, weight, accumulation buffer | 64, 128, 256, 512 words |
    | 7-9 | width of input, weight, output port | 32, 64, 128 bits |

    ## Observation space
    ``Box(-1, 1, (13,), float32)``.

    | num | observation |
    |-----|-------------|
    | 0-9 | index of each parameter's value, scaled to [0, 1]; -1 where open |
    | 10 | position |
    | 11 | share of the completions that meet the limits |
    | 12 | least area of a feasible completion over the budget; 1 where there is none |

    ## Rewards
    0 until the last decision. A feasible design earns ``optimum / cycles``, in (0, 1], with the task's proven
    optimum. An infeasible one earns ``-v / (1 + v)``, in (-1, 0): ``v`` is its relative overshoot, added up over the
    limits, plus the share of its decisions whose value did not exist. A verified design earns the share ``level / 6``
    of its reward: ``level`` counts the stages passed before the first that is not, of generates, lints, bit-exact,
    cycle-exact, meets the clock, measured area within the budget.

    ## Starting state
    Nothing decided. There is no randomness.

    ## Episode end
    Terminates when every parameter is decided.

    ## Arguments
    Fields of ``HwGenSpec``, checked with errors that name the key: ``workload``, ``area_budget`` (a number, or
    ``small``, ``medium``, ``large``), ``bandwidth_bits``, ``clock_ghz``, ``min_sqnr_db``, ``pe_pipeline``,
    ``memory_latency``. ``verify`` is ``never``, ``best`` (designs better than all of their lane before) or ``always``;
    it needs the extra ``rtl`` and a C++ compiler. ``render_mode`` is ``ansi`` or ``rgb_array``.

    ```python
    import accelgym, gymnasium

    gymnasium.register_envs(accelgym)
    env = gymnasium.make("accelgym/HwGen-v0", workload="gpt2/prefill_block", area_budget="medium", verify="best")
    ```

    ## Info
    The same keys at reset and at every step: ``objective`` (cycles), ``area_nand2`` and ``critical_path_ps``, ``inf``
    until the design is finished; ``feasible`` (a completion within the limits exists), ``position``, ``design``
    (value index per parameter, -1 where open), ``level`` (-1 where not verified) and, unless ``verify`` is ``never``,
    ``record`` (JSON text of what was proved, empty where not verified).

    ## Vectorised environment
    ``gymnasium.make_vec(id, num_envs=64)`` gives :class:`HwGenVectorEnv`.

    ## Version history
    * v0: first version.
    """

    def __init__(
        self,
        *,
        verify: str = "never",
        task: HwGenTask | None = None,
        render_mode: str | None = None,
        **arguments: Any,
    ) -> None:
        lane = HwGenVectorEnv(1, verify=verify, task=task, render_mode=render_mode, **arguments)
        super().__init__(lane)

"""The network-mapping environment, scalar and vectorised."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from accelgym.costmodels.mapspace.construction import Construction
from accelgym.envs.network_mapping.observation import NetworkObserver
from accelgym.envs.network_mapping.render import draw_layer, format_network
from accelgym.envs.network_mapping.task import NetworkMappingTask
from accelgym.envs.sequential import SequentialEnv, SequentialVectorEnv

__all__ = ["NetworkMappingEnv", "NetworkMappingVectorEnv"]

Obs = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Infos = dict[str, Any]


class NetworkMappingVectorEnv(SequentialVectorEnv):
    """Thousands of lanes of :class:`NetworkMappingEnv`, stepped as arrays.

    Every row equals what the scalar environment returns, bit for bit.

    Args:
        num_envs: Number of lanes.
        task: A task object in place of ``arguments``.
        **arguments: Fields of ``NetworkMappingSpec``, and the options of :class:`SequentialVectorEnv`.
    """

    def __init__(
        self,
        num_envs: int = 1,
        *,
        task: NetworkMappingTask | None = None,
        render_mode: str | None = None,
        **arguments: Any,
    ) -> None:
        self.check_arguments(num_envs, task, render_mode, arguments)
        self.task = task or NetworkMappingTask(**arguments)
        self._states = [Construction(layer.mapspace, num_envs) for layer in self.task.layers]
        self._observer = NetworkObserver(self.task)
        self.set_spaces(self._observer.size, spaces.Discrete(self.task.num_actions))
        self._objective = self.task.spec.objective
        energy, cycles = self.task.floors
        counts = self.task.counts
        # What the layers from each one on cost at least; one more entry for the end.
        self._rest = [np.append(np.cumsum((figure * counts)[::-1])[::-1], 0.0) for figure in (energy, cycles)]
        costs = [layer.evaluate(layer.outermost[None]).costs for layer in self.task.layers]
        # What a layer costs with all loops outermost, which stands for mappings that are infeasible.
        self._outermost = [
            (c["energy_pj"][0] * n, c["latency_cycles"][0] * n) for c, n in zip(costs, counts, strict=True)
        ]
        self._layer = np.zeros(num_envs, dtype=np.int64)
        self._feasible = np.ones(num_envs, dtype=bool)
        self._lost = np.zeros(num_envs, dtype=bool)
        self._energy, self._cycles = np.zeros(num_envs), np.zeros(num_envs)

    def _advance(self, lanes: Ints, actions: Ints) -> tuple[Floats, Bools]:
        rewards, wanted = np.zeros(self.num_envs), np.zeros(self.num_envs, dtype=np.int64)
        wanted[lanes] = actions
        for number, at, rows in list(self._groups(lanes)):
            self._decide(number, at, rows, wanted[rows], rewards)
            if at + 1 == len(self.task.layers[number].space):
                rewards[rows] += self._finish(number, rows)
        return rewards[lanes], self._layer[lanes] == len(self._states)

    def _masks(self, lanes: Ints) -> Bools:
        mask = np.zeros((self.num_envs, self.task.num_actions), dtype=bool)
        for number, at, rows in self._groups(lanes):
            state = self._states[number]
            part = state.mask(rows, at, canonical=True)
            stuck = ~part.any(axis=1) | ~self._feasible[rows]
            part[stuck] = state.available(rows[stuck], at)
            mask[rows, : part.shape[1]] = part
        return mask

    def paint(self, design: Ints) -> Any:
        """Returns a frame of a design: all layers as text, or the layer being mapped as an RGB array."""
        return (format_network if self.render_mode == "ansi" else draw_layer)(self.task, design)

    def _groups(self, lanes: Ints) -> Iterator[tuple[int, int, Ints]]:
        """Lanes by layer and next decision."""
        layer = self._layer[lanes]
        for number in np.unique(layer):
            rows = lanes[layer == number]
            position = self._states[number].position[rows]
            for at in np.unique(position):
                yield int(number), int(at), rows[position == at]

    def _decide(self, number: int, at: int, rows: Ints, choices: Ints, rewards: Floats) -> None:
        state = self._states[number]
        broken = state.attempt(rows, at, choices)
        rewards[rows] -= broken / len(self.task.layers[number].space)
        self._lost[rows] |= broken
        self._feasible[rows] &= ~broken

    def _finish(self, number: int, rows: Ints) -> Floats:
        """Adds up a layer; returns what it pays: the drop of minus the log of the best that is still possible."""
        layer, count = self.task.layers[number], self.task.counts[number]
        outcome = layer.evaluate(layer.designs(self._states[number].attempted[rows]))
        # What the masks do not know: the least utilisation that constraints may ask for.
        bad = self._lost[rows] | ~outcome.feasible
        costs = (outcome.costs[name] * count for name in ("energy_pj", "latency_cycles"))
        energy, cycles = (np.where(bad, rest, cost) for rest, cost in zip(self._outermost[number], costs, strict=True))
        self._feasible[rows] &= ~bad
        self._lost[rows] = False
        self._layer[rows] = number + 1
        return np.asarray(self._add(number, rows, energy, cycles) - bad)

    def _add(self, number: int, rows: Ints, energy: Floats | float, cycles: Floats | float) -> Floats:
        """Adds the costs of a layer to some lanes; returns how the log of what is still possible falls."""
        before = self._hope(rows, number)
        self._energy[rows] += energy
        self._cycles[rows] += cycles
        return np.asarray(np.log(before / self._hope(rows, number + 1)))

    def _hope(self, rows: Ints, number: int) -> Floats:
        """A lower bound on the objective, given the layers before ``number``."""
        energy, cycles = self._energy[rows] + self._rest[0][number], self._cycles[rows] + self._rest[1][number]
        return np.asarray(self._objective.combine(energy, cycles))

    def _begin(self, lanes: Bools) -> None:
        rows = np.flatnonzero(lanes)
        for state in self._states:
            state.begin(rows)
        self._layer = np.where(lanes, 0, self._layer)
        self._feasible = self._feasible | lanes
        self._energy = np.where(lanes, 0.0, self._energy)
        self._cycles = np.where(lanes, 0.0, self._cycles)
        self._lost = self._lost & ~lanes

    def _designs(self) -> Ints:
        return np.concatenate([state.attempted for state in self._states], axis=1)

    def _observe(self) -> Obs:
        return self._observer.observe(self._states, self._layer)

    def _values(self) -> Infos:
        done = (self._layer == len(self._states)) & self._feasible
        totals = np.where(done, self._energy, np.inf), np.where(done, self._cycles, np.inf)
        return {
            "objective": np.array(self._objective.combine(*totals)),
            "energy_pj": totals[0],
            "latency_cycles": totals[1],
            "feasible": self._feasible.copy(),
            "layer": self._layer.copy(),
            "position": np.sum([state.position for state in self._states], axis=0),
            "design": self._designs(),
        }


class NetworkMappingEnv(SequentialEnv):
    """Map all layers of a network onto an accelerator, one after the other.

    ## Description
    :class:`~accelgym.envs.mapping.MappingEnv` for a whole network: the convolutions and matrix products run one after
    the other on the same machine, and every distinct layer gets a mapping of its own. Layers of equal shape share one
    and count as often as they occur. Energies and latencies add up; minimise the energy of the network, its latency,
    or the product of the two sums.

    The layers are mapped in the order of the network, each decision by decision as in ``accelgym/Mapping-v0``: tensors
    kept (``bypass=True`` only), prime factors placed, loops ordered.

    Audit on ``eyeriss_thistle``, energy: objective relative to the reference of the best constant design, the best of
    1,000 random designs, greedy moves in every layer, and mappings on unlimited memories. The reference itself is
    proved up to the gap.

    | workload | constant | random | greedy | unlimited | gap |
    |----------|----------|--------|--------|-----------|-----|
    | thistle/resnet18 | 1.26 | 1.18 | 1.06 | 0.98 | 0.1 % |
    | alexnet | 1.20 | 1.07 | 1.03 | 0.99 | 1.8 % |

    ## Action space
    ``Discrete(choices)``, the meaning depends on the decision at hand, see ``accelgym/Mapping-v0``.
    ``action_masks()`` is sound (every masked-in prefix can be completed within memories and fan-outs) and tight
    (every feasible design is reachable, by exactly one path).

    ## Observation space
    ``Box(-1, 1, (size,), float32)`` for ``M`` distinct layers.

    | width | observation |
    |-------|-------------|
    | 1 | share of all decisions made |
    | M | the layer being mapped (one-hot; none at the end) |
    | 1 | its share of the network's MACs, times how often it occurs |
    | rest | what ``accelgym/Mapping-v0`` shows of that layer, zeros behind |

    ## Rewards
    Each finished layer pays ``log(before / after)`` of the certified lower bound on the network's objective, given
    the mappings chosen so far. The sum over an episode is ``-log(objective / lower bound)``: 0 cannot be beaten. A
    layer whose mapping is infeasible counts as the one with all its loops outermost, costs 1 more, and the share of its
    decisions that broke something: each that does not exist, or after which no completion would fit, costs its part at
    once. The next decisions are judged as if the nearest action that fits had been taken, and that is what is observed.
    The other layers pay as ever.

    ## Starting state
    Nothing decided, first layer. There is no randomness.

    ## Episode end
    Terminates when everything is decided. An action that does not exist (a slot closed to the loop, a dimension
    ordered already) is replaced by the first that does, and the design counts as infeasible.

    ## Arguments
    Fields of ``NetworkMappingSpec``, checked with errors that name the key: ``workload``, ``architecture`` (a preset,
    or a Timeloop file whose constraints bind), ``objective``, ``bypass``, ``padding``. By default the energy of
    ResNet-18 on ``eyeriss_thistle``, which is proven to 0.1 %: energies and latencies are sums of layers, whose proofs
    add up; bounds on the product of two sums leave a gap. ``render_mode`` is ``ansi`` (a line per layer and the loop
    nest being built) or ``rgb_array`` (data movement of that layer and a roofline).

    ```python
    import accelgym, gymnasium

    gymnasium.register_envs(accelgym)
    env = gymnasium.make("accelgym/NetworkMapping-v0", workload="thistle/resnet18", objective="energy")
    ```

    ## Info
    The same keys at reset and at every step: ``feasible`` (a completion fits), ``layer`` (its number), ``position``,
    ``design`` (choice per decision, -1 where open); and, ``inf`` until a feasible design is complete, ``objective``,
    ``energy_pj``, ``latency_cycles`` of the network.

    ## Vectorised environment
    ``gymnasium.make_vec(id, num_envs=1024)`` gives :class:`NetworkMappingVectorEnv`.

    ## Version history
    * v0: first version.
    """

    def __init__(
        self, *, task: NetworkMappingTask | None = None, render_mode: str | None = None, **arguments: Any
    ) -> None:
        lane = NetworkMappingVectorEnv(1, task=task, render_mode=render_mode, **arguments)
        super().__init__(lane)

"""Gradient search over relaxed tile sizes, after DOSA (extra ``agents`` brings torch)."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from accelgym.agents.hyperparameters import Hyperparameters, Real, Whole
from accelgym.agents.mapping.base import MappingAgent
from accelgym.agents.options import require
from accelgym.costmodels.errors import MissingExtraError
from accelgym.costmodels.loopnest.kernel import Kernel, access_pj
from accelgym.costmodels.mapspace import Candidates
from accelgym.costmodels.mapspace.dominant_orders import promising_orders
from accelgym.envs.space import Designs
from accelgym.envs.task import Outcome, Task

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["MappingGradient"]

Ints = npt.NDArray[np.int64]

_MAX_ORDERS = 64


class MappingGradient(MappingAgent):
    """Descends on tile sizes as real numbers and proposes what they round to (after DOSA, MICRO 2023).

    The logarithm of every loop bound is spread over the slots by a softmax, so that relaxed factors always multiply
    to the bound. The cost model itself is differentiated, for all starts in one batch: energy, cycles as the
    maximum of the roofline terms, overflow of memories and fan-outs as a penalty. Loop orders, discrete, are those
    best for the present tiles, chosen anew every few steps. As in DOSA there is one loop for everything.

    Each ask makes one gradient step and returns the rounded design of every start, so that a step costs as many
    evaluations as there are starts. A start that has made its steps begins anew, every other time near the best
    design found.

    Args:
        task: The mapping task to search.
        seed: Seed of the starts.
        starts: Descents side by side.
        steps: Steps per descent.
        rate: Learning rate of Adam.
        penalty: Weight of overflows, on the scale of the logarithm of the objective.
        reorder: Steps between choices of the loop orders.
        spread: Noise, as the logarithm of a factor, with which a design is rounded again that was proposed before.

    Raises:
        MissingExtraError: torch is not installed.
    """

    name: ClassVar[str] = "mapping_gradient"
    hyperparameters: ClassVar[Hyperparameters] = {
        "starts": Whole(2, 64, log=True),
        "steps": Whole(5, 100, log=True),
        "rate": Real(0.02, 1.0, log=True),
        "penalty": Real(0.2, 20.0, log=True),
        "reorder": Whole(2, 40, log=True),
        "spread": Real(0.0, 2.0),
    }

    def __init__(
        self,
        task: Task,
        *,
        seed: int,
        starts: int = 16,
        steps: int = 40,
        rate: float = 0.2,
        penalty: float = 2.0,
        reorder: int = 10,
        spread: float = 0.5,
    ) -> None:
        super().__init__(task, seed=seed)
        require(self.name, 1, starts=starts, steps=steps, reorder=reorder)
        require(self.name, 1e-6, 1e12, rate=rate, penalty=penalty)
        require(self.name, 0, 1e12, spread=spread)
        try:
            import torch
        except ImportError as error:
            raise MissingExtraError("agent 'mapping_gradient'", "torch", "agents") from error
        self._torch = torch
        self.starts, self.steps, self.rate, self.penalty, self.reorder = starts, steps, rate, penalty, reorder
        self._kernel = Kernel(self.mapping.problem, self.mapspace.architecture, self.mapping.model.terms)
        self._fixed = self.mapspace.factorization.fixed[:, :, None]
        remainder = np.array(self.mapping.problem.bounds) / self._fixed[:, :, 0].prod(axis=0)
        self._log_remainder = torch.tensor(np.log(remainder))[None, :, None]
        self._log_fixed = torch.tensor(np.log(self._fixed))
        closed = np.where(self.mapspace.constraints.placeable & (remainder > 1), 0.0, -np.inf)
        closed[:, ~np.isfinite(closed).any(axis=0)] = 0.0  # nothing to place: any slot will do
        self._closed = torch.tensor(closed)[:, :, None]
        self._orders = [promising_orders(self.mapspace, v) for v in range(self.mapspace.permutation.levels)]
        self.spread = spread
        self._seen: set[bytes] = set()
        self._score = np.inf
        self._best: npt.NDArray[np.int64] | None = None
        self._turn = 0
        self._descents = 0
        self._begin()

    def ask(self, count: int) -> Designs:
        if self._turn == self.steps:
            self._begin()
        if self._turn % self.reorder == 0:
            self._choose_orders()
        if self._turn > 0:
            self._step()
        self._turn += 1
        designs = self.task.repair(self._round(0.0), self.rng)
        # Where descent moved too little to round elsewhere, look around.
        known = np.array([design.tobytes() in self._seen for design in designs])
        designs[known] = self.task.repair(self._round(self.spread)[known], self.rng)
        designs = designs[:count]
        self._seen.update(design.tobytes() for design in designs)
        return designs

    def tell(self, designs: Designs, outcome: Outcome) -> None:
        i = int(outcome.score.argmin())
        if outcome.score[i] < self._score:
            self._score, self._best = float(outcome.score[i]), designs[i].copy()

    # -- descent -----------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Starts new descents: from feasible designs, or from perturbations of the best."""
        torch = self._torch
        if self._best is None or self._descents % 2 == 0:
            designs = self.task.sample_feasible(self.rng, self.starts)
            noise = 0.3
        else:
            designs = np.repeat(self._best[None], self.starts, axis=0)
            noise = 1.0
        drawn = self.mapspace.to_candidates(designs)
        share = np.log(drawn.factors / self._fixed)
        total = np.maximum(self._log_remainder.numpy(), 1e-9)
        logits = np.log(share / total + 0.02) + noise * self.rng.standard_normal(share.shape)
        self._keep = torch.tensor(drawn.keep) if self.mapspace.bypass.free.any() else None
        self._logits = torch.tensor(logits, requires_grad=True)
        self._optimizer = torch.optim.Adam([self._logits], lr=self.rate)
        self._codes = np.zeros((len(self._orders), self.starts), dtype=np.int64)
        self._turn = 0
        self._descents += 1

    def _step(self) -> None:
        self._optimizer.zero_grad()
        loss = self._loss(self._factors(), self._codes, self._keep).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()

    def _factors(self) -> Tensor:
        """Relaxed loop bounds, shape ``(slots, dims, starts)``."""
        share = self._torch.softmax(self._logits + self._closed, dim=0)
        return self._torch.exp(self._log_fixed + share * self._log_remainder)

    def _loss(self, factors: Tensor, codes: Ints, keep: Tensor | None) -> Tensor:
        """Logarithm of the relaxed objective plus penalties, shape ``(n,)``."""
        torch, architecture, problem = self._torch, self.mapspace.architecture, self.mapping.problem
        ranks = torch.tensor(self.mapspace.permutation.ranks(codes), dtype=factors.dtype)
        totals = self._kernel(factors, ranks, keep)
        energy = torch.full_like(totals.cycles, problem.macs * architecture.compute.mac_pj)
        cycles, over = totals.compute_cycles, torch.zeros_like(totals.cycles)
        for (v, _, counter), words in totals.counters.items():
            level = architecture.levels[v]
            energy = energy + words * access_pj(level, counter) / level.block_size
        for v, level in enumerate(architecture.levels):
            for names, limit in level.ports:
                if limit is not None:
                    moved = sum(n for (at, _, name), n in totals.counters.items() if at == v and name in names)
                    cycles = torch.maximum(cycles, moved / totals.utilized[v] / limit)
            tiles = [words for (at, _), words in totals.tiles.items() if at == v]
            if level.tile_capacity is not None and tiles:
                over = over + torch.relu(torch.log(sum(tiles) / level.tile_capacity))
        for s, slot in enumerate(architecture.slots):
            if slot.kind != "temporal":
                level = architecture.levels[slot.level]
                limit = level.fanout_x if slot.kind == "x" else level.fanout_y
                over = over + torch.relu(torch.log(factors[s]).sum(dim=0) - float(np.log(limit)))
        energy = energy + architecture.cycle_leakage_pj(totals.utilized) * cycles
        objective = self.mapping.spec.objective.combine_logs(torch.log(energy), torch.log(cycles))
        loss: Tensor = objective + self.penalty * over
        return loss

    def _choose_orders(self) -> None:
        """Gives every start the orders that suit its present tiles best."""
        torch = self._torch
        for grid in self._order_trials():
            n = grid.shape[1]
            codes = np.repeat(self._codes[:, :, None], n, axis=2)
            changed = grid >= 0
            codes = np.where(changed[:, None, :], grid[:, None, :], codes)
            with torch.no_grad():
                factors = self._factors().repeat_interleave(n, dim=2)
                keep = None if self._keep is None else self._keep.repeat_interleave(n, dim=2)
                loss = self._loss(factors, codes.reshape(len(codes), -1), keep).reshape(self.starts, n)
            self._codes = codes[:, np.arange(self.starts), loss.argmin(dim=1).numpy()]

    def _order_trials(self) -> list[Ints]:
        """Order codes to try together, ``(levels - 1, trials)``; -1 leaves a level alone."""
        if not self._orders:
            return []
        if np.prod([len(codes) for codes in self._orders]) <= _MAX_ORDERS:
            return [np.array(list(itertools.product(*self._orders)), dtype=np.int64).T]
        trials = []
        for v, codes in enumerate(self._orders):
            grid = np.full((len(self._orders), len(codes)), -1, dtype=np.int64)
            grid[v] = codes
            trials.append(grid)
        return trials

    # -- rounding ----------------------------------------------------------------------------------------------

    def _round(self, spread: float) -> Designs:
        """Designs whose prime factors, the largest first, go where most of the relaxed factor is still missing.

        Args:
            spread: Scale of the noise added to what is missing, as a factor's logarithm.
        """
        with self._torch.no_grad():
            missing = self._torch.log(self._factors()).numpy() - np.log(self._fixed)
        missing += spread * self.rng.standard_normal(missing.shape)
        factors = np.repeat(self._fixed, self.starts, axis=2)
        everyone = np.arange(self.starts)
        for placement in self.mapspace.factorization.placements:
            slots = np.array(placement.slots)
            chosen = slots[missing[slots, placement.dim].argmax(axis=0)]
            factors[chosen, placement.dim, everyone] *= placement.prime
            missing[chosen, placement.dim, everyone] -= np.log(placement.prime)
        keep = self.mapspace.bypass.everything_kept(self.starts) if self._keep is None else self._keep.numpy()
        return self.mapspace.to_designs(Candidates(factors, self._codes, keep))

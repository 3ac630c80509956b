"""The map space of one problem on one machine, encoded so that every design multiplies to the bounds."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.architecture.family import ArchitectureFamily
from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.architecture.machine import Architecture
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.loopnest import Mappings
from accelgym.costmodels.mapspace.bypass import Bypass
from accelgym.costmodels.mapspace.candidates import Candidates
from accelgym.costmodels.mapspace.capacity import capacities, fits_capacity, fits_fanouts, tile_extents
from accelgym.costmodels.mapspace.constraints import Constraints
from accelgym.costmodels.mapspace.decisions import Decision, FactorPlacement, LoopChoice, MemorySize, TensorBypass
from accelgym.costmodels.mapspace.index_factorization import IndexFactorization
from accelgym.costmodels.mapspace.permutation import Permutation
from accelgym.costmodels.mapspace.site_factorization import SiteFactorization
from accelgym.costmodels.mapspace.spatial_split import lies_along_both

__all__ = ["MapSpace"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


class MapSpace:
    """All mappings that an architecture's fan-outs and constraints allow, apart from the capacity they need.

    A design decides, in this order: the sizes of the memories, when the machine is open; which level keeps which
    tensor (where that is free); for every prime factor of every loop bound, the slot in which it lies, so that
    factors always multiply to the bound; and for every level but the innermost, whose order changes nothing, the
    order of its time loops as a Lehmer code, the innermost loop first: digit ``k`` picks among the dimensions not
    picked before.

    Equal prime factors of one dimension are interchangeable, so several designs may stand for the same mapping;
    :meth:`canonical` returns the one that places them from the inside outwards.

    Args:
        problem: The problem.
        architecture: The machine; for a family, :attr:`ArchitectureFamily.widest`.
        bypass: Whether keeping tensors is a choice.
        family: Machines to choose from.

    Raises:
        InputError: Constraints that contradict the problem or are not supported; see :meth:`Constraints.read`.
    """

    def __init__(
        self,
        problem: LoopNest,
        architecture: Architecture,
        *,
        bypass: bool = False,
        family: ArchitectureFamily | None = None,
    ) -> None:
        self.problem, self.family = problem, family
        self.constraints = Constraints.read(problem, architecture, bypass=bypass)
        self.architecture = self.constraints.narrow(problem, architecture)
        self.slot_names = tuple(
            architecture.levels[slot.level].name + ("" if slot.kind == "temporal" else f".{slot.kind}")
            for slot in architecture.slots
        )
        self.factorization = IndexFactorization(problem, self.architecture, self.constraints)
        self.permutation = Permutation(problem, self.architecture, self.constraints, self.factorization.fixed)
        self.bypass = Bypass(self.constraints)
        self.decisions: tuple[Decision, ...] = (
            *self._memory_sizes(),
            *self.bypass.decisions,
            *self.factorization.placements,
            *self.permutation.decisions,
        )

    @property
    def active(self) -> tuple[int, ...]:
        """Dimensions with more than one iteration."""
        return self.factorization.active

    @cached_property
    def site_factorization(self) -> SiteFactorization:
        """Index factorisation as branch and bound sees it."""
        return SiteFactorization(self.problem, self.architecture, self.constraints)

    def _memory_sizes(self) -> list[MemorySize]:
        if self.family is None:
            return []
        return [MemorySize(2, self.family.registers), MemorySize(1, self.family.sram_words)]

    @cached_property
    def machine_table(self) -> Ints:
        """Machines of the family by register and SRAM choice, -1 where none fits the area."""
        assert self.family is not None
        table = np.full((len(self.family.registers), len(self.family.sram_words)), -1, dtype=np.int64)
        for number, machine in enumerate(self.family.machines):
            row, column = (
                self.family.registers.index(machine.registers),
                self.family.sram_words.index(machine.sram_words),
            )
            table[row, column] = number
        return table

    # -- which mappings belong to it, and fit ------------------------------------------------------------------------

    def candidates(self, factors: Ints, keep: Bools | None = None) -> Candidates:
        """Returns candidates with the first order everywhere.

        Args:
            factors: Shape ``(slots, dims, n)``.
            keep: Shape ``(levels, tensors, n)``; everything that may be kept, by default.
        """
        n = factors.shape[2]
        held = self.bypass.everything_kept(n) if keep is None else keep
        return Candidates(factors, np.zeros((self.permutation.levels, n), dtype=np.int64), held)

    def fits(self, factors: Ints, keep: Bools) -> Bools:
        """Returns which tilings fit the memories and the fan-outs, shape ``(n,)``.

        Args:
            factors: Shape ``(slots, dims, n)``.
            keep: Shape ``(levels, tensors, n)`` or ``(levels, tensors, 1)``.
        """
        capacity = capacities(self.architecture)
        good = fits_fanouts(self.architecture, factors)
        for v, extents in tile_extents(self.problem, self.architecture, factors):
            if np.isfinite(capacity[v]):
                good &= fits_capacity(self.problem, capacity[v], extents, keep[v])
        return good

    def violation(self, candidates: Candidates) -> Floats:
        """Returns how far mappings break limits, or spread a dimension along x and y; 0 if not, shape ``(n,)``.

        Capacities and fan-outs are the cost model's to check.
        """
        architecture, factors, limits = self.architecture, candidates.factors, self.factorization.limits
        excess = np.maximum(factors / limits[:, :, None] - 1.0, 0.0)
        for s, slot in enumerate(architecture.slots):
            if slot.kind != "temporal":
                level = architecture.levels[slot.level]
                fanout = level.fanout_x if slot.kind == "x" else level.fanout_y
                excess[s] = np.where(limits[s, :, None] < fanout, excess[s], 0.0)
        total = excess.sum(axis=(0, 1)) + lies_along_both(architecture, factors).sum(axis=0)
        minimum = self.constraints.minimum
        if minimum.binds:
            total += minimum.shortfall(self.problem, architecture, factors, candidates.keep)
        return np.asarray(total)

    # -- designs and candidates: a pair ------------------------------------------------------------------------------

    def to_candidates(self, designs: Ints) -> Candidates:
        """Returns the candidates that designs stand for; the designs must fit the space.

        Args:
            designs: Shape ``(n, decisions)``.
        """
        n = len(designs)
        rows = np.arange(n)
        factors = np.repeat(self.factorization.fixed[:, :, None], n, axis=2)
        keep = self.bypass.everything_kept(n)
        codes = np.zeros((self.permutation.levels, n), dtype=np.int64)
        for column, decision in zip(designs.T, self.decisions, strict=True):
            match decision:
                case TensorBypass(level, tensor):
                    keep[level, tensor] = column == 0
                case FactorPlacement(dim, prime, slots, _):
                    factors[np.array(slots)[column], dim, rows] *= prime
                case LoopChoice(level):
                    codes[level] += column * self.permutation.weight(decision)
        return Candidates(factors, codes, keep)

    def to_designs(self, candidates: Candidates) -> Ints:
        """Returns the canonical designs of candidates; inverse of :meth:`to_candidates`.

        Sizes of memories come back as the first choice: a mapping does not hold them.

        Raises:
            InputError: A factor lies where the constraints allow none.
        """
        n = len(candidates)
        designs = np.zeros((n, len(self.decisions)), dtype=np.int64)
        left: Ints = candidates.factors // self.factorization.fixed[:, :, None]
        for j, decision in enumerate(self.decisions):
            match decision:
                case TensorBypass(level, tensor):
                    designs[:, j] = ~candidates.keep[level, tensor]
                case FactorPlacement(dim, prime, slots, _):
                    index = np.zeros(n, dtype=np.int64)
                    for i, s in enumerate(slots):
                        index[left[s, dim] % prime == 0] = i  # the innermost slot that still has this factor
                    left[np.array(slots)[index], dim, np.arange(n)] //= prime
                    designs[:, j] = index
                case LoopChoice(level):
                    designs[:, j] = self.permutation.digit(decision, candidates.codes[level])
        if (left != 1).any():
            slot, dim, row = (int(i) for i in np.unravel_index(left.argmax(), left.shape))
            raise InputError(
                f"mapping {row} has a loop over {self.problem.dims[dim]} at {self.slot_names[slot]!r}, where the "
                "constraints do not allow it"
            )
        return designs

    def canonical(self, designs: Ints) -> Ints:
        """Returns the designs that place equal prime factors from the inside outwards; same mappings."""
        return self.to_designs(self.to_candidates(designs))

    # -- candidates and mappings: a pair -----------------------------------------------------------------------------

    def to_mappings(self, candidates: Candidates) -> Mappings:
        """Returns candidates as the cost model takes them; ``keep`` is ``None`` where no bypass is free."""
        keep = candidates.keep if self.bypass.free.any() else None
        ranks = self.permutation.ranks(candidates.codes)
        return Mappings(self.problem, self.architecture, candidates.factors, ranks, keep)

    def from_mappings(self, mappings: Mappings) -> Candidates:
        """Inverse of :meth:`to_mappings`."""
        keep = self.bypass.everything_kept(len(mappings)) if mappings.keep is None else np.asarray(mappings.keep)
        return Candidates(np.asarray(mappings.factors), self.permutation.codes(np.asarray(mappings.ranks)), keep)

    def decode(self, designs: Ints) -> Mappings:
        """Returns the mappings of designs ``(n, decisions)``."""
        return self.to_mappings(self.to_candidates(designs))

    def encode(self, mappings: Mappings) -> Ints:
        """Returns the canonical designs of mappings that lie in this space; inverse of :meth:`decode`.

        Raises:
            InputError: A factor lies where the constraints allow none.
        """
        return self.to_designs(self.from_mappings(mappings))

    # -- designs and actions: a pair ---------------------------------------------------------------------------------

    @cached_property
    def action_sizes(self) -> Ints:
        """Number of actions of each decision, shape ``(decisions,)``."""
        sizes = []
        for decision in self.decisions:
            match decision:
                case MemorySize(_, words):
                    sizes.append(len(words))
                case TensorBypass():
                    sizes.append(2)
                case FactorPlacement():
                    sizes.append(len(self.slot_names))
                case LoopChoice():
                    sizes.append(len(self.problem.dims))
        return np.array(sizes, dtype=np.int64)

    @cached_property
    def num_actions(self) -> int:
        """Actions of any decision: slots, dimensions, sizes of a memory, or keep and bypass."""
        sizes = [len(x.words) for x in self.decisions if isinstance(x, MemorySize)]
        return max(2, len(self.slot_names), len(self.problem.dims), *sizes)

    def actions(self, designs: Ints) -> Ints:
        """Returns slots, dimensions, or keep (0) and bypass (1), per decision; shape ``(n, decisions)``."""
        result = designs.copy()
        for j, decision in enumerate(self.decisions):
            if isinstance(decision, FactorPlacement):
                result[:, j] = np.array(decision.slots)[designs[:, j]]
            elif isinstance(decision, LoopChoice) and decision.digit == 0:
                last = j + len(decision.dims) - 1
                weights = [self.permutation.weight(x) for x in self.decisions[j:last] if isinstance(x, LoopChoice)]
                loops = self.permutation.loops(decision.level, designs[:, j:last] @ np.array(weights))
                result[:, j:last] = loops[:-1].T
        return result

    def designs(self, actions: Ints) -> Ints:
        """Inverse of :meth:`actions`."""
        result = np.asarray(actions, dtype=np.int64).copy()
        for j, decision in enumerate(self.decisions):
            if isinstance(decision, FactorPlacement):
                index = np.zeros(len(self.slot_names), dtype=np.int64)
                index[list(decision.slots)] = np.arange(len(decision.slots))
                result[:, j] = index[actions[:, j]]
            elif isinstance(decision, LoopChoice):
                chosen = actions[:, j]
                smaller = np.searchsorted(np.array(decision.dims), chosen)
                before = actions[:, j - decision.digit : j]
                result[:, j] = smaller - (before < chosen[:, None]).sum(axis=1)
        return result

    def complete(self, actions: Ints) -> Ints:
        """Fills open decisions (-1): loops outermost, tensors bypassed, which needs no capacity; orders as they come.

        Args:
            actions: Shape ``(n, decisions)``.
        """
        result = actions.copy()
        for j, decision in enumerate(self.decisions):
            match decision:
                case MemorySize():
                    default: Ints | int = len(decision.words) // 2
                case TensorBypass():
                    default = 1
                case FactorPlacement():
                    default = decision.slots[0]
                case LoopChoice():
                    default = _first_free(decision.dims, result[:, j - decision.digit : j])
            result[:, j] = np.where(actions[:, j] < 0, default, actions[:, j])
        return result


def _first_free(dims: tuple[int, ...], taken: Ints) -> Ints:
    """The first dimension per row that is not among those taken, shape ``(n,)`` from ``(n, k)``."""
    free = ~(np.array(dims)[None, :, None] == taken[:, None, :]).any(axis=2)
    return np.asarray(np.array(dims, dtype=np.int64)[free.argmax(axis=1)])

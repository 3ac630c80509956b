"""Costs of a batch of designs, and the contract of cost models."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol, TypeVar, runtime_checkable

from accelgym.costmodels.arrays import Array, array_namespace

__all__ = ["EXACT_LIMIT", "CostModel", "Costs", "Reason"]

EXACT_LIMIT = 2**53
"""Largest count that a double holds exactly."""


class Reason(IntEnum):
    """Why a design is invalid; stored as a small integer code in ``Costs.reason``."""

    OK = 0
    BAD_VALUE = 1
    """A dimension or parameter is below its smallest meaningful value."""
    KERNEL_EXCEEDS_INPUT = 2
    """The kernel is larger than the (padded) input: there is no output."""
    DEGENERATE = 3
    """The modelled tool skips every iteration of this design (runtime would be 0)."""
    INT32_OVERFLOW = 4
    """The modelled tool overflows a 32-bit iteration count on this design."""
    OVERFLOW = 5
    """A count does not fit the exact range of this model (2**53)."""
    CAPACITY = 6
    """A tile does not fit its memory."""
    FANOUT = 7
    """Spatial factors exceed the array."""
    FACTORISATION = 8
    """Tile factors do not multiply to the loop bound."""
    FORMAT = 9
    """The machine does not know the number format."""
    COUNTER = 10
    """A loop, an image or a memory exceeds the counters and addresses of the hardware."""


@dataclass(frozen=True)
class Costs:
    """Costs of a batch of designs: arrays of one shape, units in the names.

    Rows with ``valid == False`` carry a ``reason`` and no meaning in their numbers. Whatever a model says, a row whose
    latency is no number in (0, 2**53], or whose energy is none in [0, 2**53], is invalid: counts beyond that are not
    exact. Energies of 0 are those of machines whose accesses cost nothing.
    """

    latency_cycles: Array
    energy_pj: Array
    area_um2: Array
    power_mw: Array
    valid: Array
    """bool."""
    reason: Array
    """int8, values of :class:`Reason`."""
    model: str
    version: str
    technology: str
    breakdown: Mapping[str, Array] = field(default_factory=dict)
    """Further arrays of the same leading shape, by name with unit."""

    def __post_init__(self) -> None:
        latency, energy = self.latency_cycles, self.energy_pj
        if _is_exact(latency, 1) and _is_exact(energy, 0):
            return
        xp = array_namespace(latency, energy)
        good = self.valid & (latency > 0) & (latency <= EXACT_LIMIT) & (energy >= 0) & (energy <= EXACT_LIMIT)
        beyond = self.valid & ~good
        if bool(beyond.any()):
            code = xp.zeros_like(self.reason) + int(Reason.OVERFLOW)
            object.__setattr__(self, "reason", xp.where(beyond, code, self.reason))
            object.__setattr__(self, "valid", good)


def _is_exact(column: Array, least: int) -> bool:
    """Whether all numbers lie in ``least``..2**53: two passes, where what follows takes more."""
    return math.prod(column.shape) == 0 or bool((column.min() >= least) & (column.max() <= EXACT_LIMIT))


DesignsT = TypeVar("DesignsT", contravariant=True)


@runtime_checkable
class CostModel(Protocol[DesignsT]):
    """Evaluates batches of designs; one design is a batch of one.

    ``evaluate`` is a pure function of its argument and of the options the model was built with. It accepts
    NumPy arrays and torch tensors and returns the kind it was given.
    """

    @property
    def name(self) -> str:
        """Name in the registry."""
        ...

    @property
    def version(self) -> str:
        """Version of the model; it changes with its results."""
        ...

    @property
    def technology(self) -> str:
        """Name of the technology table in use."""
        ...

    def evaluate(self, designs: DesignsT) -> Costs:
        """Returns the costs of every design in the batch."""
        ...

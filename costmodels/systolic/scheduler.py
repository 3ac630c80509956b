"""The best tiling of a layer under the buffers, by exhaustive batched search."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.costs import Reason
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.systolic.columns import Hardware, LayerColumns
from accelgym.costmodels.systolic.config import SystolicConfig, Template
from accelgym.costmodels.systolic.cycles import OUTPUT_LATENCY, layer_cycles
from accelgym.costmodels.systolic.energy import EnergyLaw
from accelgym.costmodels.systolic.limits import excess
from accelgym.costmodels.systolic.tile_grid import TileGrid, Tilings
from accelgym.costmodels.systolic.tiling import TileTerms, tile_terms
from accelgym.costmodels.systolic.traffic import traffic
from accelgym.costmodels.workloads.layer import Layer

__all__ = ["NoTilingError", "Objective", "Schedule", "Tiling", "candidate_tilings", "cycles_lower_bound", "schedule"]

Ints = npt.NDArray[np.int64]
_CHUNK = 256


class NoTilingError(InputError):
    """No tile of a layer fits the buffers, or none that does keeps within the counters of the hardware.

    Attributes:
        reason: ``CAPACITY``, ``COUNTER``, or ``OVERFLOW`` where the cycles are no exact count.
    """

    def __init__(self, message: str, reason: Reason) -> None:
        super().__init__(message)
        self.reason = reason


class Objective(StrEnum):
    """What the scheduler minimises; the other quantity breaks ties."""

    LATENCY = "latency"
    ENERGY = "energy"
    """Of everything that moves; leakage, which follows the latency, is not weighed against it."""


@dataclass(frozen=True)
class Tiling:
    """One tiling, plain numbers; see :class:`~accelgym.costmodels.systolic.tiling.Tilings`."""

    p1: int
    q1: int
    k1: int
    c1: int
    r1: int = 1
    s1: int = 1
    pixels_inner: bool = True

    def arrays(self) -> Tilings:
        """Returns the tiling as arrays of shape ``(1,)``."""
        return Tilings(*(np.array([getattr(self, field.name)]) for field in fields(self)))


@dataclass(frozen=True)
class Schedule:
    """A layer's chosen tiling and what it costs."""

    tiling: Tiling
    cycles: int
    energy_pj: float
    """Of everything, clock and leakage included."""
    candidates: int
    """Tilings that fit the buffers."""


def _useful_sizes(extent: int, limit: int) -> Ints:
    """Returns the smallest tile for every possible number of tiles, up to a size.

    A larger tile with as many tiles has no shorter part in it, hence is never better.
    """
    sizes = np.arange(1, min(extent, limit) + 1)
    counts = -(-extent // sizes)
    return np.asarray(sizes[-(-extent // counts) == sizes])


def candidate_tilings(config: SystolicConfig, layer: Layer) -> Tilings:
    """Returns every useful tiling whose output tile fits the accumulation buffer; shape ``(candidates,)``."""
    groups = layer.groups
    accumulation, operand = config.accumulation_buffer_depth, min(config.input_buffer_depth, config.weight_buffer_depth)
    blocks_k = _useful_sizes(-(-layer.K // groups // config.columns), accumulation)
    if config.template is Template.WEIGHT_STATIONARY:
        weights = config.weight_buffer_depth
        axes = [
            _useful_sizes(layer.P, accumulation),
            _useful_sizes(layer.Q, accumulation),
            blocks_k,
            _useful_sizes(-(-layer.C // groups // config.rows), operand),
            *(np.unique([1, size]) for size in (layer.R, layer.S)),
        ]
        axes[4:] = [axis[axis <= weights] for axis in axes[4:]]
    else:
        one = np.array([1])
        pixels = layer.N * layer.P * layer.Q
        steps = layer.C // groups * layer.R * layer.S
        blocks_p = _useful_sizes(-(-pixels // config.rows), accumulation)
        axes = [blocks_p, one, blocks_k, _useful_sizes(steps, operand), one, one]
    # Axis by axis, in the order of a nested loop; what exceeds a buffer already is not extended.
    tiles = np.ones((1, 0), dtype=np.int64)
    for index, axis in enumerate(axes):
        tiles = np.column_stack([np.repeat(tiles, axis.size, axis=0), np.tile(axis, len(tiles))])
        tiles = tiles[tiles[:, :3].prod(axis=1) <= accumulation]
        if index >= 3:
            tiles = tiles[tiles[:, 2:].prod(axis=1) <= config.weight_buffer_depth]
    tiles = np.repeat(tiles, 2, axis=0)
    p1, q1, k1, c1, r1, s1 = tiles.T
    return Tilings(p1, q1, k1, c1, r1, s1, pixels_inner=np.arange(len(tiles)) % 2 == 1)


def cycles_lower_bound(terms: TileTerms) -> Ints:
    """Returns a bound no schedule of the terms beats: the busiest engine, plus what nothing can hide."""
    tiles = terms.outer * terms.inner
    loads_input = np.where(terms.reduces | terms.holds_weights, tiles, terms.outer)
    loads_weights = np.where(terms.holds_weights, terms.outer, tiles)
    outputs = np.where(terms.reduces, terms.outer, tiles)
    compute = tiles * terms.passes * terms.pass_length - terms.pass_length + terms.stream
    first_load = terms.memory_latency + np.maximum(terms.input_load, terms.weight_load + terms.preload)
    tail = terms.latency + terms.drain + OUTPUT_LATENCY
    one_pass = terms.stream
    return np.asarray(
        np.maximum(
            np.maximum(first_load + compute + tail, outputs * terms.drain + first_load + one_pass + terms.latency),
            np.maximum(loads_input * terms.input_load, loads_weights * terms.weight_load)
            + terms.memory_latency
            + one_pass
            + tail,
        )
    )


def _take(record: Any, index: Any) -> Any:
    return type(record)(*(getattr(record, field.name)[index] for field in fields(record)))


def schedule(config: SystolicConfig, layer: Layer, objective: Objective = Objective.LATENCY) -> Schedule:
    """Finds the best tiling of a layer.

    Every useful tiling is looked at: all of them through a lower bound of their cycles, and through the exact
    recurrence those whose bound does not exceed the best count found.

    Raises:
        NoTilingError: No tiling fits the buffers, or the counters of the hardware; the message says what the smallest
            tile needs.
    """
    hardware, problem = Hardware.of([config]), LayerColumns.of([layer])
    tilings = candidate_tilings(config, layer)
    terms = tile_terms(hardware, problem, tilings)
    keep = np.flatnonzero(terms.valid)
    if keep.size == 0:
        one = Tiling(1, 1, 1, 1).arrays()
        smallest = tile_terms(hardware, problem, one)
        if smallest.reason[0] == Reason.COUNTER:
            finest = excess(hardware, problem, TileGrid.of(hardware, problem, one))
            raise NoTilingError(
                f"layer {layer.name!r}: no tile that fits the buffers keeps within the counters and addresses of the "
                f"hardware: with the smallest, {finest}",
                Reason.COUNTER,
            )
        if smallest.reason[0] == Reason.OVERFLOW:
            raise NoTilingError(f"layer {layer.name!r}: more than 2**53 cycles with every tile", Reason.OVERFLOW)
        raise NoTilingError(
            f"layer {layer.name!r}: no tile fits the buffers; the smallest needs "
            f"input_buffer_depth >= {smallest.input_words[0]} (is {config.input_buffer_depth}), "
            f"weight_buffer_depth >= {smallest.weight_words[0]} (is {config.weight_buffer_depth}), "
            f"accumulation_buffer_depth >= {smallest.accumulation_words[0]} (is {config.accumulation_buffer_depth})",
            Reason.CAPACITY,
        )
    tilings, terms = _take(tilings, keep), _take(terms, keep)
    law = EnergyLaw.of(config)
    winner, cycles, energy = _best(terms, law.dynamic(traffic(hardware, terms)), law.per_cycle, objective)
    chosen = Tiling(*(getattr(tilings, field.name)[winner].item() for field in fields(Tiling)))
    return Schedule(chosen, cycles, energy, int(keep.size))


def _best(
    terms: TileTerms, dynamic: npt.NDArray[np.float64], per_cycle: float, objective: Objective
) -> tuple[int, int, float]:
    """Returns the position of the best tiling, its cycles and its energy; the other objective breaks ties."""

    def costs(cycles: Ints, of: Any) -> tuple[Any, Any]:
        energy = dynamic[of] + per_cycle * cycles
        return (cycles, energy) if objective is Objective.LATENCY else (energy, cycles)

    # Both objectives grow with the cycles: what a bound of them costs bounds the cost.
    bound, tie = costs(cycles_lower_bound(terms), slice(None))
    order = np.lexsort((tie, bound))
    best: tuple[float, float, int] | None = None
    for start in range(0, order.size, _CHUNK):
        chunk = order[start : start + _CHUNK]
        if best is not None:
            chunk = chunk[bound[chunk] <= best[0]]
            if chunk.size == 0:
                break
        first, second = costs(layer_cycles(_take(terms, chunk)), chunk)
        at = np.lexsort((chunk, second, first))[0]
        found = (first[at].item(), second[at].item(), int(chunk[at]))
        best = found if best is None else min(best, found)
    if best is None:
        raise InputError("no tilings to choose from")
    cycles, energy = best[:2] if objective is Objective.LATENCY else best[1::-1]
    return best[2], int(cycles), energy

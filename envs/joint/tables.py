"""Cycles and counts of every slot on every machine, with a few tilings each: what joint tasks look up.

A slot may run with four tilings, which are the same whatever types and activations on chip are chosen: the fastest and
the one of least energy with the widest types, once with its activations in memory and once with them on chip: the
scheduler's best under these four conditions. Cycles are those of the exact recurrence for every pair of types and for
activations in memory or on chip; an activation on chip is read and written a word a cycle.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cache, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.systolic.columns import Hardware, LayerColumns
from accelgym.costmodels.systolic.config import SystolicConfig, make_config
from accelgym.costmodels.systolic.energy import EnergyLaw
from accelgym.costmodels.systolic.scheduler import Tiling, candidate_tilings, cycles_lower_bound
from accelgym.costmodels.systolic.steady import steady_layer_cycles
from accelgym.costmodels.systolic.tile_grid import Tilings
from accelgym.costmodels.systolic.tiling import TileTerms, tile_terms
from accelgym.costmodels.systolic.traffic import traffic
from accelgym.costmodels.workloads.equal_layers import unnamed
from accelgym.costmodels.workloads.layer import Layer
from accelgym.envs.joint.machines import COUNTS, MachineSpace
from accelgym.envs.joint.network import PAIRS

__all__ = ["CHUNKS", "MAPPINGS", "SlotTables", "slot_tables", "tilings_of"]

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MAPPINGS = ("fast", "frugal", "fast_on_chip", "frugal_on_chip")
"""Tilings of a slot, see above."""
CHUNKS = (4, 32, 256)
"""Tilings of each search that are counted exactly in its first, second and later rounds."""

_WEIGHT_BITS = np.array([int(w.removeprefix("int")) for w, _ in PAIRS])
_INPUT_BITS = np.array([int(a.removeprefix("int")) for _, a in PAIRS])


@dataclass(frozen=True)
class SlotTables:
    """Figures of the distinct slots of a network on every machine; machines that were not asked for hold zeros."""

    cycles: Floats
    """Shape ``(*hardware_shape, slots, mappings, pairs, 2, 2)``: whether the input, and the output, are on chip."""
    counts: Floats
    """Shape ``(*hardware_shape without pe_pipeline, slots, mappings, counts)``, as ``COUNTS``."""
    runs: Bools
    """Whether there is a tiling of every slot, shape ``hardware_shape``."""


def slot_tables(machines: MachineSpace, slots: Sequence[tuple[Layer, ...]], wanted: Bools) -> SlotTables:
    """Tabulates slots on the machines of a list.

    Args:
        machines: The list.
        slots: Loop nests of each distinct slot.
        wanted: Which arrays and buffers to tabulate, ``(templates, rows, columns, depths)``.
    """
    shape, kinds = machines.hardware_shape, (len(slots), len(MAPPINGS))
    cycles = np.zeros((*shape, *kinds, len(PAIRS), 2, 2))
    counts, runs = np.zeros((*shape[:-1], *kinds, len(COUNTS))), np.zeros(shape, dtype=bool)
    ports, stages = machines.values("port_bits"), machines.values("pe_pipeline")
    nests = tuple(tuple(unnamed(nest) for nest in of_slot) for of_slot in slots)
    for index in zip(*np.nonzero(wanted), strict=True):
        t, r, c, d = (int(i) for i in index)
        core = (
            machines.values("template")[t],
            machines.values("rows")[r],
            machines.values("columns")[c],
            machines.values("buffer_depth")[d],
        )
        found = _core_tables(core, ports, stages, nests)
        if found is not None:
            cycles[t, r, c, d], counts[t, r, c, d], runs[t, r, c, d] = *found, True
    return SlotTables(cycles, counts, runs)


@lru_cache(maxsize=4096)
def tilings_of(machines: MachineSpace, config: SystolicConfig, nest: Layer) -> list[Tiling]:
    """Returns the tilings of :data:`MAPPINGS` of a loop nest on a machine of a list."""
    ports = machines.values("port_bits")
    core = (config.template.value, config.rows, config.columns, config.input_buffer_depth)
    chosen = _choose(core, ports, [unnamed(nest)])
    assert chosen is not None  # Machines that do not run the network are not offered.
    tilings, picks, _ = chosen[0]
    mine = picks[ports.index(config.input_port_bits)]
    return [Tiling(*(getattr(tilings, f.name)[at].item() for f in fields(Tiling))) for at in mine]


_Core = tuple[str, int, int, int]
"""Template, rows, columns, and depth of the three buffers."""


@cache
def _config(core: _Core, port: int) -> SystolicConfig:
    """An accelerator with the widest pair of types."""
    template, rows, columns, depth = core
    return make_config(
        template=template,
        rows=rows,
        columns=columns,
        **{f"{buffer}_buffer_depth": depth for buffer in ("input", "weight", "accumulation")},
        **{f"{side}_port_bits": port for side in ("input", "weight", "output")},
    )


@lru_cache(maxsize=4096)
def _core_tables(
    core: _Core, ports: tuple[int, ...], stages: tuple[int, ...], slots: tuple[tuple[Layer, ...], ...]
) -> tuple[Floats, Floats] | None:
    """Cycles and counts of an array with buffers: ``(ports, stages, slots, mappings, pairs, 2, 2)`` and without types.

    None where a loop nest has no tiling.
    """
    cycles = np.zeros((len(ports), len(stages), len(slots), len(MAPPINGS), len(PAIRS), 2, 2))
    counts = np.zeros((len(ports), len(slots), len(MAPPINGS), len(COUNTS)))
    nests = [(number, at, nest) for number, of_slot in enumerate(slots) for at, nest in enumerate(of_slot)]
    chosen = _choose(core, ports, [nest for _, _, nest in nests])
    if chosen is None:
        return None
    parts: list[tuple[TileTerms, int, bool, bool]] = []
    for (number, at, _), (_, picks, terms) in zip(nests, chosen, strict=True):
        picked = _pick(terms, picks.ravel())
        first, last = at == 0, at == len(slots[number]) - 1
        counts[:, number] += _counts(core, picked, first, last).reshape(len(ports), len(MAPPINGS), len(COUNTS))
        parts.append((picked, number, first, last))
    for number, found in _exact(core, ports, stages, parts):
        cycles[:, :, number] += found
    cycles.flags.writeable = counts.flags.writeable = False
    return cycles, counts


@dataclass
class _Search:
    """The search for one of :data:`MAPPINGS` of a loop nest: of all tilings that fit, the one of least cost."""

    nest: int
    beats: tuple[int, int, int]
    energy: Floats | None
    """Of everything but the cycles, where energy is the objective."""
    per_cycle: float
    tie: Floats
    bound: Floats
    """Of the cost, shape ``(tilings,)``."""
    order: Ints
    """Tilings by bound."""
    seen: int = 0
    best: tuple[float, float, int] = (np.inf, np.inf, -1)

    def next(self, most: int) -> Ints:
        """The next tilings whose bound is below the best cost."""
        chunk = self.order[self.seen : self.seen + most]
        chunk = chunk[self.bound[chunk] < self.best[0]]
        self.seen = self.seen + len(chunk) if len(chunk) else len(self.order)
        return chunk

    def take(self, chunk: Ints, cycles: Ints) -> None:
        """Compares exact counts with the best."""
        cost = cycles if self.energy is None else self.energy[chunk] + self.per_cycle * cycles
        tie = self.tie[chunk] if self.energy is None else cycles
        at = int(np.lexsort((tie, cost))[0])
        self.best = min(self.best, (float(cost[at]), float(tie[at]), int(chunk[at])))


def _choose(
    core: _Core, ports: tuple[int, ...], nests: Sequence[Layer]
) -> list[tuple[Tilings, Ints, TileTerms]] | None:
    """Returns of every loop nest the tilings that fit, those of :data:`MAPPINGS` by port, and all terms a beat a word.

    None where none fits with the narrowest port. As the scheduler, each search looks at every tiling through a bound
    and counts those exactly whose bound is below the best count.
    """
    narrow = _config(core, min(ports))
    law, hardware = EnergyLaw.by(narrow, None), Hardware.of([narrow])
    fitting, searches = [], []
    for number, nest in enumerate(nests):
        tilings = candidate_tilings(narrow, nest)
        terms = tile_terms(hardware, LayerColumns.of([nest]), tilings)
        keep = np.flatnonzero(terms.valid)
        if keep.size == 0:
            return None
        tilings, terms = _pick(tilings, keep), _with_beats(_pick(terms, keep), 1, 1, 1)
        fitting.append((tilings, terms))
        moved = traffic(hardware, terms)
        inside = law.buffers(moved) + law.array(moved) + moved.weight_loads * law.weight_load
        off_chip = inside + moved.input_loads * law.input_load + moved.outputs * law.output
        for port in ports:
            beats = _beats(core, port)
            for energy, here in ((off_chip, beats), (inside, (1, beats[1], 1))):
                cycles = cycles_lower_bound(_with_beats(terms, *here)).astype(np.float64)
                for price in (None, energy):
                    bound = cycles if price is None else price + law.per_cycle * cycles
                    order = np.argsort(bound, kind="stable")
                    searches.append(_Search(number, here, price, law.per_cycle, off_chip, bound, order))
    all_terms = [terms for _, terms in fitting]
    for most in itertools.chain(CHUNKS, itertools.repeat(CHUNKS[-1])):
        jobs = [(search, chunk) for search in searches if len(chunk := search.next(most))]
        if not jobs:
            break
        timed = [_with_beats(_pick(all_terms[search.nest], chunk), *search.beats) for search, chunk in jobs]
        found = np.split(steady_layer_cycles(_joined(timed)), np.cumsum([len(chunk) for _, chunk in jobs])[:-1])
        for (search, chunk), counted in zip(jobs, found, strict=True):
            search.take(chunk, counted)
    # Searches come as fast and frugal off chip, then on chip: the order of MAPPINGS.
    picks = np.array([search.best[2] for search in searches]).reshape(len(nests), len(ports), len(MAPPINGS))
    return [(tilings, picks[i], terms) for i, (tilings, terms) in enumerate(fitting)]


def _beats(core: _Core, port: int) -> tuple[int, int, int]:
    config = _config(core, port)
    return config.input_beats, config.weight_beats, config.output_beats


def _counts(core: _Core, terms: TileTerms, first: bool, last: bool) -> Floats:
    """Counts of tilings, shape ``(n, counts)``."""
    moved = traffic(Hardware.of([_config(core, 64)]), terms)
    nothing = np.zeros_like(moved.input_loads)
    columns = (
        moved.input_loads if first else nothing,
        nothing if first else moved.input_loads,
        moved.weight_loads,
        moved.outputs if last else nothing,
        nothing if last else moved.outputs,
        moved.input_reads,
        moved.weight_reads,
        moved.accumulation_writes,
        moved.accumulation_reads,
        moved.array_steps,
    )
    return np.stack(columns, axis=-1).astype(np.float64)


def _exact(
    core: _Core, ports: tuple[int, ...], stages: tuple[int, ...], parts: list[tuple[TileTerms, int, bool, bool]]
) -> list[tuple[int, Floats]]:
    """Exact cycles of the chosen tilings of every part, ``(ports, stages, mappings, pairs, 2, 2)``, in one batch."""
    _, rows, columns, _ = core
    port = np.array(ports)[:, None, None, None, None, None]
    stage = np.array(stages)[None, :, None, None, None, None]
    input_off = -(-rows * _INPUT_BITS[:, None, None] // port)
    weight = -(-columns * _WEIGHT_BITS[:, None, None] // port)
    output_off = -(-_config(core, 64).accumulation_word_bits // port)
    on_input, on_output = np.array([False, True])[:, None], np.array([False, True])[None, :]
    shape = (len(ports), len(stages), len(MAPPINGS), len(PAIRS), 2, 2)
    keys, unique = [], []
    for number, (_, _, first, last) in enumerate(parts):
        values = (
            np.where(on_input & first, 1, input_off),
            weight,
            np.where(on_output & last, 1, output_off),
            stage,
            np.arange(len(ports))[:, None, None, None, None, None] * len(MAPPINGS)
            + np.arange(len(MAPPINGS))[:, None, None, None],
        )
        columns_ = [np.broadcast_to(value, shape).ravel() for value in values]
        found, where = np.unique(np.stack(columns_, axis=1), axis=0, return_inverse=True)
        keys.append(where.reshape(shape))
        unique.append((number, found))
    batches = []
    for number, found in unique:
        picked = _pick(parts[number][0], found[:, 4])
        timed = replace(picked, latency=picked.latency + found[:, 3] - 1)
        batches.append(_with_beats(timed, found[:, 0], found[:, 1], found[:, 2]))
    cycles = steady_layer_cycles(_joined(batches))
    ends = np.cumsum([len(found) for _, found in unique])
    split = np.split(cycles, ends[:-1])
    return [(part[1], values[key].astype(np.float64)) for part, values, key in zip(parts, split, keys, strict=True)]


def _joined(parts: list[TileTerms]) -> TileTerms:
    """Terms one behind the other."""
    return TileTerms(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(TileTerms)))


def _with_beats(terms: TileTerms, input_beats: Any, weight_beats: Any, output_beats: Any) -> TileTerms:
    """The terms of the same tiles behind ports that take so many cycles a word."""
    return replace(
        terms,
        input_load=terms.input_words * input_beats,
        weight_load=terms.weight_words * weight_beats,
        drain=terms.accumulation_words * output_beats,
    )


def _pick(record: Any, index: Any) -> Any:
    """Rows of a record of arrays, which are broadcast to one length first."""
    arrays = {field.name: np.asarray(getattr(record, field.name)) for field in fields(record)}
    length = max(len(array) for array in arrays.values())
    return type(record)(**{name: np.broadcast_to(array, (length,))[index] for name, array in arrays.items()})

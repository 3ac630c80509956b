"""The machines of joint tasks: their parameters, area, critical path, and prices of what moves."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.components import laws
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.systolic.area import AreaTerms, area_table, estimate
from accelgym.costmodels.systolic.config import SystolicConfig, make_config
from accelgym.costmodels.systolic.energy import ComponentLaw, EnergyLaw
from accelgym.costmodels.systolic.memories import memory_area_nand2
from accelgym.envs.joint.network import PAIRS
from accelgym.envs.space import Parameter

__all__ = ["COUNTS", "MACHINES", "TYPE_SETS", "MachineSpace", "machine_space", "type_set"]

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

TYPE_SETS = ("int4", "int4*int8", "int8", "int4/int8", "int4/int6/int8")
"""Sets of types that an array may take, by default: of weights and of activations, behind ``*`` where they differ."""

_SHARED = {"template": ("weight_stationary", "output_stationary")}
MACHINES: dict[str, dict[str, tuple[Any, ...]]] = {
    "standard": {
        "types": TYPE_SETS,
        "sram_kib": (0, 8, 32, 128, 512),
        **_SHARED,
        "rows": (8, 16, 32),
        "columns": (8, 16, 32),
        "buffer_depth": (64, 256),
        "port_bits": (32, 64, 128),
        "pe_pipeline": (1, 2),
    },
    "small": {
        "types": ("int4*int8", "int8", "int4/int8"),
        "sram_kib": (0, 8),
        **_SHARED,
        "rows": (8, 16),
        "columns": (8, 16),
        "buffer_depth": (64,),
        "port_bits": (32, 128),
        "pe_pipeline": (1,),
    },
}
"""Values of the parameters by the name of the list, in the order in which an episode decides them: what layers depend
on most, the types and the shared SRAM, comes first."""

COUNTS = (
    *("first_input_loads", "other_input_loads", "weight_loads", "last_outputs", "other_outputs"),
    *("input_reads", "weight_reads", "accumulation_writes", "accumulation_reads", "array_steps"),
)
"""Counts that energy is linear in, beside the cycles: buffer words of the loop nests of a slot. Loads of the first nest
and outputs of the last one are those that may stay on chip."""

_TYPES = tuple(dict.fromkeys(weight for weight, _ in PAIRS))
_TABULATED = (("int4", "int4"), ("int4", "int8"), ("int8", "int8"))
"""Pairs of types whose elements the area table has, the smallest first; an int6 counts as an int8."""
_UNORDERED = ("types", "template")
_SRAM_BITS = 128
"""Bits of a word of the shared SRAM."""
_MUX2 = 3.0
"""NAND2 equivalents of a multiplexer in ``hwgen/synthesis/libraries/nand2.lib``: a lane of an operand buffer takes one
a bit for every format beyond the first."""


@dataclass(frozen=True)
class MachineSpace:
    """A list of machines as the product of its parameters; a machine is a flat index, the last one varying fastest."""

    name: str
    types: tuple[str, ...] | None = None
    """Sets of types in place of those of the list."""

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Parameters of a machine."""
        groups = {"types": "types", "sram_kib": "sram", "buffer_depth": "buffers", "port_bits": "ports"}
        return tuple(
            Parameter(name, values, name not in _UNORDERED, groups.get(name, "array"), name)
            for name in MACHINES[self.name]
            for values in (self.values(name),)
        )

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Number of values of each parameter."""
        return tuple(len(p.values) for p in self.parameters)

    @cached_property
    def hardware_shape(self) -> tuple[int, ...]:
        """The same without types and shared SRAM: what cycles depend on, beside the types of a layer."""
        return self.shape[2:]

    def values(self, name: str) -> tuple[Any, ...]:
        """Values of a parameter."""
        return self.types if name == "types" and self.types is not None else MACHINES[self.name][name]

    @cached_property
    def type_sets(self) -> tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]:
        """Types of weights and of activations of every set."""
        return tuple(type_set(name) for name in self.values("types"))

    def _column(self, name: str) -> Ints:
        """A numeric parameter of every machine, shape :attr:`shape`."""
        at = list(MACHINES[self.name]).index(name)
        axis = np.array(self.values(name), dtype=np.int64)
        return np.broadcast_to(axis.reshape(tuple(-1 if i == at else 1 for i in range(len(self.shape)))), self.shape)

    # -- types -------------------------------------------------------------------------------------------------

    @cached_property
    def supports(self) -> Bools:
        """Whether a set of types has a pair, shape ``(sets, pairs)``."""
        return np.array([[w in weights and a in inputs for w, a in PAIRS] for weights, inputs in self.type_sets])

    @cached_property
    def lane_bits(self) -> Ints:
        """Bits of an activation on chip: those of the widest type, shape ``(sets,)``."""
        return np.array([max(map(_bits, activations)) for _, activations in self.type_sets], dtype=np.int64)

    @cached_property
    def room_words(self) -> Ints:
        """Activations that the shared SRAM holds, shape ``(sets, srams)``."""
        bits = np.array(self.values("sram_kib"), dtype=np.int64) * 8192
        return np.asarray(bits[None, :] // self.lane_bits[:, None])

    # -- limits ------------------------------------------------------------------------------------------------

    @cached_property
    def _estimate(self) -> tuple[Floats, Floats]:
        table = area_table()
        kinds = np.array(
            [
                [
                    [table.kind(self._widest(types, template, stages)) for stages in self.values("pe_pipeline")]
                    for template in self.values("template")
                ]
                for types in self.type_sets
            ],
            dtype=np.int64,
        )
        sets, templates, stages = kinds.shape
        kind = np.broadcast_to(kinds.reshape(sets, 1, templates, 1, 1, 1, 1, stages), self.shape)
        any_machine = self._widest(self.type_sets[0], "weight_stationary", 1)
        terms = AreaTerms(
            rows=self._column("rows"),
            columns=self._column("columns"),
            kind=kind,
            input_depth=self._column("buffer_depth"),
            weight_depth=self._column("buffer_depth"),
            accumulation_depth=self._column("buffer_depth"),
            accumulation_banks=np.full(self.shape, 2 if any_machine.double_buffered_accumulation else 1),
            input_port_bits=self._column("port_bits"),
            weight_port_bits=self._column("port_bits"),
            output_port_bits=self._column("port_bits"),
            memory_latency=np.full(self.shape, any_machine.memory_latency),
        )
        found = estimate(terms, table)
        sram = [memory_area_nand2(k * 8192 // _SRAM_BITS, _SRAM_BITS) if k else 0.0 for k in self.values("sram_kib")]
        extra = [[len(side) - 1 for side in sides] for sides in self.type_sets]
        wide = [[max(map(_bits, side)) for side in sides] for sides in self.type_sets]
        muxes = _MUX2 * np.array(extra) * np.array(wide)
        tail = (1,) * (len(self.shape) - 1)
        selection = muxes[:, 0].reshape(-1, *tail) * terms.columns + muxes[:, 1].reshape(-1, *tail) * terms.rows
        area = found.total + np.array(sram).reshape(1, -1, *tail[1:]) + selection
        return np.asarray(area), found.critical_path_ps

    @property
    def area_nand2(self) -> Floats:
        """Area of every machine, NAND2 equivalents, shape :attr:`shape`.

        The closed forms of :mod:`accelgym.costmodels.systolic.area` for the widest pair of types; for every further
        type of an operand a multiplexer a lane bit; and the shared SRAM by the law of memories.
        """
        return self._estimate[0]

    @property
    def critical_path_ps(self) -> Floats:
        """Critical path of every machine, shape :attr:`shape`."""
        return self._estimate[1]

    @property
    def bandwidth_bits(self) -> Ints:
        """Widths of the three ports together, shape :attr:`shape`."""
        return 3 * self._column("port_bits")

    def _widest(
        self, types: tuple[tuple[str, ...], tuple[str, ...]], template: str, pe_pipeline: int
    ) -> SystolicConfig:
        """A configuration, of any size, of which the area table has the element for the widest types of a set."""
        bits = [max(map(_bits, side)) for side in types]
        weight, activation = next(
            kind for kind in _TABULATED if bits[0] <= _bits(kind[0]) and bits[1] <= _bits(kind[1])
        )
        return make_config(
            rows=8, columns=8, template=template, input_type=activation, weight_type=weight, pe_pipeline=pe_pipeline
        )

    def config(self, machine: int) -> SystolicConfig:
        """Returns the configuration of a machine; it says nothing of the shared SRAM."""
        index = np.unravel_index(machine, self.shape)
        found = {p.name: p.values[i] for p, i in zip(self.parameters, index, strict=True)}
        weights, activations = type_set(found["types"])
        depth, port = found["buffer_depth"], found["port_bits"]
        return make_config(
            **{name: found[name] for name in ("template", "rows", "columns", "pe_pipeline")},
            input_type=activations,
            weight_type=weights,
            **{f"{buffer}_buffer_depth": depth for buffer in ("input", "weight", "accumulation")},
            **{f"{side}_port_bits": port for side in ("input", "weight", "output")},
        )

    # -- prices ------------------------------------------------------------------------------------------------

    @cached_property
    def prices(self) -> tuple[Floats, Floats]:
        """Prices of each of :data:`COUNTS`, and of a cycle, pJ.

        The first has the shape ``(sets, srams, rows, columns, depths, pairs, 2, 2, counts)``: the axes of 2 say whether
        the input comes from the shared SRAM and whether the output goes there alone. The second has the shape
        ``(sets, srams, rows, columns, depths)``. Component laws price all machines alike: the table fitted to gates
        has no machine of several types.
        """
        names = ("types", "sram_kib", "rows", "columns", "buffer_depth")
        shape = tuple(len(self.values(name)) for name in names)
        price, cycle = np.zeros((*shape, len(PAIRS), 2, 2, len(COUNTS))), np.zeros(shape)
        for s, r, c, d in np.ndindex(shape[0], *shape[2:]):
            rows, columns, depth = (self.values(n)[i] for n, i in zip(names[2:], (r, c, d), strict=True))
            weights, activations = self.type_sets[s]
            depths = {f"{buffer}_buffer_depth": depth for buffer in ("input", "weight", "accumulation")}
            config = make_config(rows=rows, columns=columns, input_type=activations, weight_type=weights, **depths)
            for pair in np.flatnonzero(self.supports[s]):
                law = EnergyLaw.by(config.with_types(PAIRS[pair][1], PAIRS[pair][0]), None)
                for k in range(shape[1]):
                    read, write, leak = self.sram_pj_per_bit(k)
                    word = int(self.lane_bits[s]) * rows, int(self.lane_bits[s]) * columns
                    loads = np.array([law.input_load, read * word[0]])[:, None] + law.input_write
                    outputs = np.array([law.output, write * word[1]])[None, :]
                    cell = price[s, k, r, c, d, pair]
                    cell[..., 0], cell[..., 3] = loads, outputs
                    cell[..., 1], cell[..., 4] = law.input_load + law.input_write, law.output
                    cell[..., 2] = law.weight_load + law.weight_write
                    rest = (law.input_read, law.weight_read, law.accumulation_write, law.accumulation_read)
                    cell[..., 5:9] = rest
                    assert isinstance(law.logic_law, ComponentLaw)
                    cell[..., 9] = law.logic_law.array_step
                    cycle[s, k, r, c, d] = law.per_cycle + leak
        return price, cycle

    def sram_pj_per_bit(self, sram: int) -> tuple[float, float, float]:
        """Reading and writing a bit of the shared SRAM, and its leakage a cycle; of none, what memory takes."""
        kib = self.values("sram_kib")[sram]
        if not kib:
            return laws.dram(1).read_pj, laws.dram(1).write_pj, 0.0
        found = laws.sram(kib * 8192 // _SRAM_BITS, _SRAM_BITS)
        return found.read_pj / _SRAM_BITS, found.write_pj / _SRAM_BITS, found.leakage_pj

    @cached_property
    def word_prices(self) -> Floats:
        """PJ of an activation read from memory, read from and written to the shared SRAM, ``(sets, srams, 3)``."""
        on_chip = np.array([self.sram_pj_per_bit(k)[:2] for k in range(len(self.values("sram_kib")))])
        bits = self.lane_bits[:, None]
        memory = np.broadcast_to(laws.dram(1).read_pj * bits, (len(bits), len(on_chip)))
        return np.stack((memory, bits * on_chip[:, 0], bits * on_chip[:, 1]), axis=-1)


def type_set(name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the types of weights and of activations of a set by its name, ``int4*int8`` or ``int4/int8``.

    Raises:
        InputError: A type that no layer has a loss for, or one that is listed twice.
    """
    weights, _, activations = name.partition("*")
    sides = tuple(tuple(side.split("/")) for side in (weights, activations or weights))
    for side in sides:
        for datatype in side:
            if datatype not in _TYPES:
                raise InputError(
                    f"types: no layer can use {datatype!r} of {name!r}: losses are tabulated for {', '.join(_TYPES)}"
                )
            if side.count(datatype) > 1:
                raise InputError(f"types: {name!r} lists {datatype} {side.count(datatype)} times, allowed is once")
    return sides[0], sides[1]


def _bits(name: str) -> int:
    return int(name.removeprefix("int"))


@lru_cache(maxsize=16)
def machine_space(name: str, types: tuple[str, ...] | None = None) -> MachineSpace:
    """Returns a list of machines by name; tasks share it with all that it has computed.

    Args:
        name: A key of :data:`MACHINES`.
        types: Sets of types in place of those of the list.

    Raises:
        InputError: A set of types that no layer can use.
    """
    found = MachineSpace(name, types)
    _ = found.type_sets  # Refused here, not where they are first looked at.
    return found

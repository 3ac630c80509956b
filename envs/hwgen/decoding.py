"""From rows of indices to configurations, and to the arrays that cycle and area models take."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.systolic.area import AreaTable, AreaTerms
from accelgym.costmodels.systolic.columns import Hardware, release_cycles
from accelgym.costmodels.systolic.config import SystolicConfig, Template, make_config
from accelgym.costmodels.systolic.format_kinds import FORMATS
from accelgym.envs.hwgen.spec import PARAMETER_ROLES, PARAMETER_VALUES, HwGenSpec
from accelgym.envs.space import Designs, Parameter, Space

__all__ = ["ARRAY", "BUFFER_DEPTHS", "DEPTHS", "PORTS", "SIZED", "Decoder"]

Ints = npt.NDArray[np.int64]

_NAMES = tuple(PARAMETER_VALUES)
_UNORDERED = ("formats", "template")
ARRAY = [_NAMES.index(name) for name in ("template", "rows", "columns")]
"""Parameters that candidate tilings depend on."""
DEPTHS = slice(_NAMES.index("input_buffer_depth"), _NAMES.index("input_port_bits"))
PORTS = slice(DEPTHS.stop, len(_NAMES))
BUFFER_DEPTHS: tuple[tuple[int, ...], ...] = tuple(PARAMETER_VALUES[name] for name in _NAMES[DEPTHS])
"""Words of the input, weight and accumulation buffer to choose from."""
SIZED = slice(_NAMES.index("input_buffer_depth"), len(_NAMES))
"""Buffers and ports: parameters of which more never costs cycles."""


class Decoder:
    """Reads designs under the settings that a task fixes.

    Args:
        spec: The task's specification.
    """

    def __init__(self, spec: HwGenSpec) -> None:
        self._spec = spec
        self.space = Space(
            tuple(Parameter(n, v, n not in _UNORDERED, *PARAMETER_ROLES[n]) for n, v in PARAMETER_VALUES.items())
        )

    def config(self, design: Designs) -> SystolicConfig:
        """Returns the configuration of one design, shape ``(parameters,)``."""
        values = self.space.decode(design)
        formats = FORMATS[values.pop("formats")]
        spec = self._spec
        return make_config(
            **values,
            **formats,
            pe_pipeline=spec.pe_pipeline,
            memory_latency=spec.memory_latency,
            clock_ghz=spec.clock_ghz,
        )

    def numbers(self, designs: Designs) -> dict[str, Ints]:
        """Returns the real values of the numeric parameters by name, shape ``(n,)`` each."""
        return {
            name: np.array(PARAMETER_VALUES[name], dtype=np.int64)[designs[:, at]]
            for at, name in enumerate(_NAMES)
            if name not in _UNORDERED
        }

    def beats(self, designs: Designs) -> Ints:
        """Returns the cycles a port needs for a word of the input, weight and accumulation buffer, shape ``(n, 3)``."""
        return np.column_stack(list(self._beats(designs).values()))

    def hardware(self, designs: Designs) -> Hardware:
        """Returns the designs as the cycle model takes them."""
        values, beats = self.numbers(designs), self._beats(designs)
        fixed = Hardware.of([self._any])
        size = len(designs)
        return Hardware(
            rows=values["rows"],
            columns=values["columns"],
            weight_stationary=self._weight_stationary[designs[:, 1]],
            pe_pipeline=np.repeat(fixed.pe_pipeline, size),
            input_depth=values["input_buffer_depth"],
            weight_depth=values["weight_buffer_depth"],
            accumulation_depth=values["accumulation_buffer_depth"],
            accumulation_banks=np.repeat(fixed.accumulation_banks, size),
            memory_latency=np.repeat(fixed.memory_latency, size),
            input_beats=beats["input"],
            weight_beats=beats["weight"],
            output_beats=beats["output"],
            weight_words=values["rows"],
            add_cycles=np.repeat(fixed.add_cycles, size),
            conversion=np.repeat(fixed.conversion, size),
            input_release=release_cycles(values["rows"], fixed.add_cycles, fixed.memory_latency),
            weight_release=release_cycles(values["columns"], 1, fixed.memory_latency),
        )

    def area_terms(self, designs: Designs, table: AreaTable) -> AreaTerms:
        """Returns the designs as the area model takes them."""
        formats, templates = (len(PARAMETER_VALUES[name]) for name in _UNORDERED)
        kinds = np.array(
            [[table.kind(self._with(i, j)) for j in range(templates)] for i in range(formats)], dtype=np.int64
        )
        fixed = AreaTerms.of([self._any], table)
        size = len(designs)
        return AreaTerms(
            kind=kinds[designs[:, 0], designs[:, 1]],
            accumulation_banks=np.repeat(fixed.accumulation_banks, size),
            memory_latency=np.repeat(fixed.memory_latency, size),
            **{name.replace("buffer_", ""): column for name, column in self.numbers(designs).items()},
        )

    def _with(self, formats: int, template: int) -> SystolicConfig:
        return self.config(np.array([formats, template, *[0] * (len(_NAMES) - 2)]))

    @cached_property
    def _any(self) -> SystolicConfig:
        return self._with(0, 0)

    @cached_property
    def _weight_stationary(self) -> npt.NDArray[np.bool_]:
        return np.array([name == Template.WEIGHT_STATIONARY.value for name in PARAMETER_VALUES["template"]])

    @cached_property
    def _bits(self) -> Ints:
        """Bits of an input, a weight and an accumulated value by choice of formats."""
        configs = [self._with(i, 0) for i in range(len(FORMATS))]
        return np.array([[c.input.bits, c.weight.bits, c.accumulation.bits] for c in configs], dtype=np.int64)

    def _beats(self, designs: Designs) -> dict[str, Ints]:
        """Cycles a port needs for a buffer word."""
        values, bits = self.numbers(designs), self._bits[designs[:, 0]]
        words = {
            "input": values["rows"] * bits[:, 0],
            "weight": values["columns"] * bits[:, 1],
            "output": values["columns"] * bits[:, 2],
        }
        return {name: -(-word // values[f"{name}_port_bits"]) for name, word in words.items()}

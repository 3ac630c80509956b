"""PEs and buffer of one layer, labelled by evaluating the whole grid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.strict_model import Count
from accelgym.costmodels.maestro.designs import Dataflow, ResourceDesigns
from accelgym.costmodels.maestro.grid import FIGURES, grid_blocks
from accelgym.costmodels.models import cost_models
from accelgym.dse_dataset.airchitect_csv import write_released
from accelgym.dse_dataset.columns import ROW, Column
from accelgym.dse_dataset.layers import SAMPLERS, LayerTable, network_layers, twin_key
from accelgym.dse_dataset.optimum import ROUNDING, find_optima
from accelgym.dse_dataset.recipes.base import HELD_OUT, MOST_DESIGNS, Progress, Recipe, RecipeSpec, draw_apart
from accelgym.dse_dataset.shards import Shard
from accelgym.dse_dataset.streams import RowStreams
from accelgym.envs.space import Parameter

__all__ = ["LAYER_COLUMNS", "ResourceRecipe", "ResourceSpec"]

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

_CAP_FIGURE = {"area": "area_um2", "power": "power_mw"}
_LATER_DRAWS = 40
"""First draw of what is not the layer; samplers use the ones before."""
_MOST_KEPT = 2**28
"""Objectives in a shard, which is kept in memory: 2 GiB."""
_RATE = 3e6
"""Designs a CPU-second, a low guess for the message of a space that is too large."""

LAYER_COLUMNS = (
    Column("K", "int32", "output channels; 1 for a depthwise layer; columns of the result of a product", "input"),
    Column("C", "int32", "input channels; reduction length of a product", "input"),
    Column("Y", "int32", "input rows at stride 1 without padding; rows of the result of a product", "input"),
    Column("X", "int32", "input columns likewise; 1 for a product", "input"),
    Column("R", "int32", "kernel rows", "input"),
    Column("S", "int32", "kernel columns", "input"),
    Column("depthwise", "bool", "whether every channel has its own filter", "input"),
)


class ResourceSpec(RecipeSpec):
    """A grid of PEs and buffer levels under a cost model of :class:`ResourceDesigns`."""

    kind: Literal["resource"] = "resource"
    sampler: Literal["airchitect", "log-uniform"] = "airchitect"
    model: Literal["maestro", "physical"] = "maestro"
    model_options: dict[str, Any] = Field(default_factory=dict)
    most_pes: Count = 64
    """PEs are 1 up to this."""
    most_levels: Count = 12
    """Buffer levels (channels tiled per PE) are 1 up to this."""
    dataflow_weights: tuple[float, float, float] = Field(default=(1.0, 1.0, 1.0), strict=False)
    """How often ``dla``, ``eye`` and ``shi`` are asked for; depthwise layers always run ``dpt``."""
    objectives: tuple[Literal["latency", "energy", "edp"], ...] = Field(
        default=("latency",), min_length=1, strict=False
    )
    caps: tuple[Literal["none", "area", "power"], ...] = Field(default=("none",), min_length=1, strict=False)
    """What is capped, drawn per row."""
    top: Count = 5
    """Designs listed per row."""
    landscape: bool = False
    """Whether the objective of every design is kept, infinite where it is infeasible."""
    released: Literal["none", "config_id", "two_columns"] = "none"
    """Whether the drawn rows are also written as AIrchitect v2's released files are laid out."""
    held_out: tuple[str, ...] = Field(default=(), strict=False)
    """Networks whose layers, and their twins, stand in a split of their own only."""


class ResourceRecipe(Recipe):
    """Labels a layer with the best of all pairs of PEs and buffer level."""

    title: ClassVar[str] = "Which number of PEs and which buffer level are best for a layer under a dataflow?"

    def __init__(self, spec: ResourceSpec) -> None:
        if min(spec.dataflow_weights) < 0 or not sum(spec.dataflow_weights) > 0:
            raise InputError(f"dataflow_weights: {spec.dataflow_weights}, allowed: three numbers >= 0, not all 0")
        designs = spec.most_pes * spec.most_levels
        if designs > MOST_DESIGNS:
            raise InputError(
                f"most_pes, most_levels: {designs} designs a row are too many to enumerate, allowed: {MOST_DESIGNS}; "
                f"{spec.rows} rows would take {designs * spec.rows:.3g} evaluations, at {_RATE:.0e} a CPU-second "
                f"{designs * spec.rows / _RATE / 3600:.3g} CPU-hours; label with an agent instead (kind: search)"
            )
        if spec.top > designs:
            raise InputError(f"top: {spec.top}, allowed: 1..{designs}, the designs of a row")
        listed = designs if spec.landscape else spec.top
        if spec.shard_rows * listed > _MOST_KEPT:
            size = spec.shard_rows * listed * 8 / 2**30
            raise InputError(
                f"shard_rows: {spec.shard_rows} rows of {listed} objectives each are {size:.3g} GiB in memory, allowed "
                f"with as many: 1..{_MOST_KEPT // listed}"
            )
        if spec.released != "none" and (spec.sampler != "airchitect" or spec.objectives != ("latency",)):
            raise InputError("released: that layout holds convolutions and latencies only (sampler: airchitect)")
        self._spec = spec
        self.model = cost_models.build(spec.model, **spec.model_options)
        self.pes = tuple(range(1, spec.most_pes + 1))
        self.levels = tuple(range(1, spec.most_levels + 1))

    @property
    def spec(self) -> ResourceSpec:
        return self._spec

    def extra_files(self, out: Path) -> list[Path]:
        if self.spec.released == "none":
            return []
        return write_released(out, len(self.levels), two_columns=self.spec.released == "two_columns")

    @cached_property
    def conditioned(self) -> bool:
        """Whether objective and cap are inputs."""
        return self.spec.objectives != ("latency",) or self.spec.caps != ("none",)

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        designs, top = len(self.pes) * len(self.levels), self.spec.top
        asked = (
            Column("objective", "string", "what is minimised: latency, energy or edp (energy x latency)", "input"),
            Column("cap", "string", "what is capped: none, area or power", "input"),
            Column("cap_fraction", "float64", "cap between the least (0) and the largest (1) of the grid", "input"),
            Column("cap_value", "float64", "cap in um2 or mW; 0 without one", "input"),
        )
        landscape = Column(
            "landscape", "float64", f"objective of all {designs} designs, inf: infeasible", "landscape", designs
        )
        return (
            ROW,
            Column("source", "string", "network:layer of a held-out row, empty for a drawn one", "key"),
            *LAYER_COLUMNS,
            Column("dataflow", "string", "dla, eye, shi, or dpt for a depthwise layer", "input"),
            *(asked if self.conditioned else ()),
            Column("best_num_pes", "int32", "PEs of the canonical optimum", "label"),
            Column("best_buffer_level", "int32", "its buffer level", "label"),
            Column("best_objective", "float64", "its objective: cycles, pJ or pJ x cycles", "label"),
            Column("tied_designs", "int32", "designs that tie with it, itself included", "label"),
            Column("feasible_designs", "int32", "designs that are valid and within the cap", "label"),
            Column("best_latency_cycles", "int64", "cycles of the canonical optimum", "cost"),
            Column("best_energy_pj", "float64", "energy", "cost"),
            Column("best_area_um2", "float64", "area", "cost"),
            Column("best_power_mw", "float64", "power", "cost"),
            Column("top_num_pes", "int32", "PEs of the best designs, 0: there are no more", "label", top),
            Column("top_buffer_level", "int32", "their buffer levels, 0: there are no more", "label", top),
            Column("top_objective", "float64", "their objectives, inf: there are no more", "label", top),
            *((landscape,) if self.spec.landscape else ()),
        )

    @cached_property
    def held_out(self) -> tuple[LayerTable, list[str]]:
        """Distinct layers of the held-out networks."""
        return network_layers(self.spec.held_out)

    @cached_property
    def _held_out_rows(self) -> tuple[LayerTable, IntArray, list[str]]:
        """Every held-out layer under every dataflow that can be asked for, where it has a design."""
        layers, names = self.held_out
        flows = np.flatnonzero(np.array(self.spec.dataflow_weights) > 0)
        index = np.repeat(np.arange(len(layers)), np.where(layers.depthwise, 1, len(flows)))
        place = np.arange(len(index)) - np.searchsorted(index, index)
        dataflow = np.where(layers.depthwise[index], int(Dataflow.DPT), flows[place])
        kept = np.flatnonzero(self._solvable(layers.take(index), dataflow))
        return layers.take(index[kept]), dataflow[kept], [names[i] for i in index[kept]]

    def _solvable(self, layers: LayerTable, flows: IntArray) -> npt.NDArray[np.bool_]:
        """Returns which layers have a valid design at a corner of the grid; MAESTRO knows none for some."""
        found = np.zeros(len(layers), dtype=bool)
        columns = layers.columns()
        for pes in (self.pes[0], self.pes[-1]):
            for level in (self.levels[0], self.levels[-1]):
                designs = ResourceDesigns(
                    **columns, dataflow=flows, num_pes=np.array(pes), buffer_level=np.array(level)
                )
                found |= np.asarray(self.model.evaluate(designs).valid)
        return found

    @property
    def splits(self) -> dict[str, int]:
        return super().splits | ({HELD_OUT: len(self._held_out_rows[1])} if self.spec.held_out else {})

    def facts(self) -> dict[str, Any]:
        return {
            "cost_model": self.model.name,
            "cost_model_version": self.model.version,
            "technology": self.model.technology,
            "designs_per_row": len(self.pes) * len(self.levels),
            "num_pes": [self.pes[0], self.pes[-1]],
            "buffer_level": [self.levels[0], self.levels[-1]],
            "label": "exhaustive; best objective, then fewest PEs, then smallest buffer level",
        }

    # -- rows -----------------------------------------------------------------------------------------------

    def inputs(self, split: str, rows: IntArray) -> tuple[LayerTable, IntArray, list[str]]:
        """Returns the layers of rows, their dataflows and where they come from."""
        if split == HELD_OUT:
            layers, flows, names = self._held_out_rows
            place = rows - self.spec.rows
            return layers.take(place), flows[place], [names[i] for i in place]
        bounds = self.spec.shares.bounds(split)
        drawn = RowStreams.of(self.spec.seed, rows).choice(_LATER_DRAWS, self.spec.dataflow_weights)

        def flows_of(layers: LayerTable, places: IntArray) -> IntArray:
            return np.where(layers.depthwise, int(Dataflow.DPT), drawn[places])

        layers = draw_apart(
            SAMPLERS[self.spec.sampler],
            self.spec.seed,
            rows,
            bounds,
            self._refused,
            lambda layers, places: self._solvable(layers, flows_of(layers, places)),
        )
        return layers, flows_of(layers, np.arange(len(rows))), [""] * len(rows)

    @cached_property
    def _refused(self) -> npt.NDArray[np.uint64]:
        return twin_key(self.held_out[0])

    def label(self, shard: Shard, progress: Progress) -> dict[str, Any]:
        rows = np.arange(shard.start, shard.start + shard.rows)
        layers, flows, sources = self.inputs(shard.split, rows)
        streams = RowStreams.of(self.spec.seed, rows)
        asked = {
            "objective": np.array(self.spec.objectives)[
                streams.integers(_LATER_DRAWS + 1, 0, len(self.spec.objectives) - 1)
            ],
            "cap": np.array(self.spec.caps)[streams.integers(_LATER_DRAWS + 2, 0, len(self.spec.caps) - 1)],
            # The cube puts half of the caps into the lowest eighth of the range: tight ones are where designs differ.
            "cap_fraction": np.prod([streams.uniform(_LATER_DRAWS + 3)] * 3, axis=0),
        }
        asked["cap_fraction"] = np.where(asked["cap"] == "none", 1.0, asked["cap_fraction"])
        empty = {c.name: _empty(c, len(rows)) for c in self.columns if c.role in ("label", "landscape")}
        found = empty | {"cap_value": np.zeros(len(rows))}
        done = 0
        for block, figures in self._evaluated(layers, flows):
            for name, values in self._labelled(figures, {n: a[block] for n, a in asked.items()}).items():
                if name in found:
                    found[name][block] = values
            done += len(block)
            progress(done)
        found |= self._costs(layers, flows, found["best_num_pes"], found["best_buffer_level"])
        inputs = {name: a if a.dtype == bool else a.astype(np.int32) for name, a in layers.columns().items()}
        flow_names = np.array([flow.name.lower() for flow in Dataflow])[flows]
        answer = {"row": rows, "source": sources, **inputs, "dataflow": flow_names.tolist(), **found}
        answer |= {name: a.tolist() if a.dtype.kind == "U" else a for name, a in asked.items()}
        return {c.name: answer[c.name] for c in self.columns}

    @property
    def knobs(self) -> tuple[Parameter, ...]:
        return Parameter("num_pes", self.pes), Parameter("buffer_level", self.levels)

    @property
    def design_factors(self) -> tuple[int, ...]:
        return len(self.pes), len(self.levels)

    @property
    def capped(self) -> bool:
        return self.spec.caps != ("none",)

    def design_numbers(self, arrays: Mapping[str, npt.NDArray[Any]]) -> IntArray:
        pes, levels = arrays["best_num_pes"].astype(np.int64), arrays["best_buffer_level"].astype(np.int64)
        return (pes - 1) * len(self.levels) + levels - 1

    def landscapes(self, arrays: Mapping[str, npt.NDArray[Any]]) -> Iterator[tuple[IntArray, FloatArray]]:
        K, C, Y, X, R, S = (arrays[name].astype(np.int64) for name in ("K", "C", "Y", "X", "R", "S"))
        layers = LayerTable(K, C, Y, X, R, S, arrays["depthwise"].astype(bool))
        flows = np.array([int(Dataflow[str(name).upper()]) for name in arrays["dataflow"]], dtype=np.int64)
        plain = {"objective": "latency", "cap": "none", "cap_fraction": 1.0}
        asked = {name: arrays.get(name, np.full(len(flows), value)) for name, value in plain.items()}
        for rows, figures in self._evaluated(layers, flows):
            yield rows, self._objectives(figures, {name: values[rows] for name, values in asked.items()})[0]

    def _evaluated(self, layers: LayerTable, flows: IntArray) -> Iterator[tuple[IntArray, dict[str, Any]]]:
        """Yields positions and their figures, dataflow by dataflow, of shape ``(positions, designs)``."""
        for flow in Dataflow:
            mine = np.flatnonzero(flows == int(flow))
            wanted = FIGURES if self.conditioned else FIGURES[:1]
            shapes = layers.take(mine).shapes()
            for part, figures in grid_blocks(self.model, shapes, flow, self.pes, self.levels, wanted):
                yield mine[part], figures

    def _labelled(self, figures: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
        """Returns the label columns of some rows."""
        objective, cap_value = self._objectives(figures, asked)
        landscape = objective.copy() if self.spec.landscape else objective
        exact = bool((asked["objective"] == "latency").all())
        optima = find_optima(objective.copy(), self.spec.top, 0.0 if exact else ROUNDING)
        pick = np.maximum(optima.best, 0)[:, None]
        listed = np.take_along_axis(objective, np.maximum(optima.top, 0), 1)
        there, levels = optima.top >= 0, len(self.levels)
        return {
            "cap_value": cap_value,
            "best_num_pes": np.where(optima.best >= 0, optima.best // levels + 1, 0),
            "best_buffer_level": np.where(optima.best >= 0, optima.best % levels + 1, 0),
            "best_objective": np.take_along_axis(objective, pick, 1)[:, 0],
            "tied_designs": optima.ties,
            "feasible_designs": optima.feasible,
            "top_num_pes": np.where(there, optima.top // levels + 1, 0),
            "top_buffer_level": np.where(there, optima.top % levels + 1, 0),
            "top_objective": np.where(there, listed, np.inf),
            "landscape": landscape,
        }

    def _costs(self, layers: LayerTable, flows: IntArray, pes: Any, levels: Any) -> dict[str, Any]:
        """Returns the cost columns of the optima, 0 where there is none."""
        there = pes > 0
        designs = ResourceDesigns(
            **layers.columns(), dataflow=flows, num_pes=np.maximum(pes, 1), buffer_level=np.maximum(levels, 1)
        )
        costs = self.model.evaluate(designs)
        return {f"best_{name}": np.where(there, np.asarray(getattr(costs, name)), 0) for name in FIGURES}

    def _objectives(self, figures: dict[str, Any], asked: dict[str, Any]) -> tuple[FloatArray, FloatArray]:
        """Returns the objective of every design, infinite where it is infeasible, and the caps."""
        valid = figures["valid"]
        latency, energy = figures["latency_cycles"], figures.get("energy_pj")
        value = latency
        if energy is not None:
            kind = asked["objective"][:, None]
            value = np.where(kind == "latency", latency, np.where(kind == "energy", energy, energy * latency))
        value = np.where(valid, value, np.inf)
        caps = np.zeros(len(value))
        for cap, name in _CAP_FIGURE.items():
            rows = np.flatnonzero(asked["cap"] == cap)
            if len(rows) == 0:
                continue
            figure = np.where(valid[rows], figures[name][rows], np.nan)
            known = valid[rows].any(axis=1)
            figure[~known] = 0.0
            low, high = np.nanmin(figure, axis=1), np.nanmax(figure, axis=1)
            caps[rows] = low + asked["cap_fraction"][rows] * (high - low)
            value[rows] = np.where(figures[name][rows] <= caps[rows, None], value[rows], np.inf)
        return value, caps


def _empty(column: Column, rows: int) -> npt.NDArray[Any]:
    shape = (rows,) if column.length is None else (rows, column.length)
    return np.zeros(shape, dtype=column.type)

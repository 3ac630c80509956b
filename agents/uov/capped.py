"""Questions to a policy of capped layers: what it needs to know of each, from the layer and the cap alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.agents.uov.schema import Arrays, Schema
from accelgym.costmodels.costs import CostModel
from accelgym.costmodels.maestro.designs import Dataflow
from accelgym.costmodels.maestro.grid import grid_blocks
from accelgym.dse_dataset.layers import LayerTable

__all__ = ["CAP_FIGURES", "CappedLayers"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

CAP_FIGURES = {"area": "area_um2", "power": "power_mw"}
"""Figure of a design that a cap limits."""


@dataclass(frozen=True)
class CappedLayers:
    """Layers under dataflows, and the area or power of every design of theirs.

    Area, power and validity are closed forms of a design; reading them is no evaluation, as :meth:`Task.fits` says.

    Attributes:
        schema: Of the policy.
        layers: The layers.
        dataflow: Of each layer, values of :class:`Dataflow`.
        cap: ``area`` or ``power`` or ``none``.
        used: What the cap limits, ``inf`` for invalid designs, 0 for valid ones without a cap; shape
            ``(layers, *sizes)``.
    """

    schema: Schema
    layers: LayerTable
    dataflow: IntArray
    cap: str
    used: FloatArray

    @classmethod
    def of(
        cls, schema: Schema, model: CostModel[Any], layers: LayerTable, dataflow: IntArray, cap: str
    ) -> CappedLayers:
        """Works out the area or power of all designs.

        Args:
            schema: Of the policy; its knobs are PEs and buffer levels.
            model: The cost model.
            layers: The layers.
            dataflow: Asked for; depthwise layers run ``dpt`` whatever it is.
            cap: What is limited.
        """
        flows = np.where(layers.depthwise, int(Dataflow.DPT), dataflow)
        values = {knob.name: knob.values for knob in schema.knobs}
        pes, levels = values["num_pes"], values["buffer_level"]
        used = np.empty((len(layers), len(pes) * len(levels)))
        figure = CAP_FIGURES.get(cap, "area_um2")
        for flow in Dataflow:
            mine = np.flatnonzero(flows == int(flow))
            shapes = layers.take(mine).shapes()
            for part, found in grid_blocks(model, shapes, flow, pes, levels, (figure,)):
                there = np.zeros_like(found["valid"], dtype=np.float64) if cap == "none" else found[figure]
                used[mine[part]] = np.where(found["valid"], there, np.inf)
        grid = used.reshape(len(layers), len(pes), len(levels))
        grid = grid if schema.knobs[0].name == "num_pes" else grid.swapaxes(1, 2)
        return cls(schema, layers, flows, cap, np.ascontiguousarray(grid))

    def limits(self, fraction: FloatArray) -> FloatArray:
        """Returns caps between the least (0) and the largest (1) of each layer's designs, shape of ``fraction``.

        Args:
            fraction: First axis the layers.
        """
        flat = self.used.reshape(len(self.used), -1)
        shape = (-1,) + (1,) * (fraction.ndim - 1)
        low = flat.min(axis=1).reshape(shape)
        high = np.where(np.isfinite(flat), flat, -np.inf).max(axis=1).reshape(shape)
        return np.asarray(low + fraction * (high - low))

    def fractions(self, place: IntArray, designs: IntArray) -> FloatArray:
        """Returns the narrowest caps that leave some designs, as fractions of :meth:`limits`, shape ``(rows,)``.

        Args:
            place: Layer of each row.
            designs: Value indices of a feasible design for each, shape ``(rows, knobs)``.
        """
        low, high = (self.limits(np.full(len(self.used), end))[place] for end in (0.0, 1.0))
        used = self.used[(place, *designs.T)]
        return np.asarray(np.where(high > low, (used - low) / np.where(high > low, high - low, 1.0), 1.0))

    def questions(self, objective: str, place: IntArray, fraction: FloatArray) -> tuple[Arrays, BoolArray]:
        """Returns inputs and the designs within the cap, shapes ``(rows,)`` and ``(rows, *sizes)``.

        Args:
            objective: What is minimised.
            place: Layer of each row.
            fraction: Its cap, see :meth:`limits`; not read without a cap.
        """
        rows = len(place)
        used = self.used[place]
        fraction = np.ones(rows) if self.cap == "none" else fraction
        low, high = self.limits(np.zeros(len(self.used))), self.limits(np.ones(len(self.used)))
        limit = low[place] + fraction * (high[place] - low[place])
        flows = np.array([flow.name.lower() for flow in Dataflow])[self.dataflow[place]]
        layer = self.layers.take(place).columns()
        drawn = {entry.name: (entry.low, entry.high) for entry in self.schema.inputs}["cap_fraction"]
        arrays = {
            **layer,
            "depthwise": layer["depthwise"].astype(str),
            "dataflow": flows,
            "objective": np.full(rows, objective),
            "cap": np.full(rows, self.cap),
            # The least fraction of the training is above 0 by a hair.
            "cap_fraction": np.clip(fraction, *drawn),
            "cap_value": np.zeros(rows) if self.cap == "none" else limit,
        }
        feasible = used <= (np.inf if self.cap == "none" else limit[:, None, None])
        return {entry.name: arrays[entry.name] for entry in self.schema.inputs}, feasible & np.isfinite(used)

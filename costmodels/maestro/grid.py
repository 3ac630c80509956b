"""Every hardware of a grid for every layer, with terms worked out on the axes that they depend on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.costs import CostModel
from accelgym.costmodels.maestro import physical
from accelgym.costmodels.maestro.batch import cleared, counts_of
from accelgym.costmodels.maestro.columns import LayerColumns
from accelgym.costmodels.maestro.designs import Dataflow, LayerShapes, ResourceDesigns
from accelgym.costmodels.maestro.model import MaestroModel, costs_of
from accelgym.costmodels.maestro.physical import PhysicalModel

__all__ = ["FIGURES", "grid_blocks"]

FIGURES = ("latency_cycles", "energy_pj", "area_um2", "power_mw")

_CELLS = 12_288
"""Designs in a block: 96 KiB a column, below the size from which the C allocator maps fresh pages."""
_FLAT_CELLS = 49_152

FloatArray = npt.NDArray[np.float64]
Block = tuple[slice, dict[str, npt.NDArray[np.generic]]]


def grid_blocks(
    model: CostModel[ResourceDesigns],
    layers: LayerShapes,
    dataflow: Dataflow,
    num_pes: Sequence[int],
    buffer_levels: Sequence[int],
    figures: Sequence[str] = FIGURES,
) -> Iterator[Block]:
    """Evaluates all pairs of a number of PEs and a buffer level for every layer.

    The numbers are those of ``model.evaluate``. ``MaestroModel`` and ``PhysicalModel`` are evaluated on axes
    ``(layers, PEs, buffer levels)`` that broadcast, so that a term costs what the axes it depends on hold, which is
    a fraction of the operations; other models get the designs one by one.

    Args:
        model: A model of :class:`ResourceDesigns`.
        layers: Columns of shape ``(layers,)``; all of them depthwise if the dataflow is ``DPT``, none otherwise.
        dataflow: Of all designs.
        num_pes: Values of the first axis of the grid.
        buffer_levels: Values of the second.
        figures: Columns of :class:`Costs` to work out.

    Yields:
        A slice of the layers, and for it columns by name, ``valid`` (bool) and the figures (float64, 0 where not
        valid), each of shape ``(layers of the slice, len(num_pes) * len(buffer_levels))``, buffer levels innermost.
    """
    cells = len(num_pes) * len(buffer_levels)
    axes = isinstance(model, MaestroModel | PhysicalModel)
    step = max(1, (_CELLS if axes else _FLAT_CELLS) // cells)
    for start in range(0, len(layers.K), step):
        part = slice(start, start + step)
        columns = {
            name: np.asarray(getattr(layers, name)[part])[:, None, None] for name in ("K", "C", "Y", "X", "R", "S")
        }
        pes, levels = np.asarray(num_pes)[None, :, None], np.asarray(buffer_levels)[None, None, :]
        if isinstance(model, MaestroModel | PhysicalModel):
            yield part, _on_axes(model, columns, dataflow, pes, levels, figures)
            continue
        depthwise = np.array(dataflow is Dataflow.DPT)
        costs = model.evaluate(
            ResourceDesigns(
                **columns, depthwise=depthwise, dataflow=np.array(int(dataflow)), num_pes=pes, buffer_level=levels
            )
        )
        found = {name: np.asarray(getattr(costs, name), dtype=np.float64) for name in figures}
        yield part, {name: a.reshape(len(a), -1) for name, a in (found | {"valid": np.asarray(costs.valid)}).items()}


def _on_axes(
    model: MaestroModel | PhysicalModel,
    columns: dict[str, npt.NDArray[np.int64]],
    dataflow: Dataflow,
    pes: npt.NDArray[np.int64],
    levels: npt.NDArray[np.int64],
    figures: Sequence[str],
) -> dict[str, npt.NDArray[np.generic]]:
    p = LayerColumns.of(
        np,
        **{name: np.asarray(a, dtype=np.float64) for name, a in columns.items()},
        P=np.asarray(pes, dtype=np.float64),
        k=np.asarray(levels, dtype=np.float64),
        flow=float(dataflow),
        bw=None if model.noc_bw is None else np.float64(model.noc_bw),
    )
    depthwise = np.array(dataflow is Dataflow.DPT)
    with np.errstate(all="ignore"):
        if isinstance(model, PhysicalModel):
            found = physical.costs_of(p, depthwise, model=model)
        elif set(figures) <= {"latency_cycles"}:
            found = counts_of(p, depthwise, model.switches)
            found = cleared(p, found | {"valid": found["reason"] == 0.0})
        else:
            found = costs_of(p, depthwise, faults=model.switches)
        valid = np.asarray(found["valid"])
        shape = (len(columns["K"]), pes.size, levels.size)
        flat = {name: np.broadcast_to(found[name], shape).reshape(shape[0], -1) for name in figures}
    return {**flat, "valid": np.broadcast_to(valid, shape).reshape(shape[0], -1)}

"""The ``maestro`` model on a network and a dataflow in MAESTRO's language."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from accelgym.costmodels.costs import Costs, Reason
from accelgym.costmodels.errors import InputError, shown, warn_input
from accelgym.costmodels.maestro import hardware
from accelgym.costmodels.maestro.batch import INT32_MAX
from accelgym.costmodels.maestro.columns import EXACT_LIMIT, LayerColumns
from accelgym.costmodels.maestro.designs import Dataflow, LayerShapes
from accelgym.costmodels.maestro.directives import plan_loops
from accelgym.costmodels.maestro.faults import MAESTRO_FAULTS
from accelgym.costmodels.maestro.general_rules import LevelCounts, analyse_levels
from accelgym.costmodels.maestro.mapping import Level, coupled_dims
from accelgym.costmodels.maestro.technology import MAESTRO_28NM
from accelgym.costmodels.maestro.tiles import Tiles
from accelgym.costmodels.workloads.importers.maestro_language import DataflowDirective, MaestroFile, read_maestro
from accelgym.costmodels.workloads.importers.maestro_network import layer_of
from accelgym.costmodels.workloads.layer import Layer
from accelgym.costmodels.workloads.load import load_workload

__all__ = ["MappedLayer", "evaluate_mapped", "read_mapped"]

_DIMS = ("K", "C", "Y", "X", "R", "S")


@dataclass(frozen=True)
class MappedLayer:
    """A layer and the dataflow it runs with."""

    layer: Layer
    dataflow: tuple[DataflowDirective, ...]
    depthwise: bool


def read_mapped(network: str, dataflow: Path | None, constants: Mapping[str, int] | None = None) -> list[MappedLayer]:
    """Pairs the compute layers of a network with a dataflow.

    Args:
        network: A file or a name of the zoo, as for ``load_workload``.
        dataflow: A file that holds one block ``Dataflow``, for all layers. ``None``: the network is a file of
            MAESTRO and states a dataflow for each layer.
        constants: Values of names that the dataflow uses and does not define, such as ``KTileSz`` in ConfuciuX's.

    Raises:
        InputError: Naming file, line and column.
    """
    if dataflow is not None:
        found = read_maestro(dataflow, constants)
        if found.layers or not found.dataflow:
            what = "states a network; give that with --in" if found.layers else "has no block Dataflow"
            raise InputError(f"{dataflow}:1:1: the file {what}")
        _say_unused(found, constants)
        return [
            MappedLayer(layer, found.dataflow, layer.is_depthwise and layer.K == layer.C)
            for layer in load_workload(network).compute_layers
        ]
    mapped = []
    found = read_maestro(Path(network), constants)
    _say_unused(found, constants)
    for block in found.layers:
        if not block.dataflow:
            raise block.name.error(f"layer {shown(block.name.text)} has no Dataflow; give one with --dataflow")
        if block.type.text not in ("CONV", "DSCONV"):
            raise block.type.error(f"the analysis of type {block.type.text} is not modelled, allowed: CONV, DSCONV")
        mapped.append(MappedLayer(layer_of(block), block.dataflow, block.type.text == "DSCONV"))
    if not mapped:
        raise InputError(f"{network}:1:1: the file has no network")
    return mapped


def _say_unused(found: MaestroFile, constants: Mapping[str, int] | None) -> None:
    """Says which values have no effect, as a name that is spelled in another way has none."""
    unused = [name for name in constants or {} if name not in found.used]
    if unused:
        warn_input(f"{found.path}: {', '.join(map(shown, unused))} without effect: no name in the file")


def evaluate_mapped(mapped: Sequence[MappedLayer], num_pes: int, noc_bw: int) -> tuple[list[dict[str, str]], Costs]:
    """Evaluates layers as the program does, its faults included.

    A strided layer is taken as the layer of stride 1 with the same output and kernel, batch entries and channel
    groups one after the other.

    Args:
        mapped: Layers with their dataflows.
        num_pes: Number of PEs.
        noc_bw: NoC bandwidth in elements per cycle.

    Returns:
        A row per layer, with the columns of its shape, and the costs, shape ``(layers,)``.

    Raises:
        InputError: A dataflow outside what is modelled; names the place of the directive.
    """
    for name, value in (("num_pes", num_pes), ("noc_bw", noc_bw)):
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= INT32_MAX:
            raise InputError(f"{name} is {shown(value)}, allowed: integers 1..{int(INT32_MAX)}")
    shapes = LayerShapes.from_layers(tuple(item.layer for item in mapped))
    if any(item.layer.stride != (1, 1) for item in mapped):
        warn_input("strided layers are evaluated as layers of stride 1 with the same output")
    rows, results = [], []
    memo: dict[object, dict[str, float]] = {}
    for i, item in enumerate(mapped):
        dims = {dim: int(getattr(shapes, dim)[i]) for dim in _DIMS}
        depthwise = item.depthwise
        key = (id(item.dataflow), *dims.values(), depthwise)
        if key not in memo:
            memo[key] = _evaluate(item.dataflow, dims, depthwise, num_pes, noc_bw)
        results.append(_repeated(memo[key], int(shapes.repeat[i])))
        rows.append(
            {
                "layer": item.layer.name,
                "layer_type": "DSCONV" if depthwise else "CONV",
                **{dim: str(size) for dim, size in dims.items()},
                "repeat": str(int(shapes.repeat[i])),
                "num_pes": str(num_pes),
                "noc_bw": str(noc_bw),
            }
        )
    return rows, _costs(results)


def _evaluate(
    dataflow: tuple[DataflowDirective, ...], dims: Mapping[str, int], depthwise: bool, num_pes: int, noc_bw: int
) -> dict[str, float]:
    plan = plan_loops(dataflow, dims, num_pes, depthwise=depthwise)
    size = {dim: np.float64(value) for dim, value in dims.items()}
    flow = Dataflow.DPT if depthwise else Dataflow.DLA
    p = LayerColumns.of(
        np, **size, P=np.float64(num_pes), k=np.float64(1), flow=float(flow.value), bw=np.float64(noc_bw)
    )
    coupled = coupled_dims(flow)
    single = plan.inner is None
    with np.errstate(all="ignore"):
        counts = analyse_levels(
            p, plan.top, None if single else plan.below, coupled, MAESTRO_FAULTS, counts_macs=single
        )
        iterations = max(_most_iterations(level) for level in (plan.top, plan.inner) if level is not None)
    held = plan.lowest
    l1 = 2.0 * sum(math.prod(held[dim] for dim in dims_) for dims_ in coupled.values())
    l2 = 2.0 * float(counts.first_case)
    reads, writes = float(counts.input_reads + counts.filter_reads), float(counts.output_writes)
    energy = hardware.program_energy_nj(
        MAESTRO_28NM,
        l2=reads + writes + float(p.C * p.Y * p.X + p.K * p.C * p.R * p.S),
        l1=4.0 * float(counts.macs) + reads if counts.macs is not None else 0.0,
    )
    return {
        "latency_cycles": float(counts.runtime),
        "energy_nj": energy,
        "input_l2_reads": float(counts.input_reads),
        "filter_l2_reads": float(counts.filter_reads),
        "output_l2_writes": writes,
        "area_um2": float(hardware.area_um2(p, MAESTRO_28NM, l1, l2)),
        "power_mw": float(hardware.power_mw(p, MAESTRO_28NM, l1, l2)),
        "l1_bytes": float(l1),
        "l2_bytes": l2,
        "reason": float(Reason.DEGENERATE if plan.degenerate else _reason(counts, iterations)),
    }


def _most_iterations(level: Level) -> float:
    """Largest number of times a case occurs: what the program keeps in an ``int``."""
    tiles = Tiles.of(np, level, level, MAESTRO_FAULTS)
    return math.prod(max(float(tiles.steady[loop.dim]), 1.0) for loop in level.loops)


def _reason(counts: LevelCounts, iterations: float) -> Reason:
    largest = max(float(counts.runtime), float(counts.input_reads + counts.filter_reads), float(counts.output_writes))
    if not largest <= EXACT_LIMIT:
        return Reason.OVERFLOW
    if iterations > INT32_MAX:
        return Reason.INT32_OVERFLOW
    # What the program prints where it skips tiles.
    return Reason.DEGENERATE if min(float(counts.runtime), float(counts.output_writes)) < 1.0 else Reason.OK


_PER_COPY = ("latency_cycles", "energy_nj", "input_l2_reads", "filter_l2_reads", "output_l2_writes")


def _repeated(result: dict[str, float], copies: int) -> dict[str, float]:
    return {name: value * copies if name in _PER_COPY else value for name, value in result.items()}


def _costs(results: Sequence[Mapping[str, float]]) -> Costs:
    column = {name: np.array([result[name] for result in results]) for name in results[0]}
    valid = (column["reason"] == 0.0) & (column["latency_cycles"] <= EXACT_LIMIT)
    reason = np.where(valid, 0.0, np.where(column["reason"] == 0.0, float(Reason.OVERFLOW), column["reason"]))
    clean = {name: np.where(valid, values, 0.0) for name, values in column.items()}
    whole = ("input_l2_reads", "filter_l2_reads", "output_l2_writes", "l1_bytes", "l2_bytes")
    return Costs(
        latency_cycles=clean["latency_cycles"].astype(np.int64),
        energy_pj=clean["energy_nj"] * 1000.0,
        area_um2=clean["area_um2"],
        power_mw=clean["power_mw"],
        valid=valid,
        reason=reason.astype(np.int8),
        model="maestro",
        version="1-compat",
        technology=MAESTRO_28NM.name,
        breakdown={name: clean[name].astype(np.int64) for name in whole} | {"energy_nj": clean["energy_nj"]},
    )

"""Layers of networks, their dependencies, and what each costs on each size of each accelerator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.costs import Costs, Reason
from accelgym.costmodels.dataflow_template import LayerDesigns, TemplateModel
from accelgym.costmodels.datatypes import get_datatype
from accelgym.costmodels.errors import InputError, unknown_name
from accelgym.costmodels.maestro.designs import Dataflow
from accelgym.costmodels.objective import Objective
from accelgym.costmodels.systolic.config import make_config
from accelgym.costmodels.systolic.model import SystolicDesigns, SystolicModel
from accelgym.costmodels.workloads import Layer, Workload

__all__ = ["ARRAY_SIZES", "DATAFLOWS", "PE_SIZES", "LayerGraph", "OptionCosts", "layer_graph", "option_costs"]

DATAFLOWS = ("dla", "eye", "shi")
"""Accelerators of the cost model ``dataflow_template``; every other name is a datatype of a systolic array."""
PE_SIZES = ((64, 32), (128, 64), (256, 128), (512, 256))
"""Processing elements and KiB of buffer: powers of two around Eyeriss's 168 PEs and 108 KiB."""
ARRAY_SIZES = (8, 16, 24, 32)
"""Rows and columns of a systolic array; its buffers and ports are the defaults of ``SystolicConfig``."""
_WIDE_BITS = 8


@dataclass(frozen=True)
class LayerGraph:
    """The layers to be scheduled, of all networks."""

    names: tuple[str, ...]
    layers: tuple[Layer, ...]
    edges: tuple[tuple[int, int], ...]
    ends: tuple[int, ...]
    """First and last layers of the networks: those without producers or without consumers."""


@dataclass(frozen=True)
class OptionCosts:
    """Costs of every layer on every size of every accelerator; arrays of shape ``(L, K, S)`` unless said otherwise."""

    latency_cycles: npt.NDArray[np.float64]
    energy_pj: npt.NDArray[np.float64]
    """Without leakage."""
    valid: npt.NDArray[np.bool_]
    area_um2: npt.NDArray[np.float64]
    """``(K, S)``."""
    leakage_pj: npt.NDArray[np.float64]
    """Per cycle, ``(K, S)``."""
    sizes: tuple[tuple[str, ...], ...]
    """Names of the sizes of each accelerator."""
    model: tuple[str, str, str]
    """Name, version and technology of the cost model."""


def layer_graph(workloads: Sequence[Workload], after: Sequence[tuple[str, str]]) -> LayerGraph:
    """Joins networks into one graph of their convolutions and GEMMs.

    Vector layers are free and hand their dependencies on. A file that states no edges is a chain.

    Args:
        workloads: The networks; with several, names of layers begin with that of their network.
        after: Further edges by name.

    Raises:
        InputError: A network has no layer to schedule, or an edge names a layer that does not exist.
    """
    names: list[str] = []
    layers: list[Layer] = []
    edges: list[tuple[int, int]] = []
    ends: list[int] = []
    seen: dict[str, int] = {}
    for workload in workloads:
        seen[workload.name] = seen.get(workload.name, 0) + 1
        suffix = f"#{seen[workload.name]}" if seen[workload.name] > 1 else ""
        prefix = f"{workload.name}{suffix}/" if len(workloads) > 1 else ""
        own = _compute_edges(workload)
        kept = [i for i, layer in enumerate(workload.layers) if layer.is_compute]
        if not kept:
            raise InputError(f"workload {workload.name!r} has no convolution or GEMM to schedule")
        position = {old: len(layers) + new for new, old in enumerate(kept)}
        edges += [(position[a], position[b]) for a, b in own]
        inner = {a for a, _ in own} & {b for _, b in own}
        ends += [position[i] for i in kept if i not in inner]
        names += [prefix + workload.layers[i].name for i in kept]
        layers += [workload.layers[i] for i in kept]
    for pair in after:
        for name in pair:
            if name not in names:
                raise unknown_name("layer in after", name, names)
        edges.append((names.index(pair[0]), names.index(pair[1])))
    return LayerGraph(tuple(names), tuple(layers), tuple(dict.fromkeys(edges)), tuple(ends))


def _compute_edges(workload: Workload) -> list[tuple[int, int]]:
    """Returns (producer, consumer) among the compute layers, through the vector layers between them."""
    pairs = workload.edges or tuple((i, i + 1) for i in range(len(workload.layers) - 1))
    into: dict[int, list[int]] = {}
    for a, b in pairs:
        into.setdefault(b, []).append(a)
    nearest: list[set[int]] = []  # Compute layers whose results a layer reads.
    found = []
    for i, layer in enumerate(workload.layers):
        sources: set[int] = set()
        for a in into.get(i, ()):
            sources |= {a} if workload.layers[a].is_compute else nearest[a]
        nearest.append(sources)
        if layer.is_compute:
            found += [(a, i) for a in sorted(sources)]
    return found


def option_costs(graph: LayerGraph, accelerators: Sequence[str], objective: Objective, wide_ends: bool) -> OptionCosts:
    """Evaluates every layer on every size of every accelerator.

    Args:
        graph: The layers.
        accelerators: Dataflows, or datatypes.
        objective: What the mapping of a layer minimises.
        wide_ends: Whether first and last layers need operands of 8 bits or more.

    Raises:
        InputError: An unknown accelerator, dataflows and datatypes together, or a layer that runs on none.
    """
    flows = [name in DATAFLOWS for name in accelerators]
    for name, is_flow in zip(accelerators, flows, strict=True):
        if not is_flow:
            _check_type(name)
    if any(flows) and not all(flows):
        raise InputError(
            f"accelerators {', '.join(accelerators)}: allowed dataflows ({', '.join(DATAFLOWS)}) or datatypes, not "
            "both: their costs are of different technologies"
        )
    evaluate = _dataflow_columns if all(flows) else _datatype_columns
    found = [evaluate(name, graph.layers, objective) for name in accelerators]
    valid = np.stack([one.reason == int(Reason.OK) for one in found], axis=1)
    if wide_ends and not all(flows):
        narrow = [get_datatype(name).bits < _WIDE_BITS for name in accelerators]
        valid[np.ix_(np.array(graph.ends), np.flatnonzero(narrow))] = False
    for layer, name in enumerate(graph.names):
        if not valid[layer].any():
            first = Reason(min(int(one.reason[layer].min()) for one in found))
            why = "wide_ends keeps narrow types from it" if first is Reason.OK else first.name.lower()
            raise InputError(f"layer {name!r} runs on none of the accelerators {', '.join(accelerators)}: {why}")
    latency, energy, leakage = (
        np.stack([getattr(one, name) for one in found], axis=1) for name in ("latency", "energy", "leakage")
    )
    per_cycle = np.where(valid, leakage / np.maximum(latency, 1.0), 0.0).max(axis=0)
    return OptionCosts(
        latency_cycles=latency,
        energy_pj=energy - leakage,
        valid=valid,
        area_um2=np.stack([one.area for one in found]),
        leakage_pj=per_cycle,
        sizes=tuple(one.sizes for one in found),
        model=found[0].model,
    )


def _check_type(name: str) -> None:
    try:
        get_datatype(name)
    except InputError:
        raise unknown_name("accelerator", name, (*DATAFLOWS, "int4", "int8", "bf16", "e4m3")) from None


@dataclass(frozen=True)
class _Columns:
    """Costs of layers on the sizes of one accelerator, ``(L, S)``; ``area`` is ``(S,)``."""

    latency: npt.NDArray[np.float64]
    energy: npt.NDArray[np.float64]
    leakage: npt.NDArray[np.float64]
    area: npt.NDArray[np.float64]
    reason: npt.NDArray[np.int8]
    sizes: tuple[str, ...]
    model: tuple[str, str, str]

    @classmethod
    def of(cls, costs: Costs, leakage: str, sizes: Sequence[str], *, layers_last: bool) -> _Columns:
        """Returns the columns of costs of shape ``(L, S)``, or ``(S, L)`` with the layers last."""
        arrays = (costs.latency_cycles, costs.energy_pj, costs.breakdown[leakage], costs.area_um2)
        columns = [np.asarray(array, dtype=np.float64) for array in arrays]
        reason = np.asarray(costs.reason, dtype=np.int8)
        if layers_last:
            columns, reason = [column.T for column in columns], reason.T
        model = costs.model, costs.version, costs.technology
        latency, energy, leaked, area = columns
        return cls(latency, energy, leaked, area.max(axis=0), reason, tuple(sizes), model)


def _dataflow_columns(name: str, layers: Sequence[Layer], objective: Objective) -> _Columns:
    pes, kib = np.array(PE_SIZES).T
    rows, flow = np.arange(len(layers))[:, None], np.array(int(Dataflow[name.upper()]))
    costs = TemplateModel(objective.value).evaluate(
        LayerDesigns(tuple(layers), rows, flow, pes[None], kib[None] * 1024)
    )
    sizes = [f"{p} PEs, {k} KiB" for p, k in PE_SIZES]
    return _Columns.of(costs, "leakage_pj", sizes, layers_last=False)


def _datatype_columns(name: str, layers: Sequence[Layer], objective: Objective) -> _Columns:
    configs = [make_config(rows=n, columns=n, input_type=name, weight_type=name) for n in ARRAY_SIZES]
    costs = SystolicModel(objective.value).evaluate(SystolicDesigns(configs, tuple(layers)))
    return _Columns.of(costs, "energy_leakage_pj", [f"{n}x{n}" for n in ARRAY_SIZES], layers_last=True)

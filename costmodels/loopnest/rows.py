"""Evaluation of JSON rows: problem, machine and mapping in, accesses, cycles and energy out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.costs import Costs, Reason
from accelgym.costmodels.errors import InputError, unknown_name
from accelgym.costmodels.loopnest.mappings import Mappings
from accelgym.costmodels.loopnest.model import Counting, LoopnestModel
from accelgym.costmodels.loopnest.row_inputs import architecture_from_row, problem_from_row, read_entry
from accelgym.costmodels.loopnest.steps import Engine
from accelgym.costmodels.loopnest.terms import COUNTERS

__all__ = ["evaluate_numbered_rows", "evaluate_rows", "result_row"]

_KEYS = ("id", "problem", "arch", "mapping", "link_transfers", "extrapolation", "variant", "engine")
_IGNORED = ("source", "set", "result", "default_link_transfers_differ")
_VARIANTS = ("no_extrapolation", "no_first_read_elision")
_BATCH = 4096
"""Lines read ahead and grouped by problem and machine; decides no result."""


def evaluate_rows(
    rows: Iterable[Mapping[str, Any]], *, counting: Counting | None = None, engine: Engine = "head"
) -> Iterator[dict[str, Any]]:
    """Evaluates rows in order.

    A row has ``problem`` (``kind`` ``conv2d``, ``depthwise2d``, ``gemm`` or ``batched_gemm``, ``dims``, ``stride``,
    ``dilation``), ``arch`` (``levels`` outer to inner, ``mesh``, ``mac_energy_pJ``) and ``mapping`` (see
    :meth:`Mappings.from_loops`); optionally ``id``, ``link_transfers``, ``extrapolation`` (true: Timeloop's default
    of iterations 0 and 1 of every loop), ``variant`` and ``engine``. Rows of one problem and machine are evaluated
    together.

    Args:
        rows: The rows.
        counting: ``closed``, ``walk`` or ``sampled``. None counts every row as it was run: extrapolated ones
            ``sampled``, others ``closed``. Link transfers have no closed form: such rows are walked where they say
            that they were not extrapolated, and sampled otherwise. The result names the counting. A row of variant
            ``no_extrapolation`` is walked where ``sampled`` is asked.
        engine: Default of rows that state none.

    Yields:
        ``id`` and ``result``, see :func:`result_row`.

    Raises:
        InputError: A row is malformed; the message names line, key and value.
    """
    yield from evaluate_numbered_rows(enumerate(rows, start=1), counting=counting, engine=engine)


def evaluate_numbered_rows(
    rows: Iterable[tuple[int, Mapping[str, Any]]], *, counting: Counting | None = None, engine: Engine = "head"
) -> Iterator[dict[str, Any]]:
    """Evaluates rows that know their line; see :func:`evaluate_rows`."""
    numbered = iter(rows)
    while chunk := list(islice(numbered, _BATCH)):
        yield from _evaluate_chunk(chunk, counting, engine)


def _evaluate_chunk(
    rows: Sequence[tuple[int, Mapping[str, Any]]], counting: Counting | None, engine: Engine
) -> Iterator[dict[str, Any]]:
    """Reads all rows, then evaluates those that share a model as one batch."""
    results: list[dict[str, Any]] = [{} for _ in rows]
    groups: dict[Any, list[tuple[int, Mappings]]] = {}
    models: dict[Any, LoopnestModel] = {}
    ids = []
    for i, (line, row) in enumerate(rows):
        with _located(line, row):
            model, mapping = _read(row, counting, engine)
            ids.append(row.get("id", line))
            if model.counting != "closed":
                # The simulators visit one mapping at a time, and may refuse a long one.
                results[i] = result_row(model, mapping, model.evaluate(mapping), 0)
                continue
        options = (model.engine, model.first_read_elision, mapping.keep is None, mapping.residuals is None)
        key = (mapping.problem, mapping.architecture, options)
        models.setdefault(key, model)
        groups.setdefault(key, []).append((i, mapping))
    for key, members in groups.items():
        batch = Mappings.concatenate([mapping for _, mapping in members])
        costs = models[key].evaluate(batch)
        for at, (i, _) in enumerate(members):
            results[i] = result_row(models[key], batch, costs, at)
    for name, result in zip(ids, results, strict=True):
        yield {"id": name, "result": result}


@contextmanager
def _located(line: int, row: Any) -> Iterator[None]:
    """Puts line and id of a row before what is wrong with it."""
    try:
        yield
    except InputError as error:
        named = f" (id {row['id']!r})" if isinstance(row, Mapping) and "id" in row else ""
        raise InputError(f"line {line}{named}: {error}") from error


def _read(row: Any, counting: Counting | None, engine: Engine) -> tuple[LoopnestModel, Mappings]:
    if not isinstance(row, Mapping):
        raise InputError(f"the row is {type(row).__name__}, allowed: a JSON object")
    for key in row:
        if key not in _KEYS and key not in _IGNORED:
            raise unknown_name("key", key, _KEYS)
    variant = row.get("variant")
    if variant is not None and variant not in _VARIANTS:
        raise unknown_name("variant", variant, _VARIANTS)
    if "id" in row:
        read_entry(row, "id", (int, str), "row")
    links = read_entry(row, "link_transfers", bool, "row", default=False)
    extrapolated = None
    if row.get("extrapolation") is not None:
        extrapolated = read_entry(row, "extrapolation", bool, "row")
    counting = _counting_of(counting, links=links, extrapolated=extrapolated, variant=variant)
    problem = problem_from_row(read_entry(row, "problem", Mapping, "row"))
    mapping = read_entry(row, "mapping", Mapping, "row")
    architecture = architecture_from_row(read_entry(row, "arch", Mapping, "row"), mapping)
    model = LoopnestModel(
        problem,
        architecture,
        engine=row.get("engine", engine),
        counting=counting,
        first_read_elision=variant != "no_first_read_elision",
        link_transfers=links,
    )
    return model, Mappings.from_loops(problem, architecture, [mapping])


def _counting_of(counting: Counting | None, *, links: bool, extrapolated: bool | None, variant: Any) -> Counting:
    if variant == "no_extrapolation" and counting in (None, "sampled"):
        return "walk" if links or counting else "closed"
    if counting is None:
        counting = "sampled" if extrapolated else "closed"
    if counting == "closed" and links:
        return "walk" if extrapolated is False else "sampled"
    return counting


def result_row(model: LoopnestModel, mappings: Mappings, costs: Costs, row: int) -> dict[str, Any]:
    """Returns the costs of one mapping as plain data.

    Args:
        model: The model that evaluated the batch.
        mappings: The batch.
        costs: Its costs.
        row: Which mapping.

    Returns:
        ``accesses[level][tensor]`` (totals over instances, tensors kept there), ``cycles``,
        ``cycles_per_level``, ``energy_pJ`` (with ``leakage`` where there is any), ``instances`` in use per level,
        ``utilized_pes``, ``utilization``, and the convention: ``counting``, ``engine``, ``link_transfers``,
        ``leakage`` (which instances leak) and ``technology``; of an invalid mapping ``valid`` (False),
        ``reason`` and ``message``.
    """
    if not costs.valid[row]:
        reason = Reason(int(costs.reason[row]))
        return {"valid": False, "reason": reason.name, "message": _explain(model, mappings[row : row + 1], reason)}
    table, architecture = costs.breakdown, model.architecture
    accesses: dict[str, dict[str, dict[str, int]]] = {}
    for v, level in enumerate(architecture.levels):
        accesses[level.name] = {}
        for t, tensor in enumerate(model.problem.tensors):
            if not level.may_store(tensor.name) or (mappings.keep is not None and not mappings.keep[v, t, row]):
                continue
            counts = {"tile_words": int(table[f"{level.name}.{tensor.name}.tile_words"][row])}
            for name in COUNTERS:
                key = f"{level.name}.{tensor.name}.{name}"
                counts[name] = int(table[key][row]) if key in table else 0
            accesses[level.name][tensor.name] = counts
    energy = {architecture.compute.name: float(table[f"{architecture.compute.name}.energy_pj"][row])}
    energy |= {level.name: float(table[f"{level.name}.energy_pj"][row]) for level in architecture.levels}
    if table["leakage_pj"][row] > 0:
        energy["leakage"] = float(table["leakage_pj"][row])
    energy["total"] = float(costs.energy_pj[row])
    return {
        "accesses": accesses,
        "cycles": int(costs.latency_cycles[row]),
        "cycles_per_level": {x.name: int(table[f"{x.name}.cycles"][row]) for x in architecture.levels},
        "energy_pJ": energy,
        "instances": {x.name: int(table[f"{x.name}.instances"][row]) for x in architecture.levels},
        "utilized_pes": int(table["utilized_pes"][row]),
        "utilization": float(table["utilisation"][row]),
        "counting": model.counting,
        "engine": model.engine,
        "link_transfers": model.link_transfers,
        "leakage": architecture.leakage,
        "technology": costs.technology,
    }


def _explain(model: LoopnestModel, mappings: Mappings, reason: Reason) -> str:
    problem, architecture = model.problem, model.architecture
    loops = mappings.loops(0)
    if reason is Reason.FACTORISATION:
        for d, name in enumerate(problem.dims):
            covered = 0
            for loop in loops:
                if loop.dim == d:
                    covered = covered * loop.bound + loop.residual - 1
            if covered + 1 != problem.bounds[d]:
                return f"mapping: the factors of {name} cover {covered + 1}, the bound is {problem.bounds[d]}"
    if reason is Reason.FANOUT:
        for v, level in enumerate(architecture.levels):
            for kind, limit in (("x", level.fanout_x), ("y", level.fanout_y)):
                used = 1
                for loop in loops:
                    used *= loop.bound if (loop.level, loop.kind) == (v, kind) else 1
                if used > limit:
                    return f"mapping.spatial.{kind}: {used} below {level.name!r}, the fan-out is {limit}"
    if reason is Reason.CAPACITY:
        for v, level in enumerate(architecture.levels):
            words = sum(
                problem.tile_words(tensor, _extents(problem, loops, v))
                for t, tensor in enumerate(problem.tensors)
                if level.may_store(tensor.name) and (mappings.keep is None or mappings.keep[v, t, 0])
            )
            if level.tile_capacity is not None and words > level.tile_capacity:
                return f"mapping: tiles of {words} words overflow {level.name!r}, which holds {level.tile_capacity}"
            if level.tile_capacity is not None and words < level.min_utilization * level.tile_capacity:
                share = f"{level.min_utilization:g} of its {level.tile_capacity}"
                return f"mapping: tiles of {words} words in {level.name!r}, allowed: at least {share} (min_utilization)"
    if reason is Reason.BAD_VALUE and mappings.keep is not None:
        for t, tensor in enumerate(problem.tensors):
            if not mappings.keep[0, t, 0]:
                outermost = architecture.levels[0].name
                return f"mapping: {outermost!r} bypasses {tensor.name}, allowed: the outermost memory keeps all tensors"
    if reason is Reason.OVERFLOW:
        return "mapping: latency or energy is beyond 2**53, where counts are not exact"
    return f"mapping: {reason.name}"


def _extents(problem: LoopNest, loops: list[Any], level: int) -> dict[str, int]:
    extents = dict.fromkeys(problem.dims, 1)
    for loop in loops:
        if loop.level >= level:
            extents[problem.dims[loop.dim]] *= loop.bound
    return extents

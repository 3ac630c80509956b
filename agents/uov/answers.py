"""Files of layers answered by a policy: AIrchitect v2's layout, and that of the capped datasets."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from accelgym.agents.checkpoint import checkpoint_kind
from accelgym.agents.uov.capped import CAP_FIGURES, CappedLayers
from accelgym.agents.uov.checkpoint import LEGACY, load_policy, load_shipped
from accelgym.agents.uov.policy import Policy
from accelgym.agents.uov.schema import Arrays, Schema
from accelgym.costmodels.errors import InputError, shown, unknown_name, warn_input
from accelgym.costmodels.files.csv_table import TableWriter
from accelgym.costmodels.files.whole_file import whole_file
from accelgym.costmodels.maestro.designs import Dataflow
from accelgym.costmodels.models import cost_models
from accelgym.dse_dataset.airchitect_csv import LayerRows, read_layers, refusal

__all__ = ["SPACES", "Answered", "answer_file"]

ADDED = ("num_pes", "buffer_level")
_OBJECTIVES = ("latency", "energy", "edp")
_RELEASED_NAMES = {"Y": "X", "X": "Y", "dataflow": "df"}
"""What the file calls inputs: its columns ``X`` and ``Y`` are rows and columns."""

SPACES: dict[str, tuple[str, ...]] = {
    "airchitect-v2": ("K", "C", "X", "Y", "R", "S", "df"),
    "capped": ("K", "C", "X", "Y", "R", "S", "df", "objective", "cap", "cap_fraction"),
}
"""Columns of a file by the name of the space, which is that of the shipped weights."""


@dataclass(frozen=True)
class Answered:
    """What became of a file."""

    rows: int
    """Rows that were answered."""
    illegal: tuple[int, ...]
    """Lines that are no layers and were left without an answer."""


def answer_file(
    space: str,
    source: Path,
    target: Path,
    *,
    weights: Path | None = None,
    illegal: Literal["skip", "refuse"] = "skip",
) -> Answered:
    """Adds ``num_pes`` and ``buffer_level`` to a file of layers.

    Rows keep their order and their other cells. Inputs outside the range of the training are answered with a warning.

    Args:
        space: One of :data:`SPACES`.
        source: CSV with the columns of the space.
        target: CSV to write.
        weights: File of weights; the shipped ones by default. Those of the faithful mode answer 1,000 rows at a
            time, in order, with a warning that an answer depends on the others.
        illegal: ``skip`` leaves the two cells of a row empty that is no layer (a kernel larger than the input, or a
            size below 1), with a warning.

    Raises:
        InputError: No such space, a wrong column or cell, an illegal row that is to be refused, or weights of another
            schema.
    """
    if space not in SPACES:
        raise unknown_name("space", space, SPACES)
    further = SPACES[space][7:]
    rows = read_layers(source, SPACES[space])
    for name in ADDED:
        if name in rows.header:
            raise InputError(f"{source}: line 1: column {name!r} is there already; it is what is going to be added")
    if extra := [name for name in rows.header if name not in SPACES[space]]:
        warn_input(f"{source}: column {extra[0]!r} is no input, as {len(extra)} in all; kept as it is")
    legal = rows.layers.legal
    bad = tuple(rows.lines[~legal].tolist())
    if bad and illegal == "refuse":
        raise InputError(refusal(source, bad))
    if bad:
        warn_input(f"{refusal(source, bad)}; left without an answer")
    if not legal.any():
        raise InputError(f"{source}: no legal row")
    kept = np.flatnonzero(legal)
    names = np.array([flow.name.lower() for flow in Dataflow])
    arrays = {**rows.layers.take(kept).columns(), "dataflow": names[rows.dataflow[kept]]}
    if weights is not None and checkpoint_kind(weights) == LEGACY:
        if further:
            raise InputError(f"{weights}: a legacy policy takes neither objective nor cap; --space airchitect-v2 does")
        schema, designs = _legacy(weights, source, arrays, rows.lines[kept])
    else:
        policy = load_shipped(space) if weights is None else load_policy(weights)
        schema = policy.schema
        if further:
            designs = _capped(policy, source, rows, kept)
        else:
            _fits(schema, weights or Path(space), [name for name in arrays if name != "depthwise"])
            schema.checked(arrays, str(source), rows.lines[kept], _RELEASED_NAMES)
            designs = policy.propose(arrays).designs[:, 0]
    values = {k.name: [k.values[i] for i in column] for k, column in zip(schema.knobs, designs.T, strict=True)}
    answers = zip(*(values[name] for name in ADDED), strict=True)
    cells = dict(zip(kept.tolist(), answers, strict=True))
    with whole_file(target) as file:
        writer = TableWriter(file, line_end=os.linesep)
        writer.row([*rows.header, *ADDED])
        for place, row in enumerate(rows.cells):
            writer.row([*(row[name] for name in rows.header), *cells.get(place, ("", ""))])
    return Answered(len(kept), bad)


def _legacy(
    weights: Path, source: Path, arrays: Arrays, lines: npt.NDArray[np.int64]
) -> tuple[Schema, npt.NDArray[np.int64]]:
    # Imports torch.
    from accelgym.agents.uov.legacy_network import legacy_indices
    from accelgym.agents.uov.legacy_policy import BATCH, load_legacy

    policy = load_legacy(weights)
    _fits(policy.schema, weights, [name for name in arrays if name != "depthwise"])
    indices = legacy_indices(arrays, str(source), lines, _RELEASED_NAMES)
    if policy.depends_on_batch:
        warn_input(
            f"{weights}: a legacy policy, which attends over the batch: answers depend on the other rows, of which "
            f"{BATCH} are answered at once, in order"
        )
    return policy.schema, policy.propose(indices)


def _fits(schema: Schema, weights: Path, inputs: Sequence[str]) -> None:
    known = [entry.name for entry in schema.inputs]
    knobs = [knob.name for knob in schema.knobs]
    if sorted(known) != sorted(inputs):
        raise InputError(f"{weights}: a policy of another schema: its inputs are {', '.join(known)}")
    if sorted(knobs) != sorted(ADDED):
        raise InputError(f"{weights}: a policy of another schema: its knobs are {', '.join(knobs)}")


def _capped(policy: Policy, source: Path, rows: LayerRows, kept: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    inputs = [entry.name for entry in policy.schema.inputs]
    needed = [*(n for n in rows.layers.columns()), "dataflow", "objective", "cap", "cap_fraction", "cap_value"]
    _fits(policy.schema, Path(policy.schema.name), needed)
    assert sorted(inputs) == sorted(needed)
    objective = _choices(source, rows, kept, "objective", _OBJECTIVES)
    cap = _choices(source, rows, kept, "cap", ("none", *CAP_FIGURES))
    fraction = np.array([_fraction(source, rows, place) for place in kept])
    model = cost_models.build("maestro", compat=False, noc_bw=None)
    designs = np.zeros((len(kept), len(ADDED)), dtype=np.int64)
    for kind in ("none", *CAP_FIGURES):
        for asked in _OBJECTIVES:
            mine = np.flatnonzero((cap == kind) & (objective == asked))
            if len(mine) == 0:
                continue
            layers = rows.layers.take(kept[mine])
            known = CappedLayers.of(policy.schema, model, layers, rows.dataflow[kept[mine]], kind)
            arrays, feasible = known.questions(asked, np.arange(len(mine)), fraction[mine])
            policy.schema.checked(arrays, str(source), rows.lines[kept[mine]], _RELEASED_NAMES)
            designs[mine] = policy.propose(arrays, feasible).designs[:, 0]
    return designs


def _choices(
    source: Path, rows: LayerRows, kept: npt.NDArray[np.int64], name: str, allowed: Sequence[str]
) -> npt.NDArray[np.str_]:
    found = np.array([rows.cells[place][name].strip() for place in kept])
    for place, value in zip(kept, found, strict=True):
        if value not in allowed:
            raise InputError(
                f"{source}: line {rows.lines[place]}: {name} is {shown(str(value))}, allowed: {', '.join(allowed)}"
            )
    return found


def _fraction(source: Path, rows: LayerRows, place: int) -> float:
    row: Mapping[str, str] = rows.cells[place]
    try:
        value = float(row["cap_fraction"])
    except ValueError:
        value = float("nan")
    if not 0.0 <= value <= 1.0:
        where = f"{source}: line {rows.lines[place]}"
        raise InputError(f"{where}: cap_fraction is {shown(row['cap_fraction'])}, allowed: numbers 0..1")
    return value

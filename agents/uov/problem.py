"""What a policy learns from: rows with their whole landscapes, or with labels alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.agents.uov.schema import Arrays, Input, Knob, Schema
from accelgym.costmodels.errors import InputError, MissingExtraError
from accelgym.costmodels.maestro.designs import Dataflow
from accelgym.dse_dataset.airchitect_csv import LEVELS, PES, ReleasedRows, read_released, released_landscapes
from accelgym.dse_dataset.load import LabelledDataset, load_dataset, numpy_view
from accelgym.dse_dataset.recipes.base import Recipe
from accelgym.dse_dataset.recipes.catalogue import build_recipe, spec_from

__all__ = [
    "Examples",
    "Problem",
    "load_problem",
    "released_examples",
    "released_inputs",
    "released_problem",
    "released_schema",
    "released_split",
]

IntArray = npt.NDArray[np.int64]

_LARGEST_REGRET = 6.0
"""Logarithms of ratios to the best are kept up to this, 400 times the best."""
_TRAIN_SHARE = 0.95
_VALIDATION_ROWS = 2_000
"""Rows of the released file's training split that are kept out of the training."""


@dataclass(frozen=True)
class Examples:
    """Rows of one split."""

    arrays: Arrays
    """Inputs by name, shape ``(rows,)`` each."""
    labels: IntArray
    """The data's own answer, value indices of shape ``(rows, knobs)``."""
    log_best: npt.NDArray[np.float64]
    """Natural logarithm of the best objective."""
    regret: npt.NDArray[np.float16] | None = None
    """Natural logarithm of each design's objective over the best, ``inf`` where infeasible; ``(rows, *sizes)``.
    ``None`` where designs are not enumerated."""

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: Any) -> Examples:
        """Returns some rows."""
        parts: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        parts["arrays"] = {name: values[rows] for name, values in self.arrays.items()}
        return Examples(**{n: v if v is None or n == "arrays" else v[rows] for n, v in parts.items()})

    @property
    def feasible(self) -> npt.NDArray[np.bool_] | None:
        """Which designs are feasible, shape ``(rows, *sizes)``; ``None`` where designs are not enumerated."""
        return None if self.regret is None else np.isfinite(self.regret)


@dataclass(frozen=True)
class Problem:
    """A schema with rows by split."""

    schema: Schema
    splits: Mapping[str, Examples]
    provenance: Mapping[str, Any]
    """Which data, as plain data; part of what identifies a training."""

    def subset(self, share: float) -> Problem:
        """Returns the problem with the first rows of ``train`` alone."""
        train = self.splits["train"]
        kept = train.take(slice(0, max(1, round(share * len(train)))))
        return Problem(self.schema, {**self.splits, "train": kept}, {**self.provenance, "share": share})


def load_problem(path: Path, *, unordered: str = "softmax") -> Problem:
    """Reads what there is to learn.

    Args:
        path: Folder of a dataset whose rows choose values of fixed knobs, or AIrchitect v2's file of convolutions.
        unordered: ``softmax`` or ``refuse``: what becomes of knobs without an order.

    Raises:
        InputError: No such data, no ``train`` split, rows without knobs, or a knob that is not ordered and is to be
            refused, by name.
    """
    problem = _dataset_problem(load_dataset(path)) if path.is_dir() else released_problem(path)
    for knob in problem.schema.knobs:
        if not knob.ordered and unordered == "refuse":
            raise InputError(f"{path}: knob {knob.name!r} is not ordered; a unified ordinal vector cannot represent it")
    return problem


def _dataset_problem(data: LabelledDataset) -> Problem:
    if data.manifest["recipe"] is None:
        raise InputError(f"{data.folder}: was pooled from searches; there is no label to predict")
    recipe = build_recipe(spec_from(data.manifest["recipe"]))
    if not recipe.knobs:
        raise InputError(f"{data.folder}: rows of kind {recipe.spec.kind!r} do not choose values of fixed knobs")
    if not data.splits.get("train"):
        raise InputError(f"{data.folder}: has no split 'train' to learn from")
    names = [c.name for c in recipe.columns if c.role == "input" and c.length is None]
    splits = {name: _examples(data, recipe, name, names) for name, rows in data.splits.items() if rows}
    train = splits["train"].arrays
    knobs = [recipe.knobs[i] for i in decision_order(recipe)]
    schema = Schema(
        name=data.manifest["name"],
        inputs=tuple(Input.of(name, train[name]) for name in names),
        knobs=tuple(Knob(k.name, tuple(k.values), k.ordered) for k in knobs),
        facts={key: value for key, value in recipe.facts().items() if isinstance(value, str)},
        capped=recipe.capped and recipe.has_landscapes,
    )
    return Problem(schema, splits, {"content_sha256": data.manifest["content_sha256"]})


def decision_order(recipe: Recipe) -> list[int]:
    """Returns the order in which knobs are decided: those with few values first.

    Later knobs are conditioned on earlier ones, and few values leave few conditions to learn; under a cap the buffer
    first and then as many PEs as fit halves the regret of the other order.
    """
    return sorted(range(len(recipe.knobs)), key=lambda i: len(recipe.knobs[i].values))


def _examples(data: LabelledDataset, recipe: Recipe, split: str, names: list[str]) -> Examples:
    table = data.table(split)
    arrays = {name: numpy_view(table, name) for name in table.column_names}
    order = decision_order(recipe)
    labels = recipe.knob_labels(arrays)[:, order]
    kept = np.flatnonzero((labels >= 0).all(axis=1))
    regret = None
    if recipe.has_landscapes:
        sizes = recipe.design_factors
        regret = np.empty((len(labels), int(np.prod(sizes))), dtype=np.float16)
        for rows, objectives in recipe.landscapes(arrays):
            regret[rows] = log_regret(objectives)
        regret = np.ascontiguousarray(regret.reshape(len(labels), *sizes)[kept].transpose(0, *(i + 1 for i in order)))
    inputs = {name: _plain(arrays[name])[kept] for name in names}
    log_best = np.log(np.maximum(arrays[recipe.objective_column][kept].astype(np.float64), 1e-300))
    return Examples(inputs, labels[kept], log_best, regret)


def _plain(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return values.astype(str) if values.dtype.kind in "bOU" else values


def log_regret(objectives: npt.NDArray[np.float64]) -> npt.NDArray[np.float16]:
    """Returns logarithms of ratios to the best of each row, exactly 0 for what ties with it."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.log(objectives / objectives.min(axis=1, keepdims=True))
    bounded = np.where(np.isfinite(objectives), np.minimum(ratio, _LARGEST_REGRET), np.inf)
    # A ratio of 1 + 1e-12 is rounding, one of 1 + 1e-7 is not; float16 keeps numbers from 6e-8 on.
    return np.where(bounded > 1e-9, np.maximum(bounded, 1e-6), 0.0).astype(np.float16)


# -- AIrchitect v2's released file ----------------------------------------------------------------------------------


def released_problem(path: Path) -> Problem:
    """Reads AIrchitect v2's file of convolutions with the split of its own code.

    2,000 rows of the training split make the validation split.

    Raises:
        InputError: See :func:`~accelgym.dse_dataset.airchitect_csv.read_released`.
        MissingExtraError: scikit-learn is not installed.
    """
    rows = read_released(path)
    found = released_split(rows)
    held = min(_VALIDATION_ROWS, len(found["train"]) // 10)
    found["validation"], found["train"] = found["train"][:held], found["train"][held:]
    examples = released_examples(rows)
    splits = {name: examples.take(found[name]) for name in ("train", "validation", "test")}
    count = len(rows.lines) + len(rows.illegal)
    return Problem(released_schema(splits["train"].arrays), splits, {"rows": count, "file": path.name})


def released_split(rows: ReleasedRows) -> dict[str, IntArray]:
    """Returns the positions of ``train`` and ``test`` among the rows, in the order in which they are drawn.

    All rows in file order are split by scikit-learn's ``train_test_split(train_size=0.95, random_state=0)``; rows that
    are no layers are left out afterwards.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn.model_selection import train_test_split
    except ImportError as error:
        raise MissingExtraError("the split of the released file", "scikit-learn", "data") from error
    every = np.sort(np.concatenate([rows.lines, np.array(rows.illegal, dtype=np.int64)]))
    train, test = train_test_split(every, train_size=_TRAIN_SHARE, random_state=0)
    place = {int(line): at for at, line in enumerate(rows.lines)}
    parts = {"train": train, "test": test}
    return {n: np.array([place[x] for x in part.tolist() if x in place], dtype=np.int64) for n, part in parts.items()}


def released_schema(arrays: Arrays) -> Schema:
    """Returns the schema of the released file."""
    return Schema(
        name="airchitect-v2",
        inputs=tuple(Input.of(name, values) for name, values in arrays.items()),
        knobs=(Knob("buffer_level", tuple(range(1, LEVELS + 1))), Knob("num_pes", tuple(range(1, PES + 1)))),
        facts={"cost_model": "maestro", "cost_model_version": "1-compat", "technology": "maestro-28nm"},
    )


def released_examples(rows: ReleasedRows) -> Examples:
    """Returns rows with the landscape of each."""
    regret = np.empty((len(rows.layers), PES * LEVELS), dtype=np.float16)
    best = np.empty(len(rows.layers))
    for block, cycles in released_landscapes(rows):
        regret[block], best[block] = log_regret(cycles), cycles.min(axis=1)
    return Examples(
        released_inputs(rows),
        np.stack([rows.buffer_level - 1, rows.num_pes - 1], axis=1),
        np.log(best),
        np.ascontiguousarray(regret.reshape(-1, PES, LEVELS).swapaxes(1, 2)),
    )


def released_inputs(rows: ReleasedRows) -> dict[str, npt.NDArray[Any]]:
    """Returns what a policy is asked, shape ``(rows,)`` each."""
    names = np.array([flow.name.lower() for flow in Dataflow])
    return {n: a for n, a in rows.layers.columns().items() if n != "depthwise"} | {"dataflow": names[rows.dataflow]}

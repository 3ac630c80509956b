"""Trains a proxy on a dataset, into a folder that says what it was trained on and how far off it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.agents.proxy import FitOptions, Proxy, design_arrays, log_errors
from accelgym.agents.proxy.proxy import log_costs
from accelgym.costmodels.errors import InputError, unknown_name
from accelgym.costmodels.files.json_file import write_sealed
from accelgym.costmodels.files.lock import folder_lock
from accelgym.dse_dataset.input_encoding import input_names
from accelgym.dse_dataset.load import LabelledDataset, load_dataset
from accelgym.dse_dataset.recipes.catalogue import build_recipe, spec_from
from accelgym.envs.registration import make_task
from accelgym.experiments.sessions import run_environment

__all__ = ["train_proxy"]

_SCHEMA = 1
Arrays = dict[str, npt.NDArray[Any]]


def train_proxy(
    data: Path | str,
    out: Path | str,
    *,
    targets: Sequence[str] = (),
    split: str = "test",
    seed: int = 0,
    options: FitOptions | None = None,
) -> dict[str, Any]:
    """Trains on ``train`` and measures the error on another split.

    Datasets pooled from runs give the parameters of their task's designs as inputs, and the objective and all further
    figures as costs; every other dataset gives the columns of role ``input``.

    Args:
        data: Folder of the dataset.
        out: Folder that receives ``proxy.safetensors`` and ``manifest.json``.
        targets: Columns to predict; the one that the dataset is about by default.
        split: On which errors are measured; one without rows gives none.
        seed: Of the training.
        options: How the network learns.

    Returns:
        The manifest, ``errors`` by target among it: the root mean square of the logarithm of the ratio.

    Raises:
        InputError: No dataset, an unknown column, one without positive numbers, or runs of several tasks.
    """
    found, out = load_dataset(data), Path(out)
    if split not in found.splits:
        raise unknown_name("split", split, found.splits)
    splits = ["train", *([split] if found.splits[split] else [])]
    parts, inputs, usual = _columns(found, splits)
    chosen = tuple(targets) or usual
    if not chosen:
        raise InputError(f"{data}: says of no column that it is to be predicted; name one with --target")
    for name in chosen:
        if name in inputs:
            raise InputError(f"--target {name}: is an input of the dataset")
    about = {
        "data": found.manifest["name"],
        "content_sha256": found.manifest["content_sha256"],
        "rows": found.splits["train"],
        "inputs": inputs,
        "targets": list(chosen),
        "seed": seed,
    }
    proxy = Proxy.fitted(parts[0], inputs, chosen, seed=seed, options=options, about=about)
    errors: dict[str, float] = {}
    if len(parts) == 2:
        predicted = proxy.predict(parts[1])
        for name in chosen:
            truth = log_costs(parts[1], name)
            if np.isfinite(truth).any():
                errors[name] = log_errors(np.log(predicted[name]), truth)
    manifest = {"schema": _SCHEMA, "training": about, "split": split, "errors": errors, "session": run_environment()}
    with folder_lock(out):
        proxy.save(out)
        write_sealed(out / "manifest.json", manifest)
    return manifest


def _columns(data: LabelledDataset, splits: Sequence[str]) -> tuple[list[Arrays], list[str], tuple[str, ...]]:
    """Returns the columns of each split, the names of the inputs, and the usual targets."""
    if data.manifest["recipe"] is not None:
        recipe = build_recipe(spec_from(data.manifest["recipe"]))
        usual = (recipe.value_column,) if recipe.value_column else ()
        return [data.arrays(split) for split in splits], input_names(data.columns), usual
    parts: list[Arrays] = []
    names: set[tuple[str, str]] = set()
    for split in splits:
        table = data.table(split)
        names |= set(zip(*(table.column(key).to_pylist() for key in ("env", "arguments_json")), strict=True))
        if len(names) > 1:
            raise InputError(f"{data.folder}: holds evaluations of {len(names)} tasks or more, allowed: of one")
        env, arguments = next(iter(names))
        if not env:
            raise InputError(f"{data.folder}: does not say which task its evaluations are of")
        task = make_task(env, **json.loads(arguments))
        designs = task.space.check(np.array(table.column("design").to_pylist()))
        costs = [json.loads(text) for text in table.column("costs_json").to_pylist()]
        figures = {
            key: np.array([np.nan if row.get(key) is None else row[key] for row in costs], dtype=np.float64)
            for key in sorted({key for row in costs for key in row})
        }
        objective = np.array(table.column("objective").to_pylist(), dtype=np.float64)
        parts.append({"objective": objective, **figures, **design_arrays(task.space, designs)})
    return parts, [parameter.name for parameter in task.space.parameters], ("objective",)

"""Families of tasks described by a YAML file."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.plain import native
from accelgym.costmodels.files.strict_model import StrictModel, load_spec
from accelgym.costmodels.files.yaml_source import read_yaml
from accelgym.envs.family import SPLITS, Family
from accelgym.envs.registration import make_task, task_name

__all__ = ["FamilySpec", "load_family"]

Entry = dict[str, Any]


class FamilySpec(StrictModel):
    """What a family file says; in an entry a list stands for several members, one for every combination."""

    task: str
    """Name of a registered task."""
    common: Entry = Field(default_factory=dict)
    """Arguments that all members share."""
    train: list[Entry] = Field(min_length=1)
    """Members to learn from: the arguments in which they differ from ``common``."""
    test: list[Entry] = Field(default_factory=list)
    """Members held out, likewise."""


def load_family(path: Path | str) -> Family:
    """Reads a family.

    ```yaml
    task: accelgym/ResourceAssignment-v0
    common: {model: maestro, dataflow: dla}
    train:
      - {workload: [confuciux/resnet18, confuciux/vgg16], budget: [0.05, 0.2]}
    test:
      - {workload: confuciux/mobilenet_v2, budget: 0.1}
    ```

    Raises:
        InputError: Naming file, line, column and key: a key that is missing or unknown, no member to train on, an
            argument that the task refuses, members that are one task or have other knobs than the first.
    """
    path = Path(path)
    spec = load_spec(FamilySpec, path)
    source = read_yaml(path)
    try:
        name = task_name(spec.task)
    except InputError as error:
        raise source.error(("task",), str(error)) from error
    members: dict[str, list[Entry]] = {}
    for split in SPLITS:
        members[split] = []
        for index, entry in enumerate(getattr(spec, split)):
            for key, choices in entry.items():
                if choices == []:
                    raise source.error((split, index, key), "an empty list, allowed at least one value")
            for arguments in _expand(entry):
                try:
                    make_task(name, **(native(spec.common) | arguments))
                except InputError as error:
                    raise source.error((split, index), str(error)) from error
            members[split] += _expand(entry)
    try:
        return Family(name, members["train"], test=members["test"], common=native(spec.common))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _expand(entry: Mapping[str, Any]) -> list[Entry]:
    """Returns the grid over all lists of an entry, the last list varying fastest."""
    choices = [value if isinstance(value, list) else [value] for value in native(dict(entry)).values()]
    return [dict(zip(entry, row, strict=True)) for row in itertools.product(*choices)]

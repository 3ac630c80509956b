"""Policies as safetensors files; everything that is no array stands in their metadata under one key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.agents.uov.network import NetworkSize, initial_parameters
from accelgym.agents.uov.policy import Policy
from accelgym.agents.uov.schema import Schema
from accelgym.costmodels.errors import InputError, MissingExtraError
from accelgym.costmodels.files.text import read_bytes
from accelgym.costmodels.files.whole_file import write_whole

__all__ = ["SHIPPED", "load_policy", "load_shipped", "read_arrays", "save_policy", "shipped_names", "write_arrays"]

_KEY = "accelgym"
"""Several keys would be written in no fixed order."""
_KIND, _VERSION = "uov-policy", 1
SHIPPED = Path(__file__).with_name("weights")
"""Folder of the policies that come with the package."""


def write_arrays(path: Path, arrays: Mapping[str, npt.NDArray[Any]], note: Mapping[str, Any]) -> None:
    """Writes arrays and a note in one step; equal content gives equal bytes."""
    ordered = {name: np.asarray(arrays[name], order="C") for name in sorted(arrays)}
    write_whole(path, _safetensors().save(ordered, {_KEY: json.dumps(note, sort_keys=True)}))


def read_arrays(path: Path) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    """Reads what :func:`write_arrays` has written.

    Raises:
        InputError: The file is missing, or no such file.
    """
    data = read_bytes(path)
    try:
        arrays = _safetensors().load(data)
        head = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        note = json.loads(head["__metadata__"][_KEY])
    except Exception as error:  # The package raises an exception type of its own, by version.
        raise InputError(f"{path}: no file of parameters that this package has written ({error})") from error
    return arrays, note


def save_policy(path: Path, policy: Policy) -> None:
    """Writes a policy."""
    note = {
        "kind": _KIND,
        "version": _VERSION,
        "schema": policy.schema.to_json(),
        "size": policy.size.to_json(),
        "head": policy.head,
        "buckets": policy.buckets,
        "residues": policy.residues,
        "card": dict(policy.card),
    }
    write_arrays(path, policy.parameters, note)


def load_policy(path: Path, expected: Schema | None = None) -> Policy:
    """Reads a policy.

    Args:
        path: The file.
        expected: What it is going to be asked about.

    Raises:
        InputError: No policy, parameters that do not fit its schema, or another schema than expected.
    """
    arrays, note = read_arrays(path)
    if note.get("kind") != _KIND or note.get("version") != _VERSION:
        raise InputError(
            f"{path}: is a {note.get('kind')!r} of version {note.get('version')}, allowed: {_KIND!r} {_VERSION}"
        )
    try:
        policy = Policy(
            schema=Schema.from_json(note["schema"]),
            size=NetworkSize(**note["size"]),
            head=note["head"],
            buckets=note["buckets"],
            residues=note["residues"],
            parameters=arrays,
            card=note["card"],
        )
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: its description is incomplete: {error}") from error
    _check_shapes(path, policy)
    if expected is not None and (difference := policy.schema.difference(expected)):
        raise InputError(f"{path}: a policy of another schema: {difference}")
    return policy


def _check_shapes(path: Path, policy: Policy) -> None:
    outputs = [code.table.shape[1] for code in policy.codes]
    tokens = policy.tokeniser.shape
    needed = {n: a.shape for n, a in initial_parameters(policy.size, tokens, policy.schema.sizes, outputs, 0).items()}
    needed |= {f"features.{name}": tokens for name in ("mean", "scale", "low", "high")}
    needed |= {"best.mean": (1,), "best.deviation": (1,)}
    for name, shape in needed.items():
        found = policy.parameters[name].shape if name in policy.parameters else None
        if found != shape:
            raise InputError(f"{path}: parameter {name!r} has the shape {found}, its schema needs {shape}")


def shipped_names() -> tuple[str, ...]:
    """Returns the names of the policies that come with the package."""
    return tuple(sorted(path.stem for path in SHIPPED.glob("*.safetensors")))


def load_shipped(name: str, expected: Schema | None = None) -> Policy:
    """Reads a policy that comes with the package, see :func:`load_policy`."""
    return load_policy(SHIPPED / f"{name}.safetensors", expected)


def _safetensors() -> Any:
    try:
        from safetensors import numpy
    except ImportError as error:
        raise MissingExtraError("weights of a policy", "safetensors", "agents") from error
    return numpy

"""Policies in files, and those that come with the package."""

from __future__ import annotations

from pathlib import Path

from accelgym.agents.checkpoint import read_checkpoint, write_checkpoint
from accelgym.agents.uov.network import NetworkSize, initial_parameters
from accelgym.agents.uov.policy import Policy
from accelgym.agents.uov.schema import Schema
from accelgym.costmodels.errors import InputError

__all__ = ["LEGACY", "POLICY", "SCHEMA", "SHIPPED", "load_policy", "load_shipped", "save_policy", "shipped_names"]

POLICY = "a UOV policy"
"""The kind of these weights, in their files."""
LEGACY = "a legacy policy of AIrchitect v2"
"""The kind of weights of the faithful mode, see :mod:`accelgym.agents.uov.legacy_policy`."""
SCHEMA = 1
"""Version of the layout of this kind's files."""
SHIPPED = Path(__file__).with_name("weights")
"""Folder of the policies that come with the package."""


def save_policy(path: Path, policy: Policy) -> None:
    """Writes a policy."""
    about = {
        "schema": policy.schema.to_json(),
        "size": policy.size.to_json(),
        "head": policy.head,
        "buckets": policy.buckets,
        "residues": policy.residues,
        "card": dict(policy.card),
    }
    write_checkpoint(path, POLICY, SCHEMA, about, policy.parameters)


def load_policy(path: Path, expected: Schema | None = None) -> Policy:
    """Reads a policy.

    Args:
        path: The file.
        expected: What it is going to be asked about.

    Raises:
        InputError: No policy, parameters that do not fit its schema, or another schema than expected.
    """
    about, arrays = read_checkpoint(path, POLICY, SCHEMA)
    try:
        policy = Policy(
            schema=Schema.from_json(about["schema"]),
            size=NetworkSize(**about["size"]),
            head=about["head"],
            buckets=about["buckets"],
            residues=about["residues"],
            parameters=arrays,
            card=about["card"],
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

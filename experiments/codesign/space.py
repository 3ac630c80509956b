"""What is searched: a student of the ResNet-32 family, how it is distilled, and the Eyeriss that runs it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

__all__ = [
    "DEFAULT",
    "MODES",
    "SCALES",
    "Candidate",
    "Machine",
    "Student",
    "Training",
    "cardinality",
    "mutate",
    "random_candidate",
]


@dataclass(frozen=True)
class Student:
    """A CIFAR ResNet (He et al., 2016): three stages of blocks of two 3x3 convolutions; 5, 5, 5 is ResNet-32."""

    blocks: tuple[int, int, int]
    """Blocks of each stage."""
    channels: tuple[int, int, int]
    """Channels of each stage; 16, 32, 64 in ResNet-32."""


@dataclass(frozen=True)
class Training:
    """Knowledge distillation (Hinton, Vinyals, Dean, 2015): ``(1 - mixing) CE + mixing temperature^2 KL``."""

    temperature: float
    mixing: float
    rate: float
    """Largest learning rate of a one-cycle schedule."""
    epochs: int


@dataclass(frozen=True)
class Machine:
    """An Eyeriss of another size."""

    rows: int
    columns: int
    buffer_kib: int
    """Of the global buffer."""

    @property
    def name(self) -> str:
        """As in files."""
        return f"eyeriss_{self.rows}x{self.columns}_{self.buffer_kib}k"


@dataclass(frozen=True)
class Candidate:
    """A point of the joint space."""

    student: Student
    training: Training
    machine: Machine

    def to_json(self) -> dict[str, Any]:
        """Returns plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Candidate:
        """Returns a candidate from :meth:`to_json`'s data."""
        student = Student(tuple(data["student"]["blocks"]), tuple(data["student"]["channels"]))
        return cls(student, Training(**data["training"]), Machine(**data["machine"]))


_STAGES: dict[str, dict[str, tuple[tuple[int, ...], ...]]] = {
    "small": {"blocks": ((1, 2),) * 3, "channels": ((4, 8), (8, 16), (16, 32))},
    "cifar": {"blocks": ((1, 2, 3, 4, 5),) * 3, "channels": ((8, 12, 16), (16, 24, 32), (32, 48, 64))},
}
"""Values of each stage: for the rendered images, and up to ResNet-32 for CIFAR-10."""
_TRAINING: dict[str, tuple[float, ...]] = {
    "temperature": (1.0, 2.0, 4.0, 8.0),
    "mixing": (0.0, 0.3, 0.6, 0.9),
    "rate": (0.01, 0.03),
}
_EPOCHS = {"small": (3, 5, 8), "cifar": (40, 80, 160)}
_MACHINES: dict[str, tuple[int, ...]] = {"rows": (8, 12), "columns": (8, 14), "buffer_kib": (27, 108)}
SCALES = tuple(_STAGES)
"""Scales of the space."""
MODES = {"joint": ("student", "training", "machine"), "network": ("student", "training"), "accelerator": ("machine",)}
"""What each search changes; the rest stays that of :data:`DEFAULT`."""
DEFAULT = {
    "small": Candidate(Student((1, 1, 1), (8, 16, 32)), Training(4.0, 0.6, 0.03, 5), Machine(12, 14, 108)),
    "cifar": Candidate(Student((5, 5, 5), (16, 32, 64)), Training(4.0, 0.6, 0.03, 80), Machine(12, 14, 108)),
}
"""The usual network on the published Eyeriss."""


def _genes(scale: str, parts: Sequence[str]) -> list[tuple[str, str, int | None, tuple[Any, ...]]]:
    """Every choice of some parts: part, field, stage or None, values."""
    genes: list[tuple[str, str, int | None, tuple[Any, ...]]] = []
    if "student" in parts:
        genes += [("student", name, k, values[k]) for name, values in _STAGES[scale].items() for k in range(3)]
    if "training" in parts:
        genes += [("training", name, None, values) for name, values in _TRAINING.items()]
        genes.append(("training", "epochs", None, _EPOCHS[scale]))
    if "machine" in parts:
        genes += [("machine", name, None, values) for name, values in _MACHINES.items()]
    return genes


def _changed(candidate: Candidate, gene: tuple[str, str, int | None, tuple[Any, ...]], value: Any) -> Candidate:
    part, name, stage, _ = gene
    own: Any = getattr(candidate, part)
    if stage is not None:
        row = list(getattr(own, name))
        row[stage] = value
        value = tuple(row)
    changes: dict[str, Any] = {part: replace(own, **{name: value})}
    return replace(candidate, **changes)


def random_candidate(scale: str, mode: str, rng: np.random.Generator) -> Candidate:
    """Draws what a mode may change; the rest is the default."""
    candidate = DEFAULT[scale]
    for gene in _genes(scale, MODES[mode]):
        candidate = _changed(candidate, gene, gene[3][int(rng.integers(len(gene[3])))])
    return candidate


def mutate(candidate: Candidate, scale: str, mode: str, rng: np.random.Generator) -> Candidate:
    """Draws one to three of the choices that a mode may change anew."""
    genes = _genes(scale, MODES[mode])
    for at in rng.choice(len(genes), size=min(int(rng.integers(1, 4)), len(genes)), replace=False):
        gene = genes[int(at)]
        candidate = _changed(candidate, gene, gene[3][int(rng.integers(len(gene[3])))])
    return candidate


def cardinality(scale: str, mode: str) -> int:
    """Returns the number of candidates of a mode."""
    return math.prod(len(gene[3]) for gene in _genes(scale, MODES[mode]))

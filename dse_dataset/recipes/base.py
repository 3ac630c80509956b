"""What a recipe for a dataset says, and what all recipes share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.strict_model import Count, StrictModel, parse_fields
from accelgym.dse_dataset.columns import Column
from accelgym.dse_dataset.input_encoding import input_names
from accelgym.dse_dataset.layers import LayerTable, twin_key
from accelgym.dse_dataset.shards import Shard
from accelgym.dse_dataset.streams import RowStreams, mix
from accelgym.envs.space import Parameter

__all__ = [
    "HELD_OUT",
    "MOST_DESIGNS",
    "SPLITS",
    "Progress",
    "Recipe",
    "RecipeSpec",
    "Shares",
    "draw_apart",
    "split_residue",
]

Progress = Callable[[int], None]
"""Called with the rows of a shard that are labelled."""

SPLITS = ("train", "validation", "test")
HELD_OUT = "heldout"
MOST_DESIGNS = 2**20
"""Designs of one row that are enumerated at most."""

_SPLIT_SALT = np.uint64(0x5D117)
_PARTS = 1000
_ATTEMPTS = 20_000


class Shares(StrictModel):
    """Thousandths of the rows in each split."""

    train: int = Field(default=800, ge=0, le=_PARTS)
    validation: int = Field(default=100, ge=0, le=_PARTS)
    test: int = Field(default=100, ge=0, le=_PARTS)

    @model_validator(mode="after")
    def _all_rows_belong_somewhere(self) -> Self:
        if self.train + self.validation + self.test != _PARTS:
            raise InputError(f"train + validation + test is {self.train + self.validation + self.test}, allowed: 1000")
        return self

    def rows(self, total: int) -> dict[str, int]:
        """Returns the rows of each split, which add up."""
        validation, test = (total * share // _PARTS for share in (self.validation, self.test))
        return {"train": total - validation - test, "validation": validation, "test": test}

    def bounds(self, split: str) -> tuple[int, int]:
        """Returns the residues of a split, ``low <= residue < high``."""
        low = 0
        for name in SPLITS:
            high = low + getattr(self, name)
            if name == split:
                return low, high
            low = high
        raise AssertionError(split)


class RecipeSpec(StrictModel):
    """What all datasets have in common; recipes add their own keys."""

    kind: str
    """Recipe: which task every row states and how it is solved."""
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    """Of the dataset."""
    rows: Count
    """Rows over all splits but the held-out one."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    shares: Shares = Shares()
    shard_rows: Count = 16_384
    """Rows of a file."""

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        """Validates keyword arguments.

        Raises:
            InputError: Names the key, the value and what is allowed.
        """
        return parse_fields(cls, data, "key")


class Recipe(ABC):
    """A function from row numbers to labelled rows, and what there is to know about it.

    Everything it returns depends on its specification and on the row alone.
    """

    by_row: ClassVar[bool] = False
    """Whether rows take so long that each is kept as soon as it is there."""
    title: ClassVar[str]
    """One sentence: what a row asks and what its label answers."""

    @property
    @abstractmethod
    def spec(self) -> RecipeSpec:
        """What defines the dataset."""
        ...

    @property
    @abstractmethod
    def columns(self) -> tuple[Column, ...]:
        """Columns of the shards."""
        ...

    @property
    def splits(self) -> dict[str, int]:
        """Rows by split."""
        return self.spec.shares.rows(self.spec.rows)

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """Returns what the labels rest on: cost model, version, technology, size of the space."""
        ...

    def check(self) -> None:
        """Refuses what could not be labelled, before anything is; by default there is nothing to look at.

        Raises:
            InputError: Names the key, the value and what is allowed.
        """
        return

    def tools(self) -> str:
        """Returns the versions of the programs that are called to make the labels; empty where there are none.

        They are part of what a dataset is: its rows are not mixed with those of other versions.

        Raises:
            AccelGymError: One is not installed; says what installs it.
        """
        return ""

    def extra_files(self, out: Path) -> list[Path]:
        """Writes what stands beside the shards, once they are complete, and returns the files; none by default."""
        return []

    @property
    def knobs(self) -> tuple[Parameter, ...]:
        """What a design chooses, if all rows choose the same from the same values; empty otherwise."""
        return ()

    def predictor_inputs(self, arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Returns what a predictor may look at: the inputs that are single numbers or names.

        Args:
            arrays: Columns of the rows by name.
        """
        return {name: arrays[name] for name in input_names(self.columns)}

    def knob_labels(self, arrays: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.int64]:
        """Returns the labels of rows as value indices of :attr:`knobs`, shape ``(rows, knobs)``; -1: no such value.

        Args:
            arrays: Columns of the rows by name.
        """
        labels = np.full((len(arrays["row"]), len(self.knobs)), -1, dtype=np.int64)
        for column, knob in zip(labels.T, self.knobs, strict=True):
            for index, value in enumerate(knob.values):
                column[arrays[f"best_{knob.name}"] == value] = index
        return labels

    @property
    def design_factors(self) -> tuple[int, ...]:
        """Values of each knob, the last varying fastest; empty where designs are not enumerated."""
        return ()

    @property
    def has_landscapes(self) -> bool:
        """Whether :meth:`landscapes` knows the objective of every design of a row."""
        return bool(self.design_factors)

    @property
    def capped(self) -> bool:
        """Whether inputs limit the area or power of a design, which closed forms tell before any evaluation."""
        return False

    objective_column: ClassVar[str] = "best_objective"
    """What the label's design is worth."""

    def design_numbers(self, arrays: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.int64]:
        """Returns the labels of rows as numbers over :attr:`design_factors`.

        Args:
            arrays: Columns of the rows by name.
        """
        raise NotImplementedError

    def landscapes(
        self, arrays: Mapping[str, npt.NDArray[Any]]
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]]:
        """Yields positions of rows and the objectives of all their designs, ``inf`` where infeasible.

        Args:
            arrays: Columns of the rows by name.
        """
        raise NotImplementedError

    def objectives_of(
        self, arrays: Mapping[str, npt.NDArray[Any]], designs: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float64]:
        """Returns the objectives of some designs of each row, ``inf`` where infeasible, shape ``(rows, designs)``.

        For recipes with :attr:`knobs` whose designs are too many for :meth:`landscapes`.

        Args:
            arrays: Columns of the rows by name.
            designs: Value indices of the knobs, shape ``(rows, designs, knobs)``.
        """
        raise NotImplementedError

    value_column: ClassVar[str] = ""
    """What a surrogate predicts, a positive number, where designs are not enumerated."""

    def label(self, shard: Shard, progress: Progress) -> dict[str, Any]:
        """Returns the columns of a shard by name."""
        raise NotImplementedError

    def label_row(self, split: str, row: int) -> dict[str, Any]:
        """Returns a row as plain data; for recipes that work ``by_row``."""
        raise NotImplementedError


def split_residue(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Returns the residue of each group's key, which decides its split, see :meth:`Shares.bounds`."""
    return np.asarray((mix(keys ^ _SPLIT_SALT) % np.uint64(_PARTS)).astype(np.int64))


def draw_apart(
    sampler: Callable[[RowStreams], LayerTable],
    seed: int,
    rows: npt.NDArray[np.int64],
    bounds: tuple[int, int],
    refused: npt.NDArray[np.uint64],
    solvable: Callable[[LayerTable, npt.NDArray[np.int64]], npt.NDArray[np.bool_]],
) -> LayerTable:
    """Draws legal layers for rows of one split.

    A layer's split follows from its :func:`~accelgym.dse_dataset.layers.twin_key`, so that no layer, nor a twin of it,
    stands in two of them. A row draws until it has a layer of its split.

    Args:
        sampler: Draws layers.
        seed: Of the dataset.
        rows: Row numbers, shape ``(n,)``.
        bounds: Residues of the split.
        refused: Keys of layers that are held out.
        solvable: Takes layers and their positions in ``rows``; returns which have a design at all.

    Raises:
        InputError: A row has found none after many draws.
    """
    streams = RowStreams.of(seed, rows)
    columns = {name: np.zeros_like(column) for name, column in sampler(streams).columns().items()}
    poor = np.arange(len(rows))
    while len(poor):
        if streams.attempt == _ATTEMPTS:
            raise InputError(
                f"row {rows[poor[0]]}: none of {_ATTEMPTS} layers drawn is of its split and has a design; the share of "
                "the split is too small, or the limits are too tight"
            )
        drawn = sampler(streams)
        for name, column in drawn.columns().items():
            columns[name][poor] = column
        good = _belongs(drawn, bounds, refused)
        good[good] = solvable(drawn.take(good), poor[good])
        streams, poor = streams.again(~good), poor[~good]
    return LayerTable(**columns)


def _belongs(layers: LayerTable, bounds: tuple[int, int], refused: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    keys = twin_key(layers)
    residue = split_residue(keys)
    inside = (residue >= bounds[0]) & (residue < bounds[1])
    return np.asarray(layers.legal & inside & ~np.isin(keys, refused))

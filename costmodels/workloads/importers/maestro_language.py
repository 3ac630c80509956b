"""The network and dataflow language of MAESTRO (``.m`` files), read into plain records.

Source of the grammar: MAESTRO at commit 4eb08d17, ``DFSL_parser.hpp``. Commas, colons, parentheses and
semicolons only separate words there, and so they do here. Hyphens do there too; here they belong to the word, so
that a negative number is seen.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from accelgym.costmodels.errors import InputError, shown
from accelgym.costmodels.files.text import read_text
from accelgym.costmodels.workloads.layer import MAX_DIM

__all__ = ["DataflowDirective", "LayerBlock", "MaestroFile", "Word", "read_maestro"]

DIMENSIONS = ("N", "G", "K", "C", "R", "S", "Y", "X", "Y'", "X'", "M")
_WORDS = re.compile(r"//[^\n]*|[{}]|[^\s,():;{}]+")
_DIRECTIVES = ("TemporalMap", "SpatialMap", "Cluster")


@dataclass(frozen=True)
class Word:
    """A word of a file and its place."""

    path: Path
    line: int
    column: int
    text: str

    def error(self, message: str) -> InputError:
        """Builds the error at this place; lines and columns count from 1."""
        return InputError(f"{self.path}:{self.line}:{self.column}: {message}")


@dataclass(frozen=True)
class Size:
    """A size in a directive: a number, or ``Sz(dimension)`` of the layer it is applied to."""

    word: Word
    number: int | None
    """``None`` for ``Sz``, whose dimension is the word."""


@dataclass(frozen=True)
class DataflowDirective:
    """``TemporalMap(size, offset) dim``, ``SpatialMap(size, offset) dim`` or ``Cluster(size, type)``."""

    word: Word
    """Its name."""
    size: Size
    offset: Size | None
    """``None`` for a cluster."""
    dim: str
    """Dimension mapped; for a cluster its type, ``P`` or ``L``."""


@dataclass(frozen=True)
class LayerBlock:
    """One layer of a network."""

    name: Word
    type: Word
    dims: Mapping[str, int]
    stride: Mapping[str, int]
    places: Mapping[str, Word]
    """Where each dimension is stated."""
    dataflow: tuple[DataflowDirective, ...] = ()
    """As in the program, a layer without one has that of the layer before."""


@dataclass(frozen=True)
class MaestroFile:
    """Contents of a file."""

    path: Path
    network: str
    layers: tuple[LayerBlock, ...]
    dataflow: tuple[DataflowDirective, ...]
    """A block ``Dataflow`` that stands outside any network, as in files of templates."""
    used: frozenset[str] = frozenset()
    """Names that stand for a number in it."""


def read_maestro(path: Path, constants: Mapping[str, int] | None = None) -> MaestroFile:
    """Reads a file.

    Args:
        path: The file.
        constants: Values of names that the file uses besides those that it defines, as templates do.

    Raises:
        InputError: Naming file, line and column.
    """
    return _Reader(path, constants or {}).file()


class _Reader:
    def __init__(self, path: Path, constants: Mapping[str, int]) -> None:
        self.path = path
        self.words: list[Word] = []
        for number, line in enumerate(read_text(path).splitlines(), 1):
            for found in _WORDS.finditer(line):
                if not found[0].startswith("//"):
                    self.words.append(Word(path, number, found.start() + 1, found[0]))
        self.at = 0
        self.constants = dict(constants)
        self.used: set[str] = set()

    def file(self) -> MaestroFile:
        network = ""
        layers: list[LayerBlock] = []
        dataflow: tuple[DataflowDirective, ...] = ()
        while self.at < len(self.words):
            word = self.next("")
            match word.text:
                case "Constant":
                    name = self.next("the name of a constant")
                    if name.text in self.constants:
                        raise name.error(f"constant {shown(name.text)} is defined twice")
                    self.constants[name.text] = self.number("the value of a constant")
                case "Network":
                    if layers:
                        raise word.error("a second network; allowed: one in a file")
                    network = self.name_before_brace("network", word).text
                    layers = self.layers()
                    if not layers:
                        raise word.error(f"network {shown(network)} has no layer")
                case "Dataflow":
                    if dataflow:
                        raise word.error("a second dataflow outside a network; allowed: one")
                    self.brace("Dataflow")
                    dataflow = self.directives()
                case "Accelerator":
                    self.skip_block(word)
                case _:
                    raise word.error(
                        f"{shown(word.text)} is not understood, allowed: Constant, Network, Dataflow, Accelerator"
                    )
        return MaestroFile(self.path, network, tuple(layers), dataflow, frozenset(self.used))

    def layers(self) -> list[LayerBlock]:
        found: list[LayerBlock] = []
        while (word := self.next("'Layer' or '}'")).text != "}":
            if word.text != "Layer":
                raise word.error(f"{shown(word.text)} is not understood, allowed: Layer")
            found.append(self.layer(self.name_before_brace("layer", word), found[-1].dataflow if found else ()))
        return found

    def layer(self, name: Word, dataflow: tuple[DataflowDirective, ...]) -> LayerBlock:
        kind: Word | None = None
        dims: dict[str, int] = {}
        stride: dict[str, int] = {}
        places: dict[str, Word] = {}
        seen: set[str] = set()
        while (word := self.next("a part of a layer or '}'")).text != "}":
            if word.text in seen:
                raise word.error(f"{word.text} stands twice in layer {shown(name.text)}")
            seen.add(word.text)
            match word.text:
                case "Type":
                    kind = self.next("the type of a layer")
                case "Stride":
                    stride, _ = self.sizes("Stride", ("Y", "X"))
                case "Dimensions":
                    dims, places = self.sizes("Dimensions", DIMENSIONS)
                case "Dataflow":
                    self.brace("Dataflow")
                    dataflow = self.directives() or dataflow
                case _:
                    raise word.error(
                        f"{shown(word.text)} is not understood, allowed: Type, Stride, Dimensions, Dataflow"
                    )
        if kind is None or not dims:
            raise name.error(f"layer {shown(name.text)} has no {'Type' if kind is None else 'Dimensions'}")
        return LayerBlock(name, kind, dims, stride, places, dataflow)

    def sizes(self, block: str, allowed: tuple[str, ...]) -> tuple[dict[str, int], dict[str, Word]]:
        self.brace(block)
        found: dict[str, int] = {}
        places: dict[str, Word] = {}
        while (word := self.next("a dimension or '}'")).text != "}":
            if word.text not in allowed:
                raise word.error(f"{shown(word.text)} is no dimension of {block}, allowed: {', '.join(allowed)}")
            if word.text in found:
                raise word.error(f"dimension {word.text} stands twice in {block}")
            places[word.text] = self.words[min(self.at, len(self.words) - 1)]
            found[word.text] = self.number(f"the size of {word.text}")
        return found, places

    def directives(self) -> tuple[DataflowDirective, ...]:
        found = []
        while (word := self.next("a directive or '}'")).text != "}":
            if word.text not in _DIRECTIVES:
                raise word.error(f"{shown(word.text)} is no directive, allowed: {', '.join(_DIRECTIVES)}")
            size = self.size()
            offset = None if word.text == "Cluster" else self.size()
            dim = self.next("a dimension")
            allowed = DIMENSIONS if offset else ("P", "L")
            if dim.text not in allowed:
                raise dim.error(f"{shown(dim.text)} is not understood here, allowed: {', '.join(allowed)}")
            found.append(DataflowDirective(word, size, offset, dim.text))
        return tuple(found)

    def size(self) -> Size:
        here = self.words[self.at] if self.at < len(self.words) else None
        if here is not None and here.text == "Sz":
            self.at += 1
            dim = self.next("a dimension")
            if dim.text not in DIMENSIONS:
                raise dim.error(f"{shown(dim.text)} is no dimension, allowed: {', '.join(DIMENSIONS)}")
            return Size(dim, None)
        number = self.number("a size")
        return Size(self.words[self.at - 1], number)

    def number(self, what: str) -> int:
        word = self.next(what)
        if word.text in self.constants:
            self.used.add(word.text)
            return self.constants[word.text]
        digits = word.text.isascii() and word.text.isdigit() and len(word.text) < 20
        if not digits or not 1 <= int(word.text) <= MAX_DIM:
            allowed = f"integers 1..{MAX_DIM}" + (f", {', '.join(self.constants)}" if self.constants else "")
            raise word.error(f"{what} is {shown(word.text)}, allowed: {allowed}")
        return int(word.text)

    def name_before_brace(self, what: str, opened: Word) -> Word:
        """A name is optional, as in the program."""
        word = self.next(f"the name of a {what}")
        if word.text == "{":
            return Word(opened.path, opened.line, opened.column, what)
        self.brace(f"{what} {shown(word.text)}")
        return word

    def skip_block(self, opened: Word) -> None:
        self.brace(opened.text)
        depth = 1
        while depth:
            depth += {"{": 1, "}": -1}.get(self.next("'}'").text, 0)

    def brace(self, after: str) -> None:
        word = self.next(f"'{{' after {after}")
        if word.text != "{":
            raise word.error(f"{shown(word.text)} stands where {{ is expected after {after}")

    def next(self, expected: str) -> Word:
        if self.at >= len(self.words):
            line, column = (self.words[-1].line, self.words[-1].column) if self.words else (1, 1)
            raise InputError(f"{self.path}:{line}:{column}: the file ends where {expected} is expected")
        self.at += 1
        return self.words[self.at - 1]

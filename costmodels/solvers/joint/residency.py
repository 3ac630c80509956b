"""Activations on chip as a finite automaton: states between layers, and what a layer does in each transition."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.workloads.activations import Activations

__all__ = ["Step", "on_chip_traffic", "peak_words", "residency_steps", "words_at"]

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Step:
    """What a layer may do; the first axis of every array is the state before it, the second its transitions.

    A state says which of the open edges are on chip; the state before the first layer and that behind the last one are
    empty. Rows with fewer transitions are filled up with copies of their first one.
    """

    target: Ints
    """State behind the layer."""
    flags: Ints
    """2 if the input is on chip, plus 1 if the output goes nowhere else."""
    words: Ints
    """Elements read from memory, read from and written to the shared SRAM beside the layer's own traffic, shape
    ``(states, transitions, 3)``."""
    kept: tuple[tuple[tuple[int, ...], ...], ...]
    """Edges that the layer leaves on chip."""


@lru_cache(maxsize=64)
def residency_steps(activations: Activations, room: int) -> tuple[Step, ...]:
    """Returns the transitions of every layer that keep within the shared SRAM.

    Args:
        activations: The activations; the number of states is exponential in how many are open at once.
        room: Elements that the SRAM holds.
    """
    edges, words = activations.edges, activations.words
    states: list[tuple[int, ...]] = [()]
    steps = []
    for layer in range(len(activations.layers)):
        incoming = [i for i, edge in enumerate(edges) if edge.consumer == layer]
        operands = [i for i in incoming if edges[i].operand]
        outgoing = [i for i, edge in enumerate(edges) if edge.producer == layer]
        number: dict[tuple[int, ...], int] = {}
        rows: list[list[tuple[int, int, tuple[int, int, int], tuple[int, ...]]]] = []
        for state in states:
            here = set(state)
            held = sum(words[x] for x in {edges[i].producer for i in state})
            on_input = bool(operands) and here.issuperset(operands)
            read = [0, 0]
            for i in incoming:
                read[i in here] += edges[i].side_words
            row = []
            for bits in product((False, True), repeat=len(outgoing)):
                kept = tuple(i for i, bit in zip(outgoing, bits, strict=True) if bit)
                if kept and held + words[layer] > room:
                    continue
                on_output = bool(kept) and all(bits) and not activations.leaves[layer]
                written = words[layer] if kept and not on_output else 0
                behind = tuple(sorted((here - set(incoming)) | set(kept)))
                target = number.setdefault(behind, len(number))
                row.append((target, 2 * on_input + on_output, (read[0], read[1], written), kept))
            rows.append(row)
        most = max(len(row) for row in rows)
        full = [row + [row[0]] * (most - len(row)) for row in rows]
        steps.append(
            Step(
                np.array([[entry[0] for entry in row] for row in full], dtype=np.int64),
                np.array([[entry[1] for entry in row] for row in full], dtype=np.int64),
                np.array([[entry[2] for entry in row] for row in full], dtype=np.int64),
                tuple(tuple(entry[3] for entry in row) for row in full),
            )
        )
        states = list(number)
    return tuple(steps)


def peak_words(activations: Activations, resident: Bools) -> Ints:
    """Returns the most elements on chip at once, shape ``(n,)``.

    Args:
        activations: The activations.
        resident: Whether each edge stays on chip, shape ``(n, edges)``.
    """
    count, layers = len(resident), len(activations.layers)
    if not activations.edges or not resident.any():
        return np.zeros(count, dtype=np.int64)
    producers, words, until = _kept_until(activations, resident)
    words = np.where(until >= 0, words, 0)
    # Words that come and that go, by layer, added up along the layers.
    change = np.zeros((count, layers + 1))
    change[:, producers] = words
    ends = np.arange(count)[:, None] * (layers + 1) + np.where(until >= 0, until + 1, layers)
    change -= np.bincount(ends.ravel(), words.ravel(), change.size).reshape(change.shape)
    return np.asarray(change[:, :layers].cumsum(axis=1).max(axis=1), dtype=np.int64)


def words_at(activations: Activations, resident: Bools, layer: int) -> Ints:
    """Returns the elements on chip while a layer runs, shape ``(n,)``; arguments as :func:`peak_words`."""
    if not activations.edges:
        return np.zeros(len(resident), dtype=np.int64)
    producers, words, until = _kept_until(activations, resident)
    return np.asarray(((until >= layer) & (producers <= layer)) @ words)


def _kept_until(activations: Activations, resident: Bools) -> tuple[Ints, Ints, Ints]:
    """Returns how long activations stay.

    Returns:
        The layers with edges and the elements of their activations, shape ``(producers,)``; and by design the last
        layer that reads each on chip, -1 where it is not kept, shape ``(n, producers)``.
    """
    consumers, producers, starts, words = _columns(activations)
    return producers, words, np.maximum.reduceat(np.where(resident, consumers, -1), starts, axis=1)


@lru_cache(maxsize=64)
def _columns(activations: Activations) -> tuple[Ints, Ints, Ints, Ints]:
    """Consumers of the edges; and of every layer with edges its position, its first edge and its elements."""
    consumers = np.array([edge.consumer for edge in activations.edges], dtype=np.int64)
    producers, starts = np.unique([edge.producer for edge in activations.edges], return_index=True)
    return consumers, producers, starts, np.array(activations.words, dtype=np.int64)[producers]


def on_chip_traffic(activations: Activations, resident: Bools) -> tuple[Ints, Ints]:
    """Returns what on-chip activations change.

    Returns:
        By layer 2 if the input is on chip plus 1 if the output goes nowhere else, ``(n, layers)``; and the elements
        that vector operations read from memory and from the SRAM, and that are written there beside memory, ``(n, 3)``.
    """
    flags = np.zeros((len(resident), len(activations.layers)), dtype=np.int64)
    words = np.zeros((len(resident), 3), dtype=np.int64)
    for layer, (operands, outgoing) in enumerate(_edges_of(activations)):
        if operands:
            flags[:, layer] += 2 * resident[:, operands].all(axis=1)
        if outgoing:
            kept = resident[:, outgoing]
            alone = kept.all(axis=1) & (not activations.leaves[layer])
            flags[:, layer] += alone
            words[:, 2] += activations.words[layer] * (kept.any(axis=1) & ~alone)
    side = np.array([edge.side_words for edge in activations.edges], dtype=np.int64)
    words[:, 1] = resident @ side
    words[:, 0] = side.sum() - words[:, 1]
    return flags, words


@lru_cache(maxsize=64)
def _edges_of(activations: Activations) -> tuple[tuple[list[int], list[int]], ...]:
    """Edges that each layer streams, and those that leave it."""
    edges = activations.edges
    return tuple(
        (
            [i for i, e in enumerate(edges) if e.consumer == layer and e.operand],
            [i for i, e in enumerate(edges) if e.producer == layer],
        )
        for layer in range(len(activations.layers))
    )

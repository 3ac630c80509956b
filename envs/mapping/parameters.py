"""Names for the decisions of a map space: the parameters of its designs."""

from __future__ import annotations

from collections import Counter
from typing import Any

from accelgym.costmodels.mapspace import FactorPlacement, LoopChoice, MapSpace, MemorySize, TensorBypass
from accelgym.envs.space import Parameter, Space

__all__ = ["design_space"]


def design_space(mapspace: MapSpace) -> Space:
    """Returns the designs of a map space: one parameter per decision."""
    names, levels = mapspace.problem.dims, mapspace.architecture.level_names
    parameters = []
    copies: Counter[tuple[int, int]] = Counter()
    for decision in mapspace.decisions:
        match decision:
            case MemorySize(level, words):
                parameters.append(_parameter(levels[level], "words", words, ordered=True))
            case TensorBypass(level, tensor):
                knob = mapspace.problem.tensor_names[tensor]
                parameters.append(_parameter(levels[level], knob, ("keep", "bypass"), ordered=False))
            case FactorPlacement(dim, prime, slots, _):
                copies[dim, prime] += 1
                values = tuple(mapspace.slot_names[s] for s in slots)
                knob = f"{prime}#{copies[dim, prime]}"
                parameters.append(_parameter(names[dim], knob, values, ordered=True))
            case LoopChoice(level, dims, digit):
                choices = tuple(names[d] for d in dims) if digit == 0 else tuple(range(len(dims) - digit))
                parameters.append(_parameter(levels[level], f"loop{digit}", choices, ordered=False))
    return Space(tuple(parameters))


def _parameter(group: str, knob: str, values: tuple[Any, ...], *, ordered: bool) -> Parameter:
    return Parameter(f"{group}.{knob}", values, ordered, group, knob)

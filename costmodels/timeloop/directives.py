"""Mapping directives of Timeloop, and the grammar of factors and orders."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.architecture.machine import Architecture
from accelgym.costmodels.errors import InputError, shown, unknown_name, warn_input
from accelgym.costmodels.files.timeloop_yaml.document import as_list, normalise

__all__ = [
    "UNSUPPORTED",
    "Targets",
    "directive_kind",
    "read_factors",
    "read_limits",
    "read_mapping",
    "read_permutation",
    "read_split",
    "refuse_unsupported",
    "split_permutation",
    "warn_of_lists",
]

_FACTOR = re.compile(r"([A-Za-z]+)\s*=*\s*([0-9]+)(?:,([0-9]+))?")
"""A factor as the grammar of Timeloop HEAD has it; punctuation and blanks between factors separate them."""
_NAMED_FACTOR = re.compile(r"(\w+)\s*=+\s*([0-9]+)(?:,([0-9]+))?")
"""A factor of a dimension whose name has more than letters, which needs its ``=``."""
_LIMIT = re.compile(r"(\w+)\s*(<=|>=|=+|<|>)\s*([0-9]+)")
_BARE_LIMIT = re.compile(r"([A-Za-z]+)(\s*)([0-9]+)")
UNSUPPORTED = (
    "default_min_factor",
    "no_coalesce",
    "no_multicast_no_reduction",
    "no_reuse",
    "no_temporal_reuse",
    "proportion",
    "remainders",
    "rmw_first_update",
)
"""Keys of directives and constraints that ask for what is not modelled, unless they are empty."""
_KINDS = {
    "temporal": "temporal",
    "spatial": "spatial",
    "bypass": "bypass",
    "datatype": "bypass",
    "dataspace": "bypass",
    "utilization": "utilization",
    "parallelism": "utilization",
}


@dataclass
class Targets:
    """Which level a target name means."""

    storage: dict[str, int]
    fanout: dict[str, int] = field(default_factory=dict)
    """Names of fan-outs to the level they lie below: the level itself (v0.3), containers and nodes (v0.4)."""
    only_y: frozenset[str] = frozenset()
    """Targets that spread along y only."""
    place_holders: frozenset[str] = frozenset()
    """Levels of Timeloop's front end that store nothing and carry a fan-out."""

    def level(self, name: Any, kind: str) -> int:
        """Returns the level of a directive.

        Raises:
            InputError: No such target.
        """
        table = self.fanout if kind == "spatial" else self.storage
        if not isinstance(name, str) or name not in table:
            raise unknown_name(f"{kind} target", shown(name) if not isinstance(name, str) else name, table)
        return table[name]


def _plain(text: str) -> str:
    """Drops comments."""
    return "\n".join(line.split("#", 1)[0] for line in text.splitlines())


def read_factors(value: Any, dims: Sequence[str], where: str) -> dict[str, tuple[int, int | None]]:
    """Reads the factors of a mapping, dimension to (bound, residual).

    In text any of ``K=2 C=1``, ``K2 C1``, ``K2,C1``, ``K = 2``, ``K==2``, ``K2P4`` will do, as in Timeloop; ``#``
    begins a comment, and of a dimension given twice the last factor counts. A list has one factor an entry.

    Raises:
        InputError: Something that is no factor, or a dimension that does not exist.
    """
    text = _text(value, where)
    result: dict[str, tuple[int, int | None]] = {}
    for name, bound, residual in _factors(text, dims, where):
        result[name] = (_count(bound, where), None if residual is None else _count(residual, where))
    return result


def _text(value: Any, where: str) -> str:
    """Returns factors as one text; entries of a list may not run into one another."""
    if value is None:
        return ""
    if isinstance(value, str):
        return _plain(value)
    if not isinstance(value, list):
        raise InputError(f"{where} is {shown(value)}, allowed: text as in M=2 N=4, or a list of factors")
    return "; ".join(_plain(str(part)) for part in value)


def _skip(text: str, at: int) -> int:
    """Returns where the next factor begins."""
    while at < len(text) and not (text[at].isalnum() or text[at] in "_=<>"):
        at += 1
    return at


def _factors(text: str, dims: Sequence[str], where: str) -> Iterator[tuple[str, str, str | None]]:
    """Reads factors from the left, so that nothing but punctuation is passed over."""
    at = _skip(text, 0)
    while at < len(text):
        match = _NAMED_FACTOR.match(text, at)
        if match is None or match[1] not in dims:
            match = _FACTOR.match(text, at)
        if match is None:
            raise InputError(f"{where}: factor {shown(text[at:].split()[0])}, allowed DIM=bound or DIM=bound,residual")
        if match[1] not in dims:
            raise unknown_name(f"dimension in {where}", match[1], dims)
        yield match[1], match[2], match[3]
        at = _skip(text, match.end())


def read_limits(value: Any, dims: Sequence[str], where: str) -> dict[str, tuple[str, int]]:
    """Reads the factors of a constraint, dimension to (``"="``, ``"<="`` or ``">="``, value); ``0`` is the whole bound.

    Args:
        value: Text or a list, as for :func:`read_factors`, with ``<``, ``<=``, ``>`` and ``>=`` besides.
        dims: Names of more than letters; a dimension that is not among them is returned too.
        where: Its place, for messages.

    Raises:
        InputError: Something that is no factor.
    """
    text = _text(value, where)
    result: dict[str, tuple[str, int]] = {}
    at = _skip(text, 0)
    while at < len(text):
        match = _LIMIT.match(text, at)
        if match is None or not (match[1].isalpha() or match[1] in dims):
            match = _BARE_LIMIT.match(text, at)
        if match is None:
            raise InputError(
                f"{where}: factor {shown(text[at:].split()[0])}, allowed DIM=bound, DIM<=bound, DIM>=bound"
            )
        name, relation, number = match[1], match[2], _count(match[3], where)
        if re.compile(",[0-9]").match(text, match.end()):
            raise InputError(f"{where}: {name} has a residual, allowed DIM=bound, DIM<=bound, DIM>=bound")
        if relation in ("<", ">"):
            number += 1 if relation == ">" else -1
            relation += "="
        if relation == "<=" and number < 1:
            raise InputError(f"{where}: {match[0]} leaves no factor, allowed limits of at least 1")
        result[name] = (relation if relation in ("<=", ">=") else "=", number)
        at = _skip(text, match.end())
    return result


def _count(digits: str, where: str) -> int:
    if len(digits) > 15:
        raise InputError(f"{where}: {shown(digits)} is too large a factor")
    return int(digits)


def read_permutation(value: Any, dims: Sequence[str], where: str) -> tuple[str, ...]:
    """Reads an order of dimensions, innermost first: ``"SRQ"``, ``"SR Q"``, ``"S,R,Q"`` or a list.

    Raises:
        InputError: A dimension does not exist or appears twice.
    """
    names = []
    for name in split_permutation(value, where):
        names.extend([name] if name in dims else list(name))
    for name in names:
        if name not in dims:
            raise unknown_name(f"dimension in {where}", name, dims)
    if len(set(names)) != len(names):
        raise InputError(f"{where}: a dimension appears twice in {names}")
    return tuple(names)


def split_permutation(value: Any, where: str) -> list[str]:
    """Splits an order at blanks and commas; words may be strings of one-letter dimensions."""
    if value is None:
        return []
    if isinstance(value, str):
        return _plain(value).replace(",", " ").split()
    return [str(name).strip() for name in as_list(value, where)]


_DIRECTIVE_KEYS = (
    "target",
    "type",
    "factors",
    "permutation",
    "split",
    "keep",
    "bypass",
    "default_max_factor",
    "no_link_transfer",
    *UNSUPPORTED,
)


def read_mapping(section: Any, problem: LoopNest, architecture: Architecture, targets: Targets) -> dict[str, Any]:
    """Reads directives into lists of loops, the form :meth:`Mappings.from_loops` takes.

    Raises:
        InputError: A directive is not understood, repeats, or asks for a feature that is not modelled.
    """
    temporal: dict[str, list[dict[str, Any]]] = {}
    spatial: dict[int, dict[str, Any]] = {}
    bypass: dict[str, list[str]] = {}
    names = (*architecture.level_names, architecture.compute.name)
    for (target, kind), (where, data) in _directives(section).items():
        if kind != "spatial" and target in targets.place_holders:
            _nothing(data, kind, problem, where)
            continue
        level = targets.level(target, kind)
        if kind == "bypass":
            gone = _tensors(data.get("bypass"), problem, f"{where}.bypass")
            _tensors(data.get("keep"), problem, f"{where}.keep")
            bypass[names[level]] = gone
            continue
        loops = _loops(data, problem, where)
        if kind == "temporal":
            temporal[names[level]] = loops
            continue
        along = spatial.setdefault(level, {"between": [names[level], names[level + 1]], "x": [], "y": []})
        order = read_permutation(data.get("permutation"), problem.dims, f"{where}.permutation")
        default = 0 if target in targets.only_y else len(problem.dims)
        split = read_split(data.get("split"), where)
        in_x = set(_complete(order, problem.dims)[: default if split is None else split])
        for loop in loops:
            along["x" if loop["dim"] in in_x else "y"].append(loop)
    return {"temporal": temporal, "spatial": list(spatial.values()), "bypass": bypass}


def refuse_unsupported(data: Mapping[str, Any], where: str) -> None:
    """Refuses keys that ask for what is not modelled, and says which one has no effect.

    Raises:
        InputError: One has a value.
    """
    if data.get("no_link_transfer"):
        warn_input(f"{where}.no_link_transfer without effect: neighbours forward the words of all tensors or of none")
    for key in UNSUPPORTED:
        if data.get(key) not in (None, False, 0, [], {}):
            raise InputError(f"{where}.{key}={shown(data[key])} is not supported")


def warn_of_lists(section: Any) -> None:
    """Says which lists of a mapping have no effect in ``timeloop-model``, which takes text (v0.3 files).

    Warns:
        InputWarning: Once per list; it is taken as it is meant.
    """
    defaults = {
        "factors": "all factors are 1",
        "permutation": "the order of the problem, its first dimension innermost",
    }
    for i, entry in enumerate(as_list(section, "mapping")):
        for key, default in defaults.items():
            if isinstance(entry.get(key), list) and entry[key]:
                warn_input(f"mapping[{i}].{key} is a list, which timeloop-model ignores ({default}); write it as text")


def _directives(section: Any) -> dict[tuple[str, str], tuple[str, dict[str, Any]]]:
    """Returns target and kind to place and directive; the last of a kind counts, of bypasses that of each tensor."""
    result: dict[tuple[str, str], tuple[str, dict[str, Any]]] = {}
    for i, entry in enumerate(as_list(section, "mapping")):
        where = f"mapping[{i}]"
        data = normalise(entry, where, _DIRECTIVE_KEYS)
        kind = directive_kind(data, where, ("temporal", "spatial", "bypass", "datatype", "dataspace"))
        refuse_unsupported(data, where)
        if data.get("default_max_factor") is not None:
            raise InputError(f"{where}.default_max_factor is a constraint, allowed in a mapping: factors")
        target = data.get("target")
        if not isinstance(target, str | int):
            raise InputError(f"{where}: {kind} target {shown(target)}, allowed: a name")
        if kind == "bypass":
            data = _bypasses(result.get((str(target), kind), (where, {}))[1], data, where)
        elif (str(target), kind) in result:
            warn_input(f"{where}: a second {kind} directive for {target!r}; the last one counts")
        result[str(target), kind] = (where, data)
    return result


def _bypasses(before: Mapping[str, Any], data: dict[str, Any], where: str) -> dict[str, Any]:
    """Adds a bypass directive to those before it: what it says of a tensor stands, of other tensors what was said."""
    keep, gone = (as_list(data.get(key), f"{where}.{key}") for key in ("keep", "bypass"))
    kept = [name for name in before.get("keep", ()) if name not in gone]
    passed = [name for name in before.get("bypass", ()) if name not in keep]
    return data | {"keep": [*kept, *keep], "bypass": [*passed, *gone]}


def _nothing(data: Mapping[str, Any], kind: str, problem: LoopNest, where: str) -> None:
    """Checks that a directive asks a level without storage for nothing."""
    kept = _tensors(data.get("keep"), problem, f"{where}.keep")
    if kept or (kind == "temporal" and _loops(data, problem, where)):
        raise InputError(f"{where}: {data['target']!r} stores nothing, allowed: all factors 1 and all tensors bypassed")


def _loops(data: Mapping[str, Any], problem: LoopNest, where: str) -> list[dict[str, Any]]:
    factors = read_factors(data.get("factors"), problem.dims, f"{where}.factors")
    order = read_permutation(data.get("permutation"), problem.dims, f"{where}.permutation")
    loops = []
    for dim in reversed(_complete(order, problem.dims)):
        bound, residual = factors.get(dim, (1, None))
        bound = bound or problem.bound[dim]
        loop: dict[str, Any] = {"dim": dim, "bound": bound}
        if residual is not None:
            loop["residual"] = residual
        if bound > 1:
            loops.append(loop)
    return loops


def read_split(value: Any, where: str) -> int | None:
    """Returns the number of leading dimensions that lie along x, if stated."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise InputError(f"{where}.split is {value!r}, allowed integers >= 0")
    return value


def _complete(order: tuple[str, ...], dims: Sequence[str]) -> list[str]:
    return [*order, *(dim for dim in dims if dim not in order)]


def directive_kind(data: Mapping[str, Any], where: str, allowed: Sequence[str] = tuple(_KINDS)) -> str:
    """Returns which kind of directive an entry is."""
    if not isinstance(data.get("type"), str) or data["type"] not in allowed:
        raise unknown_name(f"{where}.type", shown(data.get("type")), allowed)
    return _KINDS[data["type"]]


def _tensors(value: Any, problem: LoopNest, where: str) -> list[str]:
    names = [str(name) for name in as_list(value, where)]
    for name in names:
        if name not in problem.tensor_names:
            raise unknown_name(f"tensor in {where}", name, problem.tensor_names)
    return names

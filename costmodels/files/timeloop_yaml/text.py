"""YAML text as plain data: v0.4's node tags, and ``<<<:`` merges."""

from __future__ import annotations

from typing import Any

import yaml

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.strict_yaml import StrictLoader

__all__ = ["Tagged", "load_documents", "load_yaml"]


class Tagged(dict[str, Any]):
    """A v0.4 node, ``!Container {...}`` and the like."""

    tag: str = ""


class _Loader(StrictLoader):
    """Strict loader that keeps v0.4's node tags and reads dates as text."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [(tag, pattern) for tag, pattern in rules if tag != "tag:yaml.org,2002:timestamp"]
        for first, rules in StrictLoader.yaml_implicit_resolvers.items()
    }

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Composes a node; an anchor may be set anew, as YAML has it."""
        anchor = getattr(self.peek_event(), "anchor", None)  # type: ignore[no-untyped-call]
        if anchor is not None and not self.check_event(yaml.AliasEvent):
            self.anchors.pop(anchor, None)
        return super().compose_node(parent, index)


def _node(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        result = Tagged({str(k): v for k, v in loader.construct_mapping(node, deep=True).items()})
    elif isinstance(node, yaml.SequenceNode):
        result = Tagged(nodes=loader.construct_sequence(node, deep=True))
    else:
        result = Tagged()
    result.tag = suffix
    return result


_Loader.add_multi_constructor("!", _node)


def load_yaml(text: str, where: str) -> Any:
    """Reads one YAML document, ``None`` where there is none; see :func:`load_documents`.

    Raises:
        InputError: As there, or there are several.
    """
    found = load_documents(text, where)
    if len(found) > 1:
        raise InputError(f"{where}: {len(found)} YAML documents, allowed: one")
    return found[0] if found else None


def load_documents(text: str, where: str) -> list[Any]:
    """Reads the YAML documents of a text, which lines of three hyphens divide.

    ``<<<:`` merges as ``<<:`` does, and goes on into mappings that both sides have; lists are joined, own entries
    first, unless tagged ``!nomerge``.

    Args:
        text: The documents.
        where: Their name, for messages.

    Raises:
        InputError: No YAML, a key that appears twice in a mapping, or more nodes or nesting than any machine needs.
    """
    loader: Any = None
    try:
        loader = _Loader(text)
        found = []
        while loader.check_node():
            found.append(_merged(loader.construct_document(loader.get_node()), {}))
        return found
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise InputError(f"{where}{place}: not valid YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise InputError(f"{where}: not valid YAML: {' '.join(str(error).split())}") from error
    finally:
        if loader is not None:
            loader.dispose()


def _merged(data: Any, done: dict[int, Any]) -> Any:
    """Carries out the ``<<<:`` merges of a document."""
    if not isinstance(data, dict | list):
        return data
    if id(data) in done:
        return done[id(data)][1]
    if isinstance(data, list):
        result: Any = [_merged(value, done) for value in data]
    else:
        result = type(data)()
        if isinstance(data, Tagged):
            result.tag = data.tag
        result.update({key: _merged(value, done) for key, value in data.items() if key != "<<<"})
        bases = _merged(data.get("<<<"), done)
        for base in bases if isinstance(bases, list) else [bases]:
            if isinstance(base, dict):
                _merge_into(result, base)
        if isinstance(result, Tagged) and result.tag == "nomerge":
            result = _Own(result["nodes"]) if set(result) == {"nodes"} else dict(result)
    done[id(data)] = (data, result)  # the original is kept alive, so that its id stays its own
    return result


class _Own(list[Any]):
    """A list that a merge leaves alone."""


def _merge_into(own: dict[Any, Any], base: dict[Any, Any]) -> None:
    for key, value in base.items():
        mine = own.get(key)
        if key not in own:
            own[key] = value
        elif isinstance(mine, dict) and isinstance(value, dict):
            inner = type(mine)(mine)
            if isinstance(inner, Tagged) and isinstance(mine, Tagged):
                inner.tag = mine.tag
            _merge_into(inner, value)
            own[key] = inner
        elif isinstance(mine, list) and isinstance(value, list) and not isinstance(mine, _Own):
            own[key] = [*mine, *value]

"""``--set key=value`` arguments."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from accelgym.costmodels.errors import InputError, shown
from accelgym.costmodels.files.yaml_source import read_value

__all__ = [
    "CountingOption",
    "DefineOption",
    "EnvOption",
    "JsonOption",
    "SetOption",
    "TemplateRootOption",
    "parse_settings",
]

EnvOption = Annotated[str, typer.Option("--env", help="Environment id.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Argument of the environment; repeatable.")
]
CountingOption = Annotated[
    str | None, typer.Option("--counting", help="loopnest: closed form (default), walk, or sampled as Timeloop does.")
]
DefineOption = Annotated[
    list[str] | None,
    typer.Option("--define", metavar="NAME=VALUE", help="Variable of a file that is a Jinja template; repeatable."),
]
TemplateRootOption = Annotated[
    Path | None,
    typer.Option("--template-root", help="Folder below which templates may include files; their own by default."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one line of JSON.")]


_NULL = ("null", "~")


def parse_settings(settings: Iterable[str] | None, option: str = "--set") -> dict[str, Any]:
    """Parses ``key=value`` pairs; values are YAML scalars (``null`` is ``None``), dots in keys nest.

    Args:
        settings: For example ``["workload=resnet18", "budget=0.1", "model_options.noc_bw=64"]``.
        option: Name of the command-line option, for error messages.

    Raises:
        InputError: No ``=``, no key, a value that is not YAML, or a key given twice.
    """
    parsed: dict[str, Any] = {}
    for setting in settings or ():
        key, equals, text = setting.partition("=")
        if not equals or not key:
            raise InputError(f"{option} {shown(setting)}: expected KEY=VALUE")
        *path, last = key.split(".")
        place = parsed
        for part in path:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise InputError(f"{option} {key}: {part!r} has a value already")
        if last in place:
            raise InputError(f"{option} {key}: given twice")
        place[last] = None if text in _NULL else read_value(text)
    return parsed

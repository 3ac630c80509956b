"""Writes ``docs/envs/*.md`` from the class docstrings of the registered environments."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from pathlib import Path

from accelgym.envs.audits import default_audit
from accelgym.envs.registration import EnvironmentEntry, documented

PAGES = tuple(EnvironmentEntry(name, cls, "", "", summary) for name, (cls, summary) in documented().items())
FOLDER = Path(__file__).resolve().parent.parent / "docs" / "envs"


def page(entry: EnvironmentEntry) -> str:
    """Returns the page of one environment; the docstring is the documentation."""
    module, cls = entry.entry_point.split(":")
    text = inspect.getdoc(getattr(import_module(module), cls)) or ""
    summary, _, body = text.partition("\n\n")
    body = re.sub(r":(?:class|meth|func):`~?([^`]*)`", r"`\1`", body)
    body = re.sub(r"(?<!`)``(?!`)", "`", body)
    return f"# {entry.id}\n\n{summary}\n\n{hardness(entry.id)}{body}\n"


def hardness(env_id: str) -> str:
    """Returns a paragraph on the class of the default arguments; nothing for environments without."""
    found = default_audit(env_id)
    if found is None:
        return ""
    least = min(regret for regret in found.regrets.values() if regret is not None)
    said = f"The best of four cheap rules ends {least:.2%} above the reference"
    return f"Hardness of the default arguments: **{found.words}**. {said} ([how this is measured](../hardness.md)).\n\n"


def path(entry: EnvironmentEntry) -> Path:
    """Returns where the page of one environment is written."""
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", entry.id.split("/")[1].split("-")[0]).lower()
    return FOLDER / f"{name}.md"


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for environment in PAGES:
        path(environment).write_text(page(environment))

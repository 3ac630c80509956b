"""Writes ``docs/envs/*.md`` from the class docstrings of the registered environments."""

from __future__ import annotations

import inspect
import re
import runpy
from importlib import import_module
from pathlib import Path

from accelgym.envs.audits import default_audit
from accelgym.envs.registration import EnvironmentEntry, documented

PAGES = tuple(EnvironmentEntry(name, cls, "", "", summary) for name, (cls, summary) in documented().items())
ROOT = Path(__file__).resolve().parent.parent
markdown = runpy.run_path(str(ROOT / "tools" / "docstrings.py"))["markdown"]
FOLDER = ROOT / "docs" / "envs"


def page(entry: EnvironmentEntry) -> str:
    """Returns the page of one environment; the docstring is the documentation."""
    module, cls = entry.entry_point.split(":")
    text = inspect.getdoc(getattr(import_module(module), cls)) or ""
    summary, _, body = text.partition("\n\n")
    return f"# {entry.id}\n\n{markdown(summary)}\n\n{hardness(entry.id)}{markdown(body)}\n"


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

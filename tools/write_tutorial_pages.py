"""Writes ``docs/tutorials/*.md`` from the scripts in ``examples/tutorials``, and with ``--run`` their pictures.

A script has cells, divided by ``# %%``. What follows on that line, and comments at the start of a cell, are the text of
the page; the rest is code, which runs from top to bottom and saves pictures into the current folder. The scripts are
plain Python, so they can be run, stepped through in an editor, and tested.

    python tools/write_tutorial_pages.py          # the pages
    python tools/write_tutorial_pages.py --run    # also runs the scripts and keeps their pictures in docs/images
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = sorted((ROOT / "examples" / "tutorials").glob("*.py"))
PAGES, PICTURES = ROOT / "docs" / "tutorials", ROOT / "docs" / "images"


def page(script: Path) -> str:
    """Returns the page of a script."""
    first, *cells = re.split(r"^# %%", script.read_text(), flags=re.MULTILINE)
    if first.strip():
        raise ValueError(f"{script}: text before the first cell")
    parts = []
    for number, cell in enumerate(cells):
        head, _, body = cell.partition("\n")
        lines = body.split("\n")
        text = []
        while lines and lines[0].startswith("#"):
            text.append(lines.pop(0).removeprefix("#").removeprefix(" "))
        code = "\n".join(lines).strip()
        title = f"# {head.strip()}" if number == 0 else head.strip()
        parts += [part for part in (title, "\n".join(text).strip()) if part]
        parts += [f"<!-- slow -->\n```python\n{code}\n```"] if code else []
    parts.append(f"The script is `examples/tutorials/{script.name}`.")
    return re.sub(r"\]\(([\w-]+\.png)\)", r"](../images/\1)", "\n\n".join(parts)) + "\n"


def run(script: Path) -> None:
    """Runs a script in a folder of its own and keeps the pictures that it saved."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, str(script)], cwd=folder, check=True)
        for picture in Path(folder).glob("*.png"):
            shutil.copy(picture, PICTURES / picture.name)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", action="store_true", help="run the scripts and keep their pictures")
    arguments = parser.parse_args()
    PAGES.mkdir(exist_ok=True)
    for tutorial in SCRIPTS:
        if arguments.run:
            run(tutorial)
        (PAGES / f"{tutorial.stem}.md").write_text(page(tutorial))

"""Runs mypy --strict over the package as it is installed.

The top-level folders are subpackages of ``accelgym``, which a type checker cannot see from the source tree.
This builds a tree of links that has the package's real shape, checks it, and fails if any module was missed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TREE = ROOT / "build" / "types"


def package_files() -> dict[str, list[Path]]:
    """Returns the modules of every package, which ``pyproject.toml`` lists."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders: dict[str, str] = config["package-dir"]
    found = {}
    for package in config["packages"]:
        prefix = max((p for p in folders if package == p or package.startswith(p + ".")), key=len)
        folder = ROOT / folders[prefix] / Path(*package[len(prefix) :].strip(".").split("."))
        found[package] = sorted(folder.glob("*.py"))
    return found


def build_tree() -> list[Path]:
    """Links every module into ``build/types/accelgym`` and returns the linked files."""
    shutil.rmtree(TREE, ignore_errors=True)
    linked = []
    for package, files in package_files().items():
        target = TREE / Path(*package.split("."))
        target.mkdir(parents=True, exist_ok=True)
        for module in files:
            (target / module.name).symlink_to(module)
            linked.append(target / module.name)
        for marker in files[0].parent.glob("py.typed"):
            (target / marker.name).symlink_to(marker)
    return linked


def main() -> int:
    """Returns mypy's exit code, or 1 when it did not read every module."""
    files = build_tree()
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), "-p", "accelgym"]
    result = subprocess.run(command, cwd=TREE, capture_output=True, text=True, check=False)
    print(result.stdout, result.stderr, sep="", end="")
    read = re.search(r"(?:checked |no issues found in )(\d+) source files?", result.stdout)
    if read is None or int(read.group(1)) != len(files):
        print(f"mypy read {read.group(1) if read else 0} of {len(files)} modules")
        return 1
    return result.returncode


if __name__ == "__main__":
    sys.exit(main())

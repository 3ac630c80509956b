"""The house rules that a machine can check: import direction, package list, module length."""

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ORDER = ["costmodels", "hwgen", "envs", "dse_dataset", "agents", "experiments", "accelgym"]
FOLDERS = [folder for folder in ORDER if (ROOT / folder).is_dir()]
MODULES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]


def imported_names(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_package_imports_only_what_stands_below_it(path):
    below = ORDER[: ORDER.index(room(path)) + 1]
    for name in imported_names(path):
        parts = name.split(".")
        assert parts[0] not in ORDER[:-1], f"{path}: import {name} by its full name, accelgym.{name}"
        if parts[0] == "accelgym" and len(parts) > 1 and parts[1] in ORDER:
            assert parts[1] in below, f"{path}: {room(path)} must not import {name}"


FLOORS = {"files": {"errors"}, "executors": {"errors", "files"}}
"""Rooms of costmodels that stand below the others, and what each may import beside itself."""


@pytest.mark.parametrize("floor", FLOORS)
def test_a_floor_of_costmodels_imports_only_what_stands_below_it(floor):
    paths = sorted((ROOT / "costmodels" / floor).glob("*.py"))
    assert paths
    for path in paths:
        parts = [name.split(".") for name in imported_names(path)]
        found = {p[2] for p in parts if p[:2] == ["accelgym", "costmodels"] and len(p) > 2}
        assert found <= FLOORS[floor] | {floor}, path


def test_the_package_list_is_complete():
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    present = set()
    for path in MODULES:
        parts = path.relative_to(ROOT).parent.parts
        present.add(".".join(parts if parts[0] == "accelgym" else ("accelgym", *parts)))
    assert present == set(config["packages"])


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_modules_stay_readable_in_one_sitting(path):
    assert len(path.read_text().splitlines()) <= 420


def test_the_core_imports_no_heavy_package():
    code = (
        "import sys, accelgym, accelgym.cli, accelgym.envs, accelgym.agents, accelgym.costmodels;"
        "heavy = {'torch', 'stable_baselines3', 'cvxpy', 'optuna', 'pymoo', 'matplotlib', 'plotly', 'scipy', 'onnx'};"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_nothing_reads_files_that_users_do_not_have():
    for path in [*MODULES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]:
        if path == Path(__file__).resolve():
            continue
        assert f"..{os.sep}shared" not in path.read_text(), path

"""The house rules that a machine can check: import direction, package list, module length."""

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from import_graph import FLOORS, ORDER, circles, import_graph, late_imports, upward_arrows

ROOT = Path(__file__).resolve().parent.parent
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


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_modules_are_imported_by_their_full_names(path):
    for name in imported_names(path):
        assert name.split(".")[0] not in ORDER[:-1], f"{path}: import {name} by its full name, accelgym.{name}"


def test_imports_lead_downwards():
    """Between the top folders, and between the floors of costmodels."""
    assert list(upward_arrows(import_graph())) == []


def test_no_module_imports_itself_on_a_detour():
    assert circles(import_graph()) == []


LATE = {
    "accelgym": "the mapper comes with its first use, so that the package is quick to import",
    "accelgym.agents.uov.answers": "torch comes with weights of the faithful mode; NumPy answers by all others",
    "accelgym.cli": "an interrupt while the commands are imported is answered as any other",
    "accelgym.costmodels.workloads.load": "PyYAML, and ONNX's reader, come with the first file, not with the package",
    "accelgym.costmodels.workloads.zoo": "PyYAML and pydantic come with the first network, not with the package",
    "accelgym.experiments.mapper.run": "the picture needs matplotlib, which is optional",
    "accelgym.experiments.report": "the page needs Plotly, which is optional",
}
"""Modules that import others inside a function, and the packages this puts off. So do all commands, for a fast help."""


def test_own_modules_are_imported_at_the_top():
    late = {module for module, _ in late_imports() if not module.startswith("accelgym.cli.")}
    assert late == set(LATE)


def test_every_floor_of_costmodels_is_there():
    rooms = {path.stem for path in (ROOT / "costmodels").iterdir() if (path / "__init__.py").exists()}
    rooms |= {path.stem for path in (ROOT / "costmodels").glob("*.py")} - {"__init__"}
    assert rooms <= {room for floor in FLOORS for room in floor}


def test_circles_and_arrows_are_found():
    base = "accelgym.costmodels"
    graph = {f"{base}.files.a": {f"{base}.loopnest.b"}, f"{base}.loopnest.b": {"accelgym.envs.c"}}
    graph["accelgym.envs.c"] = {f"{base}.files.a"}
    assert circles(graph) == [sorted(graph)]
    assert list(upward_arrows(graph)) == [
        (f"{base}.files.a", f"{base}.loopnest.b"),
        (f"{base}.loopnest.b", "accelgym.envs.c"),
    ]
    assert list(upward_arrows({f"{base}.maestro.a": {f"{base}.systolic.b", base, f"{base}.maestro.c"}})) == [
        (f"{base}.maestro.a", base),
        (f"{base}.maestro.a", f"{base}.systolic.b"),
    ]


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
        "heavy = {'torch', 'stable_baselines3', 'cvxpy', 'optuna', 'pymoo', 'matplotlib', 'plotly', 'scipy', 'onnx',"
        "'numba'};"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_nothing_reads_files_that_users_do_not_have():
    for path in [*MODULES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]:
        if path == Path(__file__).resolve():
            continue
        assert f"..{os.sep}shared" not in path.read_text(), path

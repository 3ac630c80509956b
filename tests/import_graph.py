"""Imports between the modules of the package; ``python tests/import_graph.py`` prints circles and upward arrows.

An import counts wherever it stands: at the top of a module, inside a function, or under ``TYPE_CHECKING``. Importing a
name from a package counts as an import of the package's ``__init__`` unless the name is a module.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ORDER = ["costmodels", "hwgen", "envs", "dse_dataset", "agents", "experiments", "accelgym"]
"""Top folders; one imports only what stands before it."""

FLOORS = (
    ("errors", "arrays", "rounded"),
    ("files", "objective", "certificate", "costs", "registry", "expressions", "lines"),
    ("datatypes", "workloads", "components", "executors", "kernels"),
    ("architecture", "quantization"),
    ("maestro", "loopnest", "systolic"),
    ("mapspace", "dataflow_template"),
    ("timeloop",),
    ("solvers",),
    ("mapper", "models"),
)
"""Packages and loose modules of ``costmodels`` from the ground up; one imports only floors below its own."""


def module_paths() -> dict[str, Path]:
    """Returns the file of every module by its full name."""
    return {_name(path): path for folder in ORDER for path in sorted((ROOT / folder).rglob("*.py"))}


def _name(path: Path) -> str:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts if parts[0] == "accelgym" else ["accelgym", *parts])


def imported(path: Path, modules: Mapping[str, Path]) -> set[str]:
    """Returns the modules of the package that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                found.add(full if full in modules else node.module)
    return found & set(modules)


def import_graph() -> dict[str, set[str]]:
    """Returns the imported modules of every module."""
    modules = module_paths()
    return {name: imported(path, modules) - {name} for name, path in modules.items()}


def late_imports() -> set[tuple[str, str]]:
    """Returns the imports of own modules that stand inside a function, as module and target."""
    modules = module_paths()
    found = set()
    for name, path in modules.items():
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                for node in ast.walk(function):
                    if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("accelgym"):
                        found.add((name, str(node.module)))
    return found


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Returns the groups of modules that import each other, directly or on a detour (Tarjan's algorithm)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in sorted(graph[node]):
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            group = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(group) > 1:
                found.append(sorted(group))

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


def floor_of(module: str) -> int | None:
    """Returns the floor of a module of ``costmodels``; ``None`` for others and for the package itself.

    Raises:
        KeyError: A package or module of ``costmodels`` that stands on no floor.
    """
    parts = module.split(".")
    if parts[1:2] != ["costmodels"] or len(parts) == 2:
        return None
    return {room: i for i, floor in enumerate(FLOORS) for room in floor}[parts[2]]


def upward_arrows(graph: Mapping[str, set[str]]) -> Iterator[tuple[str, str]]:
    """Yields imports that do not lead to a lower top folder or floor, or stay within a room."""
    for module, targets in graph.items():
        for target in sorted(targets):
            above, below = (name.split(".") for name in (module, target))
            folders = [ORDER.index(p[1]) if p[1:2] and p[1] in ORDER else len(ORDER) - 1 for p in (above, below)]
            if folders[1] > folders[0]:
                yield module, target
            elif folders == [0, 0] and above[:3] != below[:3] and len(above) > 2:
                start, end = floor_of(module), floor_of(target)
                if start is None or end is None or end >= start:
                    yield module, target


def main() -> None:
    """Prints what the architecture test refuses."""
    graph = import_graph()
    groups, arrows = circles(graph), list(upward_arrows(graph))
    print(f"{len(graph)} modules, {sum(map(len, graph.values()))} imports")
    print(f"{len(groups)} circles, {len(arrows)} upward arrows")
    for group in groups:
        print("circle:", ", ".join(group))
    for module, target in arrows:
        print("upward:", module, "->", target)


if __name__ == "__main__":
    main()

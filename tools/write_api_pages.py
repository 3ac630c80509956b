"""Writes the API reference, ``docs/api/*.md``: a page for each package, a section for each module in it.

The pages hold directives for mkdocstrings and no text of their own. They are written before a build and are not kept
in git: so a package that is added, renamed or removed has the right pages without a second commit. They are files, not
made by a plug-in of the build, since the same configuration has to build under MkDocs and under zensical.

The top-level folders are the subpackages of ``accelgym``, which a reader of source code cannot see from the source
tree; it reads copies (``build/api``) in the package's real shape, with docstrings in Markdown's syntax of code.
"""

from __future__ import annotations

import ast
import runpy
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES, SOURCES = Path("docs", "api"), Path("build", "api")
without_roles = runpy.run_path(str(ROOT / "tools" / "docstrings.py"))["without_roles"]
package_files = runpy.run_path(str(ROOT / "tools" / "check_types.py"))["package_files"]

HIDDEN = ("accelgym.cli",)
"""Packages without an interface in Python: the command line documents itself."""

LEAD = """# API reference

A page for each package, from the docstrings. A package imports only what stands above it in the order `costmodels`,
`hwgen`, `envs`, `dse_dataset`, `agents`, `experiments`, `accelgym`.

| package | what |
|---|---|
"""


def title(source: Path) -> str:
    """Returns the first line of a module's docstring."""
    return (ast.get_docstring(ast.parse(source.read_text())) or "").partition("\n")[0].rstrip(".")


def has_interface(source: Path) -> bool:
    """Returns whether a module defines a class or function without a leading underscore."""
    nodes = ast.parse(source.read_text()).body
    return any(isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_") for node in nodes)


def page(package: str, sources: list[Path]) -> str:
    """Returns the page of one package: its docstring, and a section for each module with an interface."""
    lines = [f"# {package}", "", f"::: {package}", "    options:", "      members: false", ""]
    for source in sources:
        if not source.stem.startswith("_") and has_interface(source):
            lines += [f"## {source.stem}", "", f"::: {package}.{source.stem}", ""]
    return "\n".join(lines)


def write(root: Path) -> None:
    """Writes pages and copies of the sources below ``root``; what stood there is removed."""
    for folder in (root / PAGES, root / SOURCES):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    contents = LEAD
    for package, sources in package_files().items():
        if package in HIDDEN:
            continue
        contents += f"| [{package}]({package}.md) | {title(sources[0].with_name('__init__.py'))} |\n"
        (root / PAGES / f"{package}.md").write_text(page(package, sources))
        target = root / SOURCES / Path(*package.split("."))
        target.mkdir(parents=True, exist_ok=True)
        for source in sources:
            (target / source.name).write_text(without_roles(source.read_text()))
    (root / PAGES / "index.md").write_text(contents)


if __name__ == "__main__":
    write(ROOT)

"""Jinja templates of Timeloop's collections, rendered in a sandbox that reaches no file outside their folder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accelgym.costmodels.errors import AccelGymError, InputError, MissingExtraError, shown, unknown_name
from accelgym.costmodels.files.timeloop_yaml.text import Tagged, load_yaml

__all__ = ["is_template", "read_template"]

_MAX_TEXT = 4_000_000
_MAX_FILES = 500
_MAX_NESTING = 20
"""Far above public collections, and low enough that a hostile template ends at once."""
_FUNCTIONS = ("add_to_path", "cwd", "find_path", "include", "include_all", "include_text", "path_exists")
_FILTERS = ("d", "default", "float", "int", "length", "lower", "round", "string", "trim", "upper")
_STATEMENTS = ("Template", "Output", "TemplateData", "Assign", "If")
_OPERATORS = ("And", "Or", "Not", "Concat", "Add", "Sub", "Mul", "Div", "FloorDiv", "Mod", "Neg", "Pos")
_VALUES = ("Name", "Const", "CondExpr", "Filter", "Test", "Call", "Compare", "Operand", "List", "Tuple", "Keyword")
_NODES = frozenset((*_STATEMENTS, *_OPERATORS, *_VALUES, "Dict", "Pair"))
"""Jinja's own names of what a template may consist of: no loops, macros, attributes or methods."""
_TOKEN = re.compile(r"\Ainserted-by-template-(\d+)\Z")


def is_template(text: str) -> bool:
    """Whether a file has Jinja's marks."""
    return "{{" in text or "{%" in text


def read_template(path: Path, text: str, defines: Mapping[str, Any], root: Path | None = None) -> Any:
    """Renders a template and reads the YAML it gives.

    A template may use ``set``, ``if``, expressions, ``default`` and a few more filters, and the functions
    ``include(file, key)``, ``include_all(pattern, key)``, ``include_text(file)``, ``path_exists(path)``,
    ``find_path(name)``, ``add_to_path(folder)`` and ``cwd()``. Files are looked for beside the file that names them,
    then in the folders added, then beside ``path``.

    Args:
        path: The template.
        text: Its text.
        defines: Values of its variables.
        root: Only files below this folder can be included; the folder of ``path`` unless stated.

    Raises:
        MissingExtraError: Jinja2 is not installed.
        InputError: A variable without a value, a construct that is not allowed, a file that does not exist or lies
            elsewhere, or YAML that cannot be read.
    """
    return _Reader(root or path.parent, defines).read(path, text)


class _Reader:
    """Reads one template and what it includes."""

    def __init__(self, base: Path, defines: Mapping[str, Any]) -> None:
        try:
            import jinja2
            from jinja2.sandbox import ImmutableSandboxedEnvironment
        except ImportError as error:
            raise MissingExtraError("a Timeloop file that is a Jinja template", "jinja2", "jinja") from error

        class Sandbox(ImmutableSandboxedEnvironment):
            intercepted_binops = frozenset(("+", "-", "*", "/", "//", "%"))

            def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
                if any(not isinstance(value, int | float) for value in (left, right)):
                    raise InputError(f"template arithmetic with {shown(left)} {operator} {shown(right)}; join with ~")
                return super().call_binop(context, operator, left, right)

        self.jinja = jinja2
        self.base = base.resolve()
        self.folders: list[Path] = []
        self.inserted: list[Any] = []
        self.here: list[Path] = []
        self.files = 0
        self.characters = 0
        self.environment = Sandbox(undefined=jinja2.StrictUndefined, finalize=lambda x: "null" if x is None else x)
        self.environment.filters = {name: self.environment.filters[name] for name in _FILTERS}
        self.environment.globals = {name: getattr(self, name) for name in _FUNCTIONS}
        self.environment.globals["_joined"] = self._joined
        self.defines = {name: value for name, value in defines.items() if name not in self.environment.globals}

    def read(self, path: Path, text: str) -> Any:
        """Returns the data of a file."""
        return self._insert(load_yaml(self.render(path, text), str(path)))

    def render(self, path: Path, text: str) -> str:
        """Returns the text that a template gives."""
        self.files += 1
        if self.files > _MAX_FILES or len(self.here) >= _MAX_NESTING:
            raise InputError(f"{path}: templates include more than {_MAX_FILES} files or {_MAX_NESTING} in one another")
        if not is_template(text):
            return text
        self.here.append(path.parent.resolve())
        try:
            tree = self._checked(path, self.environment.parse(text))
            result = self.environment.from_string(tree).render(self.defines)
        except self.jinja.UndefinedError as error:
            name = re.match(r"'(\w+)' is undefined", str(error))
            hint = f": --define {name[1]}=VALUE" if name else ""
            raise InputError(f"{path}: the template needs a value, {error}{hint}") from error
        except self.jinja.TemplateError as error:
            line = getattr(error, "lineno", None)
            place = f":{line}" if line else ""
            raise InputError(f"{path}{place}: cannot render the template: {' '.join(str(error).split())}") from error
        except AccelGymError:
            raise
        except Exception as error:  # A template is a program: it may raise what it likes.
            raise InputError(f"{path}: cannot render the template: {error}") from error
        finally:
            self.here.pop()
        self._count(result)
        return str(result)

    def _checked(self, path: Path, tree: Any) -> Any:
        """Refuses what a template may not contain, and bounds what it joins."""
        from jinja2.visitor import NodeTransformer

        nodes = self.jinja.nodes
        for node in tree.find_all(nodes.Node):
            kind = type(node).__name__
            if kind not in _NODES:
                raise InputError(f"{path}:{node.lineno}: {kind} is not allowed in a template")
            if kind == "Call" and (not isinstance(node.node, nodes.Name) or node.node.name not in _FUNCTIONS):
                name = node.node.name if isinstance(node.node, nodes.Name) else type(node.node).__name__
                raise unknown_name(f"function in the template {path}:{node.lineno}", name, _FUNCTIONS)

        class Joins(NodeTransformer):
            def visit_Concat(self, node: Any) -> Any:
                parts = [self.visit(part) for part in node.nodes]
                return nodes.Call(nodes.Name("_joined", "load"), parts, [], None, None, lineno=node.lineno)

        return Joins().visit(tree)

    def _joined(self, *parts: Any) -> str:
        return self._count("".join(str(part) for part in parts))

    def _count(self, text: str) -> str:
        self.characters += len(text)
        if self.characters > _MAX_TEXT:
            raise InputError(f"{self.base}: templates give more than {_MAX_TEXT:,} characters")
        return text

    # -- functions of a template -----------------------------------------------------------------------------

    def cwd(self) -> str:
        """Folder of the file that is being rendered."""
        return str(self.here[-1])

    def add_to_path(self, folder: Any) -> str:
        """Adds a folder in which files are looked for."""
        self.folders.append(self._inside(self.here[-1] / str(folder)))
        return ""

    def path_exists(self, path: Any) -> bool:
        """Whether a file or folder exists."""
        return self._found(path) is not None

    def find_path(self, path: Any) -> str:
        """Where a file lies."""
        return str(self._file(path))

    def include(self, path: Any, key: Any = "") -> str:
        """Inserts a file, or what stands under a dotted key of it."""
        return self._insertion(self._part(self._file(path), key))

    def include_all(self, pattern: Any, key: Any = "") -> str:
        """Inserts the parts of several files as one list; lists are joined."""
        parts: list[Any] = []
        wanted = Path(str(pattern))
        if wanted.is_absolute():
            wanted = self._inside(wanted).relative_to(self.base)
        for folder in [self.base] if Path(str(pattern)).is_absolute() else self._places():
            paths = sorted(p for p in folder.glob(str(wanted)) if p.is_file())
            if paths:
                for path in paths:
                    part = self._part(self._inside(path), key)
                    parts.extend(part if isinstance(part, list) else [part])
                break
        return self._insertion(parts)

    def include_text(self, path: Any) -> str:
        """Inserts the rendered text of a file."""
        file = self._file(path)
        return self.render(file, self._text(file))

    def _part(self, path: Path, key: Any) -> Any:
        data = self.read(path, self._text(path))
        for name in filter(None, str(key).split(".")):
            if not isinstance(data, dict) or name not in data:
                raise InputError(f"{path}: no key {key!r}")
            data = data[name]
        return data

    def _insertion(self, data: Any) -> str:
        self.inserted.append(data)
        return f"inserted-by-template-{len(self.inserted) - 1}"

    def _insert(self, data: Any) -> Any:
        """Puts included data where their tokens stand."""
        if isinstance(data, dict):
            result = type(data)((key, self._insert(value)) for key, value in data.items())
            if isinstance(result, Tagged) and isinstance(data, Tagged):
                result.tag = data.tag
            return result
        if isinstance(data, list):
            return [self._insert(value) for value in data]
        match = _TOKEN.match(data) if isinstance(data, str) else None
        return self.inserted[int(match[1])] if match and int(match[1]) < len(self.inserted) else data

    # -- files -----------------------------------------------------------------------------------------------

    def _places(self) -> list[Path]:
        return [self.here[-1], *self.folders, self.base]

    def _found(self, path: Any) -> Path | None:
        places = [place / str(path) for place in self._places()]
        inside = [place for place in places if place.resolve().is_relative_to(self.base)]
        found = next((place.resolve() for place in inside if place.exists()), None)
        if found is None and len(inside) < len(places):
            self._inside(next(place for place in places if place not in inside))
        return found

    def _file(self, path: Any) -> Path:
        found = self._found(path)
        if found is None or not found.is_file():
            raise InputError(f"template in {self.here[-1]}: no file {str(path)!r}")
        return found

    def _inside(self, path: Path) -> Path:
        resolved = path.resolve()
        if not resolved.is_relative_to(self.base):
            raise InputError(
                f"template reaches for {str(path)!r}, allowed: files below {str(self.base)!r} (--template-root)"
            )
        return resolved

    def _text(self, path: Path) -> str:
        try:
            with path.open(encoding="utf-8") as file:
                return self._count(file.read(_MAX_TEXT + 1))
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot be read ({error})") from error

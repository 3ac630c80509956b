"""Docstrings as Markdown: what pages of environments and of the API reference need before they are rendered."""

from __future__ import annotations

import re

FENCE = re.compile(r"(`{3,}|~{3,})(.*)")
ITEM = re.compile(r"\s*([*+-]|\d+[.)])\s+\S")
ROLE = re.compile(r":(?:py:)?(?:class|meth|func|mod|attr|data|exc|obj|ref|doc):`~?([^`]+?)`")
CODE = re.compile(r"(?<!`)``(?!`)(.+?)(?<!`)``(?!`)", flags=re.DOTALL)


def without_roles(text: str) -> str:
    """Returns the text with reStructuredText's roles (``:class:`~a.B```) as plain code."""
    return ROLE.sub(r"`\1`", text)


def markdown(text: str) -> str:
    """Returns a docstring as Markdown.

    Roles and double backticks become code spans, literal blocks (``::`` and an indented block) and doctests become
    fences. What stands inside a fence is left as it is. A list, a table or a fence that follows a line of text gets the
    empty line before it without which Markdown takes it for part of the paragraph.

    Raises:
        ValueError: A fence that is not closed, or text behind its closing marks.
    """
    result: list[str] = []
    for code, lines in _parts(text.splitlines()):
        if code:
            result += ["", *lines, ""] if result and result[-1].strip() else [*lines, ""]
        else:
            result += _prose(lines[1:] if result and not result[-1].strip() and not lines[0].strip() else lines)
    return "\n".join(result).strip("\n")


def _parts(lines: list[str]) -> list[tuple[bool, list[str]]]:
    """The lines in runs of prose (False) and fences (True)."""
    parts: list[tuple[bool, list[str]]] = []
    prose: list[str] = []
    position = 0
    while position < len(lines):
        line, end, code = lines[position], position + 1, []
        if opened := FENCE.match(line.strip()):
            end = _end_of_fence(lines, position, opened.group(1))
            code = lines[position:end]
        elif line.rstrip().endswith("::") and _indented(lines, position + 1, _indent(line)):
            prose += [line.rstrip()[:-1]] if line.strip() != "::" else []
            end, block = _literal_block(lines, position + 1, _indent(line))
            code = ["```text", *block, "```"]
        elif line.lstrip().startswith(">>> "):
            while end < len(lines) and lines[end].strip():
                end += 1
            code = ["```pycon", *(item.strip() for item in lines[position:end]), "```"]
        else:
            prose.append(line)
        if code:
            parts += [(False, prose), (True, code)] if prose else [(True, code)]
            prose = []
        position = end
    return [*parts, (False, prose)] if prose else parts


def _prose(lines: list[str]) -> list[str]:
    result: list[str] = []
    for line in lines:
        if result and _begins(result[-1], line):
            result.append("")
        result.append(line)
    return CODE.sub(_span, without_roles("\n".join(result))).split("\n")


def _span(found: re.Match[str]) -> str:
    """Code with backticks in it keeps the double ones."""
    return found.group(0) if "`" in found.group(1) else f"`{found.group(1)}`"


def _begins(before: str, line: str) -> bool:
    """Whether a list or a table begins at a line that follows text."""
    if not before.strip() or before.startswith("#"):
        return False
    if line.lstrip().startswith("|"):
        return not before.lstrip().startswith("|")
    # Behind an indented line the item belongs to a list that has begun before.
    return bool(ITEM.match(line)) and not ITEM.match(before) and _indent(before) <= _indent(line)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _indented(lines: list[str], position: int, indent: int) -> bool:
    """Whether an indented block follows, after empty lines."""
    rest = [line for line in lines[position:] if line.strip()]
    return bool(rest) and _indent(rest[0]) > indent


def _end_of_fence(lines: list[str], start: int, marks: str) -> int:
    """The line behind a fence."""
    for position in range(start + 1, len(lines)):
        found = FENCE.match(lines[position].strip())
        if found and found.group(1)[0] == marks[0] and len(found.group(1)) >= len(marks):
            if found.group(2).strip():
                raise ValueError(f"line {position + 1}: text behind the end of a fence, {lines[position].strip()!r}")
            return position + 1
    raise ValueError(f"line {start + 1}: a fence that is not closed, {lines[start].strip()!r}")


def _literal_block(lines: list[str], start: int, indent: int) -> tuple[int, list[str]]:
    """The line behind an indented block, and the block without its indentation."""
    end = start
    while end < len(lines) and (not lines[end].strip() or _indent(lines[end]) > indent):
        end += 1
    block = lines[start:end]
    least = min(_indent(line) for line in block if line.strip())
    return end, "\n".join(line[least:] for line in block).strip("\n").split("\n")

"""The pages of the documentation as tests see them: files, fences, blocks of code."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(path for path in (ROOT / "docs").rglob("*.md") if not path.is_relative_to(ROOT / "docs" / "api"))
"""All pages but those of the API reference, which hold directives only."""

LANGUAGES = {"bash", "console", "csv", "html", "ini", "json", "pycon", "python", "text", "toml", "verilog", "yaml"}
"""Languages of fences; all but ``text`` are known to Pygments, too."""

FENCE = re.compile(r"( *)(`{3,}|~{3,})(.*)")
COMMENT = re.compile(r"<!-- (slow)? ?(?:before\n((?:(?!-->).)*?))?-->\s*$", flags=re.DOTALL)
"""What may stand above a block: ``slow``, and ``before`` with code that a reader has no need to see."""


@dataclass(frozen=True)
class Block:
    """A fenced block. ``before`` is code in a comment above it, which a test runs first; ``slow`` is such a comment."""

    language: str
    text: str
    line: int
    before: str = ""
    slow: bool = False


def name(page: Path) -> str:
    """The page as a test id."""
    return page.relative_to(ROOT).as_posix()


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a page.

    Raises:
        ValueError: A fence that is not closed, without or of an unknown language, or with text behind its end.
    """
    found: list[Block] = []
    opened: tuple[int, str, str, str] | None = None
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if not (match := FENCE.fullmatch(line)):
            continue
        indent, marks, rest = match.group(1), match.group(2), match.group(3).strip()
        if opened is None:
            language = rest.split(" ")[0]
            if language not in LANGUAGES:
                raise ValueError(f"line {number}: a fence of the language {language!r}, expected one of {LANGUAGES}")
            opened = (number, indent, marks, language)
        elif marks[0] == opened[2][0] and len(marks) >= len(opened[2]):
            if rest:
                raise ValueError(f"line {number}: {line!r} within the fence of line {opened[0]}")
            start, indent, _, language = opened
            above = "\n".join(lines[: start - 1])
            comment = COMMENT.search(above)
            slow, before = comment.groups(default="") if comment else ("", "")
            code = "\n".join(part.removeprefix(indent) for part in lines[start : number - 1])
            found.append(Block(language, code + "\n", start, before, bool(slow)))
            opened = None
    if opened is not None:
        raise ValueError(f"line {opened[0]}: a fence that is not closed")
    return found


def commands(text: str) -> list[str]:
    """The shell commands of a page: lines of ``bash`` blocks, and those behind ``$`` of ``console`` blocks."""
    found = []
    for block in blocks(text):
        lines = block.text.replace("\\\n", " ").splitlines()
        if block.language == "bash":
            found += [line for line in lines if line.strip() and not line.startswith("#")]
        elif block.language == "console":
            found += [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    return found

"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["markdown_table"]


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, left: Sequence[int] = (0,)) -> str:
    """Returns a table without a line end behind it.

    Args:
        heads: Cells of the first line.
        rows: Cells of the others.
        left: Columns that are aligned to the left; the others hold numbers.
    """
    rule = ["---" if column in {place % len(heads) for place in left} else "---:" for column in range(len(heads))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, rule, *rows))

"""Docstrings become sound Markdown, whatever their author mixes: the pages of environments and the API reference."""

import runpy
from pathlib import Path

import pages
import pytest
from hypothesis import given
from hypothesis import strategies as st

TOOLS = Path(__file__).resolve().parent.parent / "tools"
DOCSTRINGS = runpy.run_path(str(TOOLS / "docstrings.py"))
markdown, without_roles = DOCSTRINGS["markdown"], DOCSTRINGS["without_roles"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Of :class:`~a.b.C` and ``x``.", "Of `a.b.C` and `x`."),
        (":meth:`run` of :py:class:`Engine`, ``a ` b``", "`run` of `Engine`, ``a ` b``"),
        ("``one\ntwo`` and :func:`f`", "`one\ntwo` and `f`"),
        ("```python\nx = ':class:`A` ``b``'\n```", "```python\nx = ':class:`A` ``b``'\n```"),
        ("Text\n```python\nx\n```\nmore ``y``", "Text\n\n```python\nx\n```\n\nmore `y`"),
        ("~~~text\n```\n~~~", "~~~text\n```\n~~~"),
        ("````text\n```python\n```\n````", "````text\n```python\n```\n````"),
        ("As follows::\n\n    a = ``b``\n      c\n\nEnd", "As follows:\n\n```text\na = ``b``\n  c\n```\n\nEnd"),
        ("::\n\n    a", "```text\na\n```"),
        (">>> f(1)\n2\n\nEnd", "```pycon\n>>> f(1)\n2\n```\n\nEnd"),
        ("List:\n* a\n* b\n  more\n* c", "List:\n\n* a\n* b\n  more\n* c"),
        ("Table\n| a |\n|---|\n| 1 |", "Table\n\n| a |\n|---|\n| 1 |"),
        ("# Title\n* a", "# Title\n* a"),
    ],
)
def test_a_docstring_as_markdown(text, expected):
    assert markdown(text) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("```python\nx", "line 1: a fence that is not closed"),
        ("a\n```\nx\n~~~", "line 2: a fence that is not closed"),
        ("```text\nx\n```python\ny\n```", "line 3: text behind the end of a fence"),
    ],
)
def test_a_broken_fence_is_refused(text, said):
    with pytest.raises(ValueError, match=said):
        markdown(text)


PROSE = st.text(alphabet="ab :.*`_1\n", max_size=40).filter(lambda text: "```" not in text and "::" not in text)
CODE = st.text(alphabet="ab` \n:~", max_size=30).filter(lambda text: "```" not in text and "~~~" not in text)


@given(st.lists(st.tuples(PROSE, CODE), min_size=1, max_size=4))
def test_what_stands_in_a_fence_is_kept_and_every_fence_stays_whole(parts):
    text = "".join(f"{prose}\n```python\n{code}\n```\n" for prose, code in parts)
    found = pages.blocks(markdown(text))
    assert [block.text for block in found] == [f"{code}\n" for _, code in parts]
    assert markdown(markdown(text)) == markdown(text)


def test_roles_are_replaced_wherever_they_stand():
    assert without_roles('"""See :class:`A` and :data:`~b.C`."""') == '"""See `A` and `b.C`."""'

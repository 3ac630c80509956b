"""Published figures beside ours: what counts as agreement, and the pages that are cheap to make."""

import csv
import math
from pathlib import Path

import pytest

from accelgym.experiments.reproductions import airchitect, mappers, memory_access, voyager
from accelgym.experiments.reproductions.__main__ import NAMES, main
from accelgym.experiments.reproductions.claims import Reproduction, equal, figure, limit

PAGES = Path(__file__).resolve().parents[2] / "docs" / "reproductions"


def test_when_a_figure_agrees():
    assert equal("a", "b", 100.0, 101.0, "x", 0.01).agrees
    assert not equal("a", "b", 100.0, 101.1, "x", 0.01).agrees
    assert not equal("a", "b", 1.0, math.nan, "x", 1.0).agrees
    assert limit("a", "b", "at least", 4.7, 5.0, "x").agrees
    assert not limit("a", "b", "at least", 4.7, 4.6, "x").agrees
    assert limit("a", "b", "at most", 10.0, 10.0, "x").agrees
    assert not limit("a", "b", "at most", 10.0, math.inf, "x").agrees
    assert figure("a", "b", 1.0, 2.0, "x").agrees is None


def test_a_page_counts_verdicts_and_lists_what_disagrees():
    many = [equal(f"row {i}", "many rows", 10.0, 10.0 if i else 20.0, "cycles") for i in range(20)]
    page = Reproduction("n", "Title", "a paper", [*many, figure("t", "time", 1.0, 2.0, "s")], ["something"])
    assert page.agreed == (19, 20)
    text = page.markdown()
    assert "Figures agreed / tried: 19 / 20" in text
    assert "| many rows | 20 figures |  |  | cycles, equal | 19 of 20 |" in text
    assert "| many rows | row 0 | 10 | 20 | cycles, equal | **no** |" in text
    assert "row 1 " not in text
    assert "* something" in text
    rows = list(csv.DictReader(page.csv().splitlines()))
    assert len(rows) == 21
    assert [row["agrees"] for row in rows][-3:] == ["true", "true", ""]


@pytest.mark.parametrize("work", [memory_access, airchitect, voyager])
def test_a_cheap_page_is_what_its_command_makes(work):
    found = work.reproduce()
    assert (PAGES / f"{found.name}.md").read_text() == found.markdown()


def test_what_must_agree_does():
    agreed, tried = memory_access.reproduce().agreed
    assert agreed == tried > 50
    matrix = [c for c in voyager.reproduce().claims if "matrix unit" in c.claim]
    assert sum(bool(c.agrees) for c in matrix) >= 0.95 * len(matrix) > 90
    assert all(claim.agrees for claim in mappers._scale_sim())


def test_every_work_has_a_page_that_says_what_cannot_agree():
    assert {path.stem for path in PAGES.glob("*.md")} == {*NAMES, "index"}
    for name in NAMES:
        text = (PAGES / f"{name}.md").read_text()
        assert "**Figures agreed / tried:" in text
        assert "## What cannot agree, and why\n\n* " in text
        assert f"python -m accelgym.experiments.reproductions {name} --out" in text


def test_the_command_writes_a_table_and_a_page(tmp_path, capsys):
    main(["memory_access", "--out", str(tmp_path / "new")])
    page = (tmp_path / "new" / "page.md").read_text()
    assert capsys.readouterr().out == page
    assert len((tmp_path / "new" / "claims.csv").read_text().splitlines()) > 50


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["timeloop"], "invalid choice: 'timeloop'"),
        (["voyager", "--data", "x"], "--data goes with airchitect"),
        (["thistle", "--every", "0"], "--every is 0, allowed >= 1"),
        (["airchitect", "--data", "nowhere.csv"], "nowhere.csv: no such file"),
    ],
)
def test_bad_arguments_end_with_code_2_and_a_line(arguments, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        main([*arguments, "--out", str(tmp_path / "out")])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()

"""The report of a benchmark: one HTML page, its numbers as CSV and JSON, tables and pictures for a paper."""

from __future__ import annotations

from pathlib import Path

from accelgym.costmodels.errors import MissingExtraError
from accelgym.costmodels.files.whole_file import write_whole
from accelgym.experiments.report.summary import SummaryRow, summarise, write_summary
from accelgym.experiments.results import BenchResults

__all__ = ["SummaryRow", "build_report", "summarise"]


def build_report(out: Path | str, *, paper: bool = False) -> Path:
    """Writes ``report.html``, ``summary.csv`` and ``summary.json`` into the folder of a benchmark or a search.

    The folder may belong to a benchmark that is unfinished or has failed runs; the report says so.

    Args:
        out: Folder that :func:`accelgym.experiments.run_bench` or :func:`accelgym.experiments.run_search` has written.
        paper: Whether to write ``report.md`` and ``figures/*.png``, too.

    Returns:
        Path of the page, which needs neither network nor other files.

    Raises:
        InputError: Not such a folder, or damaged results.
        BoundError: A result lies below the certified bound of its task.
        MissingExtraError: Plotly is not installed; the summary files are written all the same.
    """
    out = Path(out)
    results = BenchResults.load(out)
    rows = summarise(results)
    write_summary(results, rows, out)
    try:
        from accelgym.experiments.report.exhibits import all_exhibits
        from accelgym.experiments.report.page import render_page
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "plotly":
            raise
        raise MissingExtraError("the HTML report", "plotly", "report") from error
    exhibits = all_exhibits(results, out)
    path = out / "report.html"
    write_whole(path, render_page(results, rows, exhibits))
    if paper:
        from accelgym.experiments.report.paper import write_paper

        write_paper(results, rows, exhibits, out)
    return path

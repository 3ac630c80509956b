"""``accelgym bench`` and ``accelgym report``: agents compared on tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column, Table

from accelgym.cli.console import errors, out, print_table, progress_bar
from accelgym.costmodels.errors import AccelGymError

if TYPE_CHECKING:
    from accelgym.experiments.comparison import AnytimeRow
    from accelgym.experiments.results import BenchResults
    from accelgym.experiments.runner import BenchProgress, BenchResult

__all__ = ["COMMANDS", "AddressOption", "ExecutorOption", "OutOption", "WorkersOption", "failures_told", "search_bars"]

OutOption = Annotated[Path, typer.Option("--out", help="Folder for the results; the same command resumes.")]
ExecutorOption = Annotated[str, typer.Option("--executor", help="process (this machine) or ray (extra distributed).")]
AddressOption = Annotated[
    str | None,
    typer.Option(
        "--address", help="ray: auto, HOST:PORT or ray://HOST:PORT of a running cluster; else one of its own."
    ),
]
WorkersOption = Annotated[int | None, typer.Option("--workers", help="Searches at a time, instead of the config's.")]


@contextmanager
def search_bars() -> Iterator[Callable[[BenchProgress], None]]:
    """Bars of searches and evaluations; yields what moves them."""
    with progress_bar() as bar:
        searches = bar.add_task("searches", total=None, note="")
        evaluations = bar.add_task("evaluations", total=None, note="")

        def show(state: BenchProgress) -> None:
            bar.update(searches, completed=state.jobs_done, total=state.jobs_total, note=state.note)
            bar.update(evaluations, completed=state.evaluations_done, total=state.evaluations_total)

        yield show


def failures_told(result: BenchResult) -> None:
    """Prints the searches that failed.

    Raises:
        AccelGymError: There are some.
    """
    if result.failures:
        for failure in result.failures:
            errors.print(f"failed: {failure.job.folder(result.out)}: {failure.error}", markup=False)
        raise AccelGymError(f"{len(result.failures)} searches failed; the same command tries them again")


def bench(
    config: Annotated[str, typer.Argument(help="quick, standard, full, another shipped config, or a YAML file.")],
    out_dir: OutOption,
    executor: ExecutorOption = "process",
    address: AddressOption = None,
    workers: WorkersOption = None,
    cache: Annotated[
        Path | None, typer.Option("--cache", help="Folder of evaluations to keep and look up, for slow cost models.")
    ] = None,
) -> None:
    """Runs every agent on every task of a config, in parallel."""
    from accelgym.experiments import run_bench
    from accelgym.experiments.comparison import anytime, write_comparison
    from accelgym.experiments.results import BenchResults

    with search_bars() as show:
        result = run_bench(
            config, out_dir, progress=show, executor=executor, address=address, workers=workers, cache=cache
        )
    done = result.jobs - len(result.failures)
    if done:
        results = BenchResults.load(out_dir)
        for part in _regrets(results, out.width):
            if isinstance(part, Table):
                print_table(part)
            else:
                out.print(part)
        if table := _over_evaluations([row for row in anytime(results) if row.hardness == "all"]):
            print_table(table)
        out.print(f"wrote {write_comparison(results, out_dir)}")
    out.print(f"{done} of {result.jobs} searches are in {out_dir}; accelgym report {out_dir} draws them")
    failures_told(result)


def _over_evaluations(rows: Sequence[AnytimeRow]) -> Table | None:
    """Returns regrets over all tasks of each agent at each of the checkpoints; ``None`` below the first one."""
    from accelgym.experiments.report.numbers import regret

    points = sorted({row.evaluations for row in rows})
    if not points:
        return None
    heads = (Column(head, justify="right") for head in ("tasks", "runs", *(f"after {n:,}" for n in points)))
    table = Table("agent", *heads, title="regret after evaluations, interquartile mean and 95 % interval")
    for agent in dict.fromkeys(row.agent for row in rows):
        own = {row.evaluations: row for row in rows if row.agent == agent}
        some = next(iter(own.values()))
        cells = [
            f"{regret(row.regret_iqm)} ({regret(row.regret_low)} to {regret(row.regret_high)})"
            if (row := own.get(n))
            else "-"
            for n in points
        ]
        table.add_row(agent, str(some.tasks), str(some.runs), *cells)
    return table


def _regrets(results: BenchResults, width: int) -> Iterator[str | Table]:
    """Returns final regrets, agents by numbered tasks, in as many tables as a width asks for; the tasks before them."""
    from accelgym.experiments.report import summarise
    from accelgym.experiments.report.numbers import regret

    for number, task in enumerate(results.tasks, start=1):
        yield f"{number}: {task.title}, {task.audit.words if task.audit else 'not audited'}"
    found = {(row.agent, row.task_id): row for row in summarise(results)}
    labels = {}
    for agent in results.config.agents:
        shared = any(not x.reproducible for task in results.tasks for x in task.agents if x.agent is agent)
        labels[agent.label] = agent.label + " (not reproducible)" * shared
    # "12,345 %" with its frame.
    at_once = max(1, (width - max(map(len, labels.values())) - 4) // 11)
    for first in range(0, len(results.tasks), at_once):
        table = Table("agent", title="final regret on each task, interquartile mean")
        part = range(first, min(first + at_once, len(results.tasks)))
        for number in part:
            table.add_column(str(number + 1), justify="right", no_wrap=True)
        for name, label in labels.items():
            rows = [found.get((name, str(results.tasks[number].record["id"]))) for number in part]
            if any(rows):
                table.add_row(label, *("-" if row is None or not row.runs else regret(row.regret_iqm) for row in rows))
        yield table


def report(
    folder: Annotated[Path, typer.Argument(help="Folder of a benchmark or a search.")],
    paper: Annotated[bool, typer.Option("--paper", help="Also write report.md and figures/*.png.")] = False,
) -> None:
    """Writes report.html, summary.csv and summary.json from the results of a benchmark or a search."""
    from accelgym.experiments.report import build_report

    out.print(f"wrote {build_report(folder, paper=paper)}")


def export(
    folder: Annotated[Path, typer.Argument(help="Folder of a benchmark or a search.")],
    out_dir: Annotated[Path, typer.Option("--out", help="Folder to write, empty or new.")],
) -> None:
    """Writes results in IOHprofiler's form, a folder per agent, for IOHanalyzer and iohinspector."""
    from accelgym.experiments.iohprofiler import export_iohprofiler
    from accelgym.experiments.results import BenchResults

    written = export_iohprofiler(BenchResults.load(folder), out_dir)
    out.print(f"wrote {len(written)} descriptions and their data into {out_dir}")


COMMANDS = (bench, report, export)

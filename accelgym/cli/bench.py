"""``accelgym bench`` and ``accelgym report``: agents compared on tasks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from accelgym.cli.console import errors, out, progress_bar
from accelgym.costmodels.errors import AccelGymError

if TYPE_CHECKING:
    from accelgym.experiments.runner import BenchProgress

__all__ = ["COMMANDS"]


def bench(
    config: Annotated[str, typer.Argument(help="YAML file, or the name of a shipped config.")],
    out_dir: Annotated[Path, typer.Option("--out", help="Folder for the results; the same command resumes.")],
) -> None:
    """Runs every agent on every task of a config, in parallel."""
    from accelgym.experiments import run_bench

    with progress_bar() as bar:
        searches = bar.add_task("searches", total=None, note="")
        evaluations = bar.add_task("evaluations", total=None, note="")

        def show(state: BenchProgress) -> None:
            bar.update(searches, completed=state.jobs_done, total=state.jobs_total, note=state.note)
            bar.update(evaluations, completed=state.evaluations_done, total=state.evaluations_total)

        result = run_bench(config, out_dir, progress=show)
    done = result.jobs - len(result.failures)
    if done:
        out.print(_regrets(out_dir))
    out.print(f"{done} of {result.jobs} searches are in {out_dir}; accelgym report {out_dir} draws them")
    if result.failures:
        for failure in result.failures:
            errors.print(f"failed: {failure.job.folder(out_dir)}: {failure.error}", markup=False)
        raise AccelGymError(f"{len(result.failures)} searches failed; the same command tries them again")


def _regrets(folder: Path) -> Table:
    """Returns final regrets, agents by tasks, with the class of every task."""
    from accelgym.experiments.report import summarise
    from accelgym.experiments.results import BenchResults

    results = BenchResults.load(folder)
    found = {(row.agent, row.task_id): row for row in summarise(results)}
    table = Table("agent", title="final regret, interquartile mean")
    for task in results.tasks:
        table.add_column(f"{task.title}\n{task.audit.words if task.audit else 'not audited'}", justify="right")
    for agent in results.config.agents:
        rows = [found.get((agent.label, str(task.record["id"]))) for task in results.tasks]
        table.add_row(agent.label, *("-" if r is None or r.regret_iqm is None else f"{r.regret_iqm:.3%}" for r in rows))
    return table


def report(
    folder: Annotated[Path, typer.Argument(help="Folder of a benchmark or a search.")],
    paper: Annotated[bool, typer.Option("--paper", help="Also write report.md and figures/*.png.")] = False,
) -> None:
    """Writes report.html, summary.csv and summary.json from the results of a benchmark or a search."""
    from accelgym.experiments.report import build_report

    out.print(f"wrote {build_report(folder, paper=paper)}")


COMMANDS = (bench, report)

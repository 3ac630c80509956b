"""``accelgym leaderboard``: submissions made, checked and ranked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from accelgym.cli.console import errors, out
from accelgym.costmodels.errors import InputError

if TYPE_CHECKING:
    from accelgym.experiments.leaderboard import Submission

__all__ = ["app"]

app = typer.Typer(name="leaderboard", help="Submissions of designs: make, check and rank them.", no_args_is_help=True)


@app.command()
def pack(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of accelgym bench or search.")],
    file: Annotated[Path, typer.Option("--out", help="The submission, a JSON file.")],
    name: Annotated[str, typer.Option(help="Title of the submission; that of the first folder by default.")] = "",
    author: Annotated[str, typer.Option(help="Who submits.")] = "",
    link: Annotated[str, typer.Option(help="https address that describes the agents.")] = "",
) -> None:
    """Makes a submission from the finished searches in folders of results."""
    from accelgym.experiments.leaderboard import pack_runs, write_submission

    found = pack_runs(runs, name=name, author=author, link=link)
    write_submission(file, found)
    designs = sum(len(run.points) for run in found.runs)
    out.print(f"wrote {file}: {len(found.runs)} searches on {len(found.tasks)} tasks, {designs} designs")


@app.command()
def validate(file: Annotated[Path, typer.Argument(help="A submission.")]) -> None:
    """Evaluates every claimed design again; exit code 1, with the reasons, when something does not reproduce."""
    from accelgym.experiments.leaderboard import read_submission

    _check({file: read_submission(file)})


@app.command()
def build(
    files: Annotated[list[Path], typer.Argument(metavar="SUBMISSION...", help="Submissions.")],
    folder: Annotated[Path, typer.Option("--out", help="Folder of the page.")],
) -> None:
    """Checks submissions and writes the leaderboard: index.html, leaderboard.csv and runs.csv."""
    from accelgym.experiments.leaderboard import build_board, read_submission, write_board

    if len(set(files)) < len(files):
        raise InputError("a submission is given twice")
    submissions = {path: read_submission(path) for path in files}
    _check(submissions)
    out.print(f"wrote {write_board(build_board(list(submissions.values())), folder)}")


def _check(submissions: dict[Path, Submission]) -> None:
    """Checks submissions and says what became of each.

    Raises:
        Exit: With code 1, if one is rejected.
    """
    from accelgym.experiments.leaderboard import check_submission

    rejected = False
    for path, submission in submissions.items():
        found = check_submission(submission)
        for reason in found.reasons:
            errors.print(f"{path}: {reason}")
        if found.passed:
            out.print(f"{path}: all {found.designs} designs of {len(submission.runs)} searches reproduce")
        else:
            out.print(f"{path}: rejected for {len(found.reasons)} reasons")
        rejected |= not found.passed
    if rejected:
        raise typer.Exit(1)

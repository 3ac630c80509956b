"""``accelgym train uov``: policies of unified ordinal vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from accelgym.cli.console import out, print_table, progress_bar
from accelgym.cli.settings import parse_settings
from accelgym.costmodels.errors import InputError

if TYPE_CHECKING:
    from accelgym.agents.uov.training import TrainingProgress

__all__ = ["COMMANDS"]


def uov(
    data: Annotated[
        Path, typer.Option("--data", help="Folder of a dataset, or AIrchitect v2's file of convolutions (CSV).")
    ],
    out_dir: Annotated[Path, typer.Option("--out", help="Folder for the weights; the same command resumes.")],
    stage: Annotated[
        int | None, typer.Option(min=1, max=2, help="1: encoder by contrast; 2: decisions; both by default.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Setting of the training; repeatable.")
    ] = None,
    share: Annotated[float, typer.Option(help="Share of the training rows to learn from.")] = 1.0,
    threads: Annotated[int, typer.Option(min=1, help="Threads of torch.")] = 1,
    unordered: Annotated[
        str, typer.Option(help="Knobs without an order: softmax (an output a value) or refuse.")
    ] = "softmax",
    legacy: Annotated[
        bool,
        typer.Option(
            "--legacy",
            help="AIrchitect v2 as released, faults and all: labels of its file alone, attention over the batch.",
        ),
    ] = False,
) -> None:
    """Trains a policy of unified ordinal vectors (AIrchitect v2) on exact labels; see docs/uov.md."""
    if not 0 < share <= 1:
        raise InputError(f"--share is {share}, allowed: above 0, at most 1")
    if unordered not in ("softmax", "refuse"):
        raise InputError(f"--unordered is {unordered!r}, allowed: softmax, refuse")
    given: dict[str, Any] = parse_settings(settings)
    stages = (1, 2) if stage is None else (stage,)
    if legacy:
        _legacy(data, out_dir, given, stages, share, threads)
        return
    from accelgym.agents.uov.problem import load_problem
    from accelgym.agents.uov.settings import TrainingSettings, default_settings

    TrainingSettings.parse(given)  # What is wrong is said before the data is read.
    problem = load_problem(data, unordered=unordered).subset(share)
    chosen = TrainingSettings.parse(default_settings(problem.schema.name) | given)
    from accelgym.agents.uov.scores import score_policy
    from accelgym.agents.uov.training import train

    with _bar() as show:
        policy = train(problem, chosen, out_dir, stages=stages, threads=threads, report=show)
    if stages[-1] == 2:
        table = Table("split", "best of", "optimal", "a bucket off", "geomean", "99 %", "worst", "infeasible")
        for (split, top), s in score_policy(policy, problem).items():
            shares = [f"{share:.2%}" for share in (s.optimal, s.within_bucket)]
            ratios = [f"{ratio:.5f}" for ratio in (s.geomean, s.p99, s.worst)]
            table.add_row(split, str(top), *shares, *ratios, f"{s.infeasible:.2%}")
        print_table(table)
    out.print(f"learnt from {len(problem.splits['train'])} rows; weights, manifest and metrics are in {out_dir}")


def _legacy(
    data: Path, out_dir: Path, given: dict[str, Any], stages: tuple[int, ...], share: float, threads: int
) -> None:
    from accelgym.agents.uov.legacy_policy import score_legacy
    from accelgym.agents.uov.legacy_training import LegacySettings, load_legacy_data, train_legacy

    chosen = LegacySettings.parse(given)
    learnt = load_legacy_data(data, share)
    with _bar() as show:
        policy = train_legacy(learnt, chosen, out_dir, stages=stages, threads=threads, report=show)
    if policy is not None:
        found = score_legacy(policy, *learnt.test)
        # A column for each batch: there are more scores than a terminal has room for side by side.
        table = Table("rows at once", *map(str, found))
        for name in next(iter(found.values())):
            if name != "rows":
                table.add_row(name, *(f"{scores[name]:.4f}" for scores in found.values()))
        print_table(table)
        if policy.depends_on_batch:
            out.print("legacy: answers depend on the rows that are asked at once")
    out.print(f"learnt from {len(learnt.labels)} rows; weights, manifest and metrics are in {out_dir}")


@contextmanager
def _bar() -> Iterator[Callable[[TrainingProgress], None]]:
    with progress_bar() as bar:
        rows = {number: bar.add_task(f"stage {number}", total=None, note="") for number in (1, 2)}

        def show(state: TrainingProgress) -> None:
            bar.update(rows[state.stage], completed=state.step, total=state.steps, note=f"loss {state.loss:.4f}")

        yield show


COMMANDS = (uov,)

"""``accelgym dataset``: checks datasets, and says what there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from accelgym.cli.console import out, print_json, print_table
from accelgym.cli.settings import EnvOption, JsonOption, SetOption, parse_settings
from accelgym.costmodels.errors import InputError

__all__ = ["app"]

app = typer.Typer(help="Labelled datasets: check, measure, convert.", no_args_is_help=True)

_SHOWN_LINES = 8
_MOST_IN_FULL = 1e4


class IllegalChoice(StrEnum):
    """What to do with rows that are no layers."""

    SKIP = "skip"
    REFUSE = "refuse"


@app.command()
def presets(as_json: JsonOption = False) -> None:
    """Lists the shipped datasets."""
    from accelgym.dse_dataset.recipes.catalogue import PRESETS, recipe_title

    found = {name: recipe_title(name) for name in PRESETS}
    if as_json:
        print_json(found)
        return
    table = Table("preset", "what a row asks")
    for name, title in found.items():
        table.add_row(name, title)
    print_table(table)


@app.command()
def check(
    path: Annotated[Path, typer.Argument(help="Folder of a dataset, or a CSV in AIrchitect v2's layout.")],
    illegal: Annotated[IllegalChoice, typer.Option(help="Rows of a CSV that are no layers.")] = IllegalChoice.SKIP,
    as_json: JsonOption = False,
) -> None:
    """Compares a dataset's files with their hashes, or a CSV's rewards with the cost model (exit code 1: different)."""
    if path.is_dir():
        from accelgym.dse_dataset.manifest import check_folder

        manifest = check_folder(path)
        rows = sum(manifest["splits"].values())
        if as_json:
            print_json({"rows": rows, "shards": len(manifest["shards"]), "content_sha256": manifest["content_sha256"]})
        else:
            out.print(f"{path}: {rows} rows in {len(manifest['shards'])} shards are as they were written")
        return
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    from accelgym.dse_dataset.airchitect_csv import check_released

    found = check_released(path, illegal.value)
    if as_json:
        print_json(asdict(found))
    else:
        table = Table("", "rows", title=str(path))
        table.add_row("legal", str(found.rows))
        table.add_row("skipped: kernel larger than input, or a size below 1", _counted(found.illegal))
        if found.without_design:
            table.add_row("skipped: no design in the cost model", _counted(found.without_design))
        table.add_row("repeat a row above", str(found.repeated))
        table.add_row("rewards equal to the cost model", str(found.reproduced))
        table.add_row("label is a fastest design", f"{found.optimal}, worst ratio {found.worst:.4f}")
        table.add_row("label is the canonical one of them", str(found.canonical))
        table.add_row("fastest designs, median", f"{found.median_ties:g}")
        constant = f"fastest in {found.constant_optimal:.1%}, mean ratio {found.constant_ratio:.4f}"
        table.add_row("most PEs, largest buffer", constant)
        print_table(table)
        if found.first_wrong is not None:
            out.print(f"{path}: line {found.first_wrong}: the first whose rewards differ")
    if found.first_wrong is not None:
        raise typer.Exit(1)


def _counted(lines: Sequence[int]) -> str:
    """Returns a number of lines, and the first of them."""
    shown = ", ".join(map(str, lines[:_SHOWN_LINES])) + (" ..." if len(lines) > _SHOWN_LINES else "")
    return f"{len(lines)} (lines {shown})" if lines else "0"


@app.command("from-runs")
def from_runs(
    runs: Annotated[list[Path], typer.Argument(help="Folders of searches or benchmarks.")],
    out_dir: Annotated[Path, typer.Option("--out", help="New folder for the dataset.")],
) -> None:
    """Pools every evaluation of finished searches into one dataset."""
    from accelgym.experiments.labelling import pool_runs

    manifest = pool_runs(runs, out_dir)
    out.print(
        f"{sum(manifest['splits'].values())} evaluations of {manifest['facts']['searches']} searches are in {out_dir}"
    )


@app.command()
def baselines(
    folder: Annotated[Path, typer.Argument(help="Folder of a dataset.")],
    split: Annotated[str, typer.Option(help="Split that is scored.")] = "test",
    as_json: JsonOption = False,
) -> None:
    """Scores a constant, gradient boosting and nearest neighbours."""
    from accelgym.dse_dataset.baselines import score_dataset

    found = score_dataset(folder, split)
    if as_json:
        print_json(asdict(found))
        return
    ties = "" if found.median_ties is None else f", median of {found.median_ties:g} tied designs"
    title = f"{found.name}: {found.rows:,} rows, {found.bytes:,} bytes{ties}; split {split}"
    table = Table("baseline", "optimal", "infeasible", "regret (geomean)", "worst", title=title)
    for score in found.baselines:
        shares = ["-" if share is None else f"{share:.2%}" for share in (score.optimal, score.infeasible)]
        table.add_row(score.name, *shares, _over(score.regret, 4), _over(score.worst, 2))
    print_table(table)


def _over(excess: float, digits: int) -> str:
    """Per cent, or a power of ten of them where a column has no room for the figures."""
    return f"{excess:.{digits}%}" if excess < _MOST_IN_FULL else f"{100 * excess:.1e}%"


@app.command()
def minari(
    root: Annotated[Path, typer.Option("--out", help="Folder of Minari datasets (MINARI_DATASETS_PATH).")],
    env: EnvOption = "accelgym/ResourceAssignment-v0",
    settings: SetOption = None,
    quality: Annotated[str, typer.Option(help="random, medium, expert or optimal.")] = "random",
    episodes: Annotated[int, typer.Option(help="Episodes.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of the designs.")] = 0,
    name: Annotated[str | None, typer.Option(help="Id; accelgym/ENV/QUALITY-v0 by default.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Writes episodes of an environment as a Minari dataset, scored against the proved optimum."""
    from accelgym.dse_dataset.minari_export import export_minari

    given = parse_settings(settings)
    found = export_minari(env, given, root, quality=quality, episodes=episodes, seed=seed, name=name)
    if as_json:
        print_json(found)
    else:
        best = "proved optimum" if found["ref_max_is_optimum"] else "best known"
        out.print(f"{found['id']}: {found['episodes']} episodes, {found['steps']} steps; see {found['folder']}")
        out.print(
            f"mean return {found['mean_return']:.6g}; random {found['ref_min_score']:.6g}, "
            f"{best} {found['ref_max_score']:.6g}"
        )

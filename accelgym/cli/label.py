"""``accelgym label``: makes a labelled dataset."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from accelgym.cli.bench import AddressOption, ExecutorOption
from accelgym.cli.console import out, progress_bar
from accelgym.cli.settings import parse_settings
from accelgym.costmodels.errors import InputError

if TYPE_CHECKING:
    from accelgym.dse_dataset.runner import LabelProgress

__all__ = ["COMMANDS"]


def label(
    out_dir: Annotated[Path, typer.Option("--out", help="Folder of the dataset; the same command resumes.")],
    preset: Annotated[str | None, typer.Option(help="Shipped dataset; accelgym dataset presets lists them.")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file with the arguments of a dataset.")] = None,
    rows: Annotated[int | None, typer.Option(help="Rows, held-out ones not counted.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the dataset; with a row's number it determines the row.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Argument of the dataset; repeatable.")
    ] = None,
    agent: Annotated[str | None, typer.Option(help="Who labels tasks that are not enumerated.")] = None,
    budget: Annotated[int | None, typer.Option(help="Evaluations that the agent may make a row.")] = None,
    executor: ExecutorOption = "process",
    address: AddressOption = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Shards at a time; at most two by default.")] = None,
) -> None:
    """Labels designs: the proved best of every row's space, as Parquet."""
    from accelgym.dse_dataset.recipes.catalogue import kind_of, load_recipe_spec, preset_spec
    from accelgym.dse_dataset.recipes.search import SearchSpec
    from accelgym.dse_dataset.runner import label_dataset
    from accelgym.experiments.labelling import check_agent

    if (preset is None) == (config is None):
        raise InputError("label: give either --preset NAME or --config FILE")
    changes = parse_settings(settings)
    for name, given in (("rows", rows), ("seed", seed), ("agent", agent), ("budget", budget)):
        if given is not None and name in changes:
            raise InputError(f"--set {name}: given by --{name}, too")
        if given is not None:
            changes[name] = given
    kind = kind_of(preset, config)
    if kind == "search":
        # Agents stand above the datasets: the command hands in the function that runs them.
        changes["solver"] = "accelgym.experiments.labelling:solve"
    elif agent is not None or budget is not None:
        raise InputError(f"--agent, --budget: datasets of kind {kind!r} are labelled exactly; kind search takes agents")
    if preset is not None:
        spec = preset_spec(preset, **changes)
    else:
        assert config is not None
        spec = load_recipe_spec(config, **changes)
    if isinstance(spec, SearchSpec):
        check_agent(spec)
    with progress_bar() as bar:
        task = bar.add_task("rows", total=None, note="")
        start = time.monotonic()
        before: int | None = None

        def show(state: LabelProgress) -> None:
            nonlocal before
            before = state.rows_done if before is None else before
            rate = (state.rows_done - before) / max(time.monotonic() - start, 1e-9)
            note = f"{rate:,.0f} rows/s, {state.shards_done} of {state.shards_total} shards"
            bar.update(task, completed=state.rows_done, total=state.rows_total, note=note)

        result = label_dataset(spec, out_dir, executor=executor, address=address, workers=workers, progress=show)
    out.print(f"{result.rows} rows are in {out_dir}, {result.made} of them labelled now in {result.cpu_s:.1f} CPU-s")


COMMANDS = (label,)

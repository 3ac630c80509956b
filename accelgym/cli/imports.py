"""``accelgym import``: inputs of other tools, evaluated as they stand."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column, Table

from accelgym.cli.console import out, print_json, print_table
from accelgym.cli.mapping_text import print_costs, print_runs
from accelgym.cli.settings import CountingOption, DefineOption, JsonOption, TemplateRootOption, parse_settings
from accelgym.costmodels.errors import InputError, unknown_name

if TYPE_CHECKING:
    from accelgym.costmodels.timeloop.stats import Difference

__all__ = ["app"]

app = typer.Typer(help="Reads and evaluates inputs of other tools.", no_args_is_help=True)


@app.callback()
def _imports() -> None:
    """Reads and evaluates inputs of other tools."""


@app.command()
def timeloop(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="YAML with problem, architecture and mapping, v0.3 or v0.4; a folder stands for its files."
        ),
    ],
    define: DefineOption = None,
    template_root: TemplateRootOption = None,
    counting: CountingOption = None,
    engine: Annotated[str, typer.Option(help="head, or v3.0.3.")] = "head",
    links: Annotated[
        bool | None,
        typer.Option(
            "--links/--no-links",
            help="Neighbours forward words, as Timeloop has it by default; of counting walk and sampled, which have "
            "it by default too.",
        ),
    ] = None,
    leakage: Annotated[
        str, typer.Option(help="Which instances leak: instances_in_use, as Timeloop has it, or whole_chip.")
    ] = "instances_in_use",
    compare: Annotated[
        Path | None,
        typer.Option(
            metavar="STATS",
            help="Statistics that timeloop-model printed (*.stats.txt): shows every value that differs, exit code 1 "
            "where one does. Counts as a file of accelgym map says, else as Timeloop does by default (sampled, with "
            "links), unless told otherwise.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Evaluates a Timeloop problem, architecture and mapping with the loopnest model.

    Every iteration is counted, without link transfers (Timeloop: TIMELOOP_DISABLE_TEMPORAL_EXTRAPOLATION=1,
    TIMELOOP_DISABLE_SPATIAL_EXTRAPOLATION=1, TIMELOOP_DISABLE_LINK_TRANSFERS=1); what timeloop-model prints without
    these is stated as well, and in full with --counting sampled. Leakage is Timeloop's. Components without an ERT or
    ART are priced by the fitted 45 nm laws. What has no effect is said on standard error.
    """
    from accelgym.costmodels.architecture import LEAKAGES
    from accelgym.costmodels.loopnest import COUNTINGS, ENGINES, LoopnestModel
    from accelgym.costmodels.loopnest.nest_text import format_nest
    from accelgym.costmodels.loopnest.rows import result_row
    from accelgym.costmodels.timeloop import compare_stats, read_stats, read_timeloop, stated_counting, timeloop_runs

    stated = None if compare is None else stated_counting(compare)
    if stated is not None and links is None and counting is None:
        counting, links = stated
    how = counting or ("sampled" if compare is not None else "walk" if links else "closed")
    for name, value, allowed in (("counting", how, COUNTINGS), ("engine", engine, ENGINES)):
        if value not in allowed:
            raise unknown_name(name, value, allowed)
    if leakage not in LEAKAGES:
        raise unknown_name("leakage", leakage, LEAKAGES)
    forwarded = how != "closed" if links is None else links
    printed = None if compare is None else read_stats(compare)
    found = read_timeloop(*files, defines=parse_settings(define, "--define"), root=template_root)
    shown = ", ".join(map(str, files))
    if found.mappings is None:
        raise InputError(f"no 'mapping' section in {shown}")
    architecture = replace(found.architecture, leakage=leakage)
    mappings = replace(found.mappings, architecture=architecture)
    model = LoopnestModel(
        found.problem,
        architecture,
        counting=how,  # type: ignore[arg-type]
        engine=engine,  # type: ignore[arg-type]
        link_transfers=forwarded,
    )
    result = result_row(model, mappings, model.evaluate(mappings), 0)
    if "message" in result:
        raise InputError(f"{shown}: {result['message']}")
    compared = None if printed is None else compare_stats(printed, result, found.problem, architecture)
    total, differences = compared or (0, [])
    runs = timeloop_runs(mappings, engine=engine)  # type: ignore[arg-type]
    if as_json:
        answer = {"problem": found.problem.name, "architecture": architecture.name, "result": result, "timeloop": runs}
        if compare is not None:
            answer["compare"] = {"values": total, "differences": [asdict(x) for x in differences]}
        print_json(answer)
    else:
        for line in format_nest(mappings).splitlines():
            out.print(line, highlight=False)
        print_costs(f"{found.problem.name} on {architecture.name}", result, found.problem.macs)
        print_runs(runs)
        if compare is not None:
            _print_differences(compare, total, differences)
    if differences:
        raise typer.Exit(1)


def _print_differences(path: Path, total: int, differences: list[Difference]) -> None:
    if differences:
        sides = (Column(name, justify="right") for name in ("timeloop", "accelgym", "difference"))
        table = Table("level", "tensor", "value", *sides, title=str(path))
        for x in differences:
            relative = f"{x.ours / x.timeloop - 1:+.3%}" if x.timeloop and x.ours is not None else ""
            cells = ("" if value is None else f"{value:,.10g}" for value in (x.timeloop, x.ours))
            table.add_row(x.level or "summary", x.tensor, x.counter, *cells, relative)
        print_table(table)
    out.print(f"{total - len(differences)} of {total} values agree with {path}")

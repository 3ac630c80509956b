"""``accelgym import``: inputs of other tools, evaluated as they stand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Column, Table

from accelgym.cli.console import out, print_json
from accelgym.cli.settings import CountingOption, JsonOption, parse_settings
from accelgym.costmodels.errors import InputError, unknown_name

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
    define: Annotated[
        list[str] | None,
        typer.Option("--define", metavar="NAME=VALUE", help="Variable of a file that is a Jinja template; repeatable."),
    ] = None,
    template_root: Annotated[
        Path | None, typer.Option(help="Folder below which templates may include files; their own by default.")
    ] = None,
    counting: CountingOption = None,
    engine: Annotated[str, typer.Option(help="head, or v3.0.3.")] = "head",
    as_json: JsonOption = False,
) -> None:
    """Evaluates a Timeloop problem, architecture and mapping with the loopnest model.

    Components without an ERT or ART are priced by the fitted 45 nm laws. What has no effect is said on standard error.
    """
    from accelgym.costmodels.loopnest import COUNTINGS, ENGINES, LoopnestModel
    from accelgym.costmodels.loopnest.rows import result_row
    from accelgym.costmodels.timeloop import read_timeloop

    how = counting or "closed"
    for name, value, allowed in (("counting", how, COUNTINGS), ("engine", engine, ENGINES)):
        if value not in allowed:
            raise unknown_name(name, value, allowed)
    found = read_timeloop(*files, defines=parse_settings(define, "--define"), root=template_root)
    shown = ", ".join(map(str, files))
    if found.mappings is None:
        raise InputError(f"no 'mapping' section in {shown}")
    model = LoopnestModel(found.problem, found.architecture, counting=how, engine=engine)  # type: ignore[arg-type]
    result = result_row(model, found.mappings, model.evaluate(found.mappings), 0)
    if "message" in result:
        raise InputError(f"{shown}: {result['message']}")
    if as_json:
        print_json({"problem": found.problem.name, "architecture": found.architecture.name, "result": result})
        return
    _print_result(f"{found.problem.name} on {found.architecture.name}", result, found.problem.macs)


def _print_result(title: str, result: dict[str, Any], macs: int) -> None:
    numbers = ("tile words", "reads", "fills", "updates")
    table = Table("level", "tensor", *(Column(name, justify="right") for name in numbers), title=title)
    for level, tensors in result["accesses"].items():
        for tensor, counts in tensors.items():
            table.add_row(level, tensor, *(f"{counts[name.replace(' ', '_')]:,}" for name in numbers))
    out.print(table)
    parts = Table("part", *(Column(name, justify="right") for name in ("energy pJ", "pJ/MAC", "cycles")))
    cycles = result["cycles_per_level"] | {"total": result["cycles"]}
    for part, energy in result["energy_pJ"].items():
        parts.add_row(part, f"{energy:,.2f}", f"{energy / macs:.4f}", f"{cycles[part]:,}" if part in cycles else "")
    out.print(parts)
    out.print(
        f"{macs:,} MACs, {result['cycles']:,} cycles, {result['energy_pJ']['total']:.6g} pJ, "
        f"utilisation {result['utilization']:.2%} ({result['utilized_pes']} multipliers in use)"
    )
    out.print(f"counting {result['counting']}, engine {result['engine']}, energies: {result['technology']}")

"""``accelgym technology``: what components cost."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE
from rich.table import Column, Table

from accelgym.cli.console import out, print_json, print_table
from accelgym.cli.settings import JsonOption

__all__ = ["app"]

app = typer.Typer(help="Energy of memories and multipliers.", no_args_is_help=True)


@app.callback()
def _technology() -> None:
    """Energy of memories and multipliers."""


@app.command()
def plot(
    out_dir: Annotated[Path, typer.Option("--out", help="Folder for technology.png.")],
    name: Annotated[str, typer.Option("--technology", help="Name of the technology.")] = "aladdin-cacti-45nm",
    as_json: JsonOption = False,
) -> None:
    """Draws energy over width and depth of SRAM, register file, DRAM and integer MAC, and fits exponents."""
    from accelgym.costmodels.components import technology
    from accelgym.costmodels.files.pictures import save_figure
    from accelgym.experiments.memory_access import component_sweeps
    from accelgym.experiments.memory_access.figure import scaling_figure

    prices = technology(name)
    sweeps = component_sweeps(prices)
    picture = out_dir / "technology.png"
    save_figure(scaling_figure(sweeps, prices.name), picture)
    if as_json:
        print_json(
            {"technology": prices.name, "picture": str(picture), "sweeps": [sweep.to_json() for sweep in sweeps]}
        )
        return
    numbers = (Column(x, justify="right", no_wrap=True) for x in ("pJ", "exponent", "fit error"))
    table = Table("energy of", "over", *numbers, box=SIMPLE)
    for sweep in sweeps:
        span = f"{sweep.along} {sweep.sizes[0]}..{sweep.sizes[-1]}"
        for action, law in sweep.laws.items():
            ends = " .. ".join(f"{sweep.energies_pj[action][at]:.4g}" for at in (0, -1))
            over = f"{span}, {sweep.fixed}" if sweep.fixed else span
            figures = (ends, f"{law.exponent:.3f}", f"{law.largest_error:.1%}")
            table.add_row(f"{sweep.component} {action}", over, *figures)
    print_table(table)
    out.print(f"wrote {picture}")

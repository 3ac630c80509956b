"""``accelgym rtl timeline``: a picture of where the cycles go."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from accelgym.cli.console import out

__all__ = ["timeline"]


def timeline(
    config: Annotated[Path, typer.Argument(help="YAML with a systolic configuration.")],
    layers: Annotated[Path, typer.Option(help="CSV with layers, as for rtl verify.")],
    picture: Annotated[Path, typer.Option("--out", help="Picture to write: .png, .svg or .pdf.")],
    cycles: Annotated[int | None, typer.Option(min=1, help="Show only the first cycles of each layer.")] = None,
) -> None:
    """Draws when memory ports and array work on each layer, tile by tile, with its fastest tiling."""
    from accelgym.costmodels.systolic.config import load_config
    from accelgym.hwgen.layer_table import read_layers, read_types
    from accelgym.hwgen.timeline_figure import draw_timeline

    drawn = draw_timeline(load_config(config), read_layers(layers), picture, cycles, read_types(layers))
    for name, count in drawn.items():
        out.print(f"{name}: {count:,} cycles", markup=False)
    out.print(f"wrote {picture}", markup=False)

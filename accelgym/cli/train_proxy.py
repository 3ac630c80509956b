"""``accelgym train proxy``: a learned stand-in of a cost model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from accelgym.cli.console import print_json, print_table
from accelgym.cli.settings import JsonOption

__all__ = ["COMMANDS"]


def proxy(
    data: Annotated[Path, typer.Option(help="Folder of a dataset: labelled, or pooled from runs.")],
    out_dir: Annotated[Path, typer.Option("--out", help="Folder for proxy.safetensors and manifest.json.")],
    target: Annotated[list[str] | None, typer.Option(help="Column to predict; repeatable.")] = None,
    split: Annotated[str, typer.Option(help="Split that errors are measured on.")] = "test",
    seed: Annotated[int, typer.Option(min=0, help="Of the training.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Trains a network that predicts costs from the inputs of a dataset."""
    from accelgym.experiments.proxy_training import train_proxy

    found = train_proxy(data, out_dir, targets=target or (), split=split, seed=seed)
    if as_json:
        print_json(found)
        return
    table = Table("predicted", f"RMSE of the logarithm on {split}", title=f"{out_dir}/proxy.safetensors")
    for name in found["training"]["targets"]:
        error = found["errors"].get(name)
        table.add_row(name, "no rows" if error is None else f"{error:.4f}")
    print_table(table)


COMMANDS = (proxy,)

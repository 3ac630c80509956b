"""``accelgym rtl verify``: is the hardware what the model says?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column, Table

from accelgym.cli.console import out, print_json, print_table
from accelgym.cli.settings import JsonOption

if TYPE_CHECKING:
    from accelgym.hwgen.verification_record import VerificationRecord

__all__ = ["verify"]


def verify(
    config: Annotated[Path, typer.Argument(help="YAML with a systolic configuration.")],
    layers: Annotated[
        Path,
        typer.Option(
            help="CSV: name,kind,N,K,C,P,Q,R,S,stride,padding,dilation[,groups,input_type,weight_type,rectify]."
        ),
    ],
    seed: Annotated[int, typer.Option(min=0, help="Seed of the operand tensors.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Runs layers on the Verilog of a configuration and compares every output bit and the cycles with the model.

    The schedule of a layer is its fastest tiling. On an accelerator with several number formats a layer runs with
    every pair of them, or with those that its row names. Directed layers are added, which reach what the given ones
    leave out. Exit code 1 says that something differs, that a port does what it must not, or that the Verilog does not
    lint; what failed is named.
    """
    from accelgym.costmodels.systolic.config import load_config
    from accelgym.hwgen.layer_table import read_layers, read_rectify, read_types
    from accelgym.hwgen.verification import verify as run

    record = run(load_config(config), read_layers(layers), seed, types=read_types(layers), rectify=read_rectify(layers))
    if as_json:
        print_json(record.as_json())
    else:
        _print(record)
    if not record.verified:
        raise typer.Exit(1)


def _print(record: VerificationRecord) -> None:
    numbers = (Column(name, justify="right") for name in ("MACs", "cycles RTL", "cycles model"))
    table = Table("layer", "input", "weight", *numbers, "bit-exact", "cycle-exact", "ports clean")
    for layer in record.layers:
        table.add_row(
            layer.name,
            layer.input_type,
            layer.weight_type,
            f"{layer.macs:,}",
            f"{layer.cycles_rtl:,}",
            f"{layer.cycles_model:,}",
            *("yes" if right else "no" for right in (layer.bit_exact, layer.cycles_exact, not layer.errors.named())),
        )
    print_table(table)
    runs = sum(layer.runs for layer in record.directed)
    out.print(f"and {len(record.directed)} directed layers in {runs} runs")
    for layer in (*record.layers, *record.directed):
        if layer.failures():
            out.print(f"FAILED {layer.name}: {'; '.join(layer.failures())}", markup=False)
    for tool, complaint in record.lint.items():
        if complaint:
            out.print(f"{tool}: {complaint}", markup=False)
    out.print(f"{'verified' if record.verified else 'NOT verified'}, seed {record.seed}, {record.tools}")

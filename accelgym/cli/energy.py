"""``accelgym rtl energy``: energy of layers from the toggles of a configuration's gates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column, Table

from accelgym.cli.console import out, print_json
from accelgym.cli.settings import JsonOption

if TYPE_CHECKING:
    from accelgym.hwgen.gates.energy import EnergyRecord

__all__ = ["energy"]


def energy(
    config: Annotated[Path, typer.Argument(help="YAML file of a systolic configuration.")],
    layers: Annotated[
        Path, typer.Option(help="CSV with the columns name,kind,N,K,C,P,Q,R,S,stride,padding,dilation[,groups].")
    ],
    seed: Annotated[int, typer.Option(min=0, help="Seed of the operand tensors.")] = 0,
    zeros: Annotated[float, typer.Option(help="Share of the inputs that is set to zero.")] = 0.0,
    liberty: Annotated[
        Path | None, typer.Option(help="Liberty file with energies; our own NAND2 equivalents without.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Runs layers on the mapped gates of a configuration and prices every transition with the cells' energies.

    Exit code 1 says that the gates gave other bits or cycles than golden and model.
    """
    from accelgym.costmodels.systolic.config import load_config
    from accelgym.hwgen.gates.energy import measure_energy
    from accelgym.hwgen.layer_table import read_layers
    from accelgym.hwgen.synthesis.liberty import read_library

    record = measure_energy(
        load_config(config), read_layers(layers), seed, zeros=zeros, library=read_library(liberty)
    )
    if as_json:
        print_json(record.as_json())
    else:
        _print(record, str(config))
    if not record.exact:
        raise typer.Exit(1)


def _print(record: EnergyRecord, title: str) -> None:
    names = (*record.layers[0].parts_pj, "leakage", "total", "memory ports", "pJ/MAC", "toggle rate", "cycles")
    table = Table("layer, pJ", *(Column(name, justify="right") for name in names), "exact", title=title)
    for layer in record.layers:
        exact = layer.bit_exact and layer.cycles == layer.cycles_model
        table.add_row(
            layer.name,
            *(f"{value:,.0f}" for value in layer.parts_pj.values()),
            "-" if layer.leakage_pj is None else f"{layer.leakage_pj:,.0f}",
            f"{layer.total_pj:,.0f}",
            f"{layer.memory_pj:,.0f}",
            f"{layer.total_pj / layer.macs:.3f}",
            f"{layer.toggle_rate:.3f}",
            f"{layer.cycles:,}",
            "yes" if exact else "no",
        )
    out.print(table)
    out.print(
        f"{record.pj_per_mac:.3f} pJ/MAC without memory ports; {record.cells:,} cells, {record.flip_flops:,} flip-flops"
    )
    out.print(f"library {record.library}, seed {record.seed}, {record.tools}")
    out.print("zero-delay simulation: no glitches; no clock tree; buffers and memory ports by component laws")

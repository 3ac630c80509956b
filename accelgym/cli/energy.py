"""``accelgym rtl energy``: energy of layers from the toggles of a configuration's gates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column, Table

from accelgym.cli.console import out, print_json, print_table
from accelgym.cli.settings import JsonOption

if TYPE_CHECKING:
    from accelgym.hwgen.gates.energy import EnergyRecord

__all__ = ["energy"]

_HEADERS = {"array": "array", "sram": "SRAM", "address_control": "control", "vector_unit": "vector"}


def energy(
    config: Annotated[Path, typer.Argument(help="YAML file of a systolic configuration.")],
    layers: Annotated[
        Path,
        typer.Option(
            help="CSV: name,kind,N,K,C,P,Q,R,S,stride,padding,dilation[,groups,input_type,weight_type,rectify]."
        ),
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
    from accelgym.hwgen.layer_table import read_layers, read_rectify, read_types
    from accelgym.hwgen.synthesis.liberty import read_library

    record = measure_energy(
        load_config(config),
        read_layers(layers),
        seed,
        zeros=zeros,
        types=read_types(layers),
        rectify=read_rectify(layers),
        library=read_library(liberty),
    )
    if as_json:
        print_json(record.as_json())
    else:
        _print(record, str(config))
    if not record.exact:
        raise typer.Exit(1)


def _print(record: EnergyRecord, title: str) -> None:
    numbers = (*_HEADERS.values(), "total", "pJ/MAC", "cycles")
    table = Table("layer, nJ", *(Column(name, justify="right") for name in numbers), title=title)
    pairs = {(layer.input_type, layer.weight_type) for layer in record.layers}
    for layer in record.layers:
        table.add_row(
            layer.name if len(pairs) == 1 else f"{layer.name} {layer.input_type} x {layer.weight_type}",
            *(f"{layer.parts_pj[part] / 1e3:,.1f}" for part in _HEADERS),
            f"{layer.total_pj / 1e3:,.1f}",
            f"{layer.total_pj / layer.macs:.3f}",
            f"{layer.cycles:,}",
        )
    print_table(table)
    clock = sum(module.clock_pj for layer in record.layers for module in layer.modules)
    out.print(
        f"{record.pj_per_mac:.3f} pJ/MAC, {clock / record.total_pj:.0%} of it the clock of {record.flip_flops:,} "
        f"flip-flops; memory ports {sum(layer.memory_pj for layer in record.layers):,.0f} pJ apart"
    )
    for layer in record.layers:
        if not layer.bit_exact or layer.cycles != layer.cycles_model:
            out.print(f"layer {layer.name}: the gates give other bits or cycles than golden and model")
    rate = sum(layer.toggle_rate * layer.cycles for layer in record.layers)
    rate /= sum(layer.cycles for layer in record.layers)
    verdict = "bit-exact and cycle-exact" if record.exact else "NOT exact"
    out.print(f"{verdict}; a net changes {rate:.3f} times a cycle")
    leakages = [layer.leakage_pj for layer in record.layers if layer.leakage_pj is not None]
    out.print(f"leakage {sum(leakages):,.0f} pJ" if leakages else "leakage: the library has none")
    out.print(f"library {record.library}, seed {record.seed}, {record.tools}")
    out.print("zero-delay simulation: no glitches; no clock tree; buffers and memory ports by component laws")

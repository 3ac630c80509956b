"""``accelgym predict``: answers of trained policies, without a search."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from accelgym.cli.console import out, print_json, print_table
from accelgym.cli.dataset import IllegalChoice
from accelgym.cli.settings import JsonOption, SetOption, parse_settings
from accelgym.costmodels.errors import InputError

__all__ = ["COMMANDS"]


def predict(
    space: Annotated[
        str | None, typer.Option(help="With --in: airchitect-v2 or capped, the shipped weights that answer.")
    ] = None,
    source: Annotated[Path | None, typer.Option("--in", help="CSV of layers: K,C,X,Y,R,S,df.")] = None,
    target: Annotated[Path | None, typer.Option("--out", help="CSV to write: adds num_pes,buffer_level.")] = None,
    workload: Annotated[str | None, typer.Option(help="A network of the zoo, or a file, in place of --in.")] = None,
    budget: Annotated[str, typer.Option(help="With --workload: share of the budget range, or a preset.")] = "0.1",
    settings: SetOption = None,
    weights: Annotated[Path | None, typer.Option(help="Weights of accelgym train uov.")] = None,
    illegal: Annotated[
        IllegalChoice,
        typer.Option(help="Rows of --in that are no layers: a kernel larger than the input, a size below 1."),
    ] = IllegalChoice.SKIP,
    as_json: JsonOption = False,
) -> None:
    """Chooses PEs and buffers by a trained policy: for a file of layers, or for a network under a budget.

    --space airchitect-v2 --in FILE --out FILE reads the columns of AIrchitect v2's released file, whose X and Y are
    rows and columns, and adds num_pes,buffer_level. --space capped also takes objective (latency, energy, edp),
    cap (none, area, power) and cap_fraction, between the least (0) and the largest (1) of the layer's designs.
    Inputs outside the range of the training are answered with a warning.

    --workload NAME --budget FRACTION assigns every layer of a network; --set objective=edp, constraint=power,
    dataflow=shi and so on are those of accelgym/ResourceAssignment-v0.
    """
    if (workload is None) == (space is None):
        raise InputError("give --workload, or --space with --in and --out")
    if workload is not None:
        if source is not None or target is not None:
            raise InputError("--in, --out: go with --space, not with --workload")
        _network(workload, budget, parse_settings(settings), weights, as_json=as_json)
        return
    assert space is not None
    if source is None or target is None:
        raise InputError(f"--{'in' if source is None else 'out'}: is missing; --space takes --in and --out")
    if settings:
        raise InputError("--set: goes with --workload, not with --space")
    from accelgym.agents.uov.answers import answer_file

    found = answer_file(space, source, target, weights=weights, illegal=illegal.value)
    if as_json:
        print_json({"rows": found.rows, "illegal": list(found.illegal), "out": str(target)})
    else:
        out.print(f"{found.rows} rows are answered in {target}")


def _network(workload: str, budget: str, given: dict[str, Any], weights: Path | None, *, as_json: bool) -> None:
    from accelgym.agents.uov.agent import predict_network

    found = predict_network(workload, budget, given, weights)
    if as_json:
        print_json(found.to_json())
        return
    table = Table("layer", *found.knobs, title=found.title)
    for layer, values in found.design.items():
        table.add_row(layer, *map(str, values))
    print_table(table)
    out.print(found.words())


COMMANDS = (predict,)

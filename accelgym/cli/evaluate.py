"""``accelgym evaluate``: a cost model over a file of designs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from accelgym.cli.console import errors
from accelgym.cli.settings import parse_settings

__all__ = ["COMMANDS"]


def evaluate(
    model: Annotated[str, typer.Option(help="Name of the cost model.")],
    source: Annotated[Path, typer.Option("--in", help="CSV of designs.")],
    target: Annotated[Path, typer.Option("--out", help="CSV to write.")],
    compat: Annotated[
        bool | None, typer.Option("--compat/--no-compat", help="maestro: with or without its known faults.")
    ] = None,
    options: Annotated[
        list[str] | None, typer.Option("--option", metavar="KEY=VALUE", help="Option of the cost model; repeatable.")
    ] = None,
) -> None:
    """Evaluates a file of designs with a cost model.

    Columns: layer_type,K,C,Y,X,R,S,dataflow,num_pes,buffer_level[,noc_bw]. Invalid designs are rows with valid=0
    and a reason.
    """
    from accelgym.costmodels.designs_csv import read_designs, write_costs
    from accelgym.costmodels.errors import InputError
    from accelgym.costmodels.models import cost_models

    choices = parse_settings(options, "--option")
    if compat is not None:
        choices["compat"] = compat
    try:
        built = cost_models.get(model)(**choices)
    except TypeError as error:
        raise InputError(f"model {model!r}: {error}") from error
    rows, designs = read_designs(source)
    costs = built.evaluate(designs)
    try:
        write_costs(target, rows, costs)
    except OSError as error:
        raise InputError(f"{target}: cannot be written ({error})") from error
    if errors.is_terminal:
        errors.print(f"{len(rows)} designs, {int(costs.valid.sum())} valid, {costs.model} {costs.version}")


COMMANDS = (evaluate,)

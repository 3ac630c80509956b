"""``accelgym lottery``: how much of an agent's rank is luck of its hyperparameters."""

from __future__ import annotations

from typing import Annotated

import typer

from accelgym.cli.bench import AddressOption, ExecutorOption, OutOption, WorkersOption, failures_told, search_bars
from accelgym.cli.console import out

__all__ = ["COMMANDS"]


def lottery(
    config: Annotated[str, typer.Argument(help="standard, reduced, or a YAML file.")],
    out_dir: OutOption,
    executor: ExecutorOption = "process",
    address: AddressOption = None,
    workers: WorkersOption = None,
) -> None:
    """Sweeps the hyperparameters of agents and writes lottery.md, .json, .csv and .png."""
    from accelgym.experiments.lottery import run_lottery

    with search_bars() as show:
        result = run_lottery(config, out_dir, progress=show, executor=executor, address=address, workers=workers)
    failures_told(result.bench)
    out.print(f"{result.bench.jobs} searches are in {out_dir}; wrote {', '.join(map(str, result.files))}")


COMMANDS = (lottery,)

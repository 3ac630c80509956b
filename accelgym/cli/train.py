"""``accelgym train``: learns from tasks and from data."""

from __future__ import annotations

import typer

from accelgym.cli import train_uov

__all__ = ["app"]

app = typer.Typer(help="Learned models: train, resume.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keeps the commands' names where there is a single one."""


for module in (train_uov,):
    for command in module.COMMANDS:
        app.command()(command)

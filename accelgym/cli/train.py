"""``accelgym train``: learns from tasks and from data."""

from __future__ import annotations

import typer

from accelgym.cli import train_policy, train_proxy, train_uov

__all__ = ["app"]

app = typer.Typer(help="Learned models: train, resume.", no_args_is_help=True)
for module in (train_policy, train_proxy, train_uov):
    for command in module.COMMANDS:
        app.command()(command)

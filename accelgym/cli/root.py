"""Assembles the commands and turns bad input into exit code 2."""

from __future__ import annotations

import sys
import warnings
from typing import TextIO

import typer

from accelgym.cli import bench, catalogue, evaluate, imports, rtl, tasks, technology
from accelgym.cli.console import errors
from accelgym.costmodels.errors import AccelGymError, InputWarning

__all__ = ["app", "main"]

app = typer.Typer(
    name="accelgym",
    help="DNN-accelerator design-space exploration with exact optima.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (catalogue, evaluate, tasks, bench):
    for command in module.COMMANDS:
        app.command()(command)
app.add_typer(imports.app, name="import")
app.add_typer(rtl.app, name="rtl")
app.add_typer(technology.app, name="technology")


def main() -> None:
    """Runs the command line; exit code 2 means bad input, 130 an interruption.

    Every :class:`InputWarning` is one line on standard error.
    """
    try:
        with warnings.catch_warnings():
            _show_input_warnings()
            app()
    except AccelGymError as error:
        errors.print(f"[bold red]error:[/] {_escape(str(error))}")
        sys.exit(2)
    except KeyboardInterrupt:
        errors.print("interrupted; the same command goes on from here")
        sys.exit(130)


def _show_input_warnings() -> None:
    others = warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if issubclass(category, InputWarning):
            errors.print(f"[bold yellow]warning:[/] {_escape(str(message))}")
        else:
            others(message, category, filename, lineno, file, line)

    warnings.showwarning = show


def _escape(text: str) -> str:
    return text.replace("[", r"\[")

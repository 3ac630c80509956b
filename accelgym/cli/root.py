"""Assembles the commands and turns what a user or the machine did wrong into one line and exit code 2."""

from __future__ import annotations

import signal
import sys
import threading
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Annotated, NoReturn, TextIO

import typer
from rich.text import Text

from accelgym import __version__
from accelgym.cli import (
    accuracy,
    bench,
    catalogue,
    dataset,
    evaluate,
    imports,
    label,
    leaderboard,
    lottery,
    mapper,
    predict,
    rtl,
    tasks,
    technology,
    train,
)
from accelgym.cli.console import errors, out
from accelgym.costmodels.errors import AccelGymError, InputError, InputWarning, system_reason

__all__ = ["app", "main"]

_LONGEST_LINE = 1000
"""Characters of an error: the output of a tool may have many."""
_INTERRUPTED = 130
_RECURSION = 50
"""Innermost calls that tell who recurses."""
_READERS = sys.stdlib_module_names | {"accelgym", "google", "numpy", "onnx", "pydantic", "yaml"}

app = typer.Typer(
    name="accelgym",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (catalogue, evaluate, mapper, tasks, bench, lottery, label, predict, accuracy):
    for command in module.COMMANDS:
        app.command()(command)
app.add_typer(dataset.app, name="dataset")
app.add_typer(imports.app, name="import")
app.add_typer(leaderboard.app, name="leaderboard")
app.add_typer(rtl.app, name="rtl")
app.add_typer(technology.app, name="technology")
app.add_typer(train.app, name="train")


def _show_version(wanted: bool) -> None:
    if wanted:
        out.print(f"accelgym {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """DNN-accelerator design-space exploration with exact optima."""


def main() -> None:
    """Runs the command line; exit code 2 means bad input or a machine that does not suffice, 130 an interruption.

    A request to end (SIGTERM, a closed terminal) is taken like Ctrl-C: workers end, temporary files go. A second one
    ends the process at once. Every :class:`InputWarning` is one line on standard error.
    """
    try:
        with warnings.catch_warnings(), _interrupted_by_signals():
            _show_input_warnings()
            _refuse_no_place(sys.argv[1:])
            app()
    except AccelGymError as error:
        _fail(str(error))
    except OSError as error:
        where = f"{error.filename}: " if error.filename is not None else ""
        _fail(f"{where}{system_reason(error)}")
    except RecursionError as error:
        if not _recurses_on_input(error):
            raise
        _fail("the input is nested too deeply")
    except MemoryError as error:
        _fail(f"not enough memory{f': {error}' if str(error) else ''}")
    except (KeyboardInterrupt, SystemExit) as stop:
        if isinstance(stop, SystemExit) and stop.code != _INTERRUPTED:  # Which is how typer ends after Ctrl-C.
            raise
        errors.print("interrupted; the same command goes on from here")
        sys.exit(_INTERRUPTED)


def _recurses_on_input(error: RecursionError) -> bool:
    """Whether only this package and what it reads files with recursed; a plug-in that did shows where."""
    calls = Counter(
        str(frame.f_globals.get("__name__")).partition(".")[0]
        for frame, _ in list(traceback.walk_tb(error.__traceback__))[-_RECURSION:]
    )
    return {package for package, times in calls.items() if times > 1} <= _READERS


@contextmanager
def _interrupted_by_signals() -> Iterator[None]:
    """Makes an interrupt of the signals that would end the process, unless somebody has said otherwise (``nohup``)."""
    taken = []

    def interrupt(number: int, frame: object) -> NoReturn:
        signal.signal(number, signal.SIG_DFL)
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, interrupt)
                taken.append(number)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def _refuse_no_place(words: list[str]) -> None:
    # What a variable of the shell that is not set leaves behind would be the current folder.
    for word, value in pairwise([*words, "end"]):
        if word == "--out=" or (word == "--out" and not value):
            raise InputError("--out is '', allowed: a path")


def _fail(message: str) -> NoReturn:
    """Prints one line and ends with exit code 2."""
    line = " ".join(message.split())
    shown = line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]} ..."
    errors.print(Text.assemble(("error:", "bold red"), f" {shown}"))
    sys.exit(2)


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
            errors.print(Text.assemble(("warning:", "bold yellow"), f" {message}"))
        else:
            others(message, category, filename, lineno, file, line)

    warnings.showwarning = show

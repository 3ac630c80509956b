"""``accelgym rtl emit``: the Verilog of a configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from accelgym.cli.console import out

__all__ = ["emit"]


def emit(
    config: Annotated[Path, typer.Argument(help="YAML file of a systolic configuration.")],
    to: Annotated[Path, typer.Option("--out", help="Folder for the Verilog; created when needed.")],
) -> None:
    """Writes the Verilog of a configuration, one file a module; ``generated.v`` holds the top."""
    from accelgym.costmodels.systolic.config import load_config
    from accelgym.hwgen.emitter import TOP
    from accelgym.hwgen.emitter import emit as generate

    design = generate(load_config(config))
    to.mkdir(parents=True, exist_ok=True)
    names = design.write(to)
    out.print(f"{len(names)} files in {to}, top module {TOP}")

"""``accelgym rtl``: hardware of a configuration file."""

from __future__ import annotations

import typer

from accelgym.cli.emit import emit
from accelgym.cli.energy import energy
from accelgym.cli.synth import synth
from accelgym.cli.timeline import timeline
from accelgym.cli.verify import verify

__all__ = ["app"]

app = typer.Typer(help="Hardware of a configuration file.", no_args_is_help=True)
app.command()(emit)
app.command()(verify)
app.command()(synth)
app.command()(energy)
app.command()(timeline)

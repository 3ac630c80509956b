"""``accelgym bench`` and ``accelgym report``: agents compared on tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from accelgym.cli.console import errors, out, progress_bar

__all__ = ["COMMANDS"]

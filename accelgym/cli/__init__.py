"""The ``accelgym`` command."""

from accelgym.cli.root import app, main

__all__ = ["app", "main"]

"""The ``accelgym`` command."""

from accelgym.cli.app import app, main

__all__ = ["app", "main"]

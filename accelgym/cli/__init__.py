"""The ``accelgym`` command."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from accelgym.cli.root import app

__all__ = ["app", "main"]


def main() -> None:
    """Runs the command line, see :func:`accelgym.cli.root.main`, whose import takes long enough to be interrupted."""
    try:
        from accelgym.cli.root import main as run
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; the same command goes on from here\n")
        sys.exit(130)
    run()


def __getattr__(name: str) -> Any:
    if name == "app":
        from accelgym.cli.root import app

        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

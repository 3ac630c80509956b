"""``accelgym bench`` and ``accelgym report``: agents compared on tasks."""

from __future__ import annotations

__all__ = ["COMMANDS"]

COMMANDS = ()

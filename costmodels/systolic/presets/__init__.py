"""Cycle conventions of published systolic arrays, for comparison; no bound and no leaderboard uses them."""

from accelgym.costmodels.systolic.presets.table import PRESETS, evaluate_table

__all__ = ["PRESETS", "evaluate_table"]

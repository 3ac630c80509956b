"""Timeloop's input files: v0.3 and v0.4 in, v0.3 out."""

from accelgym.costmodels.timeloop.default_run import describe_convention, timeloop_runs
from accelgym.costmodels.timeloop.reader import TimeloopInput, read_timeloop
from accelgym.costmodels.timeloop.stats import compare_stats, read_stats
from accelgym.costmodels.timeloop.writer import timeloop_document, write_timeloop

__all__ = [
    "TimeloopInput",
    "compare_stats",
    "describe_convention",
    "read_stats",
    "read_timeloop",
    "timeloop_document",
    "timeloop_runs",
    "write_timeloop",
]

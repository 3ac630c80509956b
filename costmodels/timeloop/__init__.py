"""Timeloop's input files: v0.3 and v0.4 in, v0.3 out."""

from accelgym.costmodels.timeloop.default_run import describe_convention, timeloop_runs
from accelgym.costmodels.timeloop.problem import read_timeloop_problem
from accelgym.costmodels.timeloop.reader import TimeloopInput, names_files, read_architecture_files, read_timeloop
from accelgym.costmodels.timeloop.stats import compare_stats, read_stats, stated_counting
from accelgym.costmodels.timeloop.stats_text import write_stats
from accelgym.costmodels.timeloop.writer import timeloop_document, write_constraints, write_map, write_timeloop

__all__ = [
    "TimeloopInput",
    "compare_stats",
    "describe_convention",
    "names_files",
    "read_architecture_files",
    "read_stats",
    "read_timeloop",
    "read_timeloop_problem",
    "stated_counting",
    "timeloop_document",
    "timeloop_runs",
    "write_constraints",
    "write_map",
    "write_stats",
    "write_timeloop",
]

"""Timeloop's input files: v0.3 and v0.4 in, v0.3 out."""

from accelgym.costmodels.timeloop.problem import read_timeloop_problem
from accelgym.costmodels.timeloop.reader import TimeloopInput, names_files, read_architecture_files, read_timeloop
from accelgym.costmodels.timeloop.writer import timeloop_document, write_timeloop

__all__ = [
    "TimeloopInput",
    "names_files",
    "read_architecture_files",
    "read_timeloop",
    "read_timeloop_problem",
    "timeloop_document",
    "write_timeloop",
]

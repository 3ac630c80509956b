"""Timeloop's input files: v0.3 and v0.4 in, v0.3 out."""

from accelgym.costmodels.timeloop.reader import TimeloopInput, read_timeloop
from accelgym.costmodels.timeloop.writer import timeloop_document, write_timeloop

__all__ = ["TimeloopInput", "read_timeloop", "timeloop_document", "write_timeloop"]

"""Where jobs run: one protocol over this process, other processes, and other machines (``ray_cluster``)."""

from accelgym.costmodels.executors.choice import EXECUTORS, make_executor
from accelgym.costmodels.executors.inline import InlineExecutor
from accelgym.costmodels.executors.process import ProcessExecutor
from accelgym.costmodels.executors.protocol import Event, Executor, Job, Report
from accelgym.costmodels.executors.ray_cluster import RayExecutor

__all__ = [
    "EXECUTORS",
    "Event",
    "Executor",
    "InlineExecutor",
    "Job",
    "ProcessExecutor",
    "RayExecutor",
    "Report",
    "make_executor",
]

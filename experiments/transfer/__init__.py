"""What carries over from solved tasks to networks and budgets that are held out: the tables of docs/transfer.md."""

from accelgym.experiments.transfer.study import FAMILY, TransferRun, run_study
from accelgym.experiments.transfer.table import format_table

__all__ = ["FAMILY", "TransferRun", "format_table", "run_study"]

"""Timeloop's counting rules over batches of mappings, with two simulators that check them."""

from accelgym.costmodels.loopnest.mappings import Loop, Mappings
from accelgym.costmodels.loopnest.model import COUNTINGS, ENGINES, LoopnestModel
from accelgym.costmodels.loopnest.rows import evaluate_rows
from accelgym.costmodels.loopnest.sampler import sample_mappings, sample_valid_mappings

__all__ = [
    "COUNTINGS",
    "ENGINES",
    "Loop",
    "LoopnestModel",
    "Mappings",
    "evaluate_rows",
    "sample_mappings",
    "sample_valid_mappings",
]

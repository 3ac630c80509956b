"""Thistle's Table II layers: proven optima, certified bounds and what heuristics reach."""

from accelgym.experiments.thistle.codesign import Study, study
from accelgym.experiments.thistle.proofs import LAYERS, Proof, prove, prove_problem
from accelgym.experiments.thistle.table import format_study, format_table, write_csv
from accelgym.experiments.thistle.variants import MACHINES, SRAM_UNITS, eyeriss

__all__ = [
    "LAYERS",
    "MACHINES",
    "SRAM_UNITS",
    "Proof",
    "Study",
    "eyeriss",
    "format_study",
    "format_table",
    "prove",
    "prove_problem",
    "study",
    "write_csv",
]

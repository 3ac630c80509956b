"""Benchmarks: agents compared on tasks with known optima, with statistics and a report."""

from accelgym.experiments.config import BenchConfig, load_config, shipped_configs
from accelgym.experiments.report import build_report
from accelgym.experiments.runner import BenchProgress, BenchResult, JobFailure, run_bench
from accelgym.experiments.single import SearchResult, run_search

__all__ = [
    "BenchConfig",
    "BenchProgress",
    "BenchResult",
    "JobFailure",
    "SearchResult",
    "build_report",
    "load_config",
    "run_bench",
    "run_search",
    "shipped_configs",
]

"""Mapping agents at equal evaluations, beside timeloop-mapper."""

from accelgym.experiments.mapping_agents.table import (
    MAPPER_PJ_PER_MAC,
    THISTLE,
    MappingRun,
    format_table,
    run_searches,
    write_csv,
)

__all__ = ["MAPPER_PJ_PER_MAC", "THISTLE", "MappingRun", "format_table", "run_searches", "write_csv"]

"""Costs of layers on accelerators as a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from accelgym.costmodels.arrays import to_numpy
from accelgym.costmodels.costs import Costs, Reason
from accelgym.costmodels.files.csv_table import TableWriter
from accelgym.costmodels.files.whole_file import whole_file

__all__ = ["write_costs"]

_FIGURES = ("latency_cycles", "energy_pj", "area_um2", "power_mw")


def write_costs(path: Path, configs: Sequence[str], layers: Sequence[str], costs: Costs) -> None:
    """Writes one row a configuration and layer, in full precision; figures of invalid rows are left empty.

    Args:
        path: CSV to write.
        configs: Names of the configurations.
        layers: Names of the layers.
        costs: Their costs, shape ``(configs, layers)``.

    Raises:
        InputError: The file cannot be written.
    """
    columns = {name: to_numpy(getattr(costs, name)) for name in _FIGURES}
    columns |= {name: to_numpy(values) for name, values in costs.breakdown.items()}
    with whole_file(path) as file:
        writer = TableWriter(file)
        writer.row(["config", "layer", *columns, "valid", "reason"])
        for i, config in enumerate(configs):
            for j, layer in enumerate(layers):
                valid = bool(costs.valid[i, j])
                shown = [repr(column[i, j].item()) if valid else "" for column in columns.values()]
                why = "" if valid else Reason(int(costs.reason[i, j])).name.lower()
                writer.row([config, layer, *shown, int(valid), why])

"""A mapping on the terminal: loop nest, accesses, costs, and what Timeloop's default run says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Column, Table

from accelgym.cli.console import out, print_table

__all__ = ["below", "print_costs", "print_report", "print_runs"]

_EXACT = 1e-9
_NAMES = {"default": "timeloop-model as it comes", "no_links": "with TIMELOOP_DISABLE_LINK_TRANSFERS=1"}


def print_report(report: Mapping[str, Any], title: str, bound: float | None = None) -> None:
    """Prints what a mapping task reports of a design, a network layer by layer.

    Args:
        report: See :meth:`accelgym.envs.MappingTask.report`.
        title: Of the tables.
        bound: Certified lower bound on the objective, if any.
    """
    for layer in report.get("layers", ()):
        print_report(layer, layer["name"])
    if "loop_nest" not in report:
        return
    for line in report["loop_nest"]:
        out.print(line, highlight=False)
    print_costs(title, report["costs"], report["macs"])
    print_runs(report["timeloop"], bound)


def print_costs(title: str, result: Mapping[str, Any], macs: int) -> None:
    """Prints accesses, energies and cycles of one mapping, see ``result_row``."""
    from accelgym.costmodels.timeloop import describe_convention

    numbers = ("tile words", "reads", "fills", "updates")
    table = Table("level", "tensor", *(Column(name, justify="right") for name in numbers), title=title)
    for level, tensors in result["accesses"].items():
        for tensor, counts in tensors.items():
            cells = (f"{counts[name.replace(' ', '_')]:,}" for name in numbers)
            table.add_row(level, tensor, *cells)
    print_table(table)
    parts = Table("part", *(Column(name, justify="right") for name in ("energy pJ", "pJ/MAC", "cycles")))
    cycles = result["cycles_per_level"] | {"total": result["cycles"]}
    for part, energy in result["energy_pJ"].items():
        count = f"{cycles[part]:,}" if part in cycles else ""
        parts.add_row(part, f"{energy:,.2f}", f"{energy / macs:.4f}", count)
    print_table(parts)
    out.print(
        f"{macs:,} MACs, {result['cycles']:,} cycles, {result['energy_pJ']['total']:.6g} pJ, "
        f"utilisation {result['utilization']:.2%} ({result['utilized_pes']} multipliers in use)"
    )
    if "leakage" in result["energy_pJ"]:
        out.print(f"leakage {result['energy_pJ']['leakage']:.6g} pJ, in the total")
    how = describe_convention(result["counting"], result["link_transfers"], result["leakage"])
    out.print(f"{how}, engine {result['engine']}, energies: {result['technology']}")


def below(run: Mapping[str, Any], bound: float | None) -> bool:
    """Whether a run of Timeloop says less than a certified lower bound."""
    return bound is not None and "objective" in run and run["objective"] < bound * (1 - _EXACT)


def print_runs(runs: Mapping[str, Mapping[str, Any]], bound: float | None = None) -> None:
    """Prints what timeloop-model would say with its own settings, and whether that is below a certified bound."""
    for name, run in runs.items():
        spent = f"{run['energy_pj']:.6g} pJ, {run['cycles']:,} cycles" if "cycles" in run else run["message"]
        out.print(f"{_NAMES[name]} (extrapolated from two iterations of every loop): {spent}")
        if below(run, bound):
            why = "extrapolation misses words that every iteration moves"
            why += ", or links spare reads" if run["link_transfers"] else ""
            out.print(f"  that is below the certified bound {bound:.6g}, which holds for every iteration walked: {why}")

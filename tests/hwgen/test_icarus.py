"""Icarus Verilog, which knows unknown values, agrees with golden and model."""

import numpy as np
import pytest

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.systolic.config import make_config
from accelgym.costmodels.systolic.scheduler import schedule
from accelgym.costmodels.workloads.layer import Layer
from accelgym.hwgen import icarus
from accelgym.hwgen.emitter import emit
from accelgym.hwgen.golden import golden_outputs
from accelgym.hwgen.program import compile_layer
from accelgym.hwgen.simulator import Job
from accelgym.hwgen.stimulus import Stimulus, draw_operands

LAYERS = (
    Layer.conv("conv", K=5, C=4, H=5, R=3, padding=1, stride=2),
    Layer.gemm("product", M=6, K=4, C=7, batch=2),
)


@pytest.mark.skipif(not icarus.available(), reason="Icarus Verilog is not installed: apt-get install iverilog")
@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
@pytest.mark.parametrize(
    "values",
    [
        {},
        {"template": "output_stationary", "weight_type": "int4", "pe_pipeline": 2},
        {"input_type": "e4m3", "weight_type": "posit8_1"},
        {"scale_type": "e8m0", "output_port_bits": 13},
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
    job = Job(program, program.input_image(operands), program.weight_image(operands))
    run = icarus.run_icarus(config, emit(config), job)
    assert run.done
    assert run.cycles == chosen.cycles
    assert np.array_equal(program.outputs(run.outputs), golden_outputs(config, layer, program.grid, operands))


def test_a_missing_simulator_says_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "")
    config, layer = make_config(rows=2, columns=2), LAYERS[1]
    program = compile_layer(config, layer, schedule(config, layer).tiling)
    operands = draw_operands(config, layer, Stimulus.RANDOM, np.random.default_rng(0))
    job = Job(program, program.input_image(operands), program.weight_image(operands))
    with pytest.raises(InputError, match="apt-get install iverilog"):
        icarus.run_icarus(config, emit(config), job)

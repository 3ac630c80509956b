"""A handful of accelerators of practical size, on the fastest tilings of whole layers."""

import pytest

from accelgym.costmodels.systolic.config import make_config
from accelgym.costmodels.workloads.layer import Layer
from accelgym.hwgen.verification import verify

LAYERS = (
    Layer.conv("conv", K=40, C=35, H=14, R=3, padding=1),
    Layer.conv("strided", K=64, C=32, H=15, R=3, stride=2, padding=1),
    Layer.gemm("product", M=50, K=70, C=65, batch=2),
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rows", "columns", "template", "types"),
    [
        (16, 16, "weight_stationary", {}),
        (16, 16, "output_stationary", {"input_type": "int8", "weight_type": "int4"}),
        (16, 16, "weight_stationary", {"input_type": "e4m3", "weight_type": "e4m3"}),
        (16, 16, "weight_stationary", {"scale_type": "e8m0"}),
        (32, 32, "weight_stationary", {}),
        (32, 32, "output_stationary", {}),
        (8, 32, "weight_stationary", {"input_type": "posit8_1", "weight_type": "posit8_1"}),
    ],
)
def test_arrays_of_practical_size(rows, columns, template, types, cache):
    config = make_config(
        rows=rows, columns=columns, template=template, **types, input_port_bits=128, weight_port_bits=256
    )
    assert verify(config, LAYERS, cache=cache).verified

"""Float additions of two cycles: rows lie two cycles apart, results and scales with them."""

import pytest

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.systolic.config import make_config
from accelgym.costmodels.workloads.layer import Layer
from accelgym.hwgen.verification import verify

E4M3 = {"input_type": "e4m3", "weight_type": "e4m3", "pe_pipeline": 3}
LAYERS = (
    Layer.conv("conv", K=6, C=7, H=6, R=3, padding=1, stride=2),
    Layer.gemm("short", M=1, K=9, C=20),
)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"rows": 1, "columns": 3}, marks=pytest.mark.slow),
        pytest.param({"rows": 6, "columns": 5, "memory_latency": 1}, marks=pytest.mark.slow),
        pytest.param(
            {"rows": 3, "columns": 2, "accumulation_type": "fp32", "double_buffered_accumulation": False},
            marks=pytest.mark.slow,
        ),
        pytest.param({"rows": 4, "columns": 6, "scale_type": "e8m0"}, marks=pytest.mark.slow),
        {"rows": 3, "columns": 2, "psum_type": "fp16", "accumulation_type": "fp32", "scale_type": "e5m3"},
        pytest.param(
            {"rows": 5, "columns": 2, "psum_type": "fp16", "accumulation_type": "fp32", "scale_type": "e5m3"},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_bits_and_cycles_are_exact(values, cache):
    record = verify(make_config(**values, **E4M3), LAYERS, cache=cache)
    assert record.verified, record


@pytest.mark.parametrize("values", [{"rows": 2, "template": "output_stationary"}, {"rows": 2, "weight_type": "e5m2"}])
def test_it_is_refused_where_sums_take_one_cycle(values):
    types = {"pe_pipeline": 3} if "weight_type" not in values else {"input_type": "int8", "weight_type": "int8"}
    with pytest.raises(InputError, match="pe_pipeline 3: float psum_type and weight_stationary"):
        make_config(**{**E4M3, **values, **types}, columns=2)

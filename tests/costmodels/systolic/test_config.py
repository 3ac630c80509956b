"""Configurations: defaults that follow from the operands, limits, and files."""

import pytest
from pydantic import ValidationError

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.systolic.config import SystolicConfig, load_config, make_config


@pytest.mark.parametrize(
    ("operands", "scale", "sums"),
    [
        (("int8", "int8"), None, ("int24", "int24")),
        (("int8", "int4"), None, ("int24", "int24")),
        (("int16", "int16"), None, ("int40", "int40")),
        (("int8q6", "int8q6"), None, ("int24q12", "int24q12")),
        (("e4m3", "e4m3"), None, ("bf16", "bf16")),
        (("posit8_1", "posit8_1"), None, ("bf16", "bf16")),
        (("nf4_int6", "nf4_int6"), "e5m3", ("int24", "bf16")),
        (("int8", "int8"), "e8m0", ("int24", "bf16")),
        (("e2m1", "e2m1"), "e8m0", ("bf16", "bf16")),
        ((("int4", "int16"), ("int8", "int16")), None, ("int40", "int40")),
        ((("int4", "int8"), ("int8", "e4m3")), None, ("bf16", "bf16")),
        ((("int4", "int4q2"), "int8"), None, ("bf16", "bf16")),
    ],
)
def test_types_of_sums_follow_from_the_operands(operands, scale, sums):
    config = make_config(rows=4, columns=4, input_type=operands[0], weight_type=operands[1], scale_type=scale)
    assert (config.psum_type, config.accumulation_type) == sums


def test_the_memories_of_the_published_design():
    """Voyager, table 4: 16 x 16 E4M3 with depths of 1024 has 96 KB."""
    config = make_config(
        rows=16,
        columns=16,
        input_type="e4m3",
        weight_type="e4m3",
        input_buffer_depth=1024,
        weight_buffer_depth=1024,
        accumulation_buffer_depth=1024,
        double_buffered_accumulation=False,
    )
    assert config.sram_bits == 96 * 1024 * 8


@pytest.mark.parametrize("others", [{}, {"weight_type": ("int8", "int4")}])
def test_files_round_trip(others, tmp_path):
    config = make_config(rows=4, columns=6, scale_type="e8m0", pe_pipeline=2, **others)
    path = tmp_path / "acc.yaml"
    path.write_text("".join(f"{key}: {value}\n" for key, value in config.model_dump(mode="json").items()))
    assert load_config(path) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rows": 0}, "rows"),
        ({"rows": 129}, "rows"),
        ({"input_type": "int8x"}, "unknown datatype 'int8x'"),
        ({"input_type": "fp32"}, "up to 8 bits"),
        ({"input_type": "e8m0"}, "no zero"),
        ({"input_type": "e4m3", "weight_type": "e4m3", "psum_type": "int24"}, "infinities and NaNs"),
        ({"psum_type": "bf16", "accumulation_type": "fp16"}, "hold every bf16"),
        ({"psum_type": "posit16_1"}, "allowed: an integer type, or a float format with NaN"),
        ({"psum_type": "uint24"}, "sums are signed integers or IEEE floats"),
        ({"row_psum_widths": True, "template": "output_stationary"}, "row_psum_widths"),
        ({"template": "input_stationary"}, "template"),
        ({"memory_latency": 0}, "memory_latency"),
    ],
)
def test_what_no_hardware_exists_for_is_refused_with_reasons(values, message):
    with pytest.raises(InputError, match=message):
        make_config(**{"rows": 4, "columns": 4, **values})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"input_type": []}, "name of a number format, or a list"),
        ({"input_type": 8}, "name of a number format, or a list"),
        ({"weight_type": ["int8", 4]}, "name of a number format, or a list"),
        ({"weight_type": ["int8", "int4", "int8"]}, "int8 is listed 2 times"),
        ({"weight_type": ["int8", "uint16"]}, "weight_type uint16: decoders exist"),
        ({"weight_type": ["int8", "e8m0"]}, "no zero"),
        ({"input_type": ["int8", "e4m3"], "psum_type": "int24"}, "e4m3 x int8 -> int24.*infinities and NaNs"),
        ({"weight_type": ["int8", "int8q1"], "psum_type": "int24"}, "int8 x int8q1 -> int24.*fraction_bits=1"),
    ],
)
def test_lists_of_formats_are_checked_pair_by_pair(values, message):
    with pytest.raises(InputError, match=message):
        make_config(**{"rows": 4, "columns": 4, **values})


def test_words_have_lanes_of_the_widest_format_and_take_the_beats_of_the_one_at_hand():
    config = make_config(
        rows=4, columns=6, input_type=["int4", "int12"], weight_type=["int8", "int3"], scale_type="e8m0"
    )
    assert (config.input_word_bits, config.weight_word_bits) == (4 * 12 + 8, 6 * 8)
    assert (config.packed_input_bits, config.packed_weight_bits) == (4 * 4 + 8, 6 * 8)
    other = config.with_types("int12", "int3")
    assert (other.packed_input_bits, other.packed_weight_bits) == (4 * 12 + 8, 6 * 3)
    assert other.scale_words == config.scale_words == 3
    assert other.with_types(input="int4", weight="int8") == config
    with pytest.raises(InputError, match="weight_type 'int4' is not of this accelerator, allowed: int3, int8"):
        config.with_types(weight="int4")


def test_the_model_itself_refuses_unknown_keys():
    with pytest.raises(ValidationError, match="rowz"):
        SystolicConfig.model_validate({"rows": 2, "columns": 2, "rowz": 2})

"""Accelerators whose layers choose their number formats at run time: every pair bit-exact and cycle-exact."""

import numpy as np
import pytest

from accelgym.costmodels.datatypes import get_datatype
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.systolic.config import SystolicConfig, make_config
from accelgym.costmodels.systolic.operand_types import OperandTypes
from accelgym.costmodels.systolic.scheduler import Tiling
from accelgym.costmodels.workloads.layer import Layer
from accelgym.hwgen.emitter import Rtl, emit
from accelgym.hwgen.operands import operand
from accelgym.hwgen.program import compile_layer
from accelgym.hwgen.simulator import run_multiply_adds
from accelgym.hwgen.verification import verify

LAYERS = (
    Layer.conv("conv", K=7, C=5, H=6, R=3, padding=1, stride=2),
    Layer.gemm("product", M=9, K=6, C=13, batch=2),
)
MIXTURES = {
    "weights of 4 and 8 bits": {"weight_type": ("int8", "int4"), "input_port_bits": 5, "weight_port_bits": 9},
    "integers of 2 to 16 bits": {"input_type": ("int16", "uint4", "int8"), "weight_type": ("int2", "int12")},
    "two kinds of FP8": {"input_type": ("e4m3", "e5m2"), "weight_type": ("e5m2", "e4m3"), "input_port_bits": 7},
    "integers and FP8": {"input_type": ("int8", "e4m3"), "weight_type": ("int8", "e4m3fn", "bf16")},
    "posits and a codebook": {"input_type": ("posit8_1", "nf4"), "weight_type": ("nf4", "posit6_1"), "pe_pipeline": 2},
    "codebooks with integer sums": {"input_type": ("nf4_int6", "int8"), "weight_type": ("int5", "nf4_int6")},
    "scaled, weights of 4 and 8 bits": {"weight_type": ("int4", "int8"), "scale_type": "e8m0", "weight_port_bits": 11},
    "scaled FP4 and FP8": {
        "input_type": ("e2m1", "e4m3fn"),
        "weight_type": ("e2m1", "e4m3fn", "int3"),
        "scale_type": "e5m3",
        "block_size": 8,
        "input_port_bits": 13,
        "pe_pipeline": 3,
    },
    "sums of growing width": {"input_type": ("int8", "int3"), "weight_type": ("int4", "int2"), "row_psum_widths": True},
}
QUICK = ("integers and FP8",)


def config_of(name: str, **others: object) -> SystolicConfig:
    return make_config(rows=4, columns=3, **MIXTURES[name], **others)


def names(quick: tuple[str, ...] = QUICK, without: tuple[str, ...] = ()) -> list[object]:
    """Mixtures, those not ``quick`` as slow tests; only those that set none of the keys ``without``."""
    chosen = [name for name, values in MIXTURES.items() if not set(without) & set(values)]
    return [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in chosen]


@pytest.mark.parametrize("name", names())
def test_every_pair_of_formats_runs_exactly(name, cache):
    config = config_of(name)
    record = verify(config, LAYERS, cache=cache)
    assert record.verified, record
    pairs = {(x.name, w.name) for x in config.inputs for w in config.weights}
    assert {(layer.input_type, layer.weight_type) for layer in record.layers} == pairs
    assert len(record.layers) == len(pairs) * len(LAYERS)


@pytest.mark.parametrize("name", names(("posits and a codebook",), without=("scale_type", "row_psum_widths")))
def test_every_pair_of_formats_runs_exactly_with_stationary_outputs(name, cache):
    assert verify(config_of(name, template="output_stationary"), LAYERS, cache=cache).verified


@pytest.mark.slow
@pytest.mark.parametrize("name", MIXTURES)
def test_all_operand_pairs(name, cache):
    """Decoders and multiply-add of one element on all codes, in every mode."""
    config = make_config(rows=1, columns=1, **{key: MIXTURES[name][key] for key in MIXTURES[name] if "type" in key})
    rng = np.random.default_rng(4)
    for run in config.with_every_pair(OperandTypes()):
        x, w = (np.arange(min(1 << datatype.bits, 256)) for datatype in (run.input, run.weight))
        # Of wide formats a sample.
        x = x if run.input.bits <= 8 else rng.integers(0, 1 << run.input.bits, size=256)
        w = w if run.weight.bits <= 8 else rng.integers(0, 1 << run.weight.bits, size=256)
        inputs, weights = (side.ravel() for side in np.meshgrid(x, w))
        for psums in (np.zeros_like(inputs), rng.integers(0, 1 << run.psum.bits, size=inputs.shape)):
            found = run_multiply_adds(run, psums, inputs, weights, cache)
            assert np.array_equal(found, run.multiply_add.step(psums, inputs, weights)), run.input_type


@pytest.mark.parametrize("name", MIXTURES)
def test_the_order_of_the_formats_says_nothing_about_the_hardware(name):
    config = config_of(name)
    runs = config.with_every_pair(OperandTypes())
    assert len({(run.input_type, run.weight_type) for run in runs}) == len(runs) > 1
    for run in runs:
        assert emit(run) == emit(config)
        assert (run.sram_bits, run.scale_words) == (config.sram_bits, config.scale_words)
        assert (run.psum_type, run.accumulation_type) == (config.psum_type, config.accumulation_type)
        reordered = {"input_type": run.input_type, "weight_type": run.weight_type}
        assert make_config(rows=4, columns=3, **{**MIXTURES[name], **reordered}) == run


def test_narrow_formats_take_fewer_beats(cache):
    config = make_config(rows=4, columns=8, weight_type=["int8", "int4", "int2"], weight_port_bits=16)
    layer = Layer.gemm("product", M=4, K=32, C=32)
    found = {record.weight_type: record.cycles_rtl for record in verify(config, [layer], cache=cache).layers}
    assert [config.with_types(weight=name).weight_beats for name in ("int8", "int4", "int2")] == [4, 2, 1]
    assert found["int8"] > found["int4"] > found["int2"]


def test_one_format_needs_no_hardware_to_choose():
    config = make_config(rows=4, columns=3, weight_type=["int4"])
    assert config == make_config(rows=4, columns=3, weight_type="int4")
    assert "unpack_word.v" not in emit(config).files
    several = make_config(rows=4, columns=3, weight_type=["int4", "int8"])
    one, two = (dict(compile_layer(c, LAYERS[1], Tiling(1, 1, 1, 1)).registers) for c in (config, several))
    assert len(two) == len(one) + 1


def test_a_layer_may_name_its_formats(cache):
    config = config_of("integers and FP8")
    types = [OperandTypes("e4m3", "bf16"), OperandTypes(weight="int8")]
    found = [(record.name, record.input_type, record.weight_type) for record in _records(config, types, cache)]
    assert found == [("conv", "e4m3", "bf16"), ("product", "int8", "int8"), ("product", "e4m3", "int8")]
    with pytest.raises(InputError, match=r"layer 'conv': input_type 'int4' is not of this accelerator.*e4m3, int8"):
        _records(config, [OperandTypes("int4"), OperandTypes()], cache)
    with pytest.raises(InputError, match="1 types for 2 layers"):
        _records(config, [OperandTypes()], cache)


def _records(config, types, cache):
    return verify(config, LAYERS, types=types, cache=cache).layers


@pytest.mark.parametrize(
    ("file", "old", "new", "wrong"),
    [
        # The unpacking takes the beats of the widest format.
        ("unpack_word.v", "(BEATS - USED) * PORT_BITS", "0", {"int4"}),
        # The mode never arrives: all layers run in the first one.
        pytest.param(
            "accelerator.v",
            "INPUT_MODE_W, 1, 272, input_mode",
            "INPUT_MODE_W, 1, 280, input_mode",
            {"int4", "int8"},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "accelerator.v",
            "WEIGHT_MODE_W, 1, 273, weight_mode",
            "WEIGHT_MODE_W, 1, 280, weight_mode",
            {"int4", "int8"},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_faults_of_the_choice_are_noticed(file, old, new, wrong, cache):
    config = make_config(
        rows=4, columns=3, input_type=("int4", "int8"), weight_type=("int4", "int8"), input_port_bits=20
    )
    files = dict(emit(config).files)
    assert files[file].count(old) == 1
    files[file] = files[file].replace(old, new)
    record = verify(config, LAYERS[1:], cache=cache, rtl=Rtl(files), locate=False)
    assert not record.verified
    failed = {layer.input_type for layer in record.layers if not layer.bit_exact}
    assert failed
    assert failed <= wrong


@pytest.mark.slow
def test_a_fault_in_one_format_is_located(cache):
    """The decoder of the second format forgets the sign."""
    config = make_config(rows=4, columns=3, weight_type=("int4", "int8"), input_type=("int8", "uint4"))
    files = dict(emit(config).files)
    old = "{{4{code[3]}}, code[3:0]}"
    assert files["weight_decoder.v"].count(old) == 1
    files["weight_decoder.v"] = files["weight_decoder.v"].replace(old, "{4'd0, code[3:0]}")
    layers = verify(config, LAYERS[1:], cache=cache, rtl=Rtl(files)).layers
    assert {layer.weight_type for layer in layers if layer.bit_exact} == {"int8"}
    for layer in layers:
        if not layer.bit_exact:
            assert layer.mismatch is not None
            assert layer.mismatch["place"] == "array"


@pytest.mark.parametrize("name", ["e4m3", "posit8_1", "nf4", "int8", "uint4", "e2m1"])
def test_a_lane_word_is_the_number_of_its_code(name):
    """Decoded alone and beside a format with other exponents: the same values, from the parts of the lane word."""
    datatype = get_datatype(name)
    for formats in ([datatype, get_datatype("bf16")], [get_datatype("posit6_1"), datatype]):
        lane = operand(formats, integer_sums=False)
        decoder = lane.decoders[formats.index(datatype)]
        for code, word in enumerate(decoder.table or ()):
            significand = word % (1 << lane.significand_bits)
            exponent = (word >> lane.significand_bits) % (1 << lane.exponent_bits)
            nan, infinite = (word >> (lane.lane_bits - 2)) & 1, (word >> (lane.lane_bits - 1)) & 1
            sign = -1.0 if (word >> (lane.lane_bits - 3)) & 1 else 1.0
            value = np.nan if nan else sign * (np.inf if infinite else significand * 2.0 ** (exponent + lane.offset))
            np.testing.assert_array_equal(value, datatype.decode(code))

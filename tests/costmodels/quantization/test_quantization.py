"""Quantisation against the definition: exact arithmetic, brute force over scales, and the block formats."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from accelgym.costmodels.datatypes import Exact, get_block_format
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.quantization import LayerQuantization, QuantizationSpec, TensorFormat, calibrate, quantise

RNG = np.random.default_rng(0)
WEIGHTS = RNG.standard_t(4, size=(6, 10, 3, 3))


@pytest.mark.parametrize("scale_type", ["fp32", "e8m0", "bf16"])
@pytest.mark.parametrize("datatype", ["int4", "int8", "e4m3", "e2m1", "posit8_1", "nf4_int6"])
@pytest.mark.parametrize("sharing", ["tensor", "channel"])
def test_elements_are_the_quotients_rounded_once(datatype, scale_type, sharing):
    form = TensorFormat(datatype=datatype, scales=sharing, scale_type=scale_type)
    found = quantise(WEIGHTS, form)
    scales = np.broadcast_to(found.scales(), WEIGHTS.shape)
    for place in [tuple(RNG.integers(WEIGHTS.shape)) for _ in range(40)]:
        quotient = Fraction(WEIGHTS[place]) / Fraction(scales[place])
        assert form.element.encode_exact(quotient) == found.codes[place]
        value = form.element.decode_exact(int(found.codes[place])) * Exact.of(scales[place])
        assert value.to_float() == found.values()[place]


@pytest.mark.parametrize("sharing", ["tensor", "channel"])
def test_a_float_scale_takes_the_largest_magnitude_to_the_largest_element(sharing):
    found = quantise(WEIGHTS, TensorFormat(datatype="int8", scales=sharing))
    codes = np.abs(found.format.element.decode(found.codes))
    axes = None if sharing == "tensor" else (1, 2, 3)
    assert (codes.max(axis=axes) == 127).all()
    # Half a step is the largest error.
    assert (np.abs(found.values() - WEIGHTS) <= found.scales() * 0.5 * (1 + 1e-12)).all()


@pytest.mark.parametrize("name", ["mxint8", "mxfp8_e4m3", "mxfp4", "mxnf4"])
@pytest.mark.parametrize("axis", [0, 1, 3])
def test_block_scales_are_those_of_the_block_formats(name, axis):
    block = get_block_format(name, 4)
    form = TensorFormat(datatype=block.element.name, scales="block", block_size=4, scale_type=block.scale.name)
    found = quantise(WEIGHTS, form, reduction_axis=axis)
    codes, scales = block.quantise(np.moveaxis(WEIGHTS, axis, -1))
    np.testing.assert_array_equal(np.moveaxis(found.codes, axis, -1), codes)
    np.testing.assert_array_equal(np.moveaxis(found.scale_codes, axis, -1), scales)
    np.testing.assert_array_equal(np.moveaxis(found.values(), axis, -1), block.dequantise(codes, scales))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=30), st.sampled_from(["int4", "e4m3", "nf4_int6"]))
def test_what_is_stored_is_stored_again_unchanged(values, datatype):
    """With the scale kept: numbers of the format are fixed points."""
    form = TensorFormat(datatype=datatype)
    array = np.array(values)[None]
    magnitudes = calibrate(form, array)
    once = quantise(array, form, magnitudes=magnitudes)
    again = quantise(once.values(), form, magnitudes=magnitudes)
    np.testing.assert_array_equal(once.values(), again.values())


@pytest.mark.parametrize("scale_type", ["fp32", "e8m0"])
@pytest.mark.parametrize("datatype", ["int3", "int4", "e2m1"])
def test_mse_is_as_good_as_any_of_many_scales(datatype, scale_type):
    form = TensorFormat(datatype=datatype, scale_type=scale_type, calibration="mse")
    error = ((quantise(WEIGHTS, form).values() - WEIGHTS) ** 2).sum()
    plain = TensorFormat(datatype=datatype, scale_type=scale_type)
    share = 0.9 if scale_type == "fp32" else 1.0
    assert error <= share * ((quantise(WEIGHTS, plain).values() - WEIGHTS) ** 2).sum()
    least = np.inf
    for magnitude in np.linspace(0.05, 2, 400) * np.abs(WEIGHTS).max():
        tried = quantise(WEIGHTS, plain, magnitudes=np.full((1, 1, 1, 1), magnitude))
        least = min(least, ((tried.values() - WEIGHTS) ** 2).sum())
    assert error <= least * 1.03


def test_a_percentile_leaves_out_that_share():
    values = np.arange(1, 1001.0)
    form = TensorFormat(datatype="int8", calibration="percentile", percentile=95.0)
    assert calibrate(form, values) == 951
    found = quantise(values, form)
    saturated = values - found.values() > found.scales() / 2 * (1 + 1e-9)
    assert saturated.mean() == pytest.approx(0.05, abs=0.005)


def test_bad_data_is_named():
    form = TensorFormat(datatype="int8")
    bad = WEIGHTS.copy()
    bad[1, 2, 0, 1] = np.nan
    with pytest.raises(InputError, match=r"weight of 'stem': nan at \[1, 2, 0, 1\].*finite"):
        calibrate(form, bad, name="weight of 'stem'")
    with pytest.raises(InputError, match="at least one value"):
        calibrate(form, [])
    with pytest.raises(InputError, match=r"uint8 has no sign and -.* signed"):
        calibrate(TensorFormat(datatype="uint8"), WEIGHTS)
    with pytest.raises(InputError, match=r"magnitudes of shape \(5,\)"):
        quantise(WEIGHTS, form, magnitudes=np.ones(5))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"datatype": "int99"}, "int99"),
        ({"datatype": "e8m0"}, "no zero"),
        ({"datatype": "int8", "scales": "block"}, "block_size None"),
        ({"datatype": "int8", "block_size": 4}, "block_size 4"),
        ({"datatype": "int8", "scale_type": "int8"}, "float formats"),
        ({"datatype": "int8", "scales": "row"}, "'channel'"),
    ],
)
def test_impossible_formats_are_refused(arguments, message):
    with pytest.raises((ValidationError, InputError), match=message):
        TensorFormat(**arguments)


def test_a_layer_refuses_what_its_tensors_cannot_have():
    channel = TensorFormat(datatype="int8", scales="channel")
    block = TensorFormat(datatype="int8", scales="block", block_size=4)
    for field, form, message in (
        ("input", channel, "along the reduction"),
        ("kv_cache", channel, "along"),
        ("bias", block, "no"),
    ):
        with pytest.raises(ValidationError, match=message):
            LayerQuantization(**{field: form})
    with pytest.raises((ValidationError, InputError), match="infinities"):
        LayerQuantization(input=TensorFormat(datatype="e4m3"), weight=channel, psum_type="int24")
    spec = QuantizationSpec(default=LayerQuantization(weight=channel), layers={"head": LayerQuantization()})
    assert [layer.name for layer in spec.assignment(["stem", "head"]).values()] == ["w=int8/channel:fp32", "fp32"]
    with pytest.raises(InputError, match="'head'"):
        spec.assignment(["stem", "heads"])

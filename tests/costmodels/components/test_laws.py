"""Laws against the points they are said to follow (Accelergy tables, CACTI 7 at 45 nm, Thistle's Table III)."""

import math
from itertools import pairwise

import numpy as np
import pytest

from accelgym.costmodels.components import laws, technology
from accelgym.costmodels.errors import InputError

# (depth, width): pJ, um2 of the Aladdin register file, tables of 2020-22; None where not printed.
REGISTER_FILES = {
    (16, 16): (0.202, 235.68),
    (16, 32): (0.346, 331.36),
    (24, 16): (0.253, 358.18),
    (64, 8): (0.420, 887.84),
    (512, 16): (4.322, 10175.68),
}
# Smart buffers add two address generators: 0.0488 pJ and 179 um2.
SMART_BUFFERS = {
    (12, 16): (0.237, 379.68),
    (16, 16): (0.251, 414.68),
    (192, 16): (1.58552, 3634.68),
    (192, 32): (1.730, 3730.36),
}

# (depth, width): read pJ, write pJ, um2. CACTI 7, 45 nm, itrs-lstp, one read-write port, one bank.
CACTI = {
    (8192, 16): (7.66, 5.64, 53_000),
    (8192, 32): (11.79, 8.68, 106_000),
    (8192, 64): (25.87, 19.65, 209_000),
    (8192, 128): (50.26, 46.97, 413_500),
    (8192, 256): (124.6, 118.0, 860_000),
    (8192, 512): (274.5, 333.3, 1_828_000),
    (8192, 1024): (753.8, 871.4, 4_054_000),
    (8192, 2048): (1815.9, 2623.9, 9_320_000),
    (512, 128): (7.92, 14.05, None),
    (1024, 128): (10.75, 23.22, None),
    (2048, 128): (20.31, 27.53, None),
    (4096, 128): (39.33, 36.04, None),
    (1024, 16): (1.86, 2.43, 6_590),
    (4096, 16): (6.49, 4.46, 25_009),
    (16384, 16): (11.57, 8.75, 119_348),
    (32768, 16): (16.45, 10.97, 208_315),
    (65536, 16): (21.40, 15.87, 410_810),
    (131072, 16): (29.73, 23.23, 886_945),
    (262144, 16): (44.43, 31.90, 1_576_390),
    (16384, 64): (32.29, 26.07, None),
    (32768, 8): (12.02, 8.02, None),
}


@pytest.mark.parametrize(("shape", "measured"), REGISTER_FILES.items())
def test_register_file_law_is_exact(shape, measured):
    cost = laws.register_file(*shape)
    assert cost.read_pj == pytest.approx(measured[0], abs=6e-4)
    assert cost.write_pj == cost.read_pj
    assert cost.area_um2 == pytest.approx(measured[1], abs=0.01)


@pytest.mark.parametrize(("shape", "measured"), SMART_BUFFERS.items())
def test_smart_buffers_add_their_address_generators(shape, measured):
    cost = laws.register_file(*shape)
    assert cost.read_pj + 0.0488 == pytest.approx(measured[0], abs=2e-3)
    assert cost.area_um2 + 179 == pytest.approx(measured[1], abs=0.01)


@pytest.mark.parametrize("depth", [1, 2, 3, 16, 17, 512, 513])
def test_a_register_file_compares_tags_of_whole_bits(depth):
    bits = max(1, math.ceil(math.log2(depth)))
    expected = laws.register_file(1, 16).read_pj + 9.06719e-4 * (bits * depth - 1)
    assert laws.register_file(depth, 16).read_pj == pytest.approx(expected, rel=1e-12)
    assert laws.register_file(np.int64(depth), 16) == laws.register_file(depth, 16)


def test_newer_register_file_table():
    assert laws.register_file(64, 8, tables="2024").read_pj == pytest.approx(0.42564, abs=1e-4)


@pytest.mark.parametrize(
    ("width", "old", "new"),
    [
        (2, 0.039, 0.063),
        (4, 0.146, 0.224),
        (8, 0.561, 0.845),
        (16, 2.200, 3.275),
        (32, 8.716, 12.89),
        (64, 34.69, 51.14),
    ],
)
def test_integer_mac_law(width, old, new):
    assert laws.integer_mac(width).read_pj == pytest.approx(old, abs=6e-3)
    assert laws.integer_mac(width, tables="2024").read_pj == pytest.approx(new, abs=6e-3)


def test_integer_mac_areas():
    assert laws.integer_mac(16).area_um2 == pytest.approx(1239.5)
    assert laws.integer_mac(8).area_um2 == pytest.approx(332.25)
    assert laws.integer_mac(16, tables="2024").area_um2 == pytest.approx(1726.5)


def test_float_mac_and_datatypes():
    assert laws.mac("fp32").read_pj == pytest.approx(32.328)
    assert laws.mac("fp32", tables="2024").read_pj == pytest.approx(51.979)
    order = ["int4", "int8", "fp8_e5m2", "bfloat16", "fp16", "fp32"]
    energies = [laws.mac(name).read_pj for name in order]
    assert energies == sorted(energies)
    with pytest.raises(InputError, match="datatype 'int9'"):
        laws.mac("int9")


@pytest.mark.parametrize(("width", "energy"), [(64, 512.0), (256, 2048.0)])
def test_dram_is_linear_in_width(width, energy):
    assert laws.dram(width).read_pj == energy
    with pytest.raises(InputError, match="LPDDR4"):
        laws.dram(width, kind="HBM")


@pytest.mark.parametrize(("part", "column"), [("read", 0), ("write", 1), ("area", 2)])
def test_sram_fit_has_the_error_it_states(part, column):
    field = {"read": "read_pj", "write": "write_pj", "area": "area_um2"}[part]
    errors = [
        abs(getattr(laws.sram(*shape), field) / measured[column] - 1)
        for shape, measured in CACTI.items()
        if measured[column] is not None
    ]
    mean, largest = laws.SRAM_ERRORS[part]
    assert sum(errors) / len(errors) == pytest.approx(mean, abs=0.002)
    assert max(errors) == pytest.approx(largest, abs=0.005)


@pytest.mark.parametrize("width", [8, 16, 64, 512, 4096])
def test_sram_grows_with_depth_and_width(width):
    for part in ("read_pj", "write_pj", "area_um2", "leakage_pj"):
        depths = [getattr(laws.sram(2**k, width), part) for k in range(6, 22)]
        assert all(a < b or math.isclose(a, b) for a, b in pairwise(depths))
        assert getattr(laws.sram(4096, width), part) < getattr(laws.sram(4096, 2 * width), part)


@pytest.mark.parametrize(
    ("node", "read", "write"), [(40, 9.64 / 12.02, 6.68 / 8.02), (65, 21.83 / 12.02, 15.31 / 8.02)]
)
def test_node_scaling_follows_cacti(node, read, write):
    assert laws.node_scale(node) == pytest.approx(read, rel=0.03)
    assert laws.node_scale(node) == pytest.approx(write, rel=0.03)


def test_thistle_table_prices_eyeriss_area():
    table = technology("thistle-table3")
    parts = [("regfile", 512, 168), ("intmac", 1, 168), ("sram", 65536, 1)]
    area = sum(table.component(kind, depth=d, width=16, attributes={}).area_um2 * n for kind, d, n in parts)
    assert area == pytest.approx(2_363_756, rel=1e-6)
    words = table.component("SRAM", depth=65536, width=16, attributes={}).read_pj
    bits = technology("thistle-table3", sram_unit="bits").component("SRAM", depth=65536, width=16, attributes={})
    assert words == pytest.approx(4.57728)
    assert bits.read_pj == pytest.approx(4 * words)


def test_bad_names_are_named():
    with pytest.raises(InputError, match="technology 'tsmc'"):
        technology("tsmc")
    with pytest.raises(InputError, match="component class 'memristor'"):
        technology().component("memristor", depth=1, width=1, attributes={})

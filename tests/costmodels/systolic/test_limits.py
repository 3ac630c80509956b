"""The check of counters, addresses and coordinates says what the compiled programs say."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelgym.costmodels.costs import Reason
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.systolic.columns import Hardware, LayerColumns
from accelgym.costmodels.systolic.config import Template, make_config
from accelgym.costmodels.systolic.limits import excess, within_limits
from accelgym.costmodels.systolic.model import SystolicDesigns, SystolicModel
from accelgym.costmodels.systolic.scheduler import NoTilingError, Tiling, candidate_tilings, schedule
from accelgym.costmodels.systolic.tile_grid import TileGrid
from accelgym.costmodels.systolic.tiling import tile_terms
from accelgym.costmodels.workloads.layer import Layer, LayerKind
from accelgym.hwgen import program
from accelgym.hwgen.grid import Grid
from accelgym.hwgen.program import compile_layer

SMALLEST = make_config(
    rows=1, columns=1, input_buffer_depth=2, weight_buffer_depth=2, accumulation_buffer_depth=2, weight_port_bits=8
)


def walked(last_index: list[int], increments: list[int], bits: int) -> tuple[int, int]:
    """Returns the lowest and highest value of an affine address without wrapping, relative to its base."""
    signed = [jump - (1 << bits) if jump >> (bits - 1) else jump for jump in increments]
    low = high = 0
    inner = 0
    for last, jump in zip(last_index, signed, strict=True):
        stride = jump + inner
        low, high = low + min(stride * last, 0), high + max(stride * last, 0)
        inner += stride * last
    return low, high


size = st.integers(1, 5) | st.sampled_from([255, 256, 257, 32768, 32769, 65535, 65536, 65537, 70000, 2**20])


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_the_check_agrees_with_the_compiled_loops(data):
    """Golden: the loop nests of the compiler, walked from end to end."""
    template = data.draw(st.sampled_from(list(Template)))
    config = make_config(
        rows=data.draw(st.sampled_from([1, 8])),
        columns=data.draw(st.sampled_from([1, 8])),
        template=template.value,
        input_port_bits=data.draw(st.sampled_from([1, 64])),
        output_port_bits=data.draw(st.sampled_from([1, 64])),
    )
    stationary = template is Template.WEIGHT_STATIONARY
    axes = [data.draw(size) if data.draw(st.booleans()) else 1 for _ in range(5)]
    taps = (data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3)))
    try:
        layer = Layer(
            "any",
            LayerKind.CONV,
            N=min(axes[0], 70000),
            K=axes[1],
            C=axes[2],
            P=axes[3],
            Q=axes[4],
            R=taps[0],
            S=taps[1],
            stride=(data.draw(st.sampled_from([1, 2, 40000])), 1),
            padding=(data.draw(st.sampled_from([0, 1])), 0),
            dilation=(data.draw(st.sampled_from([1, 2, 20000])), 1),
        )
    except InputError:
        return
    tile = Tiling(
        p1=data.draw(st.integers(1, 3)),
        q1=data.draw(st.integers(1, 3)) if stationary else 1,
        k1=data.draw(st.integers(1, 3)),
        c1=data.draw(st.integers(1, 3)),
        r1=data.draw(st.sampled_from([1, taps[0]])) if stationary else 1,
        s1=data.draw(st.sampled_from([1, taps[1]])) if stationary else 1,
        pixels_inner=data.draw(st.booleans()),
    )
    hardware, problem = Hardware.of([config]), LayerColumns.of([layer])
    grid = TileGrid.of(hardware, problem, tile.arrays())
    compile_loops = program._weight_stationary if stationary else program._output_stationary
    plain = Grid.of(config, layer, tile)
    values = compile_loops(config, layer, plain)
    counts = [max(entries) for name, entries in values.items() if name.endswith("last_index") or name == "holds"]
    fine = max(counts) < 1 << 16
    for name, base in (("weight", 0), ("output", 0)):
        low, high = walked(
            values[f"{name}_last_index"], [jump % 2**62 for jump in values[f"{name}_address_increment"]], 62
        )
        fine &= base + low >= 0 and base + high < 2**32 - 1
    if stationary:
        for axis, extent, padding in (
            ("y", layer.input_height, layer.padding[0]),
            ("x", layer.input_width, layer.padding[1]),
        ):
            _, high = walked(
                values["input_last_index"], [jump % 2**62 for jump in values[f"input_{axis}_increment"]], 62
            )
            fine &= extent <= 1 << 15 and high - padding < 1 << 16 and -padding % (1 << 16) not in range(1, extent)
        beats = layer.groups * layer.N * plain.c * tile.c1 * layer.input_height * layer.input_width
        fine &= beats * config.input_beats < 2**32
    else:
        low, high = walked(values["input_last_index"], [jump % 2**62 for jump in values["input_address_increment"]], 62)
        fine &= high < 2**32 - 1
    assert bool(within_limits(hardware, problem, grid)[0]) == fine
    assert bool(excess(hardware, problem, grid)) != fine


BEYOND = {
    "reduction": Layer.gemm("deep", M=1, K=200_000, C=2),
    "rows": Layer.gemm("tall", M=40_000, K=2, C=2),
    "channels": Layer.gemm("endless", M=1, K=2**31 - 1, C=1),
    "memory": Layer.conv("huge", K=4, C=2**14, H=2**14),
}


@pytest.mark.parametrize("layer", BEYOND.values(), ids=BEYOND.keys())
def test_what_the_hardware_cannot_run_is_not_priced(layer):
    costs = SystolicModel().evaluate(SystolicDesigns([SMALLEST], [layer, Layer.gemm("fine", M=2, K=2, C=2)]))
    assert costs.valid.tolist() == [[False, True]]
    assert costs.reason[0, 0] == Reason.COUNTER
    with pytest.raises(NoTilingError, match="allowed up to") as caught:
        schedule(SMALLEST, layer)
    assert caught.value.reason is Reason.COUNTER


def test_a_tiling_within_the_counters_is_found_where_there_is_one():
    """Small tiles of this layer need 100,000 iterations; larger ones do not."""
    config = make_config(rows=2, columns=2)
    layer = Layer.gemm("deep", M=1, K=2, C=200_000)
    with pytest.raises(InputError, match="allowed up to 65536"):
        compile_layer(config, layer, Tiling(1, 1, 1, 1))
    chosen = schedule(config, layer).tiling
    assert (
        excess(
            Hardware.of([config]),
            LayerColumns.of([layer]),
            TileGrid.of(Hardware.of([config]), LayerColumns.of([layer]), chosen.arrays()),
        )
        == ""
    )
    compile_layer(config, layer, chosen)


def test_candidates_are_all_useful_sizes_that_fit():
    """Brute force over every size; a candidate is the smallest size for its number of tiles."""
    for template in Template:
        config = make_config(
            rows=2,
            columns=2,
            template=template.value,
            input_buffer_depth=16,
            weight_buffer_depth=32,
            accumulation_buffer_depth=8,
        )
        layer = Layer.conv("small", K=6, C=5, H=5, R=2)
        found = candidate_tilings(config, layer)
        terms = tile_terms(Hardware.of([config]), LayerColumns.of([layer]), found)
        columns = [getattr(found, field.name)[terms.valid].tolist() for field in fields(found)]
        candidates = list(zip(*columns, strict=True))
        stationary = template is Template.WEIGHT_STATIONARY
        extents = (4, 4, 3, 3) if stationary else (8, 1, 3, 20)
        taps = ((1, 2), (1, 2)) if stationary else ((1,), (1,))

        def useful(extent: int) -> list[int]:
            return sorted({-(-extent // count) for count in range(1, extent + 1)})

        grid = np.meshgrid(*map(useful, extents), *taps, [False, True], indexing="ij")
        rows = [tuple(row) for row in np.stack([axis.reshape(-1) for axis in grid], axis=1).tolist()]
        fitting = [
            (*row[:6], bool(row[6]))
            for row in rows
            if tile_terms(
                Hardware.of([config]), LayerColumns.of([layer]), Tiling(*row[:6], pixels_inner=bool(row[6])).arrays()
            ).valid[0]
        ]
        assert candidates == fitting

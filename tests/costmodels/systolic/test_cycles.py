"""The closed form of the cycles against stepping through the tiles, and the schedule against brute force."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.systolic.columns import Hardware, LayerColumns
from accelgym.costmodels.systolic.config import Template, make_config
from accelgym.costmodels.systolic.cycles import layer_cycles, layer_cycles_by_iteration
from accelgym.costmodels.systolic.energy import EnergyLaw
from accelgym.costmodels.systolic.max_plus import NEVER, apply, power, product
from accelgym.costmodels.systolic.scheduler import (
    NoTilingError,
    Objective,
    Tiling,
    candidate_tilings,
    cycles_lower_bound,
    schedule,
)
from accelgym.costmodels.systolic.tiling import TileTerms, Tilings, tile_terms
from accelgym.costmodels.systolic.traffic import traffic
from accelgym.costmodels.workloads.layer import Layer

LAYERS = (
    Layer.conv("conv", K=10, C=7, H=9, R=3, padding=1),
    Layer.conv("strided", K=12, C=5, H=11, W=8, R=3, S=2, stride=2, N=2),
    Layer.conv("grouped", K=8, C=8, H=6, R=3, padding=1, groups=4),
    Layer.gemm("product", M=13, K=9, C=30, batch=2),
)
CONFIGS = tuple(
    make_config(
        rows=rows,
        columns=columns,
        template=template.value,
        double_buffered_accumulation=double,
        input_buffer_depth=64,
        weight_buffer_depth=48,
        accumulation_buffer_depth=40,
        input_port_bits=24,
        weight_port_bits=16,
        output_port_bits=40,
        memory_latency=latency,
    )
    for rows, columns, double, latency in ((2, 3, True, 4), (4, 2, False, 9))
    for template in Template
)
NAMES = [f"{config.template.value}-{config.rows}x{config.columns}" for config in CONFIGS]


def terms_of(config, layer: Layer) -> tuple[Tilings, TileTerms]:
    tilings = candidate_tilings(config, layer)
    return tilings, tile_terms(Hardware.of([config]), LayerColumns.of([layer]), tilings)


def take(terms: TileTerms, index) -> TileTerms:
    return TileTerms(*(np.broadcast_to(getattr(terms, f.name), terms.stream.shape)[index] for f in fields(TileTerms)))


@pytest.mark.parametrize("config", CONFIGS, ids=NAMES)
@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_powers_of_matrices_count_what_steps_count(config, layer):
    _, terms = terms_of(config, layer)
    valid = np.flatnonzero(terms.valid)
    chosen = np.random.default_rng(0).choice(valid, size=min(40, valid.size), replace=False)
    closed = layer_cycles(take(terms, chosen))
    assert closed.tolist() == [layer_cycles_by_iteration(take(terms, index)) for index in chosen]


@pytest.mark.parametrize("config", CONFIGS, ids=NAMES)
@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_no_tiling_beats_the_schedule(config, layer):
    _, terms = terms_of(config, layer)
    fitting = take(terms, np.flatnonzero(terms.valid))
    cycles = layer_cycles(fitting)
    law = EnergyLaw.of(config)
    energy = law.dynamic(traffic(Hardware.of([config]), fitting)) + law.per_cycle * cycles
    fastest = schedule(config, layer, Objective.LATENCY)
    assert fastest.cycles == cycles.min()
    assert fastest.energy_pj == energy[cycles == cycles.min()].min()
    frugal = schedule(config, layer, Objective.ENERGY)
    assert frugal.energy_pj == energy.min()
    assert frugal.cycles == cycles[energy == energy.min()].min()
    assert np.all(cycles_lower_bound(fitting) <= cycles)


@pytest.mark.parametrize("config", CONFIGS[:2], ids=NAMES[:2])
def test_a_size_left_out_of_the_candidates_is_no_better(config):
    """Candidates hold one size for every number of tiles; all other sizes cost at least as much."""
    layer = Layer.conv("small", K=4, C=3, H=5, R=2)
    best = schedule(config, layer).cycles
    hardware, problem = Hardware.of([config]), LayerColumns.of([layer])
    stationary = config.template is Template.WEIGHT_STATIONARY
    sizes = (
        (range(1, 5), range(1, 5), (1, 2), (1, 2), (1, 2), (1, 2))
        if stationary
        else (range(1, 9), (1,), (1, 2), range(1, 13), (1,), (1,))
    )
    grid = [axis.reshape(-1) for axis in np.meshgrid(*sizes, [False, True], indexing="ij")]
    terms = tile_terms(hardware, problem, Tilings(*grid))
    assert layer_cycles(take(terms, np.flatnonzero(terms.valid))).min() == best


def test_buffers_too_small_for_any_tile_are_named():
    config = make_config(rows=4, columns=2, weight_buffer_depth=3)
    with pytest.raises(NoTilingError, match=r"weight_buffer_depth >= 4 \(is 3\)"):
        schedule(config, LAYERS[0])


def test_vector_layers_are_refused():
    softmax = next(layer for layer in _bert() if not layer.is_compute)
    with pytest.raises(InputError, match="does not run on the array"):
        LayerColumns.of([softmax])


def _bert() -> tuple[Layer, ...]:
    from accelgym.costmodels.workloads.load import load_workload

    return load_workload("bert_base").layers


def test_single_tilings_and_batches_agree():
    config, layer = CONFIGS[0], LAYERS[0]
    tile = schedule(config, layer).tiling
    one = tile_terms(Hardware.of([config]), LayerColumns.of([layer]), tile.arrays())
    assert layer_cycles(one).tolist() == [schedule(config, layer).cycles]
    assert isinstance(tile, Tiling)


matrices = st.integers(2, 4).flatmap(
    lambda n: st.lists(
        st.lists(st.one_of(st.integers(-5, 9), st.just(NEVER)), min_size=n, max_size=n), min_size=n, max_size=n
    )
)


@settings(max_examples=60, deadline=None)
@given(matrix=matrices, exponent=st.integers(0, 9))
def test_powers_are_repeated_products_and_longest_walks(matrix, exponent):
    a = np.array(matrix, dtype=np.int64)
    n = len(a)
    expected = np.where(np.eye(n, dtype=bool), 0, NEVER)
    for _ in range(exponent):
        expected = np.array(
            [
                [max(max(int(expected[i, k]) + int(a[k, j]) for k in range(n)), NEVER) for j in range(n)]
                for i in range(n)
            ]
        )
        expected = np.where(expected < NEVER // 2, NEVER, expected)
    found = power(a[None], np.array([exponent]))[0]
    assert np.array_equal(found, expected)
    start = np.arange(n)
    reached = apply(found[None], start[None])[0]
    assert np.array_equal(reached, np.amax(found + start, -1))
    assert np.array_equal(product(a[None], found[None])[0], power(a[None], np.array([exponent + 1]))[0])

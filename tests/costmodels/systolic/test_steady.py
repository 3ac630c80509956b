"""Extrapolated cycles against the matrices, tiling by tiling."""

from dataclasses import fields

import numpy as np
import pytest

from accelgym.costmodels.systolic import steady
from accelgym.costmodels.systolic.columns import Hardware, LayerColumns
from accelgym.costmodels.systolic.config import make_config
from accelgym.costmodels.systolic.cycles import layer_cycles
from accelgym.costmodels.systolic.scheduler import candidate_tilings
from accelgym.costmodels.systolic.steady import steady_layer_cycles
from accelgym.costmodels.systolic.tiling import TileTerms, tile_terms
from accelgym.costmodels.workloads import Layer

LAYERS = [
    Layer.conv("conv", K=24, C=20, H=13, R=3),
    Layer.gemm("deep", M=7, K=600, C=72),
    Layer.gemm("wide", M=300, K=40, C=200),
]


def drawn_terms(template, seed, count):
    """Terms of random tilings of random layers with random ports, shape ``(count,)``."""
    rng = np.random.default_rng(seed)
    parts = []
    for layer in LAYERS:
        for ports in (32, 128):
            config = make_config(
                rows=int(rng.choice([4, 8, 12])),
                columns=int(rng.choice([4, 8, 12])),
                template=template,
                input_buffer_depth=128,
                weight_buffer_depth=256,
                accumulation_buffer_depth=64,
                input_port_bits=ports,
                weight_port_bits=32,
                output_port_bits=int(rng.choice([32, 64])),
            )
            terms = tile_terms(Hardware.of([config]), LayerColumns.of([layer]), candidate_tilings(config, layer))
            good = np.flatnonzero(terms.valid)
            chosen = rng.choice(good, count)
            shape = terms.valid.shape
            columns = (np.broadcast_to(getattr(terms, f.name), shape)[chosen] for f in fields(TileTerms))
            parts.append(TileTerms(*columns))
    return TileTerms(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(TileTerms)))


@pytest.mark.parametrize("template", ["weight_stationary", "output_stationary"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_steady_count_is_that_of_the_matrices(template, seed):
    terms = drawn_terms(template, seed, 60)
    np.testing.assert_array_equal(steady_layer_cycles(terms), layer_cycles(terms))


def test_hardly_any_tiling_needs_the_matrices(monkeypatch):
    asked = []
    monkeypatch.setattr(steady, "layer_cycles", lambda terms: asked.append(len(terms.outer)) or layer_cycles(terms))
    terms = drawn_terms("weight_stationary", 3, 100)
    steady_layer_cycles(terms)
    assert sum(asked) < 0.2 * len(terms.outer)

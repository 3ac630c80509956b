"""The spans of the engines: they never overlap, add up to the counted work and end with the layer."""

import itertools
from dataclasses import fields

import pytest

from accelgym.costmodels.systolic.columns import Hardware, LayerColumns
from accelgym.costmodels.systolic.config import make_config
from accelgym.costmodels.systolic.cycles import OUTPUT_LATENCY
from accelgym.costmodels.systolic.model import SystolicDesigns, SystolicModel
from accelgym.costmodels.systolic.scheduler import schedule
from accelgym.costmodels.systolic.tiling import TileTerms, tile_terms
from accelgym.costmodels.systolic.timeline import ENGINES, timeline
from accelgym.costmodels.workloads.layer import Layer

LAYERS = (
    Layer.conv("conv", K=24, C=20, H=12, R=3, padding=1, stride=2),
    Layer.gemm("product", M=50, K=33, C=70, batch=2),
)


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
@pytest.mark.parametrize("template", ["weight_stationary", "output_stationary"])
@pytest.mark.parametrize("double", [False, True])
def test_spans_are_the_work_of_the_layer(template, double, layer):
    config = make_config(
        rows=8,
        columns=4,
        template=template,
        double_buffered_accumulation=double,
        input_buffer_depth=64,
        weight_buffer_depth=64,
        accumulation_buffer_depth=32,
    )
    chosen = schedule(config, layer)
    terms = tile_terms(Hardware.of([config]), LayerColumns.of([layer]), chosen.tiling.arrays())
    spans = list(timeline(TileTerms(*(getattr(terms, field.name)[0] for field in fields(TileTerms)))))
    assert max(span.end for span in spans) + OUTPUT_LATENCY == chosen.cycles
    busy = {}
    for engine in ENGINES:
        own = [span for span in spans if span.engine == engine]
        assert all(before.end <= after.start for before, after in itertools.pairwise(own))
        busy[engine] = sum(span.end - span.start for span in own)
    costs = SystolicModel().evaluate(SystolicDesigns([config], [layer])).breakdown
    assert busy["input port"] == costs["busy_input_port_cycles"][0, 0]
    assert busy["weight port"] == costs["busy_weight_port_cycles"][0, 0]
    assert busy["output port"] == costs["busy_drain_cycles"][0, 0]
    # The array idles where a pass is longer than its words.
    assert busy["array"] <= costs["busy_array_cycles"][0, 0]

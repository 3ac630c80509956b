"""Grouping against pairwise comparison."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from accelgym.costmodels.architecture import LoopNest
from accelgym.costmodels.workloads import Layer, get_workload
from accelgym.costmodels.workloads.equal_layers import EqualLayers, unnamed

KINDS = (
    Layer.conv("a", K=4, C=3, H=8, R=3),
    Layer.conv("a", K=4, C=3, H=8, R=3, stride=2),
    Layer.gemm("a", M=4, K=8, C=3),
)


@given(st.lists(st.integers(0, len(KINDS) - 1), max_size=12))
def test_layers_share_a_group_when_they_differ_in_name_only(kinds):
    layers = [replace(KINDS[kind], name=f"layer{i}") for i, kind in enumerate(kinds)]
    found = EqualLayers.of(layers)
    np.testing.assert_array_equal(
        found.group[:, None] == found.group[None, :],
        np.array([[unnamed(a) == unnamed(b) for b in layers] for a in layers]).reshape(len(layers), len(layers)),
    )
    assert found.first == tuple(layers[int(np.flatnonzero(found.group == g)[0])] for g in range(len(found.first)))
    assert found.counts.sum() == len(layers)
    assert [found.first[g].name for g in dict.fromkeys(found.group.tolist())] == [x.name for x in found.first]


def test_loop_nests_are_grouped_like_their_layers():
    layers = get_workload("resnet18").compute_layers
    nests = EqualLayers.of(LoopNest.from_layer(layer) for layer in layers)
    np.testing.assert_array_equal(nests.group, EqualLayers.of(layers).group)
    assert len(nests.first) < len(layers)

"""Layers against PyTorch's output sizes and against counting loops one by one."""

import itertools

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.workloads import Layer, LayerKind, Workload

small = st.integers(1, 3)


@settings(max_examples=60, deadline=None)
@given(small, small, small, st.integers(1, 9), st.integers(1, 9), small, small, small, small, st.integers(0, 2), small)
def test_conv_has_the_size_and_work_of_pytorch(n, k, c, h, w, r, s, stride, dilation, padding, groups):
    span_h, span_w = dilation * (r - 1) + 1, dilation * (s - 1) + 1
    assume(span_h <= h + 2 * padding and span_w <= w + 2 * padding)
    # Layers whose outputs touch nothing but padding are refused.
    reach = [(n - span) // stride * stride + span for n, span in ((h + 2 * padding, span_h), (w + 2 * padding, span_w))]
    assume(min(reach) > 2 * padding)
    x, weight = torch.ones(n, c * groups, h, w), torch.ones(k * groups, c, r, s)
    out = torch.nn.functional.conv2d(x, weight, stride=stride, padding=padding, dilation=dilation, groups=groups)
    layer = Layer.conv(
        "x",
        N=n,
        K=k * groups,
        C=c * groups,
        H=h,
        W=w,
        R=r,
        S=s,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
    )
    assert tuple(out.shape) == (layer.N, layer.K, layer.P, layer.Q)
    assert layer.output_words == out.numel()
    assert layer.weight_words == weight.numel()
    # With ones and no padding every output counts its multiplications.
    full = torch.nn.functional.conv2d(
        torch.ones(n, c * groups, h + 2 * padding, w + 2 * padding),
        weight,
        stride=stride,
        dilation=dilation,
        groups=groups,
    )
    assert layer.macs == int(full.sum())


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.integers(1, 3))
def test_gemm_counts_one_multiplication_per_loop_iteration(m, k, c, batch):
    layer = Layer.gemm("x", M=m, K=k, C=c, batch=batch)
    loops = list(itertools.product(range(batch), range(m), range(k), range(c)))
    assert layer.macs == len(loops)
    assert layer.input_words == len({(b, i, j) for b, i, _, j in loops})
    assert layer.weight_words == len({(b, i, j) for b, _, i, j in loops})
    assert layer.output_words == len({(b, i, j) for b, i, j, _ in loops})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"K": 0, "C": 1, "H": 1}, "K is 0"),
        ({"K": 2**31, "C": 1, "H": 1}, "K is 2147483648"),
        ({"K": 1.0, "C": 1, "H": 1}, "K is 1.0"),
        ({"K": 1, "C": 1, "H": 2, "R": 3}, "kernel height 3"),
        ({"K": 1, "C": 1, "H": 3, "R": 3, "S": 3, "dilation": 2}, "kernel height 5"),
        ({"K": 3, "C": 2, "H": 4, "groups": 2}, "must divide"),
        ({"K": 1, "C": 1, "H": 4, "stride": 0}, "stride"),
        ({"K": 2**20, "C": 2**20, "H": 2**10}, "2\\*\\*53"),
    ],
)
def test_impossible_layers_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        Layer.conv("x", **arguments)


def test_workloads_refuse_bad_graphs():
    a, b = Layer("a", LayerKind.NORM, K=4), Layer("b", LayerKind.NORM, K=4)
    with pytest.raises(InputError, match="no layers"):
        Workload("w", ())
    with pytest.raises(InputError, match="both named"):
        Workload("w", (a, a))
    for edge in ((1, 0), (0, 0), (0, 2), (-1, 1)):
        with pytest.raises(InputError, match="edge"):
            Workload("w", (a, b), (edge,))


def test_a_selection_keeps_the_edges_among_its_layers():
    layers = [Layer(name, LayerKind.NORM, K=4) for name in "abcd"]
    part = Workload.chain("w", layers).select(["d", "b", "c"])
    assert [layer.name for layer in part.layers] == ["b", "c", "d"]
    assert part.edges == ((0, 1), (1, 2))
    with pytest.raises(InputError, match="'z'"):
        part.select(["z"])

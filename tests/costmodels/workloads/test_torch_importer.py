"""Traced PyTorch modules: work against PyTorch's own FLOP counter, and the graph against the code."""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from accelgym.costmodels.errors import InputError, InputWarning
from accelgym.costmodels.workloads import LayerKind
from accelgym.costmodels.workloads.importers import import_torch


class SmallResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.conv1, self.bn1 = nn.Conv2d(8, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16)
        self.conv2, self.bn2 = nn.Conv2d(16, 16, 3, 1, "same", bias=False), nn.BatchNorm2d(16)
        self.down = nn.Sequential(nn.Conv2d(8, 16, 1, 2, bias=False), nn.BatchNorm2d(16))
        self.fc = nn.Linear(16, 10)

    def forward(self, x):
        x = self.pool(self.stem(x))
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        y += self.down(x)
        return self.fc(F.adaptive_avg_pool2d(F.relu(y), 1).flatten(1))


class Separable(nn.Module):
    def __init__(self):
        super().__init__()
        self.depthwise = nn.Conv2d(6, 12, 3, padding=2, dilation=2, groups=6)
        self.pointwise = nn.Conv2d(12, 20, 1)
        self.norm = nn.GroupNorm(4, 20)
        self.line = nn.Conv1d(20, 5, 3)

    def forward(self, x):
        x = F.silu(self.norm(self.pointwise(self.depthwise(x))))
        return self.line(x.mean(dim=3)).mean(dim=(0, 2))


class DecoderBlock(nn.Module):
    def __init__(self, d=32, heads=4, kv_heads=2, ffn=64):
        super().__init__()
        self.heads, self.kv_heads, self.width = heads, kv_heads, d // heads
        self.norm1, self.norm2 = nn.RMSNorm(d), nn.RMSNorm(d)
        self.q, self.o = nn.Linear(d, d, bias=False), nn.Linear(d, d, bias=False)
        self.k, self.v = (nn.Linear(d, kv_heads * self.width, bias=False) for _ in range(2))
        self.gate, self.up, self.down = nn.Linear(d, ffn), nn.Linear(d, ffn), nn.Linear(ffn, d)

    def forward(self, x):
        b, t, d = x.shape
        y = self.norm1(x)
        q = self.q(y).view(b, t, self.heads, self.width).transpose(1, 2)
        k = self.k(y).view(b, t, self.kv_heads, self.width).transpose(1, 2)
        v = self.v(y).view(b, t, self.kv_heads, self.width).transpose(1, 2)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        x = x + self.o(y.transpose(1, 2).reshape(b, t, d))
        y = self.norm2(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


class ManualAttention(nn.Module):
    """Attention by hand: constants, broadcasting, einsum, baddbmm, stack and split."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(50, 16)
        self.register_buffer("mask", torch.tril(torch.ones(6, 6)))
        self.table = nn.Parameter(torch.randn(6, 16))
        self.qkv = nn.Linear(16, 48)

    def forward(self, ids):
        x = self.embed(ids) + self.table
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        scores = torch.einsum("bqd,bkd->bqk", q, k) * 0.25
        scores = scores.masked_fill(self.mask == 0, -1e9).softmax(-1)
        y = torch.baddbmm(x, scores, v)
        return torch.stack([y, x]) @ self.table.T


def counted_macs(module, inputs):
    # With gradients: the fused kernels of attention modules are not counted.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        module(*inputs)
    return counter.get_total_flops() // 2


def edges(workload):
    return {(workload.layers[a].name, workload.layers[b].name) for a, b in workload.edges}


MODULES = {
    "resnet": (SmallResNet, (torch.randn(2, 3, 32, 30),)),
    "separable": (Separable, (torch.randn(2, 6, 9, 9),)),
    "encoder": (lambda: nn.TransformerEncoderLayer(32, 4, 64, batch_first=True), (torch.randn(2, 7, 32),)),
    "encoder_norm_first": (lambda: nn.TransformerEncoderLayer(32, 4, 64, norm_first=True), (torch.randn(7, 2, 32),)),
    "attention": (lambda: nn.MultiheadAttention(32, 4, batch_first=True), (torch.randn(2, 7, 32),) * 3),
    "cross_attention": (
        lambda: nn.MultiheadAttention(32, 4, kdim=24, vdim=16),
        (torch.randn(5, 2, 32), torch.randn(7, 2, 24), torch.randn(7, 2, 16)),
    ),
    "decoder": (DecoderBlock, (torch.randn(2, 7, 32),)),
    "manual": (ManualAttention, (torch.randint(0, 50, (2, 6)),)),
}


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("name", MODULES)
def test_macs_are_those_that_pytorch_counts(name, mode):
    make, inputs = MODULES[name]
    module = make().train(mode == "train")
    workload = import_torch(module, inputs, name=name)
    assert workload.name == name
    assert workload.macs == counted_macs(module, inputs) > 0
    assert module.training is (mode == "train")


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([1, 2, 4]),
    st.integers(1, 3),
    st.integers(1, 2),
    st.integers(0, 2),
    st.integers(1, 2),
    st.integers(4, 9),
    st.integers(4, 9),
)
def test_any_convolution(groups, kernel, stride, padding, dilation, height, width):
    span = dilation * (kernel - 1) + 1
    assume(span <= min(height, width) + 2 * padding)
    reach = [(n + 2 * padding - span) // stride * stride + span for n in (height, width)]
    assume(min(reach) > 2 * padding)
    module = nn.Conv2d(4, 8, kernel, stride, padding, dilation, groups)
    x = torch.randn(2, 4, height, width)
    layer = import_torch(module, (x,)).layers[0]
    assert tuple(module(x).shape) == (layer.N, layer.K, layer.P, layer.Q)
    assert layer.macs == counted_macs(module, (x,))
    assert layer.weight_words == module.weight.numel()


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_any_matrix_product(data):
    sizes = st.sampled_from([1, 2, 3])
    batch = data.draw(st.lists(sizes, max_size=2))
    other = [data.draw(st.sampled_from([1, n])) for n in batch][data.draw(st.integers(0, len(batch))) :]
    m, c, k = (data.draw(st.integers(1, 4)) for _ in range(3))
    a, b = torch.randn(*batch, m, c), torch.randn(*other, c, k)
    constant = data.draw(st.sampled_from(["none", "a", "b"]))

    class Product(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Parameter(a), nn.Parameter(b)

        def forward(self, x, y):
            return (self.a if constant == "a" else x) @ (self.b if constant == "b" else y)

    workload = import_torch(Product(), (a, b))
    out = a @ b
    assert sum(layer.macs for layer in workload.compute_layers) == out.numel() * c
    assert sum(layer.output_words for layer in workload.compute_layers) == out.numel()
    assert workload.parameters == {"none": 0, "a": a.numel(), "b": b.numel()}[constant]


def test_batch_norm_is_folded_in_evaluation_only():
    inputs = MODULES["resnet"][1]
    folded = import_torch(SmallResNet().eval(), inputs)
    assert not [layer for layer in folded.layers if layer.kind is LayerKind.NORM]
    training = import_torch(SmallResNet().train(), inputs)
    assert len([layer for layer in training.layers if layer.kind is LayerKind.NORM]) == 4


def test_batch_norm_of_a_tensor_read_twice_stays():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.bn = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

        def forward(self, x):
            y = self.conv(x)
            return y + self.bn(y)

    workload = import_torch(Net().eval(), (torch.randn(1, 3, 4, 4),))
    assert edges(workload) == {("conv", "bn"), ("conv", "add"), ("bn", "add")}


def test_residual_edges_skip_and_pass_through_views():
    workload = import_torch(SmallResNet().eval(), MODULES["resnet"][1])
    assert edges(workload) == {
        ("stem.0", "stem.2"),
        ("stem.2", "pool"),
        ("pool", "conv1"),
        ("conv1", "relu"),
        ("relu", "conv2"),
        ("pool", "down.0"),
        ("conv2", "add"),
        ("down.0", "add"),
        ("add", "relu_1"),
        ("relu_1", "adaptive_avg_pool2d"),
        ("adaptive_avg_pool2d", "fc"),
    }


def test_an_operation_in_place_changes_what_is_read_later():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            y = self.a(x)
            F.relu_(y)
            return self.b(y)

    workload = import_torch(Net(), (torch.randn(3, 4),))
    assert edges(workload) == {("a", "relu"), ("relu", "b")}


def test_grouped_queries_are_rows_of_one_product():
    workload = import_torch(DecoderBlock().eval(), MODULES["decoder"][1])
    by_name = {layer.name: layer for layer in workload.layers}
    scores, context = by_name["attention.scores"], by_name["attention.context"]
    assert (scores.groups, scores.P, scores.K // scores.groups, scores.C // scores.groups) == (4, 14, 7, 8)
    assert (context.groups, context.P, context.K // context.groups, context.C // context.groups) == (4, 14, 8, 7)
    assert not scores.weights_are_parameters
    assert scores.weight_words == by_name["k"].output_words
    assert context.input_words == by_name["attention.softmax"].output_words
    assert {("q", "attention.scores"), ("k", "attention.scores"), ("v", "attention.context")} <= edges(workload)
    assert {("norm1", "q"), ("norm1", "k"), ("norm1", "v"), ("add", "add_1"), ("up", "mul")} <= edges(workload)
    assert by_name["norm1"].op == "rms_norm"
    assert workload.parameters == sum(p.numel() for p in DecoderBlock().parameters() if p.dim() == 2)


def test_masks_and_tables_are_constants():
    workload = import_torch(ManualAttention().eval(), MODULES["manual"][1])
    kinds = [layer.kind for layer in workload.layers]
    assert kinds.count(LayerKind.EMBEDDING) == 1
    # The comparison of the mask with zero is known beforehand and gives no layer.
    assert [layer.op for layer in workload.layers if layer.kind is LayerKind.ELEMENTWISE] == [
        "add",
        "mul",
        "masked_fill",
        "add",
    ]
    last = workload.compute_layers[-1]
    assert (last.weights_are_parameters, last.weight_words) == (True, 6 * 16)


@pytest.mark.parametrize(
    "make",
    [
        torch.zeros_like,
        torch.randn_like,
        lambda x: x.new_zeros(4),
        lambda x: x.new_full((2, 4), 3.0),
        lambda x: torch.full_like(x, 2.0),
        lambda x: torch.arange(x.shape[1]),
    ],
)
def test_tensors_made_from_a_shape_are_constants(make):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 8)

        def forward(self, x):
            y = F.relu(x)
            return self.fc(y + make(y))

    workload = import_torch(Net(), (torch.zeros(2, 4),))
    assert workload.macs == 64
    assert edges(workload) == {("relu", "add"), ("add", "fc")}


def test_regions_of_other_modes_run_as_if_they_stood_in_the_graph():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(4, 6), nn.Linear(6, 4)

        def forward(self, x):
            with torch.no_grad():
                y, z = self.a(x), F.relu(x)
            with torch.autocast("cpu", enabled=False):
                y = self.b(y)
            return y @ z.T

    workload = import_torch(Net(), (torch.randn(3, 4),))
    assert workload.macs == counted_macs(Net(), (torch.randn(3, 4),))
    assert edges(workload) == {("a", "b"), ("b", "matmul"), ("relu", "matmul")}


@pytest.mark.filterwarnings("ignore::accelgym.costmodels.errors.InputWarning")
@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.LSTM(4, 5, 2, bidirectional=True, proj_size=3), (7, 2, 4)),
        (nn.LSTM(4, 5, bias=False, batch_first=True), (2, 7, 4)),
        (nn.GRU(4, 5, 2, batch_first=True), (2, 7, 4)),
        (nn.RNN(4, 5, nonlinearity="relu", bidirectional=True), (7, 4)),
        (nn.Conv3d(4, 8, (3, 2, 3), (2, 1, 1), (1, 0, 1), (1, 2, 1), groups=2), (2, 4, 6, 7, 8)),
        (nn.Conv3d(4, 4, 3, groups=4), (4, 6, 7, 8)),
        (nn.ConvTranspose1d(4, 6, 3, 2, 1), (2, 4, 9)),
        (nn.ConvTranspose2d(4, 6, 3, 2, 1, groups=2), (2, 4, 5, 9)),
        (nn.ConvTranspose2d(4, 6, 2, 2), (4, 5, 9)),
        (nn.ConvTranspose3d(4, 6, 3, 2, 1, dilation=2), (2, 4, 5, 4, 3)),
    ],
    ids=lambda value: str(value).partition("(")[0] if isinstance(value, nn.Module) else "x".join(map(str, value)),
)
def test_recurrent_transposed_and_three_dimensional_modules(module, shape):
    workload = import_torch(module, (torch.randn(shape),))
    out = module(torch.randn(shape))
    with torch.backends.mkldnn.flags(enabled=False):  # its fused LSTM is not counted
        assert workload.macs == counted_macs(module, (torch.randn(shape),))
    assert workload.parameters == sum(p.numel() for p in module.parameters() if p.dim() > 1)
    final = [i for i in range(len(workload.layers)) if not any(a == i for a, _ in workload.edges)]
    words = sum(workload.layers[i].output_words for i in final)
    assert words == (out[0] if isinstance(out, tuple) else out).numel()


def test_a_pooling_over_three_axes_reads_what_it_should():
    module = nn.Sequential(nn.Conv3d(3, 4, 3), nn.BatchNorm3d(4), nn.MaxPool3d(2), nn.AdaptiveAvgPool3d(1)).eval()
    conv, pool, mean = import_torch(module, (torch.randn(2, 3, 10, 8, 8),)).layers
    assert conv.output_words == 2 * 4 * 8 * 6 * 6
    assert pool.input_words == conv.output_words
    assert pool.output_words == mean.input_words == 2 * 4 * 4 * 3 * 3
    assert mean.output_words == 8


def test_operators_that_are_not_known_are_replaced_by_their_decomposition():
    class Cell(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = nn.LSTMCell(4, 5)

        def forward(self, x, h, c):
            return self.cell(x, (h, c))

    inputs = (torch.randn(2, 4), torch.randn(2, 5), torch.randn(2, 5))
    workload = import_torch(Cell(), inputs)
    assert workload.macs == counted_macs(Cell(), inputs) == 2 * 20 * 9


def test_an_operator_without_decomposition_that_keeps_a_shape_is_vector_work_and_said():
    class Net(nn.Module):
        def forward(self, x):
            return torch.special.bessel_j0(x) @ x

    with pytest.warns(InputWarning, match="module 'Net': operator special_bessel_j0 is counted as vector work"):
        workload = import_torch(Net(), (torch.randn(4, 4),))
    assert edges(workload) == {("special_bessel_j0", "matmul")}


class Calls(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


@pytest.mark.parametrize(
    ("function", "shapes", "macs"),
    [
        (torch.addbmm, [(3, 5), (2, 3, 4), (2, 4, 5)], 2 * 3 * 4 * 5),
        (torch.addmv, [(3,), (3, 4), (4,)], 3 * 4),
        (lambda a, b: torch._int_mm(a.to(torch.int8), b.to(torch.int8)), [(32, 8), (8, 16)], 32 * 8 * 16),
    ],
)
def test_products_that_add_or_are_whole_numbers(function, shapes, macs):
    assert import_torch(Calls(function), tuple(torch.randn(shape) for shape in shapes)).macs == macs


def test_products_of_unknown_kind_are_no_vector_work():
    inputs = (torch.randn(4, 4), torch.randn(4), torch.randn(4, 4))
    with pytest.raises(InputError, match=r"operator 'ormqr' .*is not supported"):
        import_torch(Calls(torch.ormqr), inputs)


class Choosing(nn.Module):
    def forward(self, x):
        return torch.cond(x.sum() > 0, lambda a: a @ a, lambda a: a + a, (x,))


class ChoosingByConstant(nn.Module):
    """Nothing of the operator's stated inputs depends on the input of the network."""

    def __init__(self):
        super().__init__()
        self.register_buffer("flag", torch.tensor(True))
        self.w = nn.Parameter(torch.randn(4, 4))

    def forward(self, x):
        return torch.cond(self.flag, lambda a: a @ a, lambda a: a + a, (self.w,)) @ x


class Dynamic(nn.Module):
    def forward(self, x):
        return x[x > 0]


class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


@pytest.mark.parametrize(
    ("module", "inputs", "message"),
    [
        (nn.Sequential(nn.FractionalMaxPool2d(2, 3)), (torch.randn(1, 3, 8, 8),), "in module '0'.* is not supported"),
        (Choosing(), (torch.randn(4, 4),), "operator 'cond' .*data decide what is computed"),
        (ChoosingByConstant(), (torch.randn(4, 4),), "operator 'cond' "),
        (nn.Sequential(nn.FractionalMaxPool2d(2, 3)), (torch.randn(1, 3, 8, 8),), "'fractional_max_pool2d'"),
        (Branching(), (torch.randn(3),), "'Branching' cannot be traced by torch.export"),
        (nn.Linear(4, 5), (torch.randn(3, 7),), "'Linear' cannot be traced"),
        (Dynamic(), (torch.randn(3),), "allowed: fixed sizes|cannot be traced|not supported"),
        (nn.Identity(), (torch.randn(3),), "has no layers"),
    ],
)
def test_refusals_name_the_module_and_the_operator(module, inputs, message):
    with pytest.raises(InputError, match=message):
        import_torch(module, inputs)

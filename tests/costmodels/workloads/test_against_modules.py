"""Zoo blocks against independent PyTorch modules: multiplications and weights counted by PyTorch."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from accelgym.costmodels.workloads import get_workload


def counted_macs(module, *inputs):
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter, torch.no_grad():
        module(*inputs)
    return counter.get_total_flops() // 2


def weights(module):
    """Elements of matrices and filters: what has more than one axis."""
    return sum(p.numel() for p in module.parameters() if p.dim() > 1)


class MambaMixer(nn.Module):
    """Mamba without the recurrence itself, which has no product."""

    def __init__(self, width, directions):
        super().__init__()
        inner, rank = 2 * width, width // 16
        self.rank = rank
        self.in_proj = nn.Linear(width, 2 * inner, bias=False)
        self.conv = nn.ModuleList(nn.Conv1d(inner, inner, 4, groups=inner, padding=3) for _ in range(directions))
        self.x_proj = nn.ModuleList(nn.Linear(inner, rank + 32, bias=False) for _ in range(directions))
        self.dt_proj = nn.ModuleList(nn.Linear(rank, inner) for _ in range(directions))
        self.out_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x):
        u, z = self.in_proj(x).chunk(2, dim=-1)
        y = 0
        for conv, x_proj, dt_proj in zip(self.conv, self.x_proj, self.dt_proj, strict=True):
            # Without the padding behind the end: F.conv1d on an input padded in front is the causal convolution.
            front = F.pad(u.transpose(1, 2), (3, 0))
            v = F.silu(F.conv1d(front, conv.weight, conv.bias, groups=conv.groups)).transpose(1, 2)
            y = y + dt_proj(x_proj(v)[..., : self.rank])
        return self.out_proj(y * F.silu(z))


class UNetBlock(nn.Module):
    """Residual block and transformer block of Stable Diffusion 1.5 at 320 channels."""

    def __init__(self, width=320, time=1280, text=768, heads=8):
        super().__init__()
        self.heads = heads
        self.conv1, self.conv2 = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
        self.time = nn.Linear(time, width)
        self.proj_in, self.proj_out = nn.Conv2d(width, width, 1), nn.Conv2d(width, width, 1)
        self.q1, self.k1, self.v1, self.o1 = (nn.Linear(width, width) for _ in range(4))
        self.q2, self.o2 = nn.Linear(width, width), nn.Linear(width, width)
        self.k2, self.v2 = nn.Linear(text, width), nn.Linear(text, width)
        self.up, self.down = nn.Linear(width, 8 * width), nn.Linear(4 * width, width)

    def split(self, x):
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, x, time, text):
        x = self.proj_in(x + self.conv2(self.conv1(x) + self.time(time)[..., None, None]))
        t = x.flatten(2).transpose(1, 2)
        y = F.scaled_dot_product_attention(self.split(self.q1(t)), self.split(self.k1(t)), self.split(self.v1(t)))
        t = t + self.o1(y.transpose(1, 2).flatten(2))
        y = F.scaled_dot_product_attention(self.split(self.q2(t)), self.split(self.k2(text)), self.split(self.v2(text)))
        t = t + self.o2(y.transpose(1, 2).flatten(2))
        gate, value = self.up(t).chunk(2, dim=-1)
        t = t + self.down(F.gelu(gate) * value)
        return self.proj_out(t.transpose(1, 2).reshape(x.shape))


class DecoderBlock(nn.Module):
    """Grouped-query attention over a cache and SwiGLU."""

    def __init__(self, width, heads, kv_heads, head_dim, ffn):
        super().__init__()
        self.head_dim = head_dim
        self.q, self.o = nn.Linear(width, heads * head_dim, bias=False), nn.Linear(heads * head_dim, width, bias=False)
        self.k, self.v = (nn.Linear(width, kv_heads * head_dim, bias=False) for _ in range(2))
        self.gate, self.up = nn.Linear(width, ffn, bias=False), nn.Linear(width, ffn, bias=False)
        self.down = nn.Linear(ffn, width, bias=False)

    def split(self, x):
        return x.unflatten(-1, (-1, self.head_dim)).transpose(1, 2)

    def forward(self, x, keys, values):
        keys = torch.cat([keys, self.split(self.k(x))], 2)
        values = torch.cat([values, self.split(self.v(x))], 2)
        y = F.scaled_dot_product_attention(self.split(self.q(x)), keys, values, enable_gqa=True)
        x = x + self.o(y.transpose(1, 2).flatten(2))
        return x + self.down(F.silu(self.gate(x)) * self.up(x))


@pytest.fixture(autouse=True)
def on_meta_device():
    """Shapes are all that counts: no memory, no arithmetic."""
    with torch.device("meta"):
        yield


@pytest.mark.parametrize(("name", "width", "directions"), [("mamba_130m", 768, 1), ("vim_tiny", 192, 2)])
def test_state_space_blocks(name, width, directions):
    module = MambaMixer(width, directions)
    tokens = 512 if directions == 1 else 197
    workload = get_workload(f"{name}/block?batch=2")
    assert workload.macs == counted_macs(module, torch.empty(2, tokens, width))
    assert workload.parameters == weights(module)


def test_diffusion_block():
    module = UNetBlock()
    inputs = torch.empty(2, 320, 32, 32), torch.empty(2, 1280), torch.empty(2, 77, 768)
    workload = get_workload("stable_diffusion_1_5/block?batch=2&latent=32")
    assert workload.macs == counted_macs(module, *inputs)
    assert workload.parameters == weights(module)


@pytest.mark.parametrize(
    ("name", "shape"), [("llama3_8b", (4096, 32, 8, 128, 14336)), ("llama3_2_1b", (2048, 32, 8, 64, 8192))]
)
@pytest.mark.parametrize(
    ("variant", "fresh", "cached"), [("prefill_block?sequence=100&batch=3", 100, 0), ("decode_block?batch=3", 1, 1023)]
)
def test_decoder_blocks(name, shape, variant, fresh, cached):
    width, _, kv_heads, head_dim, _ = shape
    module = DecoderBlock(*shape)
    cache = torch.empty(3, kv_heads, cached, head_dim)
    workload = get_workload(f"{name}/{variant}")
    assert workload.macs == counted_macs(module, torch.empty(3, fresh, width), cache, cache)
    assert workload.parameters == weights(module)

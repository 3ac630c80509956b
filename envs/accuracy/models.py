"""The networks that ship with the project: a residual CNN, a vision transformer and a language model, all small."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from accelgym.envs.accuracy.glyphs import CHARACTERS, IMAGE_SIZE
from accelgym.envs.accuracy.text import CONTEXT, SYMBOLS

__all__ = ["GlyphCnn", "GlyphVit", "TextLm"]


def _conv(inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class _Inverted(nn.Module):
    """Expansion, depthwise convolution, projection; a skip connection where the shapes allow it (MobileNetV2)."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, expansion: int = 3) -> None:
        super().__init__()
        width = inputs * expansion
        self.expand = _conv(inputs, width, 1)
        self.depthwise = _conv(width, width, 3, stride, groups=width)
        self.project = _conv(width, outputs, 1)
        self.skips = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.project(F.relu(self.depthwise(F.relu(self.expand(x)))))
        return out + x if self.skips else out


class _Residual(nn.Module):
    """Two 3x3 convolutions beside a 1x1 shortcut (ResNet)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = _conv(inputs, outputs, 3, stride)
        self.second = _conv(outputs, outputs, 3)
        self.shortcut = _conv(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(F.relu(self.first(x))) + self.shortcut(x))


class GlyphCnn(nn.Module):
    """Residual and depthwise convolutions on images of characters: ``(n, 1, 24, 24)`` to ``(n, classes)``."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _conv(1, 24, 3, stride=2)
        self.narrow = _Inverted(24, 24, expansion=2)
        self.residual = _Residual(24, 40, stride=2)
        self.wide = _Inverted(40, 40)
        self.last = _Inverted(40, 64, stride=2)
        self.head = nn.Linear(64, len(CHARACTERS))

    def forward(self, images: Tensor) -> Tensor:
        x = self.narrow(F.relu(self.stem(images)))
        x = F.relu(self.last(self.wide(self.residual(x))))
        logits: Tensor = self.head(x.mean(dim=(2, 3)))
        return logits


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int, causal: bool) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        self.heads, self.causal = heads, causal

    def forward(self, x: Tensor) -> Tensor:
        n, length, width = x.shape
        parts = self.qkv(x).reshape(n, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = parts[0], parts[1], parts[2]
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        out: Tensor = self.project(mixed.transpose(1, 2).reshape(n, length, width))
        return out


class _Block(nn.Module):
    def __init__(self, width: int, heads: int, hidden: int, causal: bool) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = _Attention(width, heads, causal)
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        out: Tensor = x + self.fc2(F.gelu(self.fc1(self.norm2(x))))
        return out


class GlyphVit(nn.Module):
    """A vision transformer on images of characters: 36 patches of 4x4, width 48, three blocks.

    Two convolutions make the patches, with which transformers train faster (Xiao et al., "Early Convolutions Help
    Transformers See Better", NeurIPS 2021).
    """

    def __init__(self) -> None:
        super().__init__()
        width, patch = 48, 4
        self.edges, self.patches = _conv(1, 24, 3, stride=2), _conv(24, width, 3, stride=2)
        self.position = nn.Parameter(torch.zeros((IMAGE_SIZE // patch) ** 2, width))
        self.blocks = nn.ModuleList(_Block(width, 3, 2 * width, causal=False) for _ in range(3))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, len(CHARACTERS))

    def forward(self, images: Tensor) -> Tensor:
        x = self.patches(F.relu(self.edges(images))).flatten(2).transpose(1, 2) + self.position
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(self.norm(x).mean(dim=1))
        return logits


class TextLm(nn.Module):
    """A decoder over characters: width 64, three blocks; ``(n, CONTEXT)`` tokens to logits of the next ones."""

    def __init__(self) -> None:
        super().__init__()
        width = 64
        self.symbol = nn.Embedding(len(SYMBOLS), width)
        self.position = nn.Parameter(torch.zeros(CONTEXT, width))
        self.blocks = nn.ModuleList(_Block(width, 4, 3 * width, causal=True) for _ in range(3))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, len(SYMBOLS))

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.symbol(tokens) + self.position
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(self.norm(x))
        return logits

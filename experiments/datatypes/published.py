"""Accuracies that others published."""

from __future__ import annotations

__all__ = ["PUBLISHED", "PUBLISHED_TYPES"]

PUBLISHED_TYPES = {
    "bf16": ("bf16", "tensor"),
    "e4m3": ("e4m3", "tensor"),
    "posit8": ("posit8_1", "tensor"),
    "int8": ("int8", "channel"),
    "mxint8": ("int8", "block"),
}
"""Columns of the table below, with the type and scheme of ours that is nearest to each."""

PUBLISHED = {
    "ResNet-18": (71.5, 70.0, 69.2, 69.1, 71.5, 70.7),
    "ResNet-50": (80.4, 81.1, 78.8, 79.4, 78.7, 79.8),
    "ViT-Base": (84.1, 84.3, 83.8, 84.0, 75.4, 84.0),
    "MobileNetV2": (71.1, 70.1, 62.5, 63.8, 66.0, 71.3),
    "MobileBERT-tiny": (90.8, 90.7, 90.6, 90.4, 90.4, 91.1),
    "BERT-Base": (93.2, 93.0, 93.1, 92.8, 92.4, 93.1),
}
"""Percent in FP32, BF16, E4M3, Posit8, INT8, MXINT8: ImageNet, and SST-2 for the last two (Voyager, table 3)."""

"""Trains the networks of ``accelgym.envs.accuracy`` and writes their weights.

Each takes under three minutes of one CPU core. Batches are drawn with a fixed seed; weights still differ between
machines in the last bits of sums, so the files are committed and this script says how they came about.

Usage: ``python tools/train_reference_models.py [glyph_cnn] [glyph_vit] [text_lm]``
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from accelgym.envs.accuracy import models
from accelgym.envs.accuracy.glyphs import glyph_images, glyph_test_images
from accelgym.envs.accuracy.text import CONTEXT, characters, text_windows

_FOLDER = Path(__file__).parents[1] / "envs" / "accuracy" / "weights"
_MODELS = {
    # name: (class, batches, batch size, largest learning rate)
    "glyph_cnn": (models.GlyphCnn, 900, 112, 8e-3),
    "glyph_vit": (models.GlyphVit, 1150, 128, 3e-3),
    "text_lm": (models.TextLm, 2000, 24, 4e-3),
}


def _batch(name: str, rng: np.random.Generator, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    if name == "text_lm":
        text = characters(test=False)
        starts = rng.integers(len(text) - CONTEXT - 1, size=size)
        windows = text[starts[:, None] + np.arange(CONTEXT + 1)]
        return torch.from_numpy(windows[:, :-1]), torch.from_numpy(windows[:, 1:])
    images, labels = glyph_images(rng, size)
    return torch.from_numpy(images), torch.from_numpy(labels)


def _loss(model: torch.nn.Module, inputs: torch.Tensor, targets: torch.Tensor, smoothing: float = 0.0) -> Any:
    logits = model(inputs)
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), targets.reshape(-1), label_smoothing=smoothing)


def train(name: str) -> None:
    """Trains one model and writes ``weights/NAME.safetensors`` in float16."""
    build, steps, size, rate = _MODELS[name]
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    model = build()
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.02)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.15)
    start = time.process_time()
    model.train()
    for step in range(steps):
        loss = _loss(model, *_batch(name, rng, size))
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        plan.step()
        if step % 100 == 99:
            print(
                f"{name} {step + 1}/{steps} loss {loss.item():.3f} {time.process_time() - start:.0f} CPU-s", flush=True
            )
    half = {key: value.half() if value.is_floating_point() else value for key, value in model.state_dict().items()}
    _FOLDER.mkdir(exist_ok=True)
    save_file(half, _FOLDER / f"{name}.safetensors")
    model.load_state_dict(half)
    model.eval()
    with torch.no_grad():
        inputs, targets = map(
            torch.from_numpy, text_windows(512) if name == "text_lm" else map(np.copy, glyph_test_images())
        )
        logits = torch.cat([model(part) for part in inputs.split(500)])
        right = (logits.argmax(-1) == targets).double().mean().item()
        loss = F.cross_entropy(logits.reshape(-1, logits.shape[-1]), targets.reshape(-1)).item()
    print(
        f"{name}: accuracy {right:.4f}, cross-entropy {loss:.4f}, {time.process_time() - start:.0f} CPU-s", flush=True
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    for chosen in sys.argv[1:] or _MODELS:
        train(chosen)

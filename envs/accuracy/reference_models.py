"""The networks that ship with the project, by name, with the data they are measured on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file

from accelgym.costmodels.errors import unknown_name
from accelgym.envs.accuracy.glyphs import IMAGE_SIZE, glyph_images, glyph_test_images
from accelgym.envs.accuracy.models import GlyphCnn, GlyphVit, TextLm
from accelgym.envs.accuracy.network import TracedNetwork
from accelgym.envs.accuracy.oracle import MeasuredOracle
from accelgym.envs.accuracy.text import CONTEXT, characters, text_windows

__all__ = ["REFERENCE_MODELS", "ReferenceModel", "reference_oracle"]

_WEIGHTS = Path(__file__).with_name("weights")
_MOST_AT_A_TIME = 2000
_CALIBRATION_SEED = 30_000
_CALIBRATION_EXAMPLES = {"images": 256, "text": 64}


@dataclass(frozen=True)
class ReferenceModel:
    """A trained network."""

    name: str
    build: Callable[[], torch.nn.Module]
    data: str
    """``images`` of characters, or ``text``."""
    about: str

    @property
    def weights(self) -> Path:
        """File of the weights, float16 in safetensors."""
        return _WEIGHTS / f"{self.name}.safetensors"

    def module(self) -> torch.nn.Module:
        """Returns the network with its weights, in evaluation mode and float32."""
        module = self.build()
        stored = load_file(self.weights)
        state = {name: value.float() if value.is_floating_point() else value for name, value in stored.items()}
        module.load_state_dict(state)
        return module.eval()

    def network(self) -> TracedNetwork:
        """Returns the traced network."""
        return _traced(self.name)

    def example(self) -> tuple[torch.Tensor, ...]:
        """Returns two inputs of the right shape."""
        if self.data == "text":
            return (torch.zeros(2, CONTEXT, dtype=torch.int64),)
        return (torch.zeros(2, 1, IMAGE_SIZE, IMAGE_SIZE),)

    def test_data(self, examples: int | None) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.int64]]:
        """Returns the first test images, or test windows spread over the text, and their targets."""
        if self.data == "text":
            return text_windows(examples)
        images, labels = glyph_test_images()
        return images[:examples], labels[:examples]

    def calibration_data(self) -> npt.NDArray[np.generic]:
        """Returns the data that scales are found on: neither for training nor for tests."""
        count = _CALIBRATION_EXAMPLES[self.data]
        if self.data == "images":
            return glyph_images(np.random.default_rng(_CALIBRATION_SEED), count)[0]
        text = characters(test=False)
        starts = np.arange(count) * (len(text) - CONTEXT) // count
        return np.asarray(text[starts[:, None] + np.arange(CONTEXT)])


REFERENCE_MODELS = {
    model.name: model
    for model in (
        ReferenceModel("glyph_cnn", GlyphCnn, "images", "residual and depthwise convolutions"),
        ReferenceModel("glyph_vit", GlyphVit, "images", "vision transformer"),
        ReferenceModel("text_lm", TextLm, "text", "decoder over characters"),
    )
}


def reference_oracle(name: str, examples: int | None = None, **options: Any) -> MeasuredOracle:
    """Returns the oracle of a shipped network.

    Args:
        name: A key of :data:`REFERENCE_MODELS`.
        examples: Test examples; all when None.
        **options: As for :class:`MeasuredOracle`.

    Raises:
        InputError: No such network.
    """
    if name not in REFERENCE_MODELS:
        raise unknown_name("network", name, REFERENCE_MODELS)
    model = REFERENCE_MODELS[name]
    inputs, targets = model.test_data(examples)
    if len(targets) > _MOST_AT_A_TIME:
        options.setdefault("batch", _MOST_AT_A_TIME)
    return MeasuredOracle(model.network(), [inputs], targets, [model.calibration_data()], **options)


@cache
def _traced(name: str) -> TracedNetwork:
    model = REFERENCE_MODELS[name]
    return TracedNetwork(model.module(), model.example(), name)

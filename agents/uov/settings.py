"""How a policy is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field

from accelgym.agents.uov.network import NetworkSize
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.strict_model import Count, StrictModel, parse_fields

__all__ = ["TrainingSettings", "default_settings"]


class TrainingSettings(StrictModel):
    """Network, losses and schedule; the defaults train in minutes on one core."""

    seed: int = Field(default=0, ge=0, lt=2**32)
    head: Literal["uov", "softmax", "regression"] = "uov"
    """Of ordered knobs."""
    buckets: Count = 16
    """Buckets of a unified ordinal vector; a knob with fewer levels gets one for each."""
    residues: Count = 64
    """Levels of each knob that extents are rounded up to in the features."""
    width: Count = 64
    heads: Count = 4
    encoder_blocks: Count = 1
    decoder_blocks: Count = 2
    encoder_hidden: Count = 128
    decoder_hidden: Count = 256
    batch: Count = 256
    rate: float = Field(default=8e-3, gt=0)
    """Largest learning rate of AdamW; it rises over a twentieth of the steps and falls as a cosine."""
    decay: float = Field(default=1e-4, ge=0)
    contrastive_epochs: int = Field(default=1, ge=0)
    """Of stage 1; 0 leaves it out."""
    epochs: Count = 6
    """Of stage 2."""
    prefixes: Count = 2
    """Designs per row and step that later knobs are conditioned on: the label, and others by their regret."""
    temperature: float = Field(default=0.003, gt=0)
    """Log-regret at which a value is ``1 / e`` as likely as the best in a soft label."""
    own_label: float = Field(default=0.0, ge=0, le=1)
    """Share of a soft label that goes to the data's own value where that is among the best."""
    regret_weight: float = Field(default=3.0, ge=0)
    """Of the expected log-regret beside the cross-entropy."""
    predictor_weight: float = Field(default=3.0, ge=0)
    """Of the absolute error of the predicted best objective."""
    contrast_tolerance: float = Field(default=0.01, ge=0)
    """Log-regret of swapped designs up to which two rows are pulled together."""
    contrast_temperature: float = Field(default=0.1, gt=0)

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        """Validates keyword arguments.

        Raises:
            InputError: Names the key, the value and what is allowed.
        """
        found = parse_fields(cls, data, "setting")
        if found.width % found.heads:
            raise InputError(f"heads is {found.heads}, allowed: divisors of width, {found.width}")
        return found

    @property
    def size(self) -> NetworkSize:
        """Of the network."""
        return NetworkSize(
            self.width, self.heads, self.encoder_blocks, self.decoder_blocks, self.encoder_hidden, self.decoder_hidden
        )


_SETTINGS: dict[str, dict[str, Any]] = {
    # Small, for 100,000 answers a second; the released labels break ties in a way of their own.
    "airchitect-v2": {
        "width": 32,
        "heads": 2,
        "decoder_blocks": 1,
        "encoder_hidden": 64,
        "decoder_hidden": 128,
        "residues": 16,
        "batch": 128,
        "epochs": 5,
        "rate": 5e-3,
        "own_label": 0.5,
        "regret_weight": 1.0,
        "predictor_weight": 1.0,
    },
}
"""What is changed for a dataset, by its name."""


def default_settings(name: str) -> dict[str, Any]:
    """Returns the settings that were found to suit a dataset, where they are not the defaults."""
    return dict(_SETTINGS.get(name, {}))

"""What a layer can be stored in, and the accelerators that run it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from accelgym.costmodels.quantization import Calibration, LayerQuantization, ScaleSharing, TensorFormat
from accelgym.costmodels.systolic.config import SystolicConfig, make_config

__all__ = ["HARDWARE", "OPTIONS", "Option", "runs_on"]


@dataclass(frozen=True)
class Option:
    """Formats of one layer.

    Without groups, each output channel of the weights has a scale and so have the activations; with them, so many
    neighbours along the reduction share a power of two, weights and activations alike.
    """

    weight: str
    """Type of the weights; of keys and values in an attention."""
    activation: str
    group: int | None = None

    @property
    def name(self) -> str:
        """As in tables: ``int4*int8``, ``e2m1*e4m3/16``."""
        return f"{self.weight}*{self.activation}" + ("" if self.group is None else f"/{self.group}")

    @property
    def formats(self) -> LayerQuantization:
        """The formats of every tensor."""
        return LayerQuantization(
            weight=self._form(self.weight, ScaleSharing.CHANNEL),
            input=self._form(self.activation, ScaleSharing.TENSOR),
            kv_cache=self._form(self.weight, ScaleSharing.TENSOR),
        )

    def _form(self, datatype: str, scales: ScaleSharing) -> TensorFormat:
        if self.group is None:
            return TensorFormat(datatype=datatype, scales=scales, calibration=Calibration.MSE)
        return TensorFormat(datatype=datatype, scales=ScaleSharing.BLOCK, block_size=self.group, scale_type="e8m0")


_INTEGERS, _SCALED, _GROUPS = ("int4", "int6", "int8"), ("e2m1", "e4m3"), (16, 32, 64)

OPTIONS = tuple(Option(w, x) for w, x in product(_INTEGERS, _INTEGERS)) + tuple(
    Option(w, x, group) for w, x in product(_SCALED, _SCALED) for group in _GROUPS
)
"""What the shipped tables hold: 9 pairs of integers, 4 pairs of scaled floats in three group sizes."""

_ARRAY = {"rows": 16, "columns": 16, "input_port_bits": 32, "weight_port_bits": 32}
HARDWARE = {
    "integer": {**_ARRAY, "input_type": _INTEGERS, "weight_type": _INTEGERS},
    "microscaling": {**_ARRAY, "input_type": _SCALED, "weight_type": _SCALED, "scale_type": "e8m0"},
}
"""Accelerators by name, fields of ``SystolicConfig``: a layer chooses among their types at run time. Narrow ports make
narrow types pay."""


def runs_on(option: Option, config: SystolicConfig) -> bool:
    """Returns whether an accelerator has the types, and scales of such groups."""
    types = {d.name for d in config.weights}, {d.name for d in config.inputs}
    if option.weight not in types[0] or option.activation not in types[1]:
        return False
    if option.group is None:
        return config.scale_type is None
    return config.scale_type == "e8m0" and option.group % config.scale_block_size == 0


def accelerator(name: str) -> SystolicConfig:
    """Returns an accelerator of :data:`HARDWARE`."""
    return make_config(**HARDWARE[name])

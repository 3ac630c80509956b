"""The ways of scaling that are compared: one number format for all tensors of a network."""

from __future__ import annotations

from pydantic import ValidationError

from accelgym.costmodels.datatypes import get_datatype
from accelgym.costmodels.errors import InputError, unknown_name
from accelgym.costmodels.quantization import Calibration, LayerQuantization, ScaleSharing, TensorFormat

__all__ = ["SCHEMES", "uniform"]

SCHEMES = ("tensor", "channel", "block")
"""``tensor``: one float scale for a weight, one for an activation. ``channel``: one for each output channel of a
weight, one for an activation. ``block``: powers of two for 16 neighbours of both. The scales of the first two minimise
the squared error."""
BLOCK_SIZE = 16
_UNSCALED = ("fp32", "fp16", "bf16")
"""Types with range enough to need no scales."""


def uniform(datatype: str, scheme: str = "channel", activations: str | None = None) -> LayerQuantization:
    """Returns the formats of a layer whose weights and activations have one type.

    Args:
        datatype: Type of the weights.
        scheme: One of :data:`SCHEMES`.
        activations: Type of the activations, keys and values; that of the weights when None.

    Raises:
        InputError: No such type or scheme, or a type that cannot be stored so.
    """
    if scheme not in SCHEMES:
        raise unknown_name("scheme", scheme, SCHEMES)
    moving = _form(activations or datatype, "tensor" if scheme == "channel" else scheme)
    return LayerQuantization(weight=_form(datatype, scheme), input=moving, kv_cache=moving)


def _form(datatype: str, scheme: str) -> TensorFormat:
    get_datatype(datatype)
    if datatype in _UNSCALED:
        return TensorFormat(datatype=datatype, scales=ScaleSharing.NONE)
    try:
        if scheme == "block":
            return TensorFormat(datatype=datatype, scales=ScaleSharing.BLOCK, block_size=BLOCK_SIZE, scale_type="e8m0")
        return TensorFormat(datatype=datatype, scales=ScaleSharing(scheme), calibration=Calibration.MSE)
    except ValidationError as error:
        raise InputError(f"datatype {datatype!r}: {error.errors(include_url=False)[0]['msg']}") from error

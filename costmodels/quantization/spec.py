"""The formats of the layers of a network."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field, model_validator

from accelgym.costmodels.datatypes import FusedMultiplyAdd, PassAccumulator, get_datatype
from accelgym.costmodels.errors import unknown_name
from accelgym.costmodels.files.strict_model import StrictModel
from accelgym.costmodels.quantization.formats import ScaleSharing, TensorFormat

__all__ = ["LayerQuantization", "QuantizationSpec"]


class LayerQuantization(StrictModel):
    """Formats of the tensors of one layer; None keeps a tensor in float32.

    Raises:
        ValidationError: A format that the tensor cannot have, or sums that the operands do not go with.
    """

    input: TensorFormat | None = None
    """Activations that the layer reads; for attention, the queries and the weights of the mixture."""
    weight: TensorFormat | None = None
    bias: TensorFormat | None = None
    kv_cache: TensorFormat | None = None
    """Keys and values of attention."""
    psum_type: str | None = None
    """Type of the partial sums; None leaves them to the accelerator. The fast mode of inference adds in float32."""
    accumulation_type: str | None = None
    """Type of the accumulation buffer; that of the partial sums when None."""

    @model_validator(mode="after")
    def _tensors_can_have_them(self) -> LayerQuantization:
        for field in ("input", "kv_cache"):
            form = getattr(self, field)
            if form is not None and form.scales is ScaleSharing.CHANNEL:
                raise ValueError(
                    f"{field} {form.name}: scales of channels would change along the reduction, allowed: none, tensor, "
                    "block"
                )
        if self.bias is not None and self.bias.scales is ScaleSharing.BLOCK:
            raise ValueError(f"bias {self.bias.name}: a bias has no reduction, allowed: none, tensor, channel")
        second = self.weight or self.kv_cache
        if self.psum_type is not None and self.input is not None and second is not None:
            add = FusedMultiplyAdd(self.input.element, second.element, get_datatype(self.psum_type))
            PassAccumulator(add.psum, get_datatype(self.accumulation_type or self.psum_type))
        elif self.accumulation_type is not None and self.psum_type is None:
            raise ValueError(f"accumulation_type {self.accumulation_type}: goes with a psum_type")
        return self

    @property
    def name(self) -> str:
        """A short name for messages and tables."""
        parts = (("w", self.weight), ("x", self.input), ("kv", self.kv_cache), ("b", self.bias))
        text = " ".join(f"{letter}={form.name}" for letter, form in parts if form is not None)
        return text or "fp32"


class QuantizationSpec(StrictModel):
    """Formats of all layers of a network: a default, and what differs from it by layer name."""

    default: LayerQuantization = LayerQuantization()
    layers: dict[str, LayerQuantization] = Field(default_factory=dict)

    def of(self, layer: str) -> LayerQuantization:
        """Returns the formats of a layer."""
        return self.layers.get(layer, self.default)

    def assignment(self, layers: Sequence[str]) -> dict[str, LayerQuantization]:
        """Returns the formats of every layer of a network, in its order.

        Raises:
            InputError: The specification names a layer that the network does not have.
        """
        for name in self.layers:
            if name not in layers:
                raise unknown_name("layer", name, layers)
        return {layer: self.of(layer) for layer in layers}

"""Networks that are published as a list of layer shapes, without the graph between them."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from accelgym.costmodels.files.strict_model import Count, StrictModel
from accelgym.costmodels.workloads.layer import Layer, LayerKind
from accelgym.costmodels.workloads.spec import NetworkSpec
from accelgym.costmodels.workloads.workload import Workload

__all__ = ["LayerList"]


class ListedConv(StrictModel):
    """A square convolution given by its input size; the output size is ``ceil(input / stride)``."""

    name: str
    K: Count
    C: Count
    H: Count
    R: Count
    stride: Count = 1


class LayerList(NetworkSpec):
    """Independent convolutions, without edges and without padding (the input is taken as padded already)."""

    layers: list[ListedConv] = Field(min_length=1)

    def parameters(self, variant: str) -> dict[str, int]:
        """``batch``."""
        return {"batch": 1}

    def build(self, name: str, variant: str, values: Mapping[str, int]) -> Workload:
        """Lists the layers."""
        layers = []
        for row in self.layers:
            out = -(-row.H // row.stride)
            layers.append(
                Layer(
                    row.name,
                    LayerKind.CONV,
                    N=values["batch"],
                    K=row.K,
                    C=row.C,
                    P=out,
                    Q=out,
                    R=row.R,
                    S=row.R,
                    stride=(row.stride, row.stride),
                )
            )
        return Workload(name, tuple(layers), (), self.source)

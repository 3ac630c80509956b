"""Fields of every network description file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from accelgym.costmodels.files.strict_model import StrictModel
from accelgym.costmodels.workloads.workload import Workload

__all__ = ["NetworkSpec", "Published"]


class Published(StrictModel):
    """Counts printed elsewhere, for comparison."""

    macs: float | None = None
    """Multiply-accumulates at the default parameters."""
    parameters: int | None = None
    """All trained parameters, biases and norms included."""
    reference: str
    """Where the counts are printed."""


class NetworkSpec(StrictModel):
    """A network description; subclasses add the hyperparameters of a family and know how to expand them."""

    source: str
    """Where the architecture comes from."""
    notes: str = ""
    """Deviations and conventions."""
    published: Published | None = None

    variants: ClassVar[tuple[str, ...]] = ("",)
    """Suffixes of the workload name, such as ``prefill``; the empty one is the name itself."""

    def parameters(self, variant: str) -> dict[str, int]:
        """Returns the parameters a name may carry, with their defaults; all are integers >= 1."""
        raise NotImplementedError

    def build(self, name: str, variant: str, values: Mapping[str, int]) -> Workload:
        """Expands the description.

        Args:
            name: Name of the workload.
            variant: One of ``variants``.
            values: A value for every parameter.
        """
        raise NotImplementedError

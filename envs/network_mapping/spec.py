"""What defines a network-mapping task, validated with errors that name the key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from accelgym.costmodels.errors import InputError, unknown_name
from accelgym.envs.mapping.spec import MappingObjective

__all__ = ["NetworkMappingSpec"]


class NetworkMappingSpec(BaseModel):
    """Arguments of ``accelgym/NetworkMapping-v0``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    workload: str = "thistle/resnet18"
    """Name in the workload zoo, or a network file; its convolutions and GEMMs are mapped."""
    architecture: str = "eyeriss"
    """Name of a preset, or a Timeloop v0.3 or v0.4 file; its constraints bind."""
    objective: MappingObjective = MappingObjective.EDP
    """Of the network: energies and latencies add up over the layers; EDP is the product of the two sums."""
    bypass: bool = False
    """Also choose which level holds which tensor, where the architecture's constraints leave that open."""
    padding: float = Field(default=0.0, ge=0.0, le=1.0)
    """How far a loop bound may grow, as a fraction, to a number with more prime factors. Padded work costs."""

    @classmethod
    def parse(cls, arguments: Mapping[str, Any]) -> NetworkMappingSpec:
        """Validates keyword arguments.

        Raises:
            InputError: Names the key, the value given and what is allowed.
        """
        for key in arguments:
            if key not in cls.model_fields:
                raise unknown_name("argument", key, cls.model_fields)
        try:
            return cls(**arguments)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise InputError(f"{first['loc'][0]} is {first['input']!r}: {first['msg']}") from None

"""How far mappings break the rules of a map space."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.loopnest import Mappings
from accelgym.envs.mapping.mapspace import Mapspace

__all__ = ["breach"]


def breach(mapspace: Mapspace, mappings: Mappings) -> npt.NDArray[np.float64]:
    """Returns how far mappings break limits, or spread a dimension along x and y; 0 if they do not, shape ``(n,)``."""
    rules, architecture, factors = mapspace.rules, mapspace.architecture, np.asarray(mappings.factors)
    limit = np.maximum(rules.most, mapspace.fixed)
    excess = np.maximum(factors / limit[:, :, None] - 1.0, 0.0)
    for s, slot in enumerate(architecture.slots):
        if slot.kind != "temporal":  # the fan-out itself is the model's to check
            level = architecture.levels[slot.level]
            fanout = level.fanout_x if slot.kind == "x" else level.fanout_y
            excess[s] = np.where(limit[s, :, None] < fanout, excess[s], 0.0)
    total = excess.sum(axis=(0, 1))
    for v in range(len(architecture.levels)):
        x, y = architecture.slot(v, "x"), architecture.slot(v, "y")
        if x is not None and y is not None:
            total += ((factors[x] > 1) & (factors[y] > 1)).sum(axis=0)
    if rules.floors.any:
        total += rules.floors.shortfall(mapspace.problem, architecture, factors, mappings.keep)
    return np.asarray(total)

"""Designs of a task as inputs of a proxy."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.envs.space import Designs, Space

__all__ = ["design_arrays"]


def design_arrays(space: Space, designs: Designs) -> dict[str, npt.NDArray[Any]]:
    """Returns the real values of designs by parameter, shape ``(designs,)`` each.

    Ordered parameters whose values are numbers are numbers, all others texts.
    """
    found: dict[str, npt.NDArray[Any]] = {}
    for column, parameter in enumerate(space.parameters):
        numeric = parameter.ordered and all(
            isinstance(value, (int, float)) and not isinstance(value, bool) for value in parameter.values
        )
        values = np.array(parameter.values if numeric else [str(value) for value in parameter.values])
        found[parameter.name] = values[designs[:, column]]
    return found

"""How the energy of memories and multipliers grows with width and depth: the exercise's second question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.components import Technology
from accelgym.costmodels.errors import InputError

__all__ = ["PowerLaw", "Sweep", "component_sweeps", "fit_power_law"]

FloatArray = npt.NDArray[np.float64]

_DEPTH, _WIDTH = 8192, 128
_WIDTHS = tuple(2**i for i in range(4, 12))
_DEPTHS = tuple(2**i for i in range(9, 14))
_BITS = tuple(2**i for i in range(1, 7))


@dataclass(frozen=True)
class PowerLaw:
    """``coefficient * size**exponent``, fitted to the logarithms."""

    coefficient: float
    exponent: float
    largest_error: float
    """Largest relative distance of a point from the law: how little of a power law the sweep is."""


@dataclass(frozen=True)
class Sweep:
    """Energy of one component over one of its sizes."""

    component: str
    along: Literal["width", "depth"]
    """``width`` in bits, ``depth`` in words."""
    sizes: tuple[int, ...]
    fixed: str
    """The other size, for captions; empty where it does not matter."""
    energies_pj: Mapping[str, FloatArray]
    """By action, shape ``(sizes,)``: ``read`` and ``write`` of memories, ``compute`` of multipliers."""

    @property
    def laws(self) -> dict[str, PowerLaw]:
        """The power law closest to each action's energies."""
        return {action: fit_power_law(self.sizes, energies) for action, energies in self.energies_pj.items()}

    def to_json(self) -> dict[str, Any]:
        """Returns sizes, energies and exponents as plain data."""
        return {
            "component": self.component,
            "along": self.along,
            "fixed": self.fixed,
            "sizes": list(self.sizes),
            "energies_pj": {action: energies.tolist() for action, energies in self.energies_pj.items()},
            "exponents": {action: law.exponent for action, law in self.laws.items()},
            "coefficients": {action: law.coefficient for action, law in self.laws.items()},
            "largest_errors": {action: law.largest_error for action, law in self.laws.items()},
        }


def component_sweeps(prices: Technology) -> tuple[Sweep, ...]:
    """Prices SRAM and register file over width (depth 8192) and depth (128 bits), DRAM and integer MAC over width.

    Args:
        prices: The technology.
    """
    return (
        _sweep(prices, "sram", "width", _WIDTHS, f"depth {_DEPTH}"),
        _sweep(prices, "regfile", "width", _WIDTHS, f"depth {_DEPTH}"),
        _sweep(prices, "sram", "depth", _DEPTHS, f"width {_WIDTH}"),
        _sweep(prices, "regfile", "depth", _DEPTHS, f"width {_WIDTH}"),
        _sweep(prices, "dram", "width", _WIDTHS, ""),
        _sweep(prices, "intmac", "width", _BITS, ""),
    )


def fit_power_law(sizes: Sequence[int], energies: npt.ArrayLike) -> PowerLaw:
    """Fits a power law by least squares in the logarithms.

    Args:
        sizes: At least two, all positive and not all equal.
        energies: As many, all positive.

    Raises:
        InputError: The points do not determine a law.
    """
    x, y = np.asarray(sizes, dtype=np.float64), np.asarray(energies, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1 or np.unique(x).size < 2 or (x <= 0).any() or not (y > 0).all():
        raise InputError(f"a power law needs two or more different positive sizes with energies, got {x} and {y}")
    log_x, log_y = np.log(x), np.log(y)
    spread = log_x - log_x.mean()
    exponent = float(spread @ log_y / (spread @ spread))
    coefficient = float(np.exp(log_y.mean() - exponent * log_x.mean()))
    error = float(np.abs(coefficient * x**exponent / y - 1).max())
    return PowerLaw(coefficient, exponent, error)


def _sweep(
    prices: Technology, component: str, along: Literal["width", "depth"], sizes: tuple[int, ...], fixed: str
) -> Sweep:
    costs = [
        prices.component(component, **{"depth": _DEPTH, "width": _WIDTH, along: size}, attributes={}) for size in sizes
    ]
    reads = np.array([cost.read_pj for cost in costs])
    if component == "intmac":
        return Sweep(component, along, sizes, fixed, {"compute": reads})
    writes = np.array([cost.write_pj for cost in costs])
    return Sweep(component, along, sizes, fixed, {"read": reads, "write": writes})

"""The problem shapes that Timeloop ships, by name."""

from __future__ import annotations

from typing import Any

from accelgym.costmodels.errors import unknown_name

__all__ = ["named_shape"]

_CONVOLUTION = {
    "name": "cnn-layer",
    "dimensions": ["R", "S", "P", "Q", "C", "K", "N"],
    "coefficients": [{"name": name, "default": 1} for name in ("Wstride", "Hstride", "Wdilation", "Hdilation")],
    "data_spaces": [
        {"name": "Weights", "projection": [[["C"]], [["K"]], [["R"]], [["S"]]]},
        {
            "name": "Inputs",
            "projection": [
                [["N"]],
                [["C"]],
                [["R", "Wdilation"], ["P", "Wstride"]],
                [["S", "Hdilation"], ["Q", "Hstride"]],
            ],
        },
        {"name": "Outputs", "projection": [[["N"]], [["K"]], [["Q"]], [["P"]]], "read_write": True},
    ],
}
_PRODUCT = {
    "name": "gemm_ABZ",
    "dimensions": ["M", "N", "K"],
    "data_spaces": [
        {"name": "A", "projection": [[["M"]], [["K"]]]},
        {"name": "B", "projection": [[["N"]], [["K"]]]},
        {"name": "Z", "projection": [[["M"]], [["N"]]], "read_write": True},
    ],
}
_SHAPES: dict[str, dict[str, Any]] = {
    "cnn_layer": _CONVOLUTION,
    "cnn": _CONVOLUTION,
    "gemm_abz": _PRODUCT,
    "gemm": _PRODUCT,
}
"""The shapes that Timeloop ships, by name (hyphens or underscores, any case); their files state the same facts."""


def named_shape(name: str) -> dict[str, Any]:
    """Returns a shape as a ``problem.shape`` section would state it.

    Raises:
        InputError: No such shape.
    """
    plain = name.removesuffix(".yaml").replace("-", "_").lower()
    if plain not in _SHAPES:
        raise unknown_name("problem.shape", name, ("cnn-layer", "gemm_ABZ"))
    return _SHAPES[plain]

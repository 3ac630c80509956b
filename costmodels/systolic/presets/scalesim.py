"""SCALE-Sim v3 without stalls: the cycles of a matrix product or convolution on an R x C array.

A layer is the product of an ``M x K`` with a ``K x N`` matrix (a convolution through im2col). Two of its extents lie
on the array and are cut into ``folds``; the third streams past. One fold takes

- weight and input stationary: ``R`` cycles to load the operand, then ``T`` words through an array that is
  ``R + C - 2`` steps deep;
- output stationary: ``T`` words through the same depth; its operands arrive from both sides and need no load, and
  the results of a fold leave while the next one streams.

A fold ends in the cycle after its last word, and the count starts at 0: ``folds * length - 1``.
Source: ``systolic_compute_{ws,os,is}.py`` of scalesim 3.0.0; checked against measured counts of that release.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import InputError

__all__ = ["DATAFLOWS", "MatrixProduct", "convolution", "total_cycles"]

Ints = npt.NDArray[np.int64]

DATAFLOWS = {"ws": ("K", "N", "M"), "os": ("M", "N", "K"), "is": ("K", "M", "N")}
"""Extents along the rows, along the columns, and in time."""


@dataclass(frozen=True)
class MatrixProduct:
    """Extents of a matrix product, int64 arrays of one shape or plain integers."""

    M: Ints | int
    N: Ints | int
    K: Ints | int


def convolution(
    height: int,
    width: int,
    filter_height: int,
    filter_width: int,
    channels: int,
    filters: int,
    strides: tuple[int, int],
) -> MatrixProduct:
    """Returns the im2col view of a convolution on an input that is padded already.

    Raises:
        InputError: The filter exceeds the input.
    """
    if filter_height > height or filter_width > width:
        raise InputError(f"filter of {filter_height} x {filter_width} exceeds the input of {height} x {width}")
    rows = -(-(height - filter_height + strides[0]) // strides[0])
    columns = -(-(width - filter_width + strides[1]) // strides[1])
    return MatrixProduct(rows * columns, filters, channels * filter_height * filter_width)


def total_cycles(rows: Ints | int, columns: Ints | int, dataflow: str, product: MatrixProduct) -> Ints:
    """Returns SCALE-Sim's ``Total Cycles``, int64; arguments broadcast.

    Args:
        rows: Rows of the array.
        columns: Columns of the array.
        dataflow: One of :data:`DATAFLOWS`.
        product: The layer.
    """
    down, across, time = (np.asarray(getattr(product, name)) for name in DATAFLOWS[dataflow])
    folds = -(-down // rows) * -(-across // columns)
    load = 0 if dataflow == "os" else rows
    return np.asarray(folds * (load + rows + columns + time - 2) - 1, dtype=np.int64)

"""Formats by name, and names for the formats of a user."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial

from accelgym.costmodels.datatypes.block_scaling import BlockFormat
from accelgym.costmodels.datatypes.codebooks import CodebookFormat
from accelgym.costmodels.datatypes.datatype import Datatype
from accelgym.costmodels.datatypes.floats import FloatFormat, Specials, Underflow
from accelgym.costmodels.datatypes.integers import IntegerFormat
from accelgym.costmodels.datatypes.mixtures import GroupMixture
from accelgym.costmodels.datatypes.posits import PositFormat
from accelgym.costmodels.errors import InputError, unknown_name
from accelgym.costmodels.registry import Registry

__all__ = [
    "BLOCK_FORMATS",
    "MIXTURES",
    "datatypes",
    "get_block_format",
    "get_datatype",
    "get_mixture",
    "register_codebook",
    "register_float",
]

datatypes: Registry[Datatype] = Registry("datatype", "accelgym.datatypes")
"""Named formats. Besides these, ``get_datatype`` knows ``int<N>``, ``uint<N>``, ``posit<N>_<es>``, and
``int<N>q<F>`` with F fraction bits."""

_built: dict[str, Datatype] = {}

_PATTERNS = ("int<N>", "uint<N>", "int<N>q<F>", "posit<N>_<es>", "posit<N>_<es>_flush")
_INTEGER = re.compile(r"(u?)int([1-9][0-9]{0,8})(?:q([0-9]{1,9}))?")
_POSIT = re.compile(r"posit([0-9]{1,9})_([0-9]{1,9})(_flush)?")

_FLOATS: dict[str, tuple[int, int, Specials, Underflow, bool]] = {
    "fp32": (8, 23, Specials.IEEE, Underflow.GRADUAL, True),
    "fp16": (5, 10, Specials.IEEE, Underflow.GRADUAL, True),
    "bf16": (8, 7, Specials.IEEE, Underflow.GRADUAL, True),
    "e4m3": (4, 3, Specials.IEEE, Underflow.GRADUAL, True),  # IEEE 754 style, largest 240.
    "e4m3fn": (4, 3, Specials.FN, Underflow.GRADUAL, True),  # OCP FP8, largest 448.
    "e5m2": (5, 2, Specials.IEEE, Underflow.GRADUAL, True),
    "e3m4": (3, 4, Specials.IEEE, Underflow.GRADUAL, True),
    "e2m3": (2, 3, Specials.FINITE, Underflow.GRADUAL, True),
    "e3m2": (3, 2, Specials.FINITE, Underflow.GRADUAL, True),
    "e2m1": (2, 1, Specials.FINITE, Underflow.GRADUAL, True),
    "e5m3": (5, 3, Specials.IEEE, Underflow.GRADUAL, False),  # Block scale of Voyager: no sign bit.
    "e8m0": (8, 0, Specials.FN, Underflow.NORMAL, False),  # Block scale of the OCP formats.
}

_NF4 = (
    -1.0,
    -0.6961928009986877,
    -0.5250730514526367,
    -0.39491748809814453,
    -0.28444138169288635,
    -0.18477343022823334,
    -0.09105003625154495,
    0.0,
    0.07958029955625534,
    0.16093020141124725,
    0.24611230194568634,
    0.33791524171829224,
    0.44070982933044434,
    0.5626170039176941,
    0.7229568362236023,
    1.0,
)
"""NormalFloat4 in float32 (Dettmers et al., "QLoRA", 2023, appendix E)."""

_NF4_INT6 = (-31, -22, -16, -12, -9, -6, -3, 0, 2, 5, 8, 10, 14, 17, 22, 31)
_NF4_INT6_TIES_UP = (False,) * 8 + (True, True, True, False, True, True, True)
"""NF4 in six-bit integers with the comparisons of Voyager's encoder: ties mostly go away from zero, but down at 1
and 12."""

_FP3 = (-4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0)
_FP4 = (-12.0, -8.0, -6.0, -4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)
"""FP3 (E2M0) and FP4 (E2M1) without their second zero, whose code carries a special value in BitMoD (Chen et al.,
HPCA 2025): one more point inside the range ("er") or one beyond it ("ea"). FP4 is written in halves."""

_SPECIAL_VALUES = {"fp3_er": (_FP3, 3.0), "fp3_ea": (_FP3, 6.0), "fp4_er": (_FP4, 10.0), "fp4_ea": (_FP4, 16.0)}

BLOCK_FORMATS: dict[str, tuple[str, str]] = {
    "mxint8": ("int8", "e8m0"),
    "mxint8_ocp": ("int8q6", "e8m0"),
    "mxfp8_e4m3": ("e4m3fn", "e8m0"),
    "mxfp8_e5m2": ("e5m2", "e8m0"),
    "mxfp6_e2m3": ("e2m3", "e8m0"),
    "mxfp6_e3m2": ("e3m2", "e8m0"),
    "mxfp4": ("e2m1", "e8m0"),
    "mxnf4": ("nf4_int6", "e5m3"),
}
"""Element and scale type of the named block formats. ``mxint8`` has integers as elements, as Voyager's hardware;
``mxint8_ocp`` sixty-fourths, as the OCP specification: the same values, with scales 64 times as large."""

MIXTURES: dict[str, tuple[str, ...]] = {
    "bitmod3": ("fp3_er_pos", "fp3_er_neg", "fp3_ea_pos", "fp3_ea_neg"),
    "bitmod4": ("fp4_er_pos", "fp4_er_neg", "fp4_ea_pos", "fp4_ea_neg"),
    "int3_fp3": ("int3", "fp3_er_pos", "fp3_er_neg", "fp3_ea_pos", "fp3_ea_neg"),
    "int4_nf4_e2m1": ("int4", "nf4_int6", "e2m1"),
}
"""Candidates of the named mixtures."""


def register_float(
    name: str,
    exponent_bits: int,
    mantissa_bits: int,
    bias: int | None = None,
    specials: str = Specials.IEEE,
    underflow: str = Underflow.GRADUAL,
    signed: bool = True,
) -> Datatype:
    """Adds a floating-point format under a new name and returns it; arguments as of ``FloatFormat``.

    Raises:
        InputError: The name is taken, or the format is impossible.
    """
    rules = [member.value for member in Specials]
    if specials not in rules:
        raise unknown_name("specials rule", specials, rules)
    meanings = [member.value for member in Underflow]
    if underflow not in meanings:
        raise unknown_name("underflow rule", underflow, meanings)
    datatype = FloatFormat(name, exponent_bits, mantissa_bits, bias, Specials(specials), Underflow(underflow), signed)
    return _register(datatype)


def register_codebook(name: str, entries: Sequence[float], ties_up: Sequence[bool] | None = None) -> Datatype:
    """Adds a codebook under a new name and returns it; arguments as of ``CodebookFormat``.

    Raises:
        InputError: The name is taken, or the entries are unusable.
    """
    return _register(CodebookFormat(name, tuple(entries), None if ties_up is None else tuple(ties_up)))


def _register(datatype: Datatype) -> Datatype:
    if _parametric(datatype.name) is not None:
        raise InputError(f"datatype {datatype.name!r} is registered already")
    datatypes.register(datatype.name, lambda: datatype)
    return datatype


def get_datatype(name: str) -> Datatype:
    """Returns the format of a name, always the same object.

    Names are those of ``datatypes.names()`` and, for any width that the format allows, ``int<N>``, ``uint<N>``,
    ``int<N>q<F>`` (F fraction bits), ``posit<N>_<es>`` and ``posit<N>_<es>_flush`` (Voyager's underflow).

    Raises:
        InputError: No such name, or a width that is not allowed.
    """
    if name not in _built:
        datatype = _parametric(name)
        if datatype is None and name not in datatypes:
            raise unknown_name("datatype", name, [*datatypes.names(), *_PATTERNS])
        _built[name] = datatypes.get(name)() if datatype is None else datatype
    return _built[name]


def _parametric(name: str) -> Datatype | None:
    """Formats whose name says all; None for other names."""
    if match := _INTEGER.fullmatch(name):
        return IntegerFormat(name, int(match[2]), signed=not match[1], fraction_bits=int(match[3] or 0))
    if match := _POSIT.fullmatch(name):
        return PositFormat(name, int(match[1]), int(match[2]), flush=match[3] is not None)
    return None


def get_block_format(name: str, block_size: int = 32, scale: str | None = None) -> BlockFormat:
    """Returns a block format by name, optionally with another scale type.

    Raises:
        InputError: No such name, or sizes that are not allowed.
    """
    if name not in BLOCK_FORMATS:
        raise unknown_name("block format", name, BLOCK_FORMATS)
    element, default_scale = BLOCK_FORMATS[name]
    return BlockFormat(name, get_datatype(element), get_datatype(scale or default_scale), block_size)


def get_mixture(name: str, group_size: int = 128, scale: str = "bf16") -> GroupMixture:
    """Returns a mixture of element types by name.

    Raises:
        InputError: No such name, or sizes that are not allowed.
    """
    if name not in MIXTURES:
        raise unknown_name("mixture", name, MIXTURES)
    candidates = tuple(get_datatype(candidate) for candidate in MIXTURES[name])
    return GroupMixture(name, candidates, get_datatype(scale), group_size)


def _fill() -> None:
    for name, (exponent_bits, mantissa_bits, specials, underflow, signed) in _FLOATS.items():
        build = partial(FloatFormat, name, exponent_bits, mantissa_bits, None, specials, underflow, signed)
        datatypes.register(name, build)
    datatypes.register("nf4", partial(CodebookFormat, "nf4", _NF4))
    datatypes.register("nf4_int6", partial(CodebookFormat, "nf4_int6", _NF4_INT6, _NF4_INT6_TIES_UP))
    for base, (values, special) in _SPECIAL_VALUES.items():
        for suffix, value in (("pos", special), ("neg", -special)):
            name = f"{base}_{suffix}"
            datatypes.register(name, partial(CodebookFormat, name, tuple(sorted((*values, value)))))


_fill()

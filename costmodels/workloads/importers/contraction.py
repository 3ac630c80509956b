"""Einstein summation of tensors as matrix products."""

from __future__ import annotations

import string
from collections.abc import Sequence
from math import prod

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.workloads.importers.traced import TracedGraph, Value
from accelgym.costmodels.workloads.layer import LayerKind

__all__ = ["add_einsum"]


def add_einsum(graph: TracedGraph, name: str, equation: str, operands: Sequence[Value]) -> Value:
    """Adds the layers of an Einstein summation.

    Operands are contracted from left to right, in pairs. A pair with a common summed index is a (batched) matrix
    product; one without is an element-by-element product. An index that one operand alone sums is a reduction before
    the product. Transposes and diagonals add no layer.

    Args:
        graph: The graph that grows.
        name: Layer name.
        equation: As in NumPy: ellipsis, implicit output and repeated indices are allowed.
        operands: The tensors, one for each term.

    Raises:
        InputError: The equation does not fit the operands.
    """
    terms, output = _parse(name, equation, operands)
    size: dict[str, int] = {}
    for term, operand in zip(terms, operands, strict=True):
        for index, extent in zip(term, operand.shape, strict=True):
            if size.get(index, 1) not in (1, extent) and extent != 1:
                raise InputError(
                    f"layer {name!r}: einsum {equation!r} gives index {index!r} the sizes {size[index]} and {extent}"
                )
            size[index] = max(size.get(index, 1), extent)

    value, have = operands[0], _unique(terms[0])
    if len(operands) == 1:
        return _summed(graph, name, value, have, output, size)
    for position in range(1, len(operands)):
        other, term = operands[position], _unique(terms[position])
        later = set(output).union(*terms[position + 1 :])
        keep = output if position == len(operands) - 1 else "".join(dict.fromkeys(i for i in have + term if i in later))
        value = _summed(graph, f"{name}.left", value, have, _only(have, later | set(term)), size)
        other = _summed(graph, f"{name}.right", other, term, _only(term, later | set(have)), size)
        have, term = _only(have, later | set(term)), _only(term, later | set(have))
        value, have = _product(graph, name, (value, have), (other, term), keep, size), keep
    return value


def _product(
    graph: TracedGraph, name: str, left: tuple[Value, str], right: tuple[Value, str], keep: str, size: dict[str, int]
) -> Value:
    out = tuple(size[index] for index in keep)
    (a, a_term), (b, b_term) = left, right
    summed = [i for i in a_term if i in b_term and i not in keep]
    if not summed:
        return graph.vector(name, LayerKind.ELEMENTWISE, "mul", out, a, b)
    batch = [i for i in a_term if i in b_term and i in keep]
    groups, C = (prod(size[i] for i in indices) for indices in (batch, summed))
    M = prod(size[i] for i in a_term if i not in b_term)
    K = prod(size[i] for i in b_term if i not in a_term)
    return graph.matmul(
        name, Value((groups, M, C), a.producers, a.constant), Value((groups, C, K), b.producers, b.constant), out
    )


def _summed(graph: TracedGraph, name: str, x: Value, term: str, keep: str, size: dict[str, int]) -> Value:
    out = tuple(size[index] for index in keep)
    if set(term) == set(keep):
        return Value(out, x.producers, x.constant)
    shape = tuple(size[index] for index in term)
    if x.constant:
        return Value(out, (), True)
    return graph.reduce(name, "sum", Value(shape, x.producers), out)


def _parse(name: str, equation: str, operands: Sequence[Value]) -> tuple[list[str], str]:
    left, arrow, output = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    ranks = [len(operand.shape) for operand in operands]
    fits = len(terms) == len(operands) and all(
        len(t.replace("...", "")) == rank or (t.count("...") == 1 and len(t) - 3 <= rank)
        for t, rank in zip(terms, ranks, strict=True)
    )
    plain = "".join([*terms, output]).replace("...", "")
    if not fits or not all(letter in string.ascii_letters for letter in plain):
        raise InputError(
            f"layer {name!r}: einsum {equation!r} does not fit operands of {', '.join(map(str, ranks))} axes, allowed: "
            "a term of one letter an axis for each operand"
        )
    # The axes of an ellipsis are further letters, the last ones first, as they are aligned at the right.
    free = [letter for letter in string.ascii_letters if letter not in plain]
    count = max((rank - len(t) + 3 for t, rank in zip(terms, ranks, strict=True) if "..." in t), default=0)
    hidden = "".join(free[:count])
    expanded = [
        t.replace("...", hidden[count - (rank - len(t) + 3) :] if rank - len(t) + 3 else "")
        for t, rank in zip(terms, ranks, strict=True)
    ]
    if arrow:
        output = output.replace("...", hidden)
    else:
        letters = "".join(terms).replace("...", "")
        output = hidden + "".join(sorted(i for i in set(letters) if letters.count(i) == 1))
    unknown = set(output) - set("".join(expanded))
    if unknown or len(set(output)) != len(output):
        raise InputError(f"layer {name!r}: einsum {equation!r} has an output index that no operand has, or one twice")
    return expanded, output


def _unique(term: str) -> str:
    """Repeated indices are a diagonal, which is a view."""
    return "".join(dict.fromkeys(term))


def _only(term: str, wanted: set[str]) -> str:
    return "".join(index for index in term if index in wanted)

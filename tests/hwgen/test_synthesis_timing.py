"""Timing by modules against the longest path of the flattened graph."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelgym.hwgen.synthesis.timing import Element, ModuleTiming, analyse
from accelgym.hwgen.toolchain import ToolError


def gate(delay, source, target):
    return Element(ModuleTiming([("a", "y", delay)]), {"a": source, "y": target})


def register(setup, launch, data, output):
    return Element(ModuleTiming([], {"d": setup}, {"q": launch}), {"d": data, "q": output})


@st.composite
def circuits(draw):
    """Gates between nets 0..n-1, each from a lower to a higher net, and registers anywhere."""
    size = draw(st.integers(3, 9))
    pairs = list(itertools.combinations(range(size), 2))
    edges = draw(st.lists(st.tuples(st.sampled_from(pairs), st.integers(1, 20)), max_size=14))
    registers = draw(st.lists(st.tuples(*(st.integers(0, size - 1),) * 2), max_size=3))
    inside = draw(st.lists(st.booleans(), min_size=len(edges), max_size=len(edges)))
    return size, edges, registers, inside


def longest_by_enumeration(size, edges, registers):
    """Longest path from a register (launch 5) or input 0 to a register (setup 3) or output ``size - 1``."""
    arrival = {0: [0.0]}
    for _, output in registers:
        arrival.setdefault(output, []).append(5.0)
    paths = [(net, time) for net, times in arrival.items() for time in times]
    ends = []
    while paths:
        net, time = paths.pop()
        ends += [time + 3.0 for data, _ in registers if data == net]
        ends += [time] if net == size - 1 else []
        paths += [(b, time + delay) for (a, b), delay in edges if a == net]
    return max(ends, default=0.0)


@given(circuits())
def test_paths_through_a_child_are_as_long_as_in_the_flattened_design(circuit):
    size, edges, registers, inside = circuit
    child_edges = [edge for edge, chosen in zip(edges, inside, strict=True) if chosen]
    parent_edges = [edge for edge, chosen in zip(edges, inside, strict=True) if not chosen]
    # Every net has an input and an output bit of the child; its inner nets are numbered apart.
    pins = range(size)
    inner = [gate(delay, a, 100 + b) for (a, b), delay in child_edges]
    inner += [gate(0.0, 100 + net, net + 200) for net in pins]
    chained = [gate(delay, 100 + a, 100 + b) for (a, b), delay in child_edges]
    child = analyse(
        "child",
        inner + chained,
        {f"i{net}": net for net in pins},
        {f"o{net}": 200 + net for net in pins},
        0.0,
    )
    nets = {f"{side}{net}": net for net in pins for side in ("i", "o")}
    # A net that the child both reads and drives would be a loop of length 0: arcs of a pin to itself do not exist.
    assert all(source[1:] != target[1:] for source, target, _ in child.arcs)
    elements = [gate(delay, a, b) for (a, b), delay in parent_edges]
    elements += [register(3.0, 5.0, data, output) for data, output in registers]
    top = analyse("top", [*elements, Element(child, nets)], {"in": 0}, {"out": size - 1}, 0.0)
    assert top.longest == pytest.approx(longest_by_enumeration(size, edges, registers))


def test_a_loop_is_refused():
    with pytest.raises(ToolError, match="loop"):
        analyse("loop", [gate(1.0, 0, 1), gate(1.0, 1, 0)], {}, {"out": 1}, 0.0)


def test_a_buffer_tree_costs_an_inverter_delay_per_factor_of_four():
    sinks = [register(0.0, 0.0, 7, 100 + i) for i in range(64)]
    timing = analyse("fan", [*sinks, register(0.0, 10.0, 200, 7)], {}, {}, 20.0)
    assert timing.internal == pytest.approx(10.0 + 2 * 20.0)


def test_timing_survives_json():
    timing = ModuleTiming([("a[0]", "y[0]", 3.0)], {"a[0]": 1.0}, {"y[0]": 2.0}, 9.0, "inner")
    assert ModuleTiming.from_json(timing.as_json()) == timing

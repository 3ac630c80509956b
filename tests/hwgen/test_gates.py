"""Gate-level simulation: truth tables, toggles and energies of circuits small enough to work out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelgym.costmodels.errors import InputError
from accelgym.hwgen.gates.boolean import truth_table
from accelgym.hwgen.gates.netlist import flatten
from accelgym.hwgen.gates.prices import price
from accelgym.hwgen.gates.simulator import run_vectors
from accelgym.hwgen.synthesis.liberty import read_library
from accelgym.hwgen.toolchain import ToolError

LIBRARY = read_library()


@pytest.mark.parametrize(
    ("expression", "meaning"),
    [
        ("!(A&B)", lambda a, b, c: not (a and b)),
        ("(A B)+C'", lambda a, b, c: (a and b) or not c),
        ("A|B*C", lambda a, b, c: a or (b and c)),
        ("A&B^C", lambda a, b, c: a and (b != c)),
        ("!A B'' + (C)'", lambda a, b, c: (not a and b) or not c),
        ("1^A", lambda a, b, c: not a),
    ],
)
def test_expressions_mean_what_liberty_says(expression, meaning):
    table = truth_table(expression, ("A", "B", "C"))
    for row in range(8):
        assert bool(table >> row & 1) == bool(meaning(*(bool(row >> j & 1) for j in range(3))))


@pytest.mark.parametrize("expression", ["", "A&", "(A", "A)", "A & D", "A = B"])
def test_what_is_no_expression_is_refused(expression):
    with pytest.raises(InputError, match="not an expression over the pins A, B"):
        truth_table(expression, ("A", "B"))


def module(inputs, outputs, cells):
    """A module of Yosys's JSON; bits below 2 would be constants, nets count from 2."""
    ports = {"d": {"direction": "input", "bits": inputs}, "q": {"direction": "output", "bits": outputs}}
    named = {
        f"u{i}": {"type": kind, "connections": {pin: [bit] for pin, bit in pins.items()}}
        for i, (kind, pins) in enumerate(cells)
    }
    return {"ports": ports, "cells": named}


def test_a_nand_costs_what_its_transitions_cost(cache):
    design = {"top": module([2, 3], [4], [("NAND2", {"A": 2, "B": 3, "Y": 4})])}
    netlist = flatten(design, "top", LIBRARY)
    stimulus = np.array([[0, 0], [1, 0], [1, 1], [1, 1], [0, 1], [1, 1]])
    seen, toggles = run_vectors(netlist, "d", "q", stimulus, cache)
    assert seen[:, 0].tolist() == [1, 1, 0, 0, 1, 0]
    a, b = netlist.ports["d"]
    (y,) = netlist.ports["q"]
    assert (toggles[a], toggles[b], toggles[y]) == (3, 1, 3)
    # An input: 1/2 * 1 V^2 * (2 fF pin + 1 fF wire); the output: two inverter drains of 1.5 fF, no load.
    prices = price(netlist, LIBRARY)
    assert prices.switching_pj(toggles).sum() * 1e3 == pytest.approx((3 + 1) * 1.5 + 3 * 1.5)
    assert prices.clock_pj(6).sum() == 0.0
    assert prices.leakage_pj(6, 1.0) is None


COUNTER = module(
    [9],
    [2, 3],
    [
        ("DFF", {"C": 9, "D": 4, "Q": 2}),
        ("DFF", {"C": 9, "D": 5, "Q": 3}),
        ("INV", {"A": 2, "Y": 4}),
        ("XOR2", {"A": 2, "B": 3, "Y": 5}),
    ],
)


def test_a_counter_costs_clock_and_transitions(cache):
    netlist = flatten({"top": COUNTER}, "top", LIBRARY)
    seen, toggles = run_vectors(netlist, "d", "q", np.zeros((17, 1)), cache)
    counts = seen @ [1, 2]
    assert ((counts[1:] - counts[:-1]) % 4 == 1).all()
    low, high = netlist.ports["q"]
    # In 16 steps: the low bit and its inverse each time, the high bit and the sum every other time.
    assert sorted(toggles[toggles > 0].tolist()) == [8, 8, 16, 16]
    assert (toggles[low], toggles[high]) == (16, 8)
    fj = {
        "low": 6 + 0.5 * (1.5 + 3 + 2),  # flip-flop, INV and XOR2 pins, two fan-outs
        "inverse": 0.75 + 0.5 * (1.5 + 1),
        "high": 6 + 0.5 * (3 + 1),
        "sum": 3 + 0.5 * (1.5 + 1),
    }
    prices = price(netlist, LIBRARY)
    expected = 16 * (fj["low"] + fj["inverse"]) + 8 * (fj["high"] + fj["sum"])
    assert prices.switching_pj(toggles).sum() * 1e3 == pytest.approx(expected)
    # Two edges a cycle, each 4.25 fJ inside and 1/2 * (1.5 fF pin + 1 fF wire).
    assert prices.clock_pj(16).sum() * 1e3 == pytest.approx(2 * 16 * 2 * (4.25 + 1.25))


def test_hierarchy_and_wires_through_modules_dissolve(cache):
    """Two inverters in a row, the first behind a module that is only a wire, one input of a gate tied to a constant."""
    wire = module([2], [2], [])
    inverter = module([2], [3], [("NAND2", {"A": 2, "B": "1", "Y": 3})])
    top = module([2], [5, "0"], [])
    for label, kind, source, target in (("w", "wire", 2, 3), ("i", "inverter", 3, 4), ("j", "inverter", 4, 5)):
        top["cells"][label] = {"type": kind, "connections": {"d": [source], "q": [target]}}
    netlist = flatten({"top": top, "wire": wire, "inverter": inverter}, "top", LIBRARY)
    assert netlist.nets == 5
    stimulus = np.array([[0], [1], [1], [0]])
    seen, toggles = run_vectors(netlist, "d", "q", stimulus, cache)
    assert seen.tolist() == [[0, 0], [1, 0], [1, 0], [0, 0]]
    assert sorted(toggles.tolist()) == [0, 0, 2, 2, 2]


def test_what_cannot_be_simulated_is_named():
    ring = module([2], [3], [("INV", {"A": 3, "Y": 4}), ("INV", {"A": 4, "Y": 3})])
    with pytest.raises(ToolError, match="combinational loop"):
        flatten({"top": ring}, "top", LIBRARY)
    short = module([2], [3], [("INV", {"A": 2, "Y": 3}), ("BUF", {"A": 2, "Y": 3})])
    with pytest.raises(ToolError, match="two drivers"):
        flatten({"top": short}, "top", LIBRARY)
    clocks = module([2, 3], [4, 5], [("DFF", {"C": 2, "D": 3, "Q": 4}), ("DFF", {"C": 3, "D": 2, "Q": 5})])
    with pytest.raises(ToolError, match="2 clocks, allowed 1"):
        flatten({"top": clocks}, "top", LIBRARY)
    with pytest.raises(ToolError, match="has a cell MYSTERY"):
        flatten({"top": module([2], [3], [("MYSTERY", {"A": 2, "Y": 3})])}, "top", LIBRARY)


GATES = {
    "INV": lambda a: 1 - a,
    "NAND2": lambda a, b: 1 - a * b,
    "NOR3": lambda a, b, c: (1 - a) * (1 - b) * (1 - c),
    "XOR2": lambda a, b: a ^ b,
    "AOI21": lambda a, b, c: 1 - (a & b | c),
    "OAI22": lambda a, b, c, d: 1 - ((a | b) & (c | d)),
    "MUX2": lambda a, b, s: b if s else a,
}
PINS = {"INV": "A", "NAND2": "AB", "NOR3": "ABC", "XOR2": "AB", "AOI21": "ABC", "OAI22": "ABCD", "MUX2": "ABS"}


@given(st.data())
def test_toggles_are_those_of_a_second_simulator(cache, data):
    """Random circuits of gates and flip-flops, against a simulation in Python; the first cycles flush the registers."""
    inputs, clock = [2, 3, 4], 5
    nets, cells = list(inputs), []
    for _ in range(data.draw(st.integers(1, 12))):
        kind = data.draw(st.sampled_from(["DFF", *GATES]))
        out = len(cells) + 6
        if kind == "DFF":
            cells.append((kind, {"C": clock, "D": data.draw(st.sampled_from(nets)), "Q": out}))
        else:
            cells.append((kind, {pin: data.draw(st.sampled_from(nets)) for pin in PINS[kind]} | {"Y": out}))
        nets.append(out)
    cycles = 40
    warm = len(cells)  # No loops: after so many cycles nothing is left of the first values.
    stimulus = np.random.default_rng(data.draw(st.integers(0, 99))).integers(0, 2, size=(cycles, 4))
    stimulus[:, 3] = 0
    netlist = flatten({"top": module([*inputs, clock], nets, cells)}, "top", LIBRARY)

    state = {pins["Q"]: 0 for kind, pins in cells if kind == "DFF"}
    history = []
    for row in stimulus:
        values = {**dict(zip(inputs, row.tolist(), strict=False)), **state}
        for kind, pins in cells:
            if kind != "DFF":
                values[pins["Y"]] = GATES[kind](*(values[pins[pin]] for pin in PINS[kind]))
        history.append([values[net] for net in nets])
        state = {pins["Q"]: values[pins["D"]] for kind, pins in cells if kind == "DFF"}
    history = np.array(history)
    _, before = run_vectors(netlist, "d", "q", stimulus[: warm + 1], cache)
    seen, toggles = run_vectors(netlist, "d", "q", stimulus, cache)
    np.testing.assert_array_equal(seen[warm:], history[warm:])
    expected = (history[warm + 1 :] != history[warm:-1]).sum(axis=0)
    np.testing.assert_array_equal((toggles - before)[netlist.ports["q"]], expected)

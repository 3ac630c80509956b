"""The reader of liberty files, and the library of our own."""

import pytest

from accelgym.costmodels.errors import InputError
from accelgym.hwgen.synthesis.liberty import DEFAULT_LIBRARY, read_library

SMALL = r"""
/* comment { */ library (small) {
  time_unit : "1ns"; // another
  cell (ND) {
    area : 2.5;
    pin (Z) {
      direction : output; function : "!(A * B)";
      timing () {
        related_pin : "A B";
        cell_rise (t) { index_1 ("1, 2, 3"); values ("0.1, 0.2, 0.3", \
          "0.4, 0.5, 0.6", "0.7, 0.8, 0.9"); }
        cell_fall (t) { values ("0.1, 0.2, 0.3", "0.4, 0.7, 0.6", "0.7, 0.8, 0.9"); }
      }
    }
  }
  cell (FF) {
    area : 9; ff (IQ, IQN) { clocked_on : CK; next_state : D; }
    pin (D) { timing () { related_pin : CK; timing_type : setup_rising; intrinsic_rise : 0.25; intrinsic_fall : 0.2; } }
    pin (Q) { timing () { related_pin : CK; timing_type : rising_edge; intrinsic_rise : 0.5; } }
  }
}
"""


def test_a_library_is_read(tmp_path):
    path = tmp_path / "small.lib"
    path.write_text(SMALL)
    library = read_library(path)
    assert library.name == "small"
    nand, flip_flop = library.cells["ND"], library.cells["FF"]
    assert (nand.area, nand.sequential) == (2.5, False)
    # Middle entry, slower edge, ps.
    assert nand.arcs == {("A", "Z"): pytest.approx(700.0), ("B", "Z"): pytest.approx(700.0)}
    assert (flip_flop.area, flip_flop.sequential) == (9.0, True)
    assert flip_flop.setup == {"D": pytest.approx(250.0)}
    assert flip_flop.launch == {"Q": pytest.approx(500.0)}


def test_our_own_library_is_in_nand2_equivalents_and_logical_effort():
    cells = read_library().cells
    assert cells["NAND2"].area == 1.0
    # tau * (stage effort 4 + parasitic delay), tau = 4 ps.
    for name, parasitic in {"INV": 1, "NAND2": 2, "NAND3": 3, "NOR2": 2, "NOR3": 3, "XOR2": 4, "MUX2": 4}.items():
        assert set(cells[name].arcs.values()) == {4.0 * (4 + parasitic)}
    assert [name for name, cell in cells.items() if cell.sequential] == ["DFF"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no such file"),
        ("# README", "is not a liberty file"),
        ("library (x) { cell (A) { area : 1; }", "ends early"),
        ('library (x) { time_unit : "fortnight"; }', "time_unit"),
        ("library (x) { cell (A) { area : 1; } }", "needs gates and a flip-flop"),
        (SMALL.replace("2.5", "0").replace("9;", "0;"), "no cell has an area"),
        (SMALL.replace("2.5", "wide"), "is not a liberty file"),
    ],
)
def test_what_is_no_library_is_refused_by_its_name(tmp_path, text, message):
    path = tmp_path / "cells.lib"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=message) as refused:
        read_library(path)
    assert str(path) in str(refused.value)


def test_the_library_states_what_it_rests_on():
    assert "logical effort" in DEFAULT_LIBRARY.read_text()


POWER = """
library (power) {
  time_unit : "1ns"; voltage_unit : "1V"; nom_voltage : 1.1; capacitive_load_unit (0.5, pf); leakage_power_unit : "1uW";
  wire_load (small) { capacitance : 2; slope : 3; fanout_length (2, 1); fanout_length (4, 5); }
  wire_load (other) { capacitance : 9; slope : 9; fanout_length (1, 9); }
  default_wire_load : small;
  cell (ND) {
    area : 1; cell_leakage_power : 0.25;
    pin (A) { direction : input; capacitance : 0.004; }
    pin (Z) {
      direction : output; function : "A'";
      internal_power () {
        related_pin : A; rise_power (t) { values ("1, 2", "3, 8"); } fall_power (t) { values ("4"); }
      }
      internal_power () { related_pin : A; when : "A"; power (t) { values ("0, 6"); } }
    }
  }
  cell (FF) {
    area : 9; ff (IQ, IQN) { clocked_on : CK; next_state : D; }
    pin (CK) { direction : input; capacitance : 0.002; internal_power () { power (t) { values ("3"); } } }
    pin (D) { direction : input; capacitance : 0.002; }
    pin (Q, QN) { direction : output; function : IQ; }
  }
}
"""


def test_energies_are_read_with_their_units(tmp_path):
    path = tmp_path / "power.lib"
    path.write_text(POWER)
    library = read_library(path)
    gate, flip_flop = library.cells["ND"], library.cells["FF"]
    assert library.voltage == 1.1
    assert gate.capacitances == {"A": pytest.approx(2.0)}
    # Middle entries 8, 4 and 6, in 0.5 pF times 1 V^2.
    assert gate.energies == {"Z": pytest.approx(6.0 * 500.0)}
    assert gate.leakage_nw == pytest.approx(250.0)
    assert gate.functions == {"Z": "A'"}
    assert flip_flop.energies == {"CK": pytest.approx(1500.0)}
    assert (flip_flop.flip_flop.clocked_on, flip_flop.flip_flop.next_state) == ("CK", "D")
    assert flip_flop.leakage_nw is None
    # fF a unit of length is 2 * 500; lengths 1 at fan-out 2, 5 at 4, 3 more for each beyond.
    assert [library.wire(n) for n in (0, 1, 2, 3, 4, 6)] == pytest.approx([0, 500, 1000, 3000, 5000, 11000])
    library.require_energies()


def test_a_library_without_energies_gives_areas_only(tmp_path):
    path = tmp_path / "small.lib"
    path.write_text(SMALL)
    with pytest.raises(InputError, match="library 'small' has no energies: no gate with internal_power"):
        read_library(path).require_energies()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("capacitive_load_unit (0.5, pf)", "capacitive_load_unit"),
        ('voltage_unit : "1V"', "voltage_unit"),
        ('leakage_power_unit : "1uW"', "leakage_power_unit"),
    ],
)
def test_an_unknown_unit_is_named(tmp_path, text, message):
    path = tmp_path / "units.lib"
    path.write_text(POWER.replace(text, text.replace("pf", "ells").replace("1V", "1 ell").replace("1uW", "1 ell")))
    with pytest.raises(InputError, match=message):
        read_library(path)


def test_our_own_energies_are_logical_effort():
    """1/2 C V^2 at 1 V: an inverter input is 1.5 fF, a pin its logical effort, an output its parasitic delay."""
    cells = read_library().cells
    unit = 1.5
    effort = {"INV": {"A": 1}, "NAND2": {"A": 4 / 3, "B": 4 / 3}, "NOR3": dict.fromkeys("ABC", 7 / 3)}
    effort |= {"AOI21": {"A": 2, "B": 2, "C": 5 / 3}, "OAI21": {"A": 2, "B": 2, "C": 4 / 3}}
    for name, pins in effort.items():
        assert cells[name].capacitances == {pin: pytest.approx(unit * g, rel=1e-3) for pin, g in pins.items()}
    for name, cell in cells.items():
        if not cell.sequential and name != "BUF":
            parasitic = next(iter(cell.arcs.values())) / 4 - 4
            assert cell.energies == {"Y": pytest.approx(0.5 * unit * parasitic, rel=1e-3)}

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
        (None, "cannot be read"),
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

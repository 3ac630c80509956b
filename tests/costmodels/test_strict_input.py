"""Input that could be read in two ways is refused, with file, line and key."""

import pytest
import yaml

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.csv_table import integer, read_table
from accelgym.costmodels.files.strict_yaml import StrictLoader
from accelgym.costmodels.files.timeloop_yaml.document import normalise, parse_document
from accelgym.costmodels.files.timeloop_yaml.expressions import Scope
from accelgym.costmodels.maestro import MaestroModel
from accelgym.costmodels.maestro.designs_csv import evaluate_file
from accelgym.costmodels.systolic.config import load_config
from accelgym.costmodels.workloads.importers.scalesim_csv import import_scalesim_csv
from accelgym.costmodels.workloads.layer import Layer, LayerKind
from accelgym.costmodels.workloads.load import load_workload


def file(tmp_path, text: str, name: str = "input.yaml"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rows: 4\nrows: 8\ncolumns: 4\n", r"input.yaml:2:1: .*key 'rows' is given twice, first in line 1"),
        ("rows: 4\ncolumns: 4\n'rows': 4\n", r"input.yaml:3:1: .*given twice"),
        ("rows: 4\ncolumns: 4\ntechnology: tsmc3\n", r"input.yaml:3:13: technology: 'tsmc3'.*nand2"),
        ("rows: 4\ncolumns: 4\nlanes: 4\n", r"input.yaml:3:8: lanes: unknown key"),
        ("rows: 1_6\ncolumns: 4\n", r"input.yaml:1:7: .*number '1_6' can be read in two ways"),
        ("rows: 010\ncolumns: 4\n", r"number '010' can be read in two ways"),
        ("rows: 1:4\ncolumns: 4\n", r"number '1:4' can be read in two ways"),
        ("rows: \u0664\ncolumns: 4\n", r"input.yaml:1:7: rows: "),
        ("rows: 4\ncolumns: 4\nclock_ghz: 0_1.5\n", r"number '0_1.5' can be read in two ways"),
    ],
)
def test_ambiguous_accelerators(text, message, tmp_path):
    with pytest.raises(InputError, match=message):
        load_config(file(tmp_path, text))


def test_plain_accelerators_are_read(tmp_path):
    config = load_config(file(tmp_path, "rows: 16\ncolumns: 0x10\nclock_ghz: 5.0e-1\ntechnology: nand2\n"))
    assert (config.rows, config.columns, config.clock_ghz) == (16, 16, 0.5)


@pytest.mark.parametrize("text", ["a: {b: 1, b: 2}", "a: [{b: 1}, {c: 1, c: 2}]", "a: !Tag {b: 1, b: 1}", "1: a\n1: b"])
def test_every_mapping_of_every_reader(text, tmp_path):
    with pytest.raises(InputError, match="given twice"):
        parse_document(f"{text}\n")
    with pytest.raises(InputError, match="given twice"):
        load_workload(str(file(tmp_path, f"{text}\n")))


def test_merge_keys_and_equal_values_stay_allowed():
    text = "base: &base {x: 1, y: 2}\nother: {<<: *base, x: 3}\nlist: [1, 1]\n1: one\n'1': text\n"
    found = yaml.load(text, Loader=StrictLoader)
    assert found["other"] == {"x": 3, "y": 2}
    assert found[1] == "one"
    assert found["1"] == "text"


def test_timeloop_expressions():
    scope = Scope()
    assert scope.resolve("4*4", "here") == 16
    for text in ("1_000", "-2_0", "1_0.5", "2 * 1_000"):
        with pytest.raises(InputError, match="can be read in two ways"):
            scope.resolve(text, "here")
    assert scope.resolve("\u0664", "here") == "\u0664"  # A name: where a number is wanted, it is none.
    assert scope.resolve("word_bits", "here") == "word_bits"
    with pytest.raises(InputError, match="key 'word_bits' appears twice"):
        normalise({"word-bits": 8, "word_bits": 16}, "here", ["word_bits"])


@pytest.mark.parametrize("text", ["1_000", "\u0661\u0662", "\uff11", "+1", "1.0", "1e3", "", " ", "--1", "\u00b2"])
def test_cells_that_are_no_integers(text):
    assert integer(text) is None


def test_cells_that_are_integers():
    assert [integer(text) for text in ("0", "12", " 7 ", "-3")] == [0, 12, 7, -3]


DESIGN = "layer_type,K,C,Y,X,R,S,dataflow,num_pes,buffer_level"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{DESIGN},K\nCONV,8,8,8,8,3,3,dla,4,1,9\n", "line 1: column 'K' stands twice, as columns 2 and 11"),
        (f"{DESIGN}\nCONV,8,8,8,8,3,3,dla,4\n", "line 2: expected 10 cells"),
        (f"{DESIGN}\nCONV,8,8,8,8,3,3,dla,4,1,1\n", "line 2: expected 10 cells"),
        (f"{DESIGN}\nCONV,1_0,8,8,8,3,3,dla,4,1\n", "line 2: column 'K' is '1_0'"),
        (f"{DESIGN}\nCONV,\u0664,8,8,8,3,3,dla,4,1\n", "line 2: column 'K' is"),
    ],
)
def test_ambiguous_designs(text, message, tmp_path):
    with pytest.raises(InputError, match=message):
        evaluate_file(MaestroModel(), file(tmp_path, text, "designs.csv"), tmp_path / "costs.csv")
    assert not (tmp_path / "costs.csv").exists()


def test_tables_of_presets_and_topologies(tmp_path):
    with pytest.raises(InputError, match="column 'a' stands twice"):
        read_table(file(tmp_path, "a,b,a\n1,2,3\n", "t.csv"), ("a",))
    header = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides"
    with pytest.raises(InputError, match="column 'Channels' stands twice"):
        import_scalesim_csv(
            file(tmp_path, header.replace("Num Filter", "Channels") + "\na,8,8,3,3,4,4,1\n", "topology.csv")
        )


@pytest.mark.parametrize(
    "values",
    [
        {"stride": (999_999_999_999, 1)},
        {"padding": (0, 2**31)},
        {"dilation": (1, 2**31)},
        {"P": 2**20, "stride": (2**20, 1)},
        {"R": 2**20, "dilation": (2**20, 1)},
        {"P": 2**20, "Q": 2**20, "stride": (2**10, 2**10)},
    ],
)
def test_derived_sizes_have_limits(values):
    with pytest.raises(InputError, match=r"layer 'a': .*(allowed|exceed)"):
        Layer("a", LayerKind.CONV, **values)

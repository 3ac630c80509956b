"""The presets against what Voyager's authors published and what SCALE-Sim measured."""

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.systolic.presets import evaluate_table
from accelgym.costmodels.systolic.presets.scalesim import MatrixProduct, total_cycles
from accelgym.costmodels.systolic.presets.voyager import CLASSES, VoyagerLayer, layer_cost

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
LIMITS = {
    # Class: largest error, and largest mean error, over both published array sizes.
    "plain": (0.01, 0.0005),
    "wide output": (0.04, 0.01),
    "window": (0.01, 0.01),
    "gemv": (0.001, 0.0005),
    "depthwise": (0.25, 0.05),
    "unpacked": (0.52, 0.30),
    "stream": (0.003, 0.001),
    "softmax": (0.001, 0.001),
    "layer norm": (0.001, 0.001),
    "pooling": (0.002, 0.002),
}


def evaluated(name: str, tmp_path: Path, preset: str, array: str | None = None) -> list[dict[str, str]]:
    target = tmp_path / "out.csv"
    evaluate_table(GOLDEN / name, target, preset, array)
    with target.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_published_voyager_row_is_met_as_its_class_promises(tmp_path):
    errors: dict[str, list[float]] = {}
    for size in ("16", "32"):
        for row in evaluated("voyager/layers.csv", tmp_path, "voyager", size):
            error = abs(int(row["cycles"]) / int(row[f"achieved{size}"]) - 1)
            errors.setdefault(row["class"], []).append(error)
    assert len(errors["plain"]) == 86
    assert set(errors) == set(LIMITS) <= set(CLASSES)
    for name, found in errors.items():
        assert max(found) <= LIMITS[name][0], name
        assert sum(found) / len(found) <= LIMITS[name][1], name


@pytest.mark.parametrize("array", ["8", "8x16", "16x32"])
@pytest.mark.parametrize(("model", "subject"), [("BERT-Base", "BERT (Base)"), ("MobileBERT-TINY", "MobileBERT-TINY")])
def test_runtimes_of_other_arrays_follow(array, model, subject, tmp_path):
    """The constants come from 16 x 16 and 32 x 32; table 4 has other arrays, among them rectangular ones."""
    rows = evaluated("voyager/layers.csv", tmp_path, "voyager", array)
    total = sum(int(row["cycles"]) * int(row["count"]) for row in rows if row["model"] == model)
    column = array if "x" in array else f"{array}x{array}"
    with (GOLDEN / "voyager" / "totals.csv").open(newline="") as file:
        published = {
            (row["subject"], row["column"]): float(row["value"])
            for row in csv.DictReader(file)
            if row["metric"] == "runtime_cycles_E4M3"
        }
    assert total == pytest.approx(published[subject, column], rel=0.01)


def test_a_plain_layer_by_hand():
    # 28 x 28 pixels, 9 taps, 8 x 8 blocks; first tile 4 x 28 with halo 6 x 30; latency 42 + 3 * 16 + 16.
    layer = VoyagerLayer("conv", "matrix", (28, 28, 128), (3, 3, 128, 128))
    assert layer_cost(layer, 16, 16).cycles == 784 * 9 * 64 + 42 + 64 + 180


def test_a_tile_too_small_to_hide_weights_waits_for_them():
    layer = VoyagerLayer("conv", "matrix", (7, 7, 512), (1, 1, 512, 64))
    assert layer_cost(layer, 64, 64).cycles == (64 + 2) * 8 + 42 + 256 + 64


def test_unknown_rows_are_named_and_left_empty(tmp_path):
    source = tmp_path / "in.csv"
    source.write_text(
        "model,layer,count,unit,input_shape,weight_shape,stride\n"
        "m,a,1,sparse,8x8,8x8,1\nm,fft_1,1,vector,8x64,,\nm,b,1,matrix,5x7,8x8,\nm,c,1,matrix,64x64,64x64,\n"
    )
    target = tmp_path / "out.csv"
    assert evaluate_table(source, target, "voyager", "16") == (4, 1)
    with target.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [bool(row["cycles"]) for row in rows] == [False, False, False, True]
    assert [bool(row["reason"]) for row in rows] == [True, True, True, False]


@pytest.mark.parametrize(
    ("text", "preset", "array", "message"),
    [
        ("layer,unit\n", "voyager", "16", "column 'input_shape' is missing"),
        ("", "voyager", None, "needs the size of the array"),
        ("", "voyager", "0", "needs the size of the array"),
        ("", "eyeriss", None, "unknown preset 'eyeriss'"),
        ("", "scalesim", "16", "array_rows"),
        ("layer,unit,input_shape,weight_shape,stride\na,matrix,4xq,4x4,1\n", "voyager", "16", "line 2.*'4xq'"),
        (
            "array_rows,array_cols,dataflow,kind,params,gemm_M,gemm_N,gemm_K\n8,8,rs,gemm,1x1x1,,,\n",
            "scalesim",
            None,
            "line 2: unknown dataflow 'rs'",
        ),
    ],
)
def test_bad_tables_are_explained(text, preset, array, message, tmp_path):
    source = tmp_path / "in.csv"
    source.write_text(text)
    with pytest.raises(InputError, match=message):
        evaluate_table(source, tmp_path / "out.csv", preset, array)


def test_scalesim_is_exact_on_every_measured_row(tmp_path):
    rows = evaluated("scalesim/scalesim.csv", tmp_path, "scalesim")
    assert {row["dataflow"] for row in rows} == {"ws", "os", "is"}
    assert [row["cycles"] for row in rows] == [row["total_cycles"] for row in rows]


def test_scalesim_rows_give_the_same_cycles_from_either_description(tmp_path):
    with (GOLDEN / "scalesim" / "scalesim.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    with source.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows({**row, "params": ""} for row in rows)
    evaluate_table(source, target, "scalesim")
    with target.open(newline="") as file:
        assert [row["cycles"] for row in csv.DictReader(file)] == [row["total_cycles"] for row in rows]


sizes = st.integers(1, 40)


@given(rows=sizes, columns=sizes, m=sizes, n=sizes, k=sizes)
def test_scalesim_transposed_products_swap_weights_and_inputs(rows, columns, m, n, k):
    weights = total_cycles(rows, columns, "ws", MatrixProduct(m, n, k))
    inputs = total_cycles(rows, columns, "is", MatrixProduct(n, m, k))
    assert weights == inputs
    assert (weights + 1) * rows * columns >= m * n * k  # No array does more than a product an element and cycle.

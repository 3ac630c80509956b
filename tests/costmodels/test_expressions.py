"""Recorded expressions: whatever is left out or compiled, the numbers are those of the plain array code."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from accelgym.costmodels import kernels
from accelgym.costmodels.expressions import Expression, Program, Recorder
from accelgym.costmodels.kernels import Kernel
from accelgym.costmodels.lines import LINE
from accelgym.costmodels.maestro import MaestroModel, batch, physical
from accelgym.costmodels.maestro.designs import Dataflow
from accelgym.costmodels.maestro.physical import PhysicalModel

VALUES = st.sampled_from([0.0, 1.0, 2.0, 3.0, 7.0, 0.5])


@st.composite
def formulas(draw, depth=0):
    """A function of an array namespace and of columns a, b and c."""
    kinds = ["column", "constant"] if depth > 5 else ["column", "constant", "two", "two", "one", "where"]
    kind = draw(st.sampled_from(kinds))
    if kind == "column":
        name = draw(st.sampled_from("abc"))
        return lambda xp, columns: columns[name]
    if kind == "constant":
        value = draw(VALUES)
        # Of NumPy: ~ of one of Python's truth values is a number.
        return lambda xp, columns: np.float64(value)
    one, other = draw(formulas(depth + 1)), draw(formulas(depth + 1))
    if kind == "one":
        name = draw(st.sampled_from(["floor", "ceil"]))
        return lambda xp, columns: getattr(xp, name)(one(xp, columns))
    if kind == "two":
        name = draw(st.sampled_from(["+", "-", "*", "minimum", "maximum"]))

        def two(xp, columns):
            x, y = one(xp, columns), other(xp, columns)
            signs = {"+": lambda: x + y, "-": lambda: x - y, "*": lambda: x * y}
            return signs[name]() if name in signs else getattr(xp, name)(x, y)

        return two
    sign = draw(st.sampled_from(["<", "<=", "==", "~", "&", "|"]))

    def where(xp, columns):
        x, y = one(xp, columns), other(xp, columns)
        mask = {
            "<": lambda: x < y,
            "<=": lambda: x <= y,
            "==": lambda: x == y,
            "~": lambda: ~(x > y),
            "&": lambda: (x > y) & (x >= 1.0),
            "|": lambda: (x > y) | (y >= 1.0),
        }[sign]()
        return xp.where(mask, y, x)

    return where


def recorded(formula):
    recorder = Recorder()
    return formula(recorder, {name: recorder.input(name) for name in "abc"})


@settings(max_examples=60, deadline=None)
@given(formula=formulas())
def test_a_program_is_its_array_code(formula):
    rng = np.random.default_rng(0)
    columns = {name: rng.choice([0.0, 1.0, 2.0, 5.0, 6.5], 64) for name in "abc"}
    plain = np.broadcast_to(formula(np, columns), (64,))
    program = Program([recorded(formula)])
    np.testing.assert_array_equal(np.broadcast_to(program.run(np, columns)[0], (64,)), plain)
    tensors = {name: torch.as_tensor(column) for name, column in columns.items()}
    np.testing.assert_array_equal(torch.as_tensor(program.run(torch, tensors)[0]).expand(64).numpy(), plain)


def test_equal_terms_are_one_and_decided_ones_none():
    recorder = Recorder()
    a, b = recorder.input("a"), recorder.input("b")
    assert (a + b) is (b + a)
    assert (a - b) is not (b - a)
    for same in (a * 1.0, a + 0.0, a / 1.0, a - 0.0):
        assert same is a
    assert not isinstance(a * 0.0, Expression)
    assert recorder.where(np.bool_(True), a, b) is a
    assert recorder.where(a < b, a, a) is a
    assert Program([(a + b) * (b + a)]).length == 4  # two inputs, a sum, a product


def test_terms_have_the_shape_of_what_they_depend_on():
    recorder = Recorder()
    a, b = recorder.input("a"), recorder.input("b")
    columns = {"a": np.arange(3.0)[:, None], "b": np.arange(4.0)}
    both, alone = Program([a * b, a + 1.0]).run(np, columns)
    assert (both.shape, alone.shape) == ((3, 4), (3, 1))


@pytest.fixture
def compiled_at_once(monkeypatch):
    pytest.importorskip("numba", reason="the extra 'fast' is not installed")
    monkeypatch.setattr(kernels, "WORTH_COMPILING", 0)
    batch._kernel.cache_clear()


def test_a_kernel_is_its_program(compiled_at_once):
    recorder = Recorder()
    a, b = recorder.input("a"), recorder.input("b")
    ratio = recorder.floor(a / b) + recorder.ceil(b / a)
    names = ("number", "mask", "constant", "input")
    outputs = [recorder.where(a > b, ratio, recorder.minimum(a, b)), (a >= b) & ~(a == b), np.float64(3.0), b]
    kernel = Kernel(lambda: (names, Program(outputs)))
    rng = np.random.default_rng(0)
    for rows, dtype in ((1, np.int64), (7, np.uint8), (LINE, np.float64), (1000, np.int32), (1000, np.float32)):
        columns = {"a": rng.integers(1, 99, rows).astype(dtype), "b": np.array(7.0)}
        assert kernel.wants(rows)
        expected = Program(outputs).run(np, {name: np.asarray(c, dtype=float) for name, c in columns.items()})
        some = np.flatnonzero(rng.random(rows) < 0.5)
        for chosen in (None, some, some[::-1]):
            found = {name: np.full(rows, 9.0) for name in names} | {"mask": np.full(rows, True)}
            kernel.bind(columns, found).run(0, rows if chosen is None else len(chosen), chosen)
            for name, column in zip(names, expected, strict=True):
                wanted = np.full(rows, found[name].dtype.type(9))
                wanted[slice(None) if chosen is None else chosen] = np.broadcast_to(column, rows)[
                    slice(None) if chosen is None else chosen
                ]
                np.testing.assert_array_equal(found[name], wanted, err_msg=name)


def test_a_kernel_starts_where_it_is_told(compiled_at_once):
    recorder = Recorder()
    doubled = Program([recorder.input("a") * 2.0])
    kernel = Kernel(lambda: (("doubled",), doubled))
    a, found = np.arange(900), np.full(900, -1, dtype=np.int64)
    kernel.bind({"a": a}, {"doubled": found}).run(100, 700)
    np.testing.assert_array_equal(found, np.where((a >= 100) & (a < 800), 2 * a, -1))


def test_lookups_read_their_table(compiled_at_once):
    recorder = Recorder()
    a = recorder.input("a")
    tables = [np.arange(5.0) ** 2, np.arange(50.0) + 0.5]
    outputs = [recorder.lookup(tables[0], recorder.minimum(a, 4.0)), recorder.lookup(tables[1], a)]
    kernel = Kernel(lambda: (("few", "many"), Program(outputs)))
    given = {"a": np.arange(50) % 7}
    found = {name: np.empty(50) for name in ("few", "many")}
    kernel.bind(given, found).run(0, 50)
    for name, column in zip(found, Program(outputs).run(np, given), strict=True):
        np.testing.assert_array_equal(found[name], column)
    np.testing.assert_array_equal(found["few"], np.minimum(given["a"], 4) ** 2)


@pytest.fixture
def few_tabulated(monkeypatch):
    """Only memories below 512 bytes are in the table of energies."""
    physical._even_powers.cache_clear()
    monkeypatch.setattr(physical, "_TABULATED", 256)
    yield
    physical._even_powers.cache_clear()
    batch._kernel.cache_clear()


def test_physical_memories_beyond_the_tabulated_sizes(random_designs, compiled_at_once, few_tabulated, monkeypatch):
    designs = random_designs(np.random.default_rng(6), 400, Dataflow.SHI)
    compiled = PhysicalModel().evaluate(designs)
    found = {name: compiled.breakdown[name] for name in compiled.breakdown}
    monkeypatch.setattr(kernels, "WORTH_COMPILING", float("inf"))
    plain = PhysicalModel().evaluate(designs)
    assert 0 < (found["l2_bytes"] >= 512).sum() < 400
    np.testing.assert_array_equal(compiled.energy_pj, plain.energy_pj)
    for name, column in found.items():
        np.testing.assert_array_equal(column, plain.breakdown[name], err_msg=name)


@pytest.mark.parametrize("model", [MaestroModel(), MaestroModel(noc_bw=8, compat=False), PhysicalModel()], ids=str)
def test_compiled_models_give_the_same_bits(model, random_designs, compiled_at_once, monkeypatch):
    designs = random_designs(np.random.default_rng(5), 5000, Dataflow.DLA)
    # Rows that mean nothing, and ones beyond the exact range.
    designs = dataclasses.replace(designs, K=np.where(np.arange(5000) % 50 == 0, 0, designs.K))
    designs = dataclasses.replace(designs, C=np.where(np.arange(5000) % 50 == 1, 2**50, designs.C))
    compiled = model.evaluate(designs)
    monkeypatch.setattr(kernels, "WORTH_COMPILING", float("inf"))
    plain = model.evaluate(designs)
    assert 4000 < plain.valid.sum() < 5000
    for name in ("latency_cycles", "energy_pj", "area_um2", "power_mw", "valid", "reason"):
        np.testing.assert_array_equal(getattr(compiled, name), getattr(plain, name), err_msg=name)

"""Layout, moves and crossover, against what each one says it changes."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelgym.agents.moves import MOVES, Mover, cross_one_point, cross_uniform
from accelgym.costmodels.errors import InputError
from accelgym.envs.layout import Layout
from accelgym.envs.space import Parameter, Space

PES = (1, 2, 4, 8, 12, 16, 24)
SPACE = Space(
    tuple(
        Parameter(f"layer{i}.{knob}", values, knob != "flow", f"layer{i}", knob)
        for i in range(5)
        for knob, values in (("flow", ("dla", "eye", "shi")), ("pes", PES), ("buffer", tuple(range(1, 6))))
    )
)
TASK = SimpleNamespace(space=SPACE)
LAYOUT = Layout(SPACE)
seeds = st.integers(0, 2**32 - 1)


def moved(name, seed, rows=200):
    rng = np.random.default_rng(seed)
    before = SPACE.sample(rng, rows)
    after = Mover(TASK, {name: 1.0}).move(before, rng)
    SPACE.check(after)
    return before, after


def test_slots_and_knobs_are_groups_and_knobs_of_the_parameters():
    assert LAYOUT.slot.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]
    assert LAYOUT.knob.tolist() == [0, 1, 2] * 5
    assert LAYOUT.slots == 5
    assert LAYOUT.shares_knobs
    plain = Layout(Space((Parameter("x", (1, 2)), Parameter("l.y", (1, 2)), Parameter("l.x", (1, 2, 3), knob="x"))))
    assert not plain.shares_knobs
    assert plain.slot.tolist() == [0, 1, 2]
    assert plain.knob.tolist() == [0, 1, 2], "the same name with other values is another knob"


def test_constants_are_all_designs_that_repeat_one_choice():
    found = LAYOUT.constants(np.random.default_rng(0), 1000)
    assert len(np.unique(found, axis=0)) == len(found) == 3 * 7 * 5
    assert (found.reshape(len(found), 5, 3) == found[:, None, :3]).all()


@pytest.mark.parametrize("most", [1, 10, 104])
def test_fewer_constants_are_a_random_subset(most):
    everything = {tuple(row) for row in LAYOUT.constants(np.random.default_rng(0), 1000)}
    one, two = (LAYOUT.constants(np.random.default_rng(seed), most) for seed in (1, 2))
    assert len(np.unique(one, axis=0)) == len(one) == most
    assert {tuple(row) for row in one} <= everything
    assert not np.array_equal(one, two)


def test_constants_of_a_space_too_large_to_number():
    wide = Layout(Space(tuple(Parameter(f"k{i}", tuple(range(100))) for i in range(30))))
    found = wide.constants(np.random.default_rng(0), 50)
    assert len(np.unique(found, axis=0)) == len(found) == 50


@settings(deadline=None)
@given(seeds, st.sampled_from(sorted(MOVES)), st.integers(1, 5))
def test_every_move_stays_in_the_space_and_changes_something(seed, name, times):
    rng = np.random.default_rng(seed)
    before = SPACE.sample(rng, 50)
    copy = before.copy()
    after = Mover(TASK, {name: 1.0}).move(before, rng, times)
    SPACE.check(after)
    assert (before == copy).all(), "the input was changed"
    if times == 1:
        assert (after != before).any(axis=1).all()


@given(seeds)
def test_a_step_goes_to_a_neighbour_and_never_along_an_unordered_parameter(seed):
    before, after = moved("step", seed)
    changed = before != after
    assert (changed.sum(axis=1) == 1).all()
    assert (np.abs(after - before)[changed & SPACE.ordered] == 1).all()


@given(seeds)
def test_a_reset_changes_one_parameter(seed):
    before, after = moved("reset", seed)
    assert ((before != after).sum(axis=1) == 1).all()


@given(seeds)
def test_a_transfer_gives_no_more_than_it_takes(seed):
    before, after = moved("transfer", seed)
    changed = before != after
    pairs = changed.sum(axis=1) == 2
    assert pairs.any()
    assert (changed.sum(axis=1) <= 2).all()
    for b, a, c in zip(before[pairs], after[pairs], changed[pairs], strict=True):
        one, two = np.flatnonzero(c)
        assert LAYOUT.knob[one] == LAYOUT.knob[two]
        assert SPACE.ordered[one]
        (up, down) = (one, two) if a[one] > b[one] else (two, one)
        assert b[up] < a[up] <= b[up] + 3
        value = LAYOUT.amounts
        rise, fall = value[up, a[up]] - value[up, b[up]], value[down, b[down]] - value[down, a[down]]
        assert fall >= rise or a[down] == 0
        # Nor does it take a level more than it must.
        assert a[down] == b[down] - 1 or value[down, b[down]] - value[down, a[down] + 1] < rise


@pytest.mark.parametrize("name", ["gather", "spread"])
@given(seed=seeds)
def test_one_slot_trades_with_a_few_others(name, seed):
    before, after = moved(name, seed)
    traded = (before != after).sum(axis=1) > 1
    assert traded.any()
    for b, a in zip(before[traded], after[traded], strict=True):
        changed = np.flatnonzero(a != b)
        assert len(set(LAYOUT.knob[changed])) == 1
        assert SPACE.ordered[changed].all()
        rise = a[changed] - b[changed]
        alone = rise > 0 if name == "gather" else rise < 0
        assert alone.sum() == 1
        assert np.abs(rise[alone]) <= 3
        # The others: at most four turns of one level, several of which may fall on one slot.
        assert np.abs(rise[~alone]).sum() <= 4
        if name == "spread":
            assert LAYOUT.amounts[changed, a[changed]].sum() <= LAYOUT.amounts[changed, b[changed]].sum()


@given(seeds)
def test_a_swap_keeps_what_each_knob_has_in_all(seed):
    before, after = moved("swap", seed)
    pairs = (before != after).sum(axis=1) == 2
    assert pairs.any()
    for knob in range(3):
        mine = LAYOUT.knob == knob
        np.testing.assert_array_equal(np.sort(before[pairs][:, mine]), np.sort(after[pairs][:, mine]))


def test_a_copy_takes_the_value_of_another_slot():
    # Each knob has the values 0 and 1 in different slots, so that copies and resets differ in where they lead.
    base = np.array([[0, 0, 0], [1, 1, 1], [0, 0, 0], [1, 1, 1], [0, 0, 0]]).reshape(1, -1).repeat(6000, axis=0)
    after = Mover(TASK, {"copy": 1.0}).move(base, np.random.default_rng(0))
    row, column = np.nonzero(after != base)
    assert len(row) == 6000
    # Half the partners of an even slot, a quarter of those of an odd one, hold the same value: the copy becomes a
    # reset, and five of the six other values are held by no slot.
    pes = LAYOUT.knob[column] == 1
    even = pes & (LAYOUT.slot[column] % 2 == 0)
    assert (after[row, column][even] > 1).mean() == pytest.approx(1 / 2 * 5 / 6, abs=0.05)
    assert (after[row, column][pes & ~even] > 1).mean() == pytest.approx(1 / 4 * 5 / 6, abs=0.05)


def test_weights_set_the_frequency_of_moves():
    # All slots alike: a swap turns into a reset, which an unordered parameter shows by moving at all.
    base = np.tile(np.array([0, 3, 2] * 5), (4000, 1))
    after = Mover(TASK, {"step": 3.0, "transfer": 1.0}).move(base, np.random.default_rng(0))
    ordered = ((after != base) & SPACE.ordered).sum(axis=1)
    share = (ordered == 2).sum() / (ordered > 0).sum()
    assert share == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize(
    ("weights", "message"),
    [({"jump": 1.0}, "unknown move 'jump'"), ({"step": -1.0}, "-1.0"), ({"step": 0.0}, "sum to 0")],
)
def test_bad_weights_are_refused(weights, message):
    with pytest.raises(InputError, match=message):
        Mover(TASK, weights)


@pytest.mark.parametrize("tries", [1, 3])
def test_moves_within_the_budget_are_feasible(assignment, tries):
    rng = np.random.default_rng(0)
    start = assignment.sample_feasible(rng, 300)
    after = Mover(assignment, {"step": 1.0, "reset": 1.0}).move_within_budget(start, rng, 2, tries=tries)
    assert assignment.evaluate(after).feasible.all()
    assert (after != start).any(axis=1).mean() > 0.9


@given(seeds, st.sampled_from([cross_uniform, cross_one_point]))
def test_a_child_takes_every_slot_whole_from_one_parent(seed, cross):
    rng = np.random.default_rng(seed)
    first = SPACE.sample(rng, 50)
    second = (first + 1) % SPACE.nvec
    child = cross(LAYOUT, first, second, rng)
    from_first = (child == first).reshape(50, 5, 3)
    assert (from_first.all(axis=2) | (~from_first).all(axis=2)).all()
    assert ((child == first) | (child == second)).all()
    if cross is cross_one_point:
        taken = from_first.all(axis=2).astype(int)
        assert (np.diff(taken, axis=1) <= 0).all(), "one cut: first parent, then second"

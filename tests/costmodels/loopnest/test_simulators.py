"""The batched model against the walk of every iteration and against the words really needed."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accelgym.costmodels.architecture import Architecture, Compute, LoopNest, StorageLevel
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.loopnest import LoopnestModel, Mappings, sample_mappings
from accelgym.costmodels.loopnest.distinct import distinct_words

SETTINGS = settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SMALL = st.sampled_from([1, 2, 3, 4, 6])


@st.composite
def problems(draw, windows=True):
    kind = draw(st.sampled_from(["gemm", "batched", *(["conv", "grouped", "conv1d", "backward"] if windows else [])]))
    if kind == "gemm":
        return LoopNest.gemm("g", I=draw(SMALL), J=draw(SMALL), L=draw(SMALL))
    if kind == "batched":
        return LoopNest.gemm("g", I=draw(SMALL), J=draw(SMALL), L=draw(SMALL), batch=draw(st.sampled_from([2, 3])))
    if kind == "conv1d":
        return LoopNest.conv1d("c", M=draw(SMALL), P=draw(SMALL), R=draw(SMALL), C=2, stride=draw(st.integers(1, 3)))
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    stride, dilation = draw(pair), draw(pair)
    if kind == "backward":
        return _scattered(draw, stride)
    groups = draw(st.sampled_from([2, 3])) if kind == "grouped" else 1
    return LoopNest.conv(
        "c",
        K=groups * draw(st.sampled_from([1, 2])),
        C=groups * draw(st.sampled_from([1, 2])),
        P=draw(SMALL),
        Q=draw(st.sampled_from([1, 2])),
        R=draw(st.sampled_from([1, 2, 3])),
        S=draw(st.sampled_from([1, 2])),
        stride=stride,
        dilation=dilation,
        groups=groups,
    )


def _scattered(draw, stride):
    """A transposed convolution: the output has the sliding window."""
    from accelgym.costmodels.architecture import Tensor

    return LoopNest(
        "t",
        ("K", "C", "P", "R"),
        (2, 2, draw(SMALL), draw(st.sampled_from([1, 2, 3]))),
        (
            Tensor("Weights", ((("K", 1),), (("C", 1),), (("R", 1),))),
            Tensor("Inputs", ((("C", 1),), (("P", 1),))),
            Tensor("Outputs", ((("K", 1),), (("P", stride[0]), ("R", 1))), read_write=True),
        ),
    )


@st.composite
def machines(draw):
    depth = draw(st.integers(1, 4))
    fan = st.sampled_from([1, 1, 2, 3, 4])
    block = st.sampled_from([1, 1, 4])
    bandwidth = st.sampled_from([None, 1, 3.5])
    levels = tuple(
        StorageLevel(
            f"L{i}",
            fanout_x=draw(fan),
            fanout_y=draw(fan),
            block_size=draw(block),
            read_bw=draw(bandwidth),
            write_bw=draw(bandwidth),
            shared_bw=draw(bandwidth),
            read_pj=1.5 + i,
            write_pj=2.25,
            update_pj=3.125,
            leakage_pj=0.125,
        )
        for i in range(depth)
    )
    return Architecture("m", levels, Compute(mac_pj=0.5))


def drawn(problem, machine, seed, *, bypass, n=4):
    rng = np.random.default_rng(seed)
    mappings = sample_mappings(problem, machine, n, rng)
    if not bypass:
        return mappings
    keep = rng.random((n, len(machine.levels), len(problem.tensors))) < 0.6
    keep[:, 0] = True
    return Mappings(problem, machine, mappings.factors, mappings.ranks, keep)


def slides_once(problem, mappings, row):
    """Whether every window axis has at most one time loop above the multipliers' operands."""
    loops = [x for x in mappings.loops(row) if x.kind == "temporal" and x.level + 1 < len(mappings.architecture.levels)]
    for tensor in problem.tensors:
        for axis in tensor.axes:
            if len(axis) > 1 and sum(problem.dims[x.dim] in dict(axis) for x in loops) > 1:
                return False
    return True


@given(problems(), machines(), st.integers(0, 2**32), st.booleans(), st.sampled_from(["head", "v3.0.3"]), st.booleans())
@SETTINGS
def test_model_equals_the_walk_and_under_the_old_engine_never_counts_less(
    problem, machine, seed, bypass, engine, elide
):
    mappings = drawn(problem, machine, seed, bypass=bypass)
    closed = LoopnestModel(problem, machine, engine=engine, first_read_elision=elide).evaluate(mappings)
    walked = LoopnestModel(problem, machine, engine=engine, first_read_elision=elide, counting="walk").evaluate(
        mappings
    )
    assert closed.valid.all()
    assert walked.valid.all()
    for row in range(len(mappings)):
        exact = engine == "head" or slides_once(problem, mappings, row)
        for name, values in walked.breakdown.items():
            if name.endswith(("reads", "fills", "updates", "cycles", "energy_pj")):
                ours, theirs = closed.breakdown.get(name, np.zeros(4))[row], values[row]
                if exact:
                    assert ours == pytest.approx(theirs, rel=1e-12), name
                else:
                    assert ours >= theirs * (1 - 1e-12), name
            elif name.endswith("multicast") and values[row] == 0:
                assert f"{name[:-9]}reads" in walked.breakdown  # bypassed here: nothing to share
            elif name.endswith(("tile_words", "instances", "utilized_pes", "multicast")) and exact:
                assert closed.breakdown[name][row] == pytest.approx(values[row], rel=1e-12), name
        if exact:
            assert closed.energy_pj[row] == pytest.approx(walked.energy_pj[row], rel=1e-12)
            assert closed.latency_cycles[row] == walked.latency_cycles[row]


@st.composite
def windows(draw):
    """A window of two dimensions with many factors, beside loops on another window and on none."""
    bound = st.sampled_from([2, 3, 4, 6, 8, 9, 12])
    sizes = {"M": draw(st.sampled_from([1, 2])), "P": draw(bound), "R": draw(bound)}
    stride, dilation = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    if draw(st.booleans()):
        return LoopNest.conv1d("w", **sizes, stride=stride, dilation=dilation)
    return LoopNest.conv(
        "w",
        K=sizes["M"],
        C=1,
        P=sizes["P"],
        R=sizes["R"],
        Q=draw(SMALL),
        S=2,
        stride=(stride, 1),
        dilation=(dilation, 2),
    )


@given(windows(), machines(), st.integers(0, 2**32), st.booleans())
@SETTINGS
def test_windows_continued_at_several_levels_equal_the_walk(problem, machine, seed, bypass):
    mappings = drawn(problem, machine, seed, bypass=bypass)
    closed = LoopnestModel(problem, machine).evaluate(mappings)
    walked = LoopnestModel(problem, machine, counting="walk").evaluate(mappings)
    for name, values in walked.breakdown.items():
        if name.endswith(("reads", "fills", "updates", "cycles", "energy_pj")):
            np.testing.assert_allclose(closed.breakdown.get(name, np.zeros(4)), values, rtol=1e-12, err_msg=name)
    np.testing.assert_allclose(closed.energy_pj, walked.energy_pj, rtol=1e-12)


@given(problems(), machines(), st.integers(0, 2**32))
@SETTINGS
def test_model_never_counts_less_than_the_words_needed(problem, machine, seed):
    mappings = drawn(problem, machine, seed, bypass=False, n=1)
    costs = LoopnestModel(problem, machine, first_read_elision=False).evaluate(mappings)
    try:
        needed = distinct_words(problem, machine, mappings.loops(0))
    except InputError:
        assert problem.macs > 100_000
        return
    for (level, t), (sent, delivered) in needed.items():
        tensor = problem.tensors[t].name
        assert costs.breakdown[f"{machine.levels[level].name}.{tensor}.reads"][0] >= sent
        if level + 1 < len(machine.levels):
            assert costs.breakdown[f"{machine.levels[level + 1].name}.{tensor}.fills"][0] >= delivered


@given(problems(windows=False), machines(), st.integers(0, 2**32))
@SETTINGS
def test_without_windows_the_model_counts_exactly_the_words_needed(problem, machine, seed):
    mappings = drawn(problem, machine, seed, bypass=False, n=1)
    costs = LoopnestModel(problem, machine, first_read_elision=False).evaluate(mappings)
    for (level, t), (sent, delivered) in distinct_words(problem, machine, mappings.loops(0)).items():
        tensor = problem.tensors[t].name
        assert costs.breakdown[f"{machine.levels[level].name}.{tensor}.reads"][0] == sent
        if level + 1 < len(machine.levels):
            assert costs.breakdown[f"{machine.levels[level + 1].name}.{tensor}.fills"][0] == delivered


@given(problems(), machines(), st.integers(0, 2**32))
@SETTINGS
def test_links_move_words_but_lose_none(problem, machine, seed):
    mappings = drawn(problem, machine, seed, bypass=False, n=1)
    plain = LoopnestModel(problem, machine, counting="walk").evaluate(mappings)
    linked = LoopnestModel(problem, machine, counting="walk", link_transfers=True).evaluate(mappings)
    outermost = machine.levels[0].name
    for tensor in problem.tensor_names:
        name = f"{outermost}.{tensor}.reads"
        assert linked.breakdown[name][0] <= plain.breakdown[name][0]


def test_bypassed_and_strided_outputs_stay_whole():
    from accelgym.costmodels.architecture import Tensor

    plain = {name: ((name, 1),) for name in "KCPR"}
    problem = LoopNest(
        "t",
        ("K", "C", "P", "R"),
        (2, 2, 3, 3),
        (
            Tensor("Weights", (plain["K"], plain["C"], plain["R"])),
            Tensor("Inputs", (plain["C"], plain["P"])),
            Tensor("Outputs", (plain["K"], (("P", 2), ("R", 1))), read_write=True),
        ),
    )
    machine = Architecture(
        "m", (StorageLevel("A", fanout_y=2), StorageLevel("B", fanout_x=3, fanout_y=3), StorageLevel("C"))
    )
    spread = {"between": ["B", "C"], "x": [{"dim": "R", "bound": 3}], "y": [{"dim": "P", "bound": 3}]}
    loops = {
        "temporal": {"A": [{"dim": "C", "bound": 2}], "C": [{"dim": "K", "bound": 2}]},
        "spatial": [spread],
        "bypass": {"C": ["Outputs"]},
    }
    mappings = Mappings.from_loops(problem, machine, [loops])
    costs = LoopnestModel(problem, machine, first_read_elision=False).evaluate(mappings)
    # 9 positions hold 7 distinct words along P and R, for 2 K, asked for once for each of 2 C.
    assert costs.breakdown["B.Outputs.reads"][0] == 28
    strided = LoopNest("s", ("P",), (4,), (Tensor("I", (plain["P"],)), Tensor("O", ((("P", 2),),), read_write=True)))
    mappings = sample_mappings(strided, machine, 50, np.random.default_rng(0))
    assert LoopnestModel(strided, machine).evaluate(mappings).breakdown["A.O.reads"].min() == 0

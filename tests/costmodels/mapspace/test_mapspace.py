"""The map space alone: every pair of codecs, fits against the cost model, axes against their definition."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelgym.costmodels.architecture import Architecture, Compute, Constraint, LoopNest, StorageLevel
from accelgym.costmodels.costs import Reason
from accelgym.costmodels.loopnest import LoopnestModel
from accelgym.costmodels.loopnest.sampler import sample_mappings
from accelgym.costmodels.mapspace import CandidateEvaluator, Candidates, MapSpace, fits_capacity, held_words
from accelgym.costmodels.objective import Objective

PROBLEMS = (
    LoopNest.conv("conv", K=12, C=4, P=6, Q=4, R=3, S=1, stride=(2, 1)),
    LoopNest.conv("grouped", K=4, C=6, P=4, Q=1, R=2, S=2, groups=2),
    LoopNest.gemm("gemm", I=8, J=6, L=9),
    LoopNest.conv1d("conv1d", M=4, P=8, R=3, dilation=2),
)
SEEDS = st.integers(0, 2**32 - 1)


def machine(**changes):
    """Three levels; a fan-out of 2 x 3 below the second, one of 4 below the third."""
    levels = (
        StorageLevel("DRAM", read_pj=64.0, write_pj=80.0),
        StorageLevel("SRAM", capacity_words=60, read_pj=5.0, write_pj=6.0, fanout_x=2, fanout_y=3),
        StorageLevel("RF", capacity_words=14, read_pj=1.0, write_pj=1.5, fanout_x=4),
    )
    return Architecture("tiny", levels, Compute(mac_pj=2.0), constraints=changes.pop("constraints", ()))


PINNED = (Constraint("SRAM", "temporal", permutation=("K",)), Constraint("SRAM", "bypass", bypass=("Outputs",)))


@st.composite
def spaces(draw):
    constraints = draw(st.sampled_from([(), PINNED]))
    return MapSpace(draw(st.sampled_from(PROBLEMS)), machine(constraints=constraints), bypass=draw(st.booleans()))


def drawn_designs(mapspace, seed, n=60):
    """Random designs, from the number of choices of each decision."""
    rng = np.random.default_rng(seed)
    columns = []
    for decision in mapspace.decisions:
        sizes = {"TensorBypass": 2, "FactorPlacement": len(getattr(decision, "slots", ()))}
        count = sizes.get(type(decision).__name__) or len(decision.dims) - decision.digit
        columns.append(rng.integers(0, count, n))
    return np.stack(columns, axis=1)


def same(a, b):
    return all((x == y).all() for x, y in ((a.factors, b.factors), (a.codes, b.codes), (a.keep, b.keep)))


@settings(max_examples=40, deadline=None)
@given(spaces(), SEEDS)
def test_every_codec_has_an_inverse(mapspace, seed):
    designs = drawn_designs(mapspace, seed)
    np.testing.assert_array_equal(mapspace.designs(mapspace.actions(designs)), designs)
    candidates = mapspace.to_candidates(designs)
    assert same(mapspace.to_candidates(mapspace.to_designs(candidates)), candidates)
    assert same(mapspace.from_mappings(mapspace.to_mappings(candidates)), candidates)
    sites = mapspace.site_factorization
    single = candidates.take(np.flatnonzero(mapspace.factorization.within_limits(candidates.factors)))
    chains, along_x = sites.from_factors(single.factors)
    np.testing.assert_array_equal(sites.to_factors(chains, along_x), single.factors)


@settings(max_examples=25, deadline=None)
@given(spaces(), SEEDS)
def test_mappings_say_the_loops_that_designs_choose(mapspace, seed):
    """Slots and orders by the meaning of the actions, not by the codecs."""
    designs = drawn_designs(mapspace, seed, n=5)
    actions, mappings = mapspace.actions(designs), mapspace.decode(designs)
    for row in range(len(designs)):
        factors = mapspace.factorization.fixed.copy()
        inner_first = {v: [] for v in range(mapspace.permutation.levels)}
        for decision, action in zip(mapspace.decisions, actions[row].tolist(), strict=True):
            if hasattr(decision, "prime"):
                factors[action, decision.dim] *= decision.prime
            elif hasattr(decision, "digit"):
                inner_first[decision.level].append(action)
        np.testing.assert_array_equal(mappings.factors[:, :, row], factors)
        for v, loops in inner_first.items():
            ranks = mappings.ranks[mapspace.architecture.slot(v, "temporal"), :, row]
            free = [d for d in np.argsort(-ranks) if d in mapspace.permutation.free[v]]
            assert free[: len(loops)] == loops


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(PROBLEMS), st.booleans(), SEEDS)
def test_what_fits_is_what_the_cost_model_accepts(problem, bypass, seed):
    mapspace, rng = MapSpace(problem, machine(), bypass=bypass), np.random.default_rng(seed)
    drawn = sample_mappings(problem, machine(), 200, rng)
    keep = mapspace.bypass.everything_kept(200)
    keep[mapspace.bypass.free] = rng.random((int(mapspace.bypass.free.sum()), 200)) < 0.5
    candidates = Candidates(drawn.factors, mapspace.permutation.codes(drawn.ranks), keep)
    reason = LoopnestModel(problem, mapspace.architecture).evaluate(mapspace.to_mappings(candidates)).reason
    assert set(reason) <= {Reason.OK, Reason.CAPACITY, Reason.FANOUT}
    np.testing.assert_array_equal(mapspace.fits(drawn.factors, keep), reason == Reason.OK)


def test_words_held_by_hand():
    problem = LoopNest.conv("c", K=2, C=3, P=4, Q=5, R=3, S=2, stride=(2, 1))
    extents = {"K": 2, "C": 3, "P": np.array([1, 4]), "R": 3, "S": 2}  # Q is 1
    keep = np.array([[True], [True], [False]])
    expected = 2 * 3 * 3 * 2 + 3 * np.array([3, 9]) * 2
    np.testing.assert_array_equal(held_words(problem, extents, keep), expected)
    np.testing.assert_array_equal(fits_capacity(problem, expected[0], extents, keep), [True, False])


@pytest.mark.parametrize("objective", list(Objective))
def test_candidates_cost_what_their_mappings_cost(objective):
    mapspace = MapSpace(PROBLEMS[0], machine(), bypass=True)
    model = LoopnestModel(mapspace.problem, mapspace.architecture)
    candidates = mapspace.to_candidates(drawn_designs(mapspace, 7, n=300))
    costs = model.evaluate(mapspace.to_mappings(candidates))
    values = CandidateEvaluator(mapspace, model, objective)(candidates)
    expected = objective.combine(costs.energy_pj, costs.latency_cycles)
    np.testing.assert_allclose(values[costs.valid], expected[costs.valid], rtol=1e-12)
    assert np.isinf(values[~costs.valid]).all()
    assert 0 < costs.valid.sum() < 300


def test_orders_are_numbered_lexicographically_from_the_innermost_loop():
    permutation = MapSpace(PROBLEMS[2], machine()).permutation
    for level, free in enumerate(permutation.free):
        codes = np.arange(math.factorial(len(free)))
        orders = [tuple(x) for x in permutation.loops(level, codes).T.tolist()]
        assert orders == list(itertools.permutations(free))
        np.testing.assert_array_equal(permutation.code(level, np.array(orders).T), codes)


def test_bypasses_are_all_subsets_of_what_is_free():
    mapspace = MapSpace(PROBLEMS[0], machine(constraints=PINNED), bypass=True)
    choices = mapspace.bypass.all_choices()
    assert choices[:, :, 0].sum() == 3 + 2 + 3  # everything but the outputs in the SRAM
    assert not choices[1, 2].any()
    assert choices[0].all()
    assert len({choices[:, :, i].tobytes() for i in range(choices.shape[2])}) == choices.shape[2] == 2**5


def test_chains_by_site_are_chains_by_slot_up_to_the_split():
    mapspace = MapSpace(PROBLEMS[0], machine())
    sites = mapspace.site_factorization
    for d, dim in enumerate(mapspace.active):
        chains = mapspace.factorization.chains(dim)
        factors = np.ones((len(mapspace.architecture.slots), len(mapspace.problem.dims), chains.shape[1]), np.int64)
        factors[:, dim] = chains
        for other in mapspace.active:
            if other != dim:
                factors[0, other] = mapspace.problem.bounds[other]
        theirs = {tuple(row) for row in sites.from_factors(factors)[0][:, d].T.tolist()}
        assert theirs == {tuple(row) for row in sites.chains[d].tolist()}

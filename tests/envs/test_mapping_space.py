"""The map space: every mapping and only mappings, masks against enumeration, rules against their meaning."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelgym.costmodels.architecture import Architecture, Compute, Constraint, StorageLevel
from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.costs import Reason
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.loopnest import LoopnestModel, Mappings
from accelgym.costmodels.loopnest.sampler import divisor_chains, sample_valid_mappings
from accelgym.costmodels.mapspace import FactorPlacement, MapSpace
from accelgym.costmodels.mapspace.construction import Construction
from accelgym.costmodels.mapspace.index_factorization import prime_factors
from accelgym.costmodels.timeloop import read_timeloop, write_timeloop
from accelgym.costmodels.timeloop.presets import preset, preset_names
from accelgym.envs.mapping import MappingTask
from accelgym.envs.mapping.parameters import design_space
from accelgym.envs.mapping.spec import pad_bounds

CONV = LoopNest.conv("small", K=6, C=4, P=6, Q=4, R=3, S=1)
GEMM = LoopNest.gemm("gemm", I=4, J=6, L=4)


def machine(**changes):
    """Three levels, 2 x 3 processing elements, little room."""
    levels = (
        StorageLevel("DRAM", read_pj=64.0, write_pj=80.0, read_bw=2.0, write_bw=1.0),
        StorageLevel("SRAM", capacity_words=60, read_pj=5.0, write_pj=6.0, fanout_x=2, fanout_y=3),
        StorageLevel("RF", capacity_words=12, read_pj=1.0, write_pj=1.5),
    )
    return Architecture("tiny", levels, Compute(mac_pj=2.0), constraints=changes.pop("constraints", ()))


def all_tilings(mapspace):
    """Every combination of factorisations, shape (slots, dims, n); independent of the decisions."""
    problem = mapspace.problem
    chains = [divisor_chains(bound, mapspace.architecture) for bound in problem.bounds]
    index = np.array(list(itertools.product(*(range(len(c)) for c in chains))))
    return np.stack([c[index[:, d]] for d, c in enumerate(chains)], axis=-1).transpose(1, 2, 0)


@pytest.mark.parametrize("name", preset_names())
def test_every_design_is_an_exact_factorisation_and_round_trips(name):
    problem = LoopNest.conv("layer", K=12, C=8, P=6, Q=5, R=3, S=3)
    mapspace = MapSpace(problem, preset(name))
    designs = design_space(mapspace).sample(np.random.default_rng(0), 500)
    mappings = mapspace.decode(designs)
    np.testing.assert_array_equal(mappings.factors.prod(axis=0), np.tile(np.array(problem.bounds)[:, None], 500))
    np.testing.assert_array_equal(np.sort(mappings.ranks, axis=1)[0, :, 0], np.arange(len(problem.dims)))
    reason = LoopnestModel(problem, mapspace.architecture).evaluate(mappings).reason
    assert not np.isin(reason, [Reason.FACTORISATION, Reason.BAD_VALUE]).any()
    np.testing.assert_array_equal(mapspace.designs(mapspace.actions(designs)), designs)
    canonical = mapspace.decode(mapspace.canonical(designs))
    np.testing.assert_array_equal(canonical.factors, mappings.factors)
    np.testing.assert_array_equal(canonical.ranks, mappings.ranks)


def test_every_valid_mapping_is_in_the_space():
    mapspace = MapSpace(CONV, machine())
    drawn = sample_valid_mappings(CONV, machine(), 300, np.random.default_rng(1))
    back = mapspace.decode(mapspace.encode(drawn))
    np.testing.assert_array_equal(back.factors, drawn.factors)
    model = LoopnestModel(CONV, machine())
    np.testing.assert_array_equal(model.evaluate(back).energy_pj, model.evaluate(drawn).energy_pj)


@pytest.mark.parametrize("dim", range(6))
def test_chains_are_all_factorisations(dim):
    mapspace = MapSpace(CONV, machine())
    ours = {tuple(row) for row in mapspace.factorization.chains(mapspace.active[dim % len(mapspace.active)]).T}
    bound = CONV.bounds[mapspace.active[dim % len(mapspace.active)]]
    assert ours == {tuple(row) for row in divisor_chains(bound, mapspace.architecture)}


def follow(mapspace, wanted):
    """Walks the canonical masks along choices; returns per row whether every step was allowed."""
    state = Construction(mapspace, len(wanted))
    rows = np.arange(len(wanted))
    allowed = np.ones(len(wanted), dtype=bool)
    for at in range(wanted.shape[1]):
        allowed &= state.mask(rows, at, canonical=True)[rows, wanted[:, at]]
        state.choose(rows, at, wanted[:, at])
    return allowed


@pytest.mark.parametrize("problem", [CONV, GEMM], ids=lambda p: p.name)
def test_masked_paths_are_exactly_the_feasible_mappings(problem):
    mapspace = MapSpace(problem, machine())
    factors = all_tilings(mapspace)
    rng = np.random.default_rng(0)
    factors = factors[:, :, rng.permutation(factors.shape[2])[:20_000]]
    ranks = np.tile(np.arange(len(problem.dims))[:, None], (factors.shape[0], 1, factors.shape[2]))
    mappings = Mappings(problem, mapspace.architecture, factors, ranks)
    valid = LoopnestModel(problem, mapspace.architecture).evaluate(mappings).valid
    assert 0 < valid.sum() < len(valid)
    np.testing.assert_array_equal(follow(mapspace, mapspace.actions(mapspace.encode(mappings))), valid)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_no_masked_walk_gets_stuck_or_overflows(seed, bypass):
    task = MappingTask(problem=CONV, machine=machine(), bypass=bypass)
    rng = np.random.default_rng(seed)
    state = Construction(task.mapspace, 40)
    rows = np.arange(40)
    for at in range(len(task.mapspace.decisions)):
        mask = state.mask(rows, at, canonical=True)
        assert mask.any(axis=1).all()
        # Innermost first, to run along the edge of the capacities.
        weight = rng.random(mask.shape) + 2.0 * (rows < 20)[:, None] * np.arange(mask.shape[1])
        state.choose(rows, at, np.where(mask, weight, -1.0).argmax(axis=1))
    designs = task.designs(state.actions)
    assert task.evaluate(designs).feasible.all()
    np.testing.assert_array_equal(task.mapspace.canonical(designs), designs)


@pytest.mark.parametrize("bypass", [False, True])
def test_sampled_and_repaired_designs_are_feasible(bypass):
    task = MappingTask(problem=CONV, machine=machine(), bypass=bypass)
    rng = np.random.default_rng(5)
    sampled = task.sample_feasible(rng, 300)
    assert task.evaluate(sampled).feasible.all()
    np.testing.assert_array_equal(task.repair(sampled, rng), sampled)
    uniform = task.space.sample(rng, 500)
    feasible = task.evaluate(uniform).feasible
    assert not feasible.all()
    np.testing.assert_array_equal(task.fits(uniform), feasible)
    repaired = task.repair(uniform, rng)
    assert task.evaluate(repaired).feasible.all()
    np.testing.assert_array_equal(repaired[feasible], uniform[feasible])


def test_constraints_bind():
    constraints = (
        Constraint("SRAM", "temporal", {"C": ("=", 2), "K": ("=", 1), "Q": ("<=", 2)}, permutation=("C", "P")),
        Constraint("SRAM", "spatial", {"C": ("=", 1), "Q": ("=", 1)}, permutation=("K", "C", "Q", "P"), split=3),
        Constraint("RF", "temporal", {"R": ("=", 0), "P": ("<=", 2)}),
        Constraint("SRAM", "bypass", keep=("Inputs",), bypass=("Outputs",)),
    )
    task = MappingTask(problem=CONV, machine=machine(constraints=constraints), bypass=True)
    designs = task.sample_feasible(np.random.default_rng(0), 500)
    mappings = task.mapspace.decode(designs)
    dim = {name: CONV.dims.index(name) for name in CONV.dims}
    slot = {name: task.mapspace.slot_names.index(name) for name in task.mapspace.slot_names}
    factors = mappings.factors
    assert set(factors[slot["SRAM"], dim["C"]]) == {2}
    assert set(factors[slot["SRAM"], dim["K"]]) == {1}
    assert set(factors[slot["SRAM"], dim["Q"]]) == {1, 2}
    assert set(factors[slot["RF"], dim["R"]]) == {3}
    assert set(factors[slot["RF"], dim["P"]]) == {1, 2}
    assert set(factors[slot["SRAM.x"], dim["K"]]) == {1, 2}
    assert set(factors[slot["SRAM.y"], dim["P"]]) == {1, 2, 3}
    for where, name in itertools.product(("SRAM.x", "SRAM.y"), "CQ"):
        assert set(factors[slot[where], dim[name]]) == {1}
    assert set(factors[slot["SRAM.y"], dim["K"]]) == set(factors[slot["SRAM.x"], dim["P"]]) == {1}
    inner_first = np.argsort(-mappings.ranks[slot["SRAM"]], axis=0)
    assert set(map(tuple, inner_first[:2].T)) == {(dim["C"], dim["P"])}
    outputs = CONV.tensor_names.index("Outputs")
    assert not mappings.keep[1, outputs].any()
    assert mappings.keep[1, CONV.tensor_names.index("Inputs")].all()
    assert set(mappings.keep[2, outputs]) == {True, False}
    # A limit that no closed slot expresses is still checked.
    over = task.space.sample(np.random.default_rng(1), 4000)
    outcome = task.evaluate(over)
    broken = task.mapspace.decode(over).factors[slot["SRAM"], dim["Q"]] > 2
    assert (broken & outcome.valid).any()
    assert not outcome.feasible[broken].any()
    assert (outcome.violation[broken & outcome.valid] > 0).all()


GRID = """
architecture:
  version: 0.4
  nodes:
    - !Container {name: chip}
    - !Component {name: DRAM, class: DRAM, attributes: {width: 16, datawidth: 16}}
    - !Component {name: SRAM, class: SRAM, attributes: {depth: 60, width: 16, datawidth: 16}}
    - !Container {name: column, spatial: {meshX: 2}, constraints: {spatial: {factors_only: [K<=2]}}}
    - !Container {name: cluster, constraints: {spatial: {factors: [K=1, C=1, P=1, Q=1]}}}
    - !Container {name: row, spatial: {meshY: 3}, constraints: {spatial: {factors: [N=1, K=1, R=1, S=1, Q=1]}}}
    - !Component {name: RF, class: regfile, attributes: {depth: 12, width: 16, datawidth: 16}}
    - !Component {name: MAC, class: intmac, attributes: {datawidth: 16}}
"""


def test_constraints_of_a_container_bind_in_the_direction_it_spreads():
    grid = read_timeloop(GRID, problem=CONV).architecture
    written = read_timeloop(write_timeloop(CONV, grid)).architecture
    spaces = []
    for found in (grid, written):
        mapspace = MappingTask(problem=CONV, machine=found).mapspace
        usable = mapspace.constraints.placeable & (mapspace.constraints.max_factor > 1)
        names = dict(zip(mapspace.slot_names, usable, strict=True))
        along = {kind: [d for d, free in zip(CONV.dims, names[f"SRAM.{kind}"], strict=True) if free] for kind in "xy"}
        assert along == {"x": ["K"], "y": ["C", "P"]}
        spaces.append(design_space(mapspace))
    assert spaces[0] == spaces[1]
    apart = (
        GRID.replace(", constraints: {spatial: {factors_only: [K<=2]}}", "")
        + """
mapspace_constraints:
  - {target: column, type: spatial, factors: [N=1, K<=2, C=1, P=1, Q=1, R=1, S=1]}
"""
    )
    assert MappingTask(problem=CONV, machine=read_timeloop(apart, problem=CONV).architecture).space == spaces[0]
    clash = GRID.replace("{meshY: 3}", "{meshX: 3}")
    with pytest.raises(InputError, match=r"'column'.spatial: 'row' spreads in the same direction"):
        read_timeloop(clash, problem=CONV)


@pytest.mark.parametrize(
    ("constraint", "message"),
    [
        (Constraint("RF", "temporal", {"K": ("=", 5)}), "factor of 5 of K, which does not divide 6"),
        (Constraint("SRAM", "spatial", {"K": (">=", 2)}), "may lie along x or y"),
        (Constraint("DRAM", "temporal", {"K": ("<=", 2)}), "limit the outermost loop over K"),
        (Constraint("SRAM", "spatial", {"K": ("=", 2)}), "may lie along x or y"),
        (Constraint("SRAM", "spatial", {"K": ("=", 6)}), "does not fit there"),
        (Constraint("RF", "temporal", {"P": ("=", 0), "C": ("=", 0), "K": ("=", 0)}), "no mapping of 'small' fits"),
        (Constraint("RF", "utilization", minimum=1.5), "smallest utilisation of 1.5, allowed at most 1"),
    ],
)
def test_what_the_space_cannot_honour_is_named(constraint, message):
    with pytest.raises(InputError, match=message):
        MappingTask(problem=CONV, machine=machine(constraints=(constraint,)))


def test_a_mapping_outside_the_constraints_is_named():
    mapspace = MapSpace(CONV, machine(constraints=(Constraint("RF", "temporal", {"K": ("=", 1)}),)))
    loops = {
        "temporal": {
            "RF": [{"dim": "K", "bound": 6}],
            "DRAM": [{"dim": d, "bound": b} for d, b in CONV.bound.items() if d != "K" and b > 1],
        }
    }
    with pytest.raises(InputError, match="loop over K at 'RF'"):
        mapspace.encode(Mappings.from_loops(CONV, mapspace.architecture, [loops]))


@given(st.integers(1, 10_000))
def test_prime_factors(n):
    found = prime_factors(n)
    assert math.prod(found) == n
    assert found == sorted(found, reverse=True)
    assert all(all(p % i for i in range(2, math.isqrt(p) + 1)) for p in found)


def test_padding_by_hand():
    assert pad_bounds((17, 13, 64, 1), 0.1) == (18, 14, 64, 1)
    assert pad_bounds((17, 28269), 0.0) == (17, 28269)
    task = MappingTask(workload="thistle/yolo9000", layer=9, padding=0.1)
    assert task.problem.bound["P"] == 18
    assert task.problem.tensor_words("Outputs") == 1024 * 18 * 18


def test_equal_primes_have_one_canonical_order():
    mapspace = MapSpace(LoopNest.gemm("cube", I=8, J=1, L=1), machine())
    places = [x for x in mapspace.decisions if isinstance(x, FactorPlacement)]
    everything = np.array(list(itertools.product(*(range(len(x.slots)) for x in places))))
    distinct = {mapping.tobytes() for mapping in np.moveaxis(mapspace.decode(everything).factors, -1, 0)}
    canonical = {row.tobytes() for row in mapspace.canonical(everything)}
    # Three equal factors over five slots, less those along both x and y of the fan-out.
    assert len(canonical) == len(distinct) == math.comb(7, 4)


def test_capacity_with_multiple_buffering_halves_the_room():
    largest = []
    for buffers in (1.0, 2.0):
        task = MappingTask(problem=CONV, machine=machine().with_level("RF", multiple_buffering=buffers))
        mappings = task.mapspace.decode(task.sample_feasible(np.random.default_rng(0), 300))
        costs = LoopnestModel(CONV, task.architecture).evaluate(mappings)
        largest.append(sum(costs.breakdown[f"RF.{t}.tile_words"] for t in CONV.tensor_names).max())
    assert largest[1] <= 6 < largest[0] <= 12

"""One machine for several layers against every machine, every tiling and every order."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelgym.costmodels.architecture import Architecture, Compute, LoopNest, StorageLevel
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.objective import Objective
from accelgym.costmodels.solvers.mapping import MachineTable
from accelgym.costmodels.solvers.mapping.one_machine import best_machine, machine_bounds

_spec = importlib.util.spec_from_file_location("mapping_cases", Path(__file__).with_name("cases.py"))
small = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(small)

TOLERANCE = 1e-3
LAYERS = (
    LoopNest.gemm("g", I=4, J=2, L=2),
    LoopNest.conv1d("c", M=2, P=4, R=3),
    LoopNest.conv1d("s", M=3, P=2, R=2, C=2, stride=3),
    LoopNest.gemm("wide", I=1, J=6, L=4),
)
SUMS = (Objective.ENERGY, Objective.LATENCY)


def machine(registers, words, pes):
    """Larger memories cost more per access and leave room for fewer elements."""
    levels = (
        StorageLevel("DRAM", read_pj=60.0, write_pj=60.0, read_bw=2.0, write_bw=2.0),
        StorageLevel("SRAM", capacity_words=words, read_pj=words**0.5, write_pj=words**0.5, read_bw=4.0, fanout_x=pes),
        StorageLevel("RF", capacity_words=registers, read_pj=0.1 * registers, write_pj=0.1 * registers),
    )
    return Architecture(f"R{registers}-S{words}-P{pes}", levels, Compute(mac_pj=1.0))


MACHINES = tuple(machine(*sizes) for sizes in ((3, 8, 6), (3, 20, 5), (6, 8, 4), (6, 20, 3), (12, 40, 2)))


def cases_of(layers, objective):
    """The map space of a layer on each machine, with everything kept."""
    return [[small.Case(p, m, objective, small.bypasses(p, m, free=False)) for m in MACHINES] for p in layers]


def tried(layers, objective):
    """Optima by enumeration, shape (layers, machines)."""
    return np.array([[small.optimum(case) for case in row] for row in cases_of(layers, objective)])


def solved(layers, weights, objective, machines=MACHINES):
    rows = cases_of(layers, objective)
    table = MachineTable.of(machines)
    return best_machine([row[0].space for row in rows], weights, table, objective, [row[0].keeps for row in rows])


@settings(max_examples=15, deadline=None)
@given(
    st.sampled_from(SUMS),
    st.lists(st.sampled_from(LAYERS), min_size=2, max_size=2),
    st.lists(st.sampled_from([1.0, 2.0, 7.0]), min_size=2, max_size=2),
)
def test_the_machine_is_the_best_of_all(objective, layers, weights):
    sums = weights @ tried(layers, objective)
    found = solved(layers, weights, objective)
    assert sums.min() * (1 - 1e-12) <= found.value <= sums.min() * (1 + 2.2 * TOLERANCE)
    assert found.lower_bound <= sums.min() * (1 + 1e-9)
    assert found.lower_bound >= found.value * (1 - 2.2 * TOLERANCE)
    assert sums[found.machine] * (1 - 1e-12) <= found.value <= sums[found.machine] * (1 + 1.1 * TOLERANCE)
    assert found.value == pytest.approx(sum(w * s.value for w, s in zip(weights, found.layers, strict=True)))
    assert (found.bounds <= sums * (1 + 1e-9)).all()
    assert 1 <= found.solved <= len(MACHINES)


@pytest.mark.parametrize("objective", list(Objective))
@pytest.mark.parametrize("layer", LAYERS, ids=lambda p: p.name)
def test_bounds_of_machines_lie_below_their_optima(layer, objective):
    case = cases_of([layer], objective)[0][0]
    # More machines than one chunk holds.
    bounds = machine_bounds(case.space, MachineTable.of(MACHINES * 2), objective, case.keeps)
    optima = tried([layer], objective)[0]
    assert (bounds <= np.tile(optima, 2) * (1 + 1e-9)).all()
    assert (bounds > 0).all()
    np.testing.assert_allclose(bounds[: len(MACHINES)], bounds[len(MACHINES) :], rtol=1e-6)


def test_weights_decide_between_machines():
    """Each layer alone prefers its own machine; whichever runs far more often gets it."""
    layers = [LAYERS[0], LAYERS[2]]
    best = tried(layers, Objective.ENERGY).argmin(axis=1)
    assert best[0] != best[1]
    assert solved(layers, [1000.0, 1.0], Objective.ENERGY).machine == best[0]
    assert solved(layers, [1.0, 1000.0], Objective.ENERGY).machine == best[1]


def test_progress_counts_layers_and_bounds_spare_machines():
    rows = cases_of(LAYERS, Objective.ENERGY)
    seen = []
    found = best_machine(
        [row[0].space for row in rows],
        [1.0] * len(LAYERS),
        MachineTable.of(MACHINES),
        Objective.ENERGY,
        [row[0].keeps for row in rows],
        progress=lambda done, of: seen.append((done, of)),
    )
    assert seen == [(k + 1, len(LAYERS)) for k in range(len(LAYERS))]
    assert found.solved < len(MACHINES)


def test_products_and_layers_that_run_nowhere_are_refused():
    with pytest.raises(InputError, match="objective is 'edp', allowed energy or latency"):
        solved(LAYERS[:2], [1.0, 1.0], Objective.EDP)
    rows = cases_of(LAYERS[:1], Objective.ENERGY)
    cramped = MachineTable.of([machine(2, 8, 4), machine(2, 20, 3)])
    with pytest.raises(InputError, match="no machine runs all layers"):
        best_machine([rows[0][0].space], [1.0], cramped, Objective.ENERGY, [rows[0][0].keeps])

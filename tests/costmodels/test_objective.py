"""The objective against the definition of its exponents."""

import math

import numpy as np
import pytest

from accelgym.costmodels.objective import Objective

ENERGY, CYCLES = np.array([3.0, 5.0, 0.5]), np.array([7.0, 2.0, 11.0])


@pytest.mark.parametrize(("name", "values"), [("energy", [3, 5, 0.5]), ("latency", [7, 2, 11]), ("edp", [21, 10, 5.5])])
def test_objectives_are_powers_of_energy_and_delay(name, values):
    objective = Objective(name)
    e, d = objective.exponents
    np.testing.assert_array_equal(objective.combine(ENERGY, CYCLES), values)
    np.testing.assert_array_equal(ENERGY**e * CYCLES**d, values)
    np.testing.assert_allclose(np.exp(objective.combine_logs(np.log(ENERGY), np.log(CYCLES))), values)


@pytest.mark.parametrize("objective", list(Objective))
def test_what_adds_up_is_the_sum_over_layers(objective):
    parts, whole = objective.combine(ENERGY, CYCLES).sum(), objective.combine(ENERGY.sum(), CYCLES.sum())
    assert objective.adds_up == math.isclose(parts, whole)


@pytest.mark.parametrize("objective", list(Objective))
def test_equal_objectives_with_equal_ties_are_equal_designs(objective):
    """Objective and tie tell apart what energy and delay tell apart."""
    energy, cycles = (x.ravel() for x in np.meshgrid([1.0, 2.0, 4.0], [1.0, 2.0, 4.0]))
    pairs = set(zip(*(x.tolist() for x in objective.with_tie(energy, cycles)), strict=True))
    assert len(pairs) == 9

"""Grids of hardware equal the designs evaluated one by one."""

import numpy as np
import pytest

from accelgym.costmodels.maestro import MaestroModel
from accelgym.costmodels.maestro.designs import Dataflow, LayerShapes, ResourceDesigns
from accelgym.costmodels.maestro.grid import FIGURES, grid_blocks
from accelgym.costmodels.maestro.physical import PhysicalModel

MODELS = {
    "compat": MaestroModel(),
    "fixed": MaestroModel(compat=False),
    "no bus": MaestroModel(compat=False, noc_bw=None),
    "finite noc": MaestroModel(noc_bw=64),
    "physical": PhysicalModel(),
}


def random_layers(count, depthwise, rng):
    kernel, other = rng.choice([1, 3, 5, 9], (2, count))
    # Sizes at which 32-bit counts overflow, single rows, and kernels larger than the input.
    rows, columns = (np.maximum(1, rng.choice([1, 2, 8, 57, 256], count) + rng.integers(-2, 3, count)) for _ in "yx")
    channels = rng.choice([1, 2, 3, 17, 508], (2, count))
    one = np.ones(count, dtype=np.int64)
    flags = np.full(count, depthwise)
    return LayerShapes(one if depthwise else channels[0], channels[1], rows, columns, kernel, other, flags, one)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("dataflow", Dataflow)
def test_a_grid_has_the_costs_of_its_designs(name, dataflow):
    model, rng = MODELS[name], np.random.default_rng(int(dataflow))
    layers = random_layers(40, dataflow is Dataflow.DPT, rng)
    pes, levels = tuple(range(1, 65, 7)), tuple(range(1, 13))
    costs = model.evaluate(
        ResourceDesigns(
            *(getattr(layers, n)[:, None, None] for n in ("K", "C", "Y", "X", "R", "S", "depthwise")),
            dataflow=np.array(int(dataflow)),
            num_pes=np.array(pes)[None, :, None],
            buffer_level=np.array(levels)[None, None, :],
        )
    )
    assert not np.asarray(costs.valid).all()
    for figures in (FIGURES, FIGURES[:1]):
        seen = 0
        for part, found in grid_blocks(model, layers, dataflow, pes, levels, figures):
            assert set(found) == {*figures, "valid"}
            for figure, values in found.items():
                expected = np.asarray(getattr(costs, figure))[part]
                assert np.array_equal(values, expected.reshape(len(expected), -1)), figure
            seen += len(found["valid"])
        assert seen == 40

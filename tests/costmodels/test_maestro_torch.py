import dataclasses

import numpy as np
import pytest
import torch

from accelgym.costmodels.maestro import MaestroModel
from accelgym.costmodels.maestro.compiled import compiled_latency
from accelgym.costmodels.maestro.designs import Dataflow, ResourceDesigns


def as_tensors(designs: ResourceDesigns) -> ResourceDesigns:
    fields = {f.name: getattr(designs, f.name) for f in dataclasses.fields(designs)}
    return ResourceDesigns(**{n: None if a is None else torch.as_tensor(a) for n, a in fields.items()})


@pytest.mark.parametrize("table", ["maestro_train", "maestro_noc_bw_train", "maestro_depthwise"])
@pytest.mark.parametrize("compat", [True, False])
def test_tensors_give_the_same_numbers_as_arrays(table, compat, golden_rows, designs_of):
    designs = designs_of(golden_rows(table)[::2])
    designs = dataclasses.replace(designs, K=np.where(np.arange(len(designs.K)) % 50 == 0, 0, designs.K))
    model = MaestroModel(compat=compat)
    arrays, tensors = model.evaluate(designs), model.evaluate(as_tensors(designs))
    for figure in ("latency_cycles", "valid", "reason"):
        column = getattr(tensors, figure)
        assert isinstance(column, torch.Tensor)
        np.testing.assert_array_equal(column.numpy(), getattr(arrays, figure), err_msg=figure)
        assert column.numpy().dtype == getattr(arrays, figure).dtype
    for figure in ("energy_pj", "area_um2", "power_mw"):
        np.testing.assert_allclose(getattr(tensors, figure).numpy(), getattr(arrays, figure), rtol=1e-15)
    for name, column in arrays.breakdown.items():
        np.testing.assert_allclose(tensors.breakdown[name].numpy(), column, rtol=1e-15, err_msg=name)
    np.testing.assert_array_equal(
        model.latency(as_tensors(designs)).numpy()[arrays.valid], model.latency(designs)[arrays.valid]
    )


@pytest.mark.slow
@pytest.mark.parametrize("compat", [True, False])
def test_compiled_latency_is_exact(compat, random_designs):
    rng = np.random.default_rng(11)
    parts = [random_designs(rng, 5000, flow, largest=300) for flow in Dataflow]
    names = ("K", "C", "Y", "X", "R", "S", "num_pes", "buffer_level", "dataflow")
    columns = {n: np.concatenate([getattr(d, n) for d in parts]) for n in (*names, "depthwise")}
    designs = ResourceDesigns(**columns)
    compiled = compiled_latency(compat=compat)
    found = compiled(*(torch.as_tensor(columns[n], dtype=torch.float64) for n in names))
    np.testing.assert_array_equal(found.numpy(), MaestroModel(compat=compat).latency(designs))

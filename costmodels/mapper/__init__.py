"""The optimal mapper: what ``timeloop-mapper`` searches for, found with a proof."""

from accelgym.costmodels.mapper.inputs import MapInputs, read_inputs
from accelgym.costmodels.mapper.layer import LayerMapping, Settings, optimal_mapping
from accelgym.costmodels.mapper.metrics import METRICS

__all__ = ["METRICS", "LayerMapping", "MapInputs", "Settings", "optimal_mapping", "read_inputs"]

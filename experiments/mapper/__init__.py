"""Runs of the optimal mapper: a layer, or all layers of a network on all cores, resumable, with files and a picture."""

from accelgym.experiments.mapper.api import map_layer
from accelgym.experiments.mapper.run import MapProgress, MapResult, run_map

__all__ = ["MapProgress", "MapResult", "map_layer", "run_map"]

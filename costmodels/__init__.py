"""Workloads, hardware and mapping descriptions, cost models, and solvers that prove their optima.

Floors, from the ground up; a package or module imports only floors below its own (``tests/import_graph.py``):

1. ``errors``; ``arrays``: NumPy and torch alike.
2. ``files``: text, YAML, CSV, JSON and the syntax of Timeloop's files; ``objective``: energy, delay, their product;
   ``costs``: results and contract of cost models; ``certificate``: values with bounds; ``registry``: plug-ins.
3. ``datatypes``; ``workloads``: layers, networks, importers; ``components``: energy and area of memories and
   multipliers; ``executors``: jobs in other processes.
4. ``architecture``: loop nests, memory hierarchies, constraints; ``quantization``: formats of tensors, scales, codes.
5. ``maestro``, ``loopnest``, ``systolic``: cost models with their technologies and designs.
6. ``mapspace``; ``dataflow_template``: the best mapping inside a dataflow as a cost model.
7. ``timeloop``: its files in and out, and the presets, which are such files.
8. ``solvers``: certificates for mappings and assignments.
9. ``mapper``: the optimal mapping of a layer from Timeloop's files; ``models``: the cost models by name.
"""

from accelgym.costmodels.certificate import Certificate
from accelgym.costmodels.costs import CostModel, Costs, Reason
from accelgym.costmodels.errors import AccelGymError, InputError, MissingExtraError
from accelgym.costmodels.maestro.designs import Dataflow, LayerShapes, ResourceDesigns
from accelgym.costmodels.objective import Objective
from accelgym.costmodels.registry import Registry

__all__ = [
    "AccelGymError",
    "Certificate",
    "CostModel",
    "Costs",
    "Dataflow",
    "InputError",
    "LayerShapes",
    "MissingExtraError",
    "Objective",
    "Reason",
    "Registry",
    "ResourceDesigns",
]

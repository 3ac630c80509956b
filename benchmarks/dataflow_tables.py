"""Time to tabulate a network with ``model=dataflow_template``: ``python benchmarks/dataflow_tables.py [workload ...]``.

Every tiling of every distinct layer is priced under the three dataflows; 12 numbers of PEs by 12 buffers share them.
"""

import sys
import time

from accelgym.costmodels.dataflow_template import TEMPLATES
from accelgym.costmodels.dataflow_template.templates import layer_problem
from accelgym.costmodels.dataflow_template.tilings import Tilings
from accelgym.envs import make_task
from accelgym.envs.resource_assignment.task import BUFFER_BYTES, PE_LEVELS

NETWORKS = ["resnet18", "resnet50", "mobilenet_v2"]

print(f"{'workload':<20} {'layers':>6} {'shapes':>6} {'cells':>6} {'mappings':>12} {'CPU s':>7} {'mappings/s':>12}")
for name in sys.argv[1:] or NETWORKS:
    task = make_task("ResourceAssignment-v0", workload=name, model="dataflow_template", dataflow="mix", objective="edp")
    start = time.process_time()
    cells = task.table.cost.size
    spent = time.process_time() - start
    shapes = dict.fromkeys(layer_problem(layer) for layer in task.layers)
    priced = sum(
        len(block)
        for problem in shapes
        for template in TEMPLATES.values()
        for block in Tilings(problem, template, most_pes=PE_LEVELS[-1], most_words=BUFFER_BYTES[-1] // 4).blocks(
            1 << 17
        )
    )
    counts = f"{name:<20} {len(task.layers):>6} {len(shapes):>6} {cells:>6} {priced:>12,}"
    print(f"{counts} {spent:>7.1f} {priced / spent:>12,.0f}")

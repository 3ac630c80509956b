"""Small families of assignment tasks, and networks that are no part of them."""

from accelgym.costmodels.workloads import Layer, Workload
from accelgym.envs import ResourceAssignmentTask

SPECS = {
    "task": "accelgym/ResourceAssignment-v0",
    "common": {"workload": "confuciux/alexnet"},
    "train": [{"budget": 0.1}, {"budget": 0.3}],
    "test": [{"budget": 0.2}],
}
"""Five layers at three budgets."""

DEEPER = Workload.chain(
    "deeper",
    [
        Layer.conv("a", K=96, C=16, H=30, R=5),
        Layer.conv("b", K=192, C=96, H=14, R=3),
        Layer.conv("c", K=384, C=192, H=14, R=3),
        Layer.conv("d", K=256, C=384, H=14, R=3),
        Layer.conv("e", K=64, C=256, H=14, R=1),
        Layer.conv("f", K=256, C=64, H=14, R=3),
        Layer.gemm("g", M=4, K=100, C=256),
    ],
)
"""Seven layers."""


def deeper(**arguments):
    return ResourceAssignmentTask(workload_object=DEEPER, **({"budget": 0.2} | arguments))

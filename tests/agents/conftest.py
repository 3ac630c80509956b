"""Small tasks: a resource assignment, a mapping, an accelerator, and a space that has nothing of any."""

import pytest
from plugin_tasks import Valley

from accelgym.costmodels.architecture import Architecture, Compute, StorageLevel
from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.workloads import Layer, Workload
from accelgym.envs import CoDesignTask, HwGenTask, MappingTask, ResourceAssignmentTask

WORKLOAD = Workload.chain(
    "tiny",
    [
        Layer.conv("a", K=24, C=8, H=20, R=3),
        Layer.conv("b", K=48, C=24, H=18, R=3),
        Layer.conv("c", K=32, C=48, H=16, R=1),
        Layer.conv("d", K=64, C=32, H=8, R=3),
    ],
)


@pytest.fixture(scope="session")
def assignment():
    return ResourceAssignmentTask(workload_object=WORKLOAD, budget=0.2)


@pytest.fixture(scope="session")
def fine_assignment():
    options = {"compat": False, "noc_bw": None}
    return ResourceAssignmentTask(workload_object=WORKLOAD, budget=0.2, granularity="fine64", model_options=options)


@pytest.fixture(scope="session")
def mapping():
    levels = (
        StorageLevel("DRAM", read_pj=64.0, write_pj=80.0, read_bw=2.0, write_bw=1.0, block_size=4),
        StorageLevel("SRAM", capacity_words=96, read_pj=5.0, write_pj=6.0, fanout_x=2, fanout_y=3),
        StorageLevel("RF", capacity_words=16, read_pj=1.0, write_pj=1.5, leakage_pj=0.1),
    )
    problem = LoopNest.conv("layer", K=8, C=4, P=6, Q=1, R=3, S=1)
    return MappingTask(problem=problem, machine=Architecture("tiny", levels, Compute(mac_pj=2.0), leakage="whole_chip"))


@pytest.fixture(scope="session")
def codesign():
    problem = LoopNest.conv("layer", K=8, C=4, P=6, Q=1, R=3, S=1)
    return CoDesignTask(problem=problem, registers=(8, 16, 64), sram_words=(4096, 16384))


@pytest.fixture(scope="session")
def hwgen():
    return HwGenTask(
        workload_object=Workload.chain("one", [Layer.gemm("gemm", M=4, K=24, C=16)]), area_budget=400_000.0
    )


@pytest.fixture(scope="session")
def valley():
    return Valley()

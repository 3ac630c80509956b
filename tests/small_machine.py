"""A product of matrices on a small machine, in Timeloop's words, and what a design of it costs."""

from accelgym.costmodels.loopnest import LoopnestModel
from accelgym.costmodels.timeloop import read_timeloop

PROBLEM = """
problem:
  shape:
    name: mm
    dimensions: [M, N, K]
    data_spaces:
    - {name: A, projection: [[[M]], [[K]]]}
    - {name: B, projection: [[[N]], [[K]]]}
    - {name: Z, projection: [[[M]], [[N]]], read_write: true}
  instance: {M: 6, N: 4, K: 10}
"""
NODES = """
architecture:
  version: 0.4
  nodes:
  - !Component {name: Dram, class: DRAM, attributes: {width: 64, datawidth: 8}}
  - !Container {name: Pe, spatial: {meshX: 3}}
  - !Component {name: Rf, class: regfile, attributes: {depth: 32, width: 8, datawidth: 8}}
  - !Component {name: mac, class: intmac, attributes: {width: 8}}
"""
MAPPING = """
mapping:
- {target: Dram, type: temporal, factors: M=2 N=4 K=5, permutation: KNM}
- {target: Pe, type: spatial, factors: M=3 N=1 K=1, permutation: MNK}
- {target: Rf, type: temporal, factors: M=1 N=1 K=2, permutation: KNM}
"""


def costs(*texts, **arguments):
    """Returns energy in pJ and cycles of a mapping that is valid."""
    found = read_timeloop(*texts, **arguments)
    result = LoopnestModel(found.problem, found.architecture).evaluate(found.mappings)
    assert result.valid[0]
    return float(result.energy_pj[0]), int(result.latency_cycles[0])

"""Reading and writing Timeloop's files."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import yaml

from accelgym.costmodels.architecture import LoopNest
from accelgym.costmodels.components import technology
from accelgym.costmodels.errors import InputError, InputWarning
from accelgym.costmodels.loopnest import LoopnestModel, Mappings, sample_mappings
from accelgym.costmodels.timeloop import read_timeloop, write_timeloop
from accelgym.costmodels.timeloop.presets import preset, preset_names

SHAPE = """
problem:
  version: 0.3
  shape:
    name: CNN
    dimensions: [N, K, C, P, Q, R, S]
    coefficients: [{name: Hstride, default: 1}, {name: Wstride, default: 1}]
    data-spaces:
      - {name: Weights, projection: [[[K]], [[C]], [[R]], [[S]]]}
      - {name: Inputs, projection: [[[N]], [[C]], [[P, Hstride], [R]], [[Q, Wstride], [S]]]}
      - {name: Outputs, projection: [[[N]], [[K]], [[P]], [[Q]]], read-write: True}
  instance: {N: 1, K: 32, C: 3, P: 544, Q: 544, R: 3, S: 3}
"""
V03 = """
architecture:
  version: 0.3
  subtree:
    - name: system
      attributes: {technology: 45nm}
      local:
        - {name: DRAM, class: DRAM, attributes: {type: LPDDR4, width: 16, word-bits: 16, block-size: 1}}
      subtree:
        - name: chip
          local:
            - {name: SRAM, class: SRAM, attributes: {depth: 65536, width: 16, word-bits: 16, block-size: 1}}
          subtree:
            - name: PE[0..167]
              local:
                - name: RF
                  class: regfile
                  attributes: {depth: 512, width: 16, word-bits: 16, block-size: 1, meshX: 14}
                - {name: MAC, class: intmac, attributes: {datawidth: 16, meshX: 14}}
ERT:
  version: 0.3
  tables:
    - name: system.DRAM
      actions: [{name: read, arguments: {}, energy: 128}, {name: write, arguments: {}, energy: 128}]
    - name: system.chip.SRAM
      actions: [{name: read, arguments: {}, energy: 4.57728}, {name: write, arguments: {}, energy: 4.57728}]
    - name: "system.chip.PE[0..167].RF"
      actions:
        - {name: read, arguments: {data_delta: 0}, energy: 1.0}
        - {name: read, arguments: {data_delta: 1}, energy: 4.64240128}
        - {name: write, arguments: {}, energy: 4.64240128}
    - {name: "system.chip.PE[0..167].MAC", actions: [{name: mac_random, arguments: {}, energy: 2.2}]}
    - {name: system.chip.NoC, actions: [{name: hop, arguments: {}, energy: 1}]}
mapping:
  - {target: DRAM, type: temporal, factors: N=1 K=1 C=1 P=4 Q=544 R=1 S=1, permutation: QPNKCRS}
  - {target: SRAM, type: temporal, factors: K=2, permutation: KNCPQRS}
  - {target: SRAM, type: spatial, factors: P=8 C=3, permutation: PCNKQRS, split: 1}
  - {target: RF, type: temporal, factors: S=0 K=16 P=17 R=3, permutation: RPKSNCQ}
"""
V04 = """
variables: {width: 16, words: 512}
architecture:
  version: 0.4
  nodes:
    - !Container {name: system, attributes: {technology: 45nm}}
    - !Component {name: DRAM, class: DRAM, attributes: {type: LPDDR4, width: width, datawidth: width}}
    - !Hierarchical
      nodes:
        - !Component
          name: SRAM
          class: SRAM
          attributes: {depth: 128*words, width: 16, datawidth: 16}
          constraints:
            dataspace: {keep_only: [Weights, Inputs, Outputs]}
            temporal: {factors_only: [R=1, S<=3], permutation: [R, S]}
        - !Container {name: PE_column, spatial: {meshX: 14}}
        - !Container {name: PE, spatial: {meshY: 12}, constraints: {spatial: {factors: [N=1], split: 0}}}
    - !Component {name: RF, class: regfile, attributes: {depth: words, width: 16, datawidth: 16}}
    - !Component {name: MAC, class: intmac, attributes: {datawidth: 16}}
mapping:
  - {target: DRAM, type: temporal, factors: [P=4, Q=544], permutation: [Q, P]}
  - {target: SRAM, type: temporal, factors: [K=2], permutation: [K]}
  - {target: PE_column, type: spatial, factors: [P=8], permutation: [P]}
  - {target: PE, type: spatial, factors: [C=3], permutation: [C]}
  - {target: RF, type: temporal, factors: [S=3, K=16, P=17, R=3], permutation: [R, P, K, S]}
"""
# Timeloop HEAD printed this for the mapping above (row B0000 of the goldens).
ENERGY, CYCLES = 6_641_763_272.219, 10_653_696


@pytest.mark.parametrize(("text", "prices"), [(V03, None), (V04, "thistle-table3")])
def test_both_versions_give_what_timeloop_printed(text, prices):
    found = read_timeloop(SHAPE + text, prices=prices and technology(prices))
    costs = LoopnestModel(found.problem, found.architecture).evaluate(found.mappings)
    assert costs.valid[0]
    assert costs.energy_pj[0] == pytest.approx(ENERGY, rel=1e-9)
    assert costs.latency_cycles[0] == CYCLES
    assert costs.technology == ("user ERT" if prices is None else "thistle-table3(words)")


def test_constraints_come_in_as_data():
    found = read_timeloop(SHAPE + V04)
    kinds = {(c.level, c.kind): c for c in found.architecture.constraints}
    assert kinds["SRAM", "bypass"].keep == ("Weights", "Inputs", "Outputs")
    assert kinds["SRAM", "temporal"].factors["S"] == ("<=", 3)
    assert kinds["SRAM", "temporal"].factors["K"] == ("=", 1)
    assert kinds["SRAM", "temporal"].permutation == ("R", "S")
    assert kinds["SRAM", "spatial"].factors == {"N": ("=", 1)}
    assert kinds["SRAM", "spatial"].split == 0
    text = "architecture_constraints:\n  targets: [{target: RF, type: bypass, keep: [Weights], bypass: [Inputs]}]\n"
    level = read_timeloop(SHAPE + V03, text).architecture.levels[2]
    assert level.stores == {"Weights", "Outputs"}


PROBLEMS = [
    LoopNest.conv("k", K=8, C=8, P=14, Q=14, R=3, S=3, stride=(2, 1), dilation=(1, 2)),
    LoopNest.conv("d", K=8, C=8, P=14, Q=14, R=3, S=3, groups=8),
    LoopNest.gemm("g", I=12, J=8, L=18, batch=3),
]


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: p.name)
@pytest.mark.parametrize("name", preset_names())
def test_written_files_read_back(name, problem):
    machine = preset(name)
    drawn = sample_mappings(problem, machine, 3, np.random.default_rng(1))
    keep = np.random.default_rng(2).random((3, len(machine.levels), 3)) < 0.7
    keep[:, 0] = True
    keep &= np.array([[x.may_store(t) for t in problem.tensor_names] for x in machine.levels])
    batch = Mappings(problem, machine, drawn.factors, drawn.ranks, keep)
    for row in range(3):
        found = read_timeloop(write_timeloop(problem, machine, batch, row))
        assert not found.architecture.constraints
        assert found.problem.bound == problem.bound
        assert found.problem.tensors == problem.tensors
        # What a level may store is a constraint; of a mapping only what it does store is written.
        assert found.architecture.levels == tuple(replace(level, stores=None) for level in machine.levels)
        assert found.architecture.compute == machine.compute
        ours = LoopnestModel(problem, machine).evaluate(batch[row : row + 1])
        theirs = LoopnestModel(found.problem, found.architecture).evaluate(found.mappings)
        assert theirs.reason[0] == ours.reason[0]
        assert theirs.energy_pj[0] == ours.energy_pj[0]
        assert theirs.latency_cycles[0] == ours.latency_cycles[0]
        assert found.mappings.to_loops(0) == batch.to_loops(row)
    assert read_timeloop(write_timeloop(problem, machine)).architecture.levels == machine.levels


def test_residuals_survive():
    machine = preset("eyeriss_thistle")
    problem = LoopNest.gemm("g", I=512, J=2, L=2)
    loops = {"temporal": {"DRAM": [{"dim": "I", "bound": 86}], "SRAM": [{"dim": "I", "bound": 6, "residual": 2}]}}
    loops["temporal"]["RF"] = [{"dim": "J", "bound": 2}, {"dim": "L", "bound": 2}]
    batch = Mappings.from_loops(problem, machine, [loops])
    found = read_timeloop(write_timeloop(problem, machine, batch))
    assert found.mappings.to_loops(0) == batch.to_loops(0)


def edit(change):
    data = yaml.safe_load(SHAPE + V03)
    change(data)
    return yaml.safe_dump(data)


def rf(data):
    return data["architecture"]["subtree"][0]["subtree"][0]["subtree"][0]["local"][0]["attributes"]


BAD = {
    "section 'sparse'": lambda d: d.update(sparse={}),
    "key in attributes of 'RF' 'dept'": lambda d: rf(d).update(dept=3),
    "metadata_word_bits=2 is not supported": lambda d: rf(d).update({"metadata_word_bits": 2}),
    "read_bandwidth is 'fast'": lambda d: rf(d).update(read_bandwidth="fast"),
    "168 instances do not fill meshX=13": lambda d: rf(d).update(meshX=13),
    "component class 'flux'": lambda d: (
        d["architecture"]["subtree"][0]["local"][0].update({"class": "flux"}),
        d.pop("ERT"),
    ),
    "branches into": lambda d: d["architecture"]["subtree"][0]["subtree"].append({"name": "other"}),
    "problem.instance.K is None": lambda d: d["problem"]["instance"].pop("K"),
    "densities is .* sparse": lambda d: d["problem"]["instance"].update(densities={"Weights": 0.5}),
    "dimension in projection of 'Weights' 'Z'": lambda d: d["problem"]["shape"]["data-spaces"][0].update(
        projection=[[["Z"]]]
    ),
    "temporal target 'L2'": lambda d: d["mapping"][0].update(target="L2"),
    "dimension in mapping.0..factors 'Z'": lambda d: d["mapping"][0].update(factors="Z=2"),
    "factor 'K<=2'": lambda d: d["mapping"][0].update(factors="K<=2"),
    "no_temporal_reuse=.'Weights'. is not": lambda d: d["mapping"][0].update(no_temporal_reuse=["Weights"]),
    "key in mapping.0. 'order'": lambda d: d["mapping"][0].update(order="KC"),
    "component in ERT .* 'RF'": lambda d: d["ERT"]["tables"].pop(2),
    "energy of 'read' is 'low'": lambda d: d["ERT"]["tables"][0]["actions"][0].update(energy="low"),
    "tensor in architecture_constraints.0..bypass 'Bias'": lambda d: d.update(
        architecture_constraints=[{"target": "RF", "type": "bypass", "bypass": ["Bias"]}]
    ),
    "RF.meshX is 'wide'": lambda d: rf(d).update(meshX="wide"),
    "depth is inf": lambda d: rf(d).update(depth=float("inf")),
    "multiple_buffering is 'two'": lambda d: rf(d).update({"multiple-buffering": "two"}),
    "sizeKB is .1": lambda d: rf(d).update(sizeKB=[1]) or rf(d).pop("depth"),
    "default_max_factor is 'x'": lambda d: d.update(
        architecture_constraints=[{"target": "RF", "type": "temporal", "default_max_factor": "x"}]
    ),
    "split is 'half'": lambda d: d.update(
        architecture_constraints=[{"target": "SRAM", "type": "spatial", "split": "half"}]
    ),
    "temporal target .'DRAM'": lambda d: d["mapping"][0].update(target=["DRAM"]),
    "coefficients.0..name is None": lambda d: d["problem"]["shape"]["coefficients"][0].pop("name"),
    "mapper is 3": lambda d: d.update(mapper=3),
    "variables is 'x'": lambda d: d.update(variables="x"),
}


@pytest.mark.parametrize("message", BAD)
def test_what_is_not_understood_is_named(message):
    with pytest.raises(InputError, match=message):
        read_timeloop(edit(BAD[message]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("architecture:\n  nodes: [!Switch {nodes: []}]\n", "!Switch is not supported"),
        ("architecture:\n  nodes: [{name: DRAM}]\n", "has no tag"),
        ("architecture: 3\n", "architecture is 3"),
        (V04.replace("{meshX: 14}", "{meshX: wide}"), "spatial.meshX is 'wide'"),
        (V04.replace("{keep_only: [Weights, Inputs, Outputs]}", "{keep_only: 1}"), "keep_only is 1"),
        (V04.replace("{spatial: {factors: [N=1], split: 0}}", "[1]"), "PE.constraints is .1."),
        ("x: {{ y }}\nz: 1\n", "Jinja"),
        ("a: [\nb", "not valid YAML"),
        ("- a\n- b\n", "a mapping of sections"),
        ("no/such/file.yaml", "no such file"),
    ],
)
def test_unreadable_files_are_named(text, message):
    with pytest.raises(InputError, match=message):
        read_timeloop(SHAPE, text)


def test_lists_that_timeloop_ignores_are_said():
    def listed(data):
        data["mapping"][0]["permutation"] = list(data["mapping"][0]["permutation"])

    plain = read_timeloop(edit(lambda data: None)).mappings
    with pytest.warns(InputWarning, match=r"mapping\[0\].permutation is a list, which timeloop-model ignores"):
        found = read_timeloop(edit(listed)).mappings
    assert found.to_loops(0) == plain.to_loops(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_timeloop(edit(lambda data: None))
        read_timeloop(SHAPE + V04)  # the front end joins lists

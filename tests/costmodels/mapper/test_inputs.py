"""Files in any order: what they are is told by their sections."""

import itertools
import json
import warnings

import pytest

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.errors import InputError, InputWarning
from accelgym.costmodels.files.plain import plain
from accelgym.costmodels.mapper import read_inputs
from accelgym.costmodels.mapper.plain_data import (
    machine_from_plain,
    machine_to_plain,
    problem_from_plain,
    problem_to_plain,
)
from accelgym.costmodels.timeloop import read_timeloop
from accelgym.costmodels.timeloop.presets import preset, preset_names

PROBLEM = "problem: {shape: gemm_ABZ, M: 6, N: 4, K: 10}\n"
OTHER = "problem: {shape: gemm_ABZ, M: 6, N: 4, K: 12}\n"
TREE = """
architecture:
  version: 0.3
  subtree:
  - name: system
    local: [{name: Dram, class: DRAM, attributes: {width: 64, word-bits: 8}}]
    subtree:
    - name: chip
      local:
      - {name: Rf, class: regfile, attributes: {depth: DEPTH, width: 8, word-bits: 8, meshX: 1}}
      - {name: mac, class: intmac, attributes: {datawidth: 8, meshX: 1}}
""".replace("DEPTH", "32")
NODES = """
architecture:
  version: 0.4
  nodes:
  - !Component {name: Dram, class: DRAM, attributes: {width: 64, datawidth: 8}}
  - !Container {name: Pe, spatial: {meshX: 3}}
  - !Component {name: Rf, class: regfile, attributes: {depth: words, width: 8, datawidth: 8}}
  - !Component {name: mac, class: intmac, attributes: {width: 8}}
"""
PARTS = {
    "problem": PROBLEM,
    "arch": NODES,
    "variables": "variables: {version: 0.4, words: 32}\n",
    "mapper": "mapper: {optimization-metrics: [delay, energy]}\n",
    "constraints": "mapspace_constraints: {targets: [{target: Rf, type: temporal, factors: K=10}]}\n",
    "components": "components: {version: 0.4, classes: []}\n",
    "ert": "ERT: {tables: [{name: Dram, actions: [{name: read, energy: 100}, {name: write, energy: 90}]}, "
    "{name: Rf, actions: [{name: read, energy: 1}, {name: write, energy: 1}]}, "
    "{name: mac, actions: [{name: compute, energy: 2}]}]}\n",
}
CONV = (
    "{name: c, dimensions: [C, M, R, S, N, P, Q],"
    " coefficients: [{name: Wstride, default: 1}, {name: Hstride, default: 1}],"
    " data_spaces: [{name: W, projection: [[[C]], [[M]], [[R]], [[S]]]},"
    " {name: I, projection: [[[N]], [[C]], [[R], [P, Hstride]], [[S], [Q, Wstride]]]},"
    " {name: O, projection: [[[N]], [[M]], [[Q]], [[P]]], read_write: true}]}"
)
CSV = "Layer, M, N, K,\nfirst, 4, 6, 8,\nsecond, 4, 6, 8,\n"


def write(folder, **texts):
    paths = []
    for name, text in texts.items():
        paths.append(folder / (name if "." in name else f"{name}.yaml"))
        paths[-1].write_text(text)
    return paths


def same(one, other):
    return (one.layers, one.metrics, one.machine(one.layers[0])) == (
        other.layers,
        other.metrics,
        other.machine(other.layers[0]),
    )


def test_the_order_of_files_and_of_documents_in_a_file_means_nothing(tmp_path):
    paths = write(tmp_path, **PARTS)
    first = read_inputs(paths)
    assert first.metrics == ("delay", "energy")
    machine = first.machine(first.layers[0]).architecture
    assert (machine.levels[1].capacity_words, machine.levels[0].read_pj, machine.compute.mac_pj) == (32, 100.0, 2.0)
    assert machine.constraints[0].factors == {"K": ("=", 10)}
    for order in itertools.islice(itertools.permutations(paths), 0, 5040, 500):
        assert same(read_inputs(order), first)
    (joined,) = write(tmp_path, **{"all.yml": "---\n".join(reversed(PARTS.values()))})
    assert same(read_inputs([joined]), first)
    assert same(read_inputs([tmp_path / "arch.yaml", *(p for p in paths if p.stem != "arch")]), first)


def test_timeloops_default_is_the_energy_delay_product(tmp_path):
    paths = write(tmp_path, p=PROBLEM, a=TREE)
    assert read_inputs(paths).metrics == ("edp",)
    assert read_inputs(paths, objective="energy").metrics == ("energy",)
    (mapper,) = write(tmp_path, m="mapper: {optimization_metric: delay, optimization_metrics: [energy]}\n")
    assert read_inputs([*paths, mapper]).metrics == ("delay",)
    (mapper,) = write(tmp_path, m="mapper: {optimization-metrics: energy, timeout: 3, algorithm: hybrid}\n")
    with pytest.warns(InputWarning, match="without effect: timeout, algorithm"):
        assert read_inputs([*paths, mapper]).metrics == ("energy",)


def test_several_problems_and_networks_are_layers_and_equal_ones_are_one(tmp_path):
    arch, one, two, three = write(tmp_path, arch=TREE, one=PROBLEM, two=OTHER, three=PROBLEM)
    found = read_inputs([two, arch, one, three])
    assert [layer.name for layer in found.layers] == ["two", "one", "three"]
    assert [(p.name, same) for p, same in found.groups.items()] == [("two", [0]), ("one", [1, 2])]
    assert found.network
    (table,) = write(tmp_path, **{"net.csv": CSV})
    for files, options in (([table], {}), ([], {"workload": str(table)})):
        found = read_inputs(files, arch="tpu_like", **options)
        assert [layer.name for layer in found.layers] == ["first", "second"]
        assert len(found.groups) == 1
    assert read_inputs([table, arch]).preset is None
    zoo = read_inputs([], workload="resnet18", arch="eyeriss")
    assert len(zoo.layers) == 21
    assert len(zoo.groups) == 12
    assert not read_inputs([one, arch]).network


def test_presets_see_problems_under_the_names_they_know(tmp_path):
    conv = (
        "problem: {instance: {M: 4, C: 2, N: 1, P: 3, Q: 3, R: 3, S: 3, Hstride: 2, Wstride: 2}, shape: " + CONV + "}\n"
    )
    gemm, convolution = write(tmp_path, gemm=PROBLEM, conv=conv)
    (found,) = read_inputs([gemm], arch="tpu_like").layers
    assert found == LoopNest.gemm(found.name, I=6, J=4, L=10)
    (found,) = read_inputs([convolution], arch="tpu_like").layers
    assert found == LoopNest.conv(found.name, K=4, C=2, P=3, Q=3, R=3, S=3, stride=(2, 2))


@pytest.mark.parametrize(
    ("texts", "options", "message"),
    [
        ({"p": PROBLEM, "a": TREE, "b": NODES}, {}, r"two machines: .*a\.yaml and .*b\.yaml"),
        ({"p": PROBLEM, "a": TREE}, {"arch": "eyeriss"}, r"two machines: --arch eyeriss and the arch.* in .*a\.y"),
        ({"p": PROBLEM, "a": TREE, "net.csv": CSV}, {}, r"network '.*net\.csv' and problem .*p\.yaml"),
        ({"p": PROBLEM, "a": TREE}, {"workload": "resnet18"}, r"network 'resnet18' and problem .*p\.yaml"),
        ({"a": TREE, "net.csv": CSV}, {"workload": "resnet18"}, r"two networks: '.*net\.csv' and 'resnet18'"),
        ({"p": PROBLEM}, {}, "no architecture"),
        ({"a": TREE}, {}, "nothing to map"),
        ({"p": PROBLEM, "a": TREE, "x": "hardware: {}\n"}, {}, r"unknown section in .*x\.yaml 'hardware'"),
        ({"p": PROBLEM, "a": TREE, "x.txt": "hello\n"}, {}, r"x\.txt: a file of unknown kind"),
        ({"p": PROBLEM, "a": TREE, "e": PARTS["ert"], "f": PARTS["ert"]}, {}, r"'ERT' stands in .*e\.yaml and in .*f"),
        ({"p": PROBLEM, "a": TREE}, {"objective": "speed"}, "unknown metric in objective 'speed'"),
        ({"p": PROBLEM, "a": TREE, "m": "mapper: {optimization-metrics: [last-level-accesses]}\n"}, {}, "last-level"),
        ({"p": PROBLEM, "a": TREE, "m": "mapper: {optimization-metrics: [delay, delay]}\n"}, {}, "at most once"),
        ({"p": "problem: {shape: gemm_ABZ, M: 6}\n", "a": TREE}, {}, r"p\.yaml: "),
        ({"p": PROBLEM, "e": PARTS["ert"]}, {"arch": "eyeriss"}, "section 'ERT' belongs to a machine from files"),
        ({"p": PROBLEM}, {"arch": "eyeris"}, "did you mean 'eyeriss'"),
    ],
)  # fmt: skip
def test_bad_inputs_are_named(tmp_path, texts, options, message):
    with pytest.raises(InputError, match=message):
        read_inputs(write(tmp_path, **texts), **options)


@pytest.mark.filterwarnings("ignore::accelgym.costmodels.errors.InputWarning")
@pytest.mark.parametrize(
    ("part", "right", "wrong"),
    [
        ("problem", "K: 10", "K: ten"),
        ("arch", "depth: words", "depht: words"),
        ("arch", "nodes:", "node:"),
        ("arch", "depth: words", "depth: wrods"),
        ("mapper", "[delay, energy]", "[delay, enregy]"),
        ("constraints", "target: Rf", "target: Rg"),
        ("constraints", "type: temporal", "type: temporall"),
        ("ert", "energy: 100", "energy: much"),
    ],
)
def test_an_error_names_its_file(tmp_path, part, right, wrong):
    texts = PARTS | {part: PARTS[part].replace(right, wrong)}
    assert texts != PARTS
    files = {name: tmp_path / f"{name}.yaml" for name in texts}
    for name, text in texts.items():
        files[name].write_text(text)

    def told(read):
        with pytest.raises(InputError) as caught:
            read()
        return [name for name, path in files.items() if str(path) in str(caught.value)]

    def mapped():
        inputs = read_inputs(list(files.values()))
        inputs.machine(inputs.layers[0])

    assert told(mapped) == [part]
    if part != "mapper":  # Settings of Timeloop's own search, which say nothing of a machine.
        assert told(lambda: read_timeloop(*files.values())) == [part]


def test_what_has_no_effect_is_said_once(tmp_path):
    paths = write(tmp_path, arch=TREE, one=PROBLEM, two=OTHER, map="mapping: [{target: Rf, type: temporal}]\n",
                  limits="constraints: {targets: [{target: Rf, type: temporal, factors: Q=1}]}\n")  # fmt: skip
    with pytest.warns(InputWarning, match=r"map\.yaml: section 'mapping' is left out"):
        found = read_inputs(paths)
    with pytest.warns(InputWarning, match="Q left out"):
        found.machine(found.layers[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found.machine(found.layers[1])  # the same dimensions


def test_orders_of_jobs_lose_nothing():
    for name in preset_names():
        machine = preset(name)
        assert machine_from_plain(json.loads(json.dumps(plain(machine_to_plain(machine))))) == machine
    for problem in (
        LoopNest.conv("c", K=4, C=2, P=3, Q=3, R=2, S=1, stride=(2, 1), groups=2),
        LoopNest.gemm("g", I=2, J=3, L=4),
    ):
        assert problem_from_plain(json.loads(json.dumps(problem_to_plain(problem)))) == problem

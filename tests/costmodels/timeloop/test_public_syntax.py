"""The forms in which public files say one thing: each is read as the plain form is."""

import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_machine import MAPPING, NODES, PROBLEM, costs

from accelgym.costmodels.architecture import LoopNest
from accelgym.costmodels.errors import InputError, InputWarning
from accelgym.costmodels.mapspace import Constraints
from accelgym.costmodels.timeloop import read_architecture_files, read_timeloop, read_timeloop_problem
from accelgym.costmodels.timeloop.directives import read_factors, read_limits, read_permutation
from accelgym.costmodels.timeloop.presets import preset, preset_names


@pytest.fixture(scope="module")
def plain():
    return costs(PROBLEM, NODES, MAPPING)


# -- factors and orders ------------------------------------------------------------------------------------------

DIMS = ("M", "N", "K")


@pytest.mark.parametrize(
    "text",
    [
        "M=2 N=4 K=5",
        "M2 N4 K5",
        "M2,N4,K5",
        "M2N4K5",
        "M=2;N=4|K=5",
        "M = 2, N  4\tK== 5",
        "(M=2)(N=4) / K=5",
        "M=7 N=4 K=5 M=2",
        "M=2 N=4 # K=1\nK=5",
        ["M=2", "N 4", "K5"],
    ],
)
def test_spellings_of_factors(text, plain):
    assert read_factors(text, DIMS, "here") == {"M": (2, None), "N": (4, None), "K": (5, None)}
    assert read_limits(text, DIMS, "here") == {"M": ("=", 2), "N": ("=", 4), "K": ("=", 5)}
    if isinstance(text, str):
        quoted = '"' + text.replace("\n", "\\n").replace("\t", "\\t") + '"'
        assert costs(PROBLEM, NODES, MAPPING.replace("M=2 N=4 K=5", quoted)) == plain


@given(
    st.permutations(DIMS),
    st.lists(st.integers(0, 999), min_size=3, max_size=3),
    st.sampled_from(["", " ", "=", " = ", "=="]),
    st.sampled_from([" ", ",", "; ", "|", ", ", "\n"]),
    st.lists(st.sampled_from(["", ",3"]), min_size=3, max_size=3),
)
@settings(max_examples=80)
def test_factors_survive_any_separator(order, values, equals, separator, residuals):
    text = separator.join(f"{d}{equals}{v}{r}" for d, v, r in zip(order, values, residuals, strict=True))
    expected = {d: (v, 3 if r else None) for d, v, r in zip(order, values, residuals, strict=True)}
    assert read_factors(text, DIMS, "here") == expected


def test_long_names_need_their_equals_sign():
    dims = ("K", "K1", "out_x")
    assert read_factors("K1=2 K=3, out_x=4", dims, "x") == {"K1": (2, None), "K": (3, None), "out_x": (4, None)}
    assert read_factors("K2 K1=5", dims, "x") == {"K": (2, None), "K1": (5, None)}
    assert read_limits("K1<=2 out_x>=3", dims, "x") == {"K1": ("<=", 2), "out_x": (">=", 3)}


@pytest.mark.parametrize("text", ["M<=2", "M=", "2", "=2", "M=-2", "M=x", "M=2 é", "Q=2", "M=" + "9" * 20, 3, {"M": 2}])
def test_what_is_no_factor(text):
    with pytest.raises(InputError, match="here"):
        read_factors(text, DIMS, "here")


def test_limits():
    assert read_limits("M<3 N>2, K<=4", DIMS, "here") == {"M": ("<=", 2), "N": (">=", 3), "K": ("<=", 4)}
    for text in ("M=3,2", "M<1", "M<>2", "M"):
        with pytest.raises(InputError, match="here"):
            read_limits(text, DIMS, "here")


def test_zero_is_the_whole_bound(plain):
    text = MAPPING.replace("M=2 N=4 K=5", "M2 N0 K5")
    assert costs(PROBLEM, NODES, text) == plain


@pytest.mark.parametrize("text", ["KNM", "KN M", "K N M", "K,N,M", "K, NM", " KNM ", ["K", "N", "M"]])
def test_spellings_of_orders(text):
    assert read_permutation(text, DIMS, "here") == ("K", "N", "M")


def test_the_last_directive_of_a_kind_counts(plain):
    first = "- {target: Rf, type: temporal, factors: K=10}\n"
    text = MAPPING.replace("mapping:\n", "mapping:\n" + first)
    with pytest.warns(InputWarning, match="a second temporal directive for 'Rf'"):
        assert costs(PROBLEM, NODES, text) == plain


# -- tables ------------------------------------------------------------------------------------------------------

ERT = """
ERT:
  version: 0.4
  tables:
  - {name: top.DRAM_, actions: [{name: read, energy: 64}, {name: write, energy: 32}]}
  - {name: top.RF_, actions: [{name: read, energy: 1}, {name: write, energy: 2}]}
  - {name: top.MAC_, actions: [{name: compute, energy: 3}]}
"""
NAMES = [
    ("Dram", "Rf", "mac"),
    ("Dram[1..1]", "Rf[1..3]", "mac[1..3]"),
    ("Dram[ 1 .. 1 ]", "Pe[0..2].Rf[1..1]", "mac[3]"),
]


@pytest.mark.parametrize("names", NAMES)
def test_names_in_tables_may_have_ranges(names):
    text = ERT
    for mark, name in zip(("DRAM_", "RF_", "MAC_"), names, strict=True):
        text = text.replace(f"top.{mark}", f'"top.{name}"')
    energy, cycles = costs(PROBLEM, NODES, MAPPING, text)
    # By hand. Rf holds A and B for K=2: 2 and 2 words a PE, Z 1. Dram loops M2 N4 K5 (K innermost), Pe M3.
    # A: every (m, n, k) step moves new words: 40 steps x 2 words x 3 PEs = 240 reads and fills.
    # B: 40 steps x 2 words, multicast: 80 reads, 240 fills. Z: M2 x N4 x 3 = 24 updates of Dram, no reads.
    # Rf: 240 MACs read A and B: 480 reads; Z: 240 updates, 216 reads (the first of each word is a plain write).
    dram = ((240 + 80) / 8 * 64) + 24 / 8 * 32
    registers = (480 + 216) * 1 + (240 + 240 + 240) * 2
    assert cycles == 80
    assert energy == pytest.approx(dram + registers + 240 * 3)
    area = "ART: {tables: [" + ", ".join(f'{{name: "t.{n}", area: 5}}' for n in names) + "]}\n\n"
    assert read_timeloop(PROBLEM, NODES, area).architecture.area_um2 == 5 + 3 * 5 + 3 * 5


def test_classes_are_open_where_a_table_prices_them(plain):
    text = NODES.replace("class: regfile", "class: flipflops").replace("depth: 32", "depth: 32, setup_time: 1ns")
    named = ERT.replace("DRAM_", "Dram").replace("RF_", "Rf").replace("MAC_", "mac")
    with pytest.warns(InputWarning) as said:
        assert costs(PROBLEM, text, MAPPING, named) == costs(PROBLEM, NODES, MAPPING, named)
    messages = " | ".join(str(w.message) for w in said)
    assert "attributes of 'Rf' without effect: 'setup_time'" in messages
    assert "no law prices the class 'flipflops'; its ERT prices it" in messages
    with pytest.raises(InputError, match="unknown component class 'flipflops'"):
        read_timeloop(PROBLEM, text)
    with pytest.raises(InputError, match="'widht': did you mean 'width'"):
        read_timeloop(PROBLEM, NODES.replace("depth: 32", "depth: 32, widht: 4"))


def test_a_cluster_shares_its_row():
    single = costs(PROBLEM, NODES, MAPPING)
    text = NODES.replace("depth: 32, width: 8, datawidth: 8", "depth: 32, width: 24, datawidth: 8, cluster_size: 3")
    named = ERT.replace("DRAM_", "Dram").replace("RF_", "Rf").replace("MAC_", "mac")
    third = named.replace(
        "{name: read, energy: 1}, {name: write, energy: 2}", "{name: read, energy: 3}, {name: write, energy: 6}"
    )
    with pytest.warns(InputWarning, match="cluster_size=3"):
        assert costs(PROBLEM, text, MAPPING, third) == pytest.approx(costs(PROBLEM, NODES, MAPPING, named))
    assert single[1] == 80


# -- architectures -----------------------------------------------------------------------------------------------

DUMP = """
dumped_by_timeloop_front_end: true
architecture:
  version: '0.4'
  subtree:
  - name: top
    attributes: {version: '0.4', has_power_gating: false, power_gated_at: null}
    local:
    - {name: "Dram[1..1]", class: DRAM, enabled: true, required_actions: [read, write],
       attributes: {width: 64, datawidth: 8, has_power_gating: false, power_gated_at: null, meshX: 1, meshY: 1,
                    reduction_supported: true, min_utilization: 0, multiple_buffering: 1, cluster_size: 1}}
    - {name: "inter_Pe_spatial[1..1]", class: dummy_storage, attributes: {width: 1, depth: 1, datawidth: 1,
       technology: -1, meshX: 1, meshY: 1}, enabled: true}
    - {name: "Rf[1..3]", class: regfile, attributes: {depth: 32, width: 8, datawidth: 8, meshX: 3, meshY: 1}}
    - {name: "unused[1..3]", class: regfile, attributes: {depth: 1, width: 8, datawidth: 8}, enabled: false}
    - {name: "mac[1..3]", class: intmac, attributes: {width: 8, meshX: 3, meshY: 1}, required_actions: [compute]}
architecture_constraints: {targets: [
  {target: inter_Pe_spatial, type: bypass, bypass: [A, B, Z]},
  {target: inter_Pe_spatial, type: temporal, factors: "M=1,N=1,K=1", permutation: MNK},
  {target: inter_Pe_spatial, type: spatial, factors: "N=1,K=1"}]}
compound_components: {version: '0.4', classes: []}
mapping:
- {target: Dram, type: temporal, factors: "M=2,N=4,K=5", permutation: KNM}
- {target: inter_Pe_spatial, type: bypass, keep: [], bypass: [A, B, Z]}
- {target: inter_Pe_spatial, type: temporal, factors: M1 N1 K1, permutation: KNM}
- {target: inter_Pe_spatial, type: spatial, factors: "M=3,N=1,K=1", permutation: MNK, split: 3}
- {target: Rf, type: temporal, factors: "M=1,N=1,K=2", permutation: KNM}
"""


def test_a_dump_of_the_front_end(plain):
    assert costs(PROBLEM.replace("K: 10}", "K: 10, densities: {}}"), DUMP) == plain
    with pytest.raises(InputError, match="'inter_Pe_spatial' stores nothing"):
        read_timeloop(PROBLEM, DUMP.replace("factors: M1 N1 K1", "factors: M1 N1 K2"))
    # The mapper names the same levels for the undumped file.
    assert costs(PROBLEM, NODES, MAPPING.replace("target: Pe,", "target: inter_Pe_spatial,")) == plain


def test_fan_outs_around_several_place_holders():
    flat = NODES.replace("{meshX: 3}}", "{meshX: 3}}\n  - !Container {name: Row, spatial: {meshY: 2}}")
    flat_map = MAPPING.replace("M=2 N=4", "M=2 N=2") + "- {target: Row, type: spatial, factors: N=2}\n"
    dump = DUMP.replace(
        '    - {name: "Rf[1..3]"',
        '    - {name: "inter_Row_spatial[1..3]", class: dummy_storage, attributes: {meshX: 3, meshY: 1}}\n'
        '    - {name: "Rf[1..6]"',
    )
    dump = dump.replace('"mac[1..3]"', '"mac[1..6]"').replace("meshX: 3, meshY: 1}, req", "meshX: 3, meshY: 2}, req")
    dump = dump.replace("datawidth: 8, meshX: 3, meshY: 1}}", "datawidth: 8, meshX: 3, meshY: 2}}")
    dump = dump.replace("M=2,N=4", "M=2,N=2") + "- {target: inter_Row_spatial, type: spatial, factors: N2, split: 0}\n"
    dump = dump.replace('{name: "inter_Row', '{name: "inter_Row')
    assert costs(PROBLEM, dump) == costs(PROBLEM, flat, flat_map)
    assert costs(PROBLEM, dump.replace(", split: 0", "")) == costs(PROBLEM, flat, flat_map)  # it spreads along y only


PARALLEL = """
  - !Parallel
    nodes:
    - !Component {name: RfA, class: regfile, attributes: {depth: 8, width: 8, datawidth: 8},
                  constraints: {dataspace: {keep: [A]}}}
    - !Component {name: RfZ, class: regfile, attributes: {depth: 8, width: 8, datawidth: 8},
                  constraints: {dataspace: {keep: [Z]}}}
    - !Nothing {constraints: {dataspace: {keep: [B]}}}
  - !Component {name: mac"""
RF = "  - !Component {name: Rf, class: regfile, attributes: {depth: 32, width: 8, datawidth: 8}}\n"


def test_parallel_is_a_chain_of_bypasses():
    text = NODES.replace(RF, "").replace("  - !Component {name: mac", PARALLEL.lstrip("\n"))
    chain = NODES.replace(
        RF, RF.replace("Rf,", "RfA,").replace("32", "8") + RF.replace("Rf,", "RfZ,").replace("32", "8")
    )
    bypass = "- {target: RfA, type: bypass, bypass: [B, Z]}\n- {target: RfZ, type: bypass, bypass: [A, B]}\n"
    mapping = MAPPING.replace("target: Rf,", "target: RfA,")
    assert costs(PROBLEM, text, mapping) == costs(PROBLEM, chain, mapping + bypass)
    stores = {level.name: level.stores for level in read_timeloop(PROBLEM, text).architecture.levels}
    assert stores == {"Dram": None, "RfA": {"A"}, "RfZ": {"Z"}}
    outside = text.replace("constraints: {dataspace: {keep: [Z]}}", "constraints: {}")
    said = "constraints: {targets: [{target: RfZ, type: dataspace, keep: [Z]}]}\n\n"
    assert costs(PROBLEM, outside, mapping, said) == costs(PROBLEM, text, mapping)
    with pytest.raises(InputError, match="tensor 'Z' is kept in 0 branches"):
        read_timeloop(PROBLEM, outside)
    with pytest.raises(InputError, match="tensor 'A' is kept in 2 branches"):
        read_timeloop(PROBLEM, text.replace("keep: [Z]", "keep: [A, Z]"))
    with pytest.raises(InputError, match="fan-out below !Parallel"):
        read_timeloop(PROBLEM, text.replace("{name: RfZ,", "{name: RfZ, spatial: {meshX: 2},"))


def test_expressions_over_attributes_parents_and_other_nodes(plain):
    text = NODES.replace("depth: 32, width: 8", "depth: 2 ** 5, width: datawidth * 1").replace(
        "{meshX: 3}", "{meshX: columns + 1}, attributes: {columns: \"Dram.attributes['width'] / 32\"}"
    )
    text = text.replace("{width: 8}}", "{width: Rf.attributes.width}}")
    assert costs(PROBLEM, text, MAPPING) == plain
    given_text = NODES.replace("depth: 32", "depth: words").replace("meshX: 3", "meshX: pes")
    assert costs(PROBLEM, given_text, MAPPING, "variables: {words: pes * 10 + 2, pes: 3}\n\n") == plain
    with pytest.raises(InputError, match=r"Rf.depth: cannot evaluate 'wrods \* 2' \(nothing defines 'wrods'\)"):
        read_timeloop(PROBLEM, NODES.replace("depth: 32", "depth: wrods * 2"))


def test_the_lists_of_the_first_version():
    old = """
arch:
  arithmetic: {instances: 6, meshX: 3, word_bits: 8, name: mac}
  storage:
  - {name: Rf, entries: 32, instances: 6, meshX: 3, word_bits: 8}
  - {name: Row, entries: 0, instances: 3, meshX: 3, word_bits: 8}
  - {name: Dram, technology: DRAM, word_bits: 8, block_size: 8, instances: 1}
mapspace: {constraints: mine, constraints_mine: [{target: Row, type: datatype, bypass: [A, B, Z]},
  {target: Row, type: spatial, factors: M1 K1, split: 0}], constraints_others: 3}
mapping:
- {target: Dram, type: temporal, factors: M2 N2 K5, permutation: KNM}
- {target: Dram, type: spatial, factors: M3, permutation: MNK}
- {target: Row, type: spatial, factors: N2, permutation: N}
- {target: Rf, type: temporal, factors: K2, permutation: KNM}
"""
    flat = NODES.replace("{meshX: 3}}", "{meshX: 3}}\n  - !Container {name: Row, spatial: {meshY: 2}}")
    flat_map = MAPPING.replace("M=2 N=4", "M=2 N=2") + "- {target: Row, type: spatial, factors: N=2}\n"
    found = read_timeloop(PROBLEM, old)
    assert costs(PROBLEM, old) == costs(PROBLEM, flat, flat_map)
    limits = [c for c in found.architecture.constraints if c.kind == "spatial"]
    assert [(c.level, c.along, c.factors) for c in limits] == [("Dram", "y", {"M": ("=", 1), "K": ("=", 1)})]


def test_the_multiplier_may_stand_anywhere_in_a_tree(plain):
    lines = DUMP.splitlines(keepends=True)
    mac = next(line for line in lines if '"mac[' in line)
    lines.remove(mac)
    lines.insert(next(i for i, line in enumerate(lines) if '"Rf[' in line), mac)
    assert costs(PROBLEM, "".join(lines)) == plain


# -- problems ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gemm_ABZ", "gemm-ABZ", "gemm_ABZ.yaml"])
def test_a_named_product(name, plain):
    assert costs(f"problem:\n  shape: {name}\n  M: 6\n  N: 4\n  K: 10\n", NODES, MAPPING) == plain


@pytest.mark.parametrize("head", ["shape: cnn-layer", "shape: cnn_layer", "version: 0.3"])
@pytest.mark.parametrize("form", ["beside", "instance"])
def test_a_named_convolution(head, form, tmp_path):
    bounds = "R: 3, S: 2, P: 5, Q: 4, C: 6, K: 7, N: 2, Wstride: 2, Hdilation: 3"
    body = f"instance: {{{bounds}}}" if form == "instance" else bounds.replace(", ", "\n  ")
    path = tmp_path / "p.yaml"
    path.write_text(f"problem:\n  {head}\n  {body}\n")
    problem = read_timeloop_problem(path)
    assert problem.macs == 3 * 2 * 5 * 4 * 6 * 7 * 2
    # Rows: (5-1)*2 + (3-1)*1 + 1; columns: (4-1)*1 + (2-1)*3 + 1.
    assert problem.tensor_words("Inputs") == 2 * 6 * 11 * 7
    assert problem.tensor_words("Weights") == 6 * 7 * 3 * 2


def test_what_stands_beside_the_bounds(plain):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert costs(PROBLEM.replace("K: 10}", "K: 10, H: 1, Wpad: 0, densities: {A: 1.0}}"), NODES, MAPPING) == plain
    with pytest.warns(InputWarning, match="'Hstrid' without effect"):
        read_timeloop(PROBLEM.replace("K: 10}", "K: 10, Hstrid: 2}"), NODES)
    for value in (
        "0.5",
        "{A: 0.5}",
        "{A: {distribution: fixed_structured, density: 0.25}}",
        "{A: {distribution: banded}, B: 2}",
    ):
        with pytest.raises(InputError, match="sparse problems are not supported"):
            read_timeloop(PROBLEM.replace("K: 10}", f"K: 10, densities: {value}}}"), NODES)
    with pytest.raises(InputError, match="problem is a list of 2"):
        read_timeloop("problem: [{}, {}]\n\n", NODES)


# -- constraints -------------------------------------------------------------------------------------------------

CONV = LoopNest.conv("c", K=4, C=2, P=4, Q=4, R=3, S=3)


def machine(tmp_path, constraints, name="arch.yaml"):
    path = tmp_path / name
    path.write_text(
        NODES.replace("meshX: 3}}", f"meshX: 3}}, constraints: {{spatial: {constraints}}}}}").replace(
            "depth: 32", "depth: 512"
        )
    )
    return str(path)


def test_constraints_wider_than_a_bound_are_clipped(tmp_path):
    def space(text):
        found = read_architecture_files(machine(tmp_path, text), LoopNest.conv("c", K=2, C=2, P=4, Q=4, R=3, S=3))
        return Constraints.read(LoopNest.conv("c", K=2, C=2, P=4, Q=4, R=3, S=3), found, bypass=False)

    with pytest.warns(InputWarning, match="K=3 .* wider than the bound of K, taken as 2"):
        wide = space("{factors: K=3}")
    assert (wide.fixed == space("{factors: K=2}").fixed).all()
    assert (space("{factors: K<=3}").max_factor == space("{}").max_factor).all()


def test_dimensions_that_a_problem_lacks_are_left_out(tmp_path):
    name = machine(tmp_path, "{factors: [C=1, K=1, P<=2], permutation: [P, C, K], split: 2}")
    product = LoopNest.gemm("g", I=4, J=4, L=4)
    with pytest.warns(InputWarning, match="C, K, P left out, no dimensions of 'g'"):
        found = read_architecture_files(name, product)
    assert [(c.factors, c.permutation) for c in found.constraints] == [({}, ())]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bound = read_architecture_files(name, CONV).constraints[0]
    assert bound.factors == {"C": ("=", 1), "K": ("=", 1), "P": ("<=", 2)}
    with pytest.raises(InputError, match=r"unknown dimension .* 'C'"):
        read_timeloop(PROBLEM, name)


def test_output_channels_are_k_or_m(tmp_path):
    named_m = LoopNest(
        "c",
        tuple("M" if d == "K" else d for d in CONV.dims),
        CONV.bounds,
        tuple(
            type(t)(t.name, tuple(tuple(("M" if d == "K" else d, f) for d, f in axis) for axis in t.axes), t.read_write)
            for t in CONV.tensors
        ),
    )
    for written in ("M", "K"):
        name = machine(tmp_path, f"{{factors: [{written}=1], permutation: [C, {written}]}}")
        for problem, own in ((CONV, "K"), (named_m, "M")):
            (found,) = read_architecture_files(name, problem).constraints
            assert found.factors == {own: ("=", 1)}
            assert found.permutation == ("C", own)


def test_macros_of_constraints(tmp_path):
    def factors(text):
        (found,) = read_architecture_files(machine(tmp_path, text), CONV).constraints
        return {d: v for d, (_, v) in found.factors.items()}

    assert factors("{factors_only: [K<=2]}") == {"K": 2} | dict.fromkeys("NCPQRS", 1)
    assert factors("{no_iteration_over_dataspaces: [Weights]}") == dict.fromkeys("KCRS", 1)
    assert factors("{must_iterate_over_dataspaces: [Outputs]}") == dict.fromkeys("CRS", 1)
    assert factors("{factors: K2, split: len(spec.problem.instance)}") == {"K": 2}
    with pytest.warns(InputWarning, match="maximize_dims is left out"):
        assert factors("{factors: K2, maximize_dims: [[C]]}") == {"K": 2}
    with pytest.raises(InputError, match=r"no_reuse=.* is not supported"):
        factors("{no_reuse: [Weights]}")


# -- machines in files -------------------------------------------------------------------------------------------


def test_machines_in_several_files_and_folders(tmp_path):
    whole = tmp_path / "whole.yaml"
    whole.write_text(NODES.replace("depth: 32", "depth: words") + "variables: {words: 512, datawidth: 8}\n")
    parts = tmp_path / "parts"
    (parts / "more").mkdir(parents=True)
    (parts / "arch.yaml").write_text(NODES.replace("depth: 32", "depth: words"))
    (parts / "a.yaml").write_text("variables: {words: 512}\ncomponents: {classes: []}\nmapping: []\n")
    (parts / "more" / "b.yaml").write_text("variables: {datawidth: 8}\ncomponents: {classes: []}\n")
    wanted = read_architecture_files(str(whole), CONV)
    files = ",".join(str(parts / name) for name in ("arch.yaml", "a.yaml", "more/b.yaml"))
    assert read_architecture_files(files, CONV) == wanted
    assert read_architecture_files(str(parts), CONV) == wanted
    (parts / "twice.yaml").write_text("variables: {words: 2}\n")
    with pytest.raises(InputError, match=r"variables.words appears in two files"):
        read_architecture_files(str(parts), CONV)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"no \.yaml file in this folder"):
        read_architecture_files(str(tmp_path / "empty"), CONV)


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_copied_to_a_file_is_the_preset(name, tmp_path):
    from accelgym.costmodels.timeloop import presets

    copy = tmp_path / f"{name}.yaml"
    copy.write_text((presets._FOLDER / f"{name}.yaml").read_text())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = read_architecture_files(str(copy), CONV)
    original = preset(name)
    assert found.technology == original.technology
    assert found.compute == original.compute
    assert [(x.name, x.read_pj, x.capacity_words, x.stores) for x in found.levels] == [
        (x.name, x.read_pj, x.capacity_words, x.stores) for x in original.levels
    ]
    assert found.constraints == original.constraints

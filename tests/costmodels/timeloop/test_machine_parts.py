"""Machines and tables of prices, part by part: what counts is what Timeloop counts, the rest is said or refused."""

import warnings

import pytest
from small_machine import MAPPING, NODES, PROBLEM, costs

from accelgym.costmodels.errors import InputError, InputWarning
from accelgym.costmodels.loopnest import LoopnestModel
from accelgym.costmodels.loopnest.rows import result_row
from accelgym.costmodels.timeloop import read_timeloop, read_timeloop_problem
from accelgym.costmodels.workloads.importers import import_timeloop_problem

TREE = """
architecture:
  version: 0.3
  subtree:
  - name: top
    local:
    - {name: Dram, class: DRAM, attributes: {width: 64, word-bits: 8}}
    subtree:
    - name: PE[0..2]
      local:
      - {name: Rf, class: regfile, attributes: {depth: 32, width: 8, word-bits: 8}}
      - {name: mac, class: intmac, attributes: {datawidth: 8}}
"""
ERT = """
ERT:
  version: 0.4
  tables:
  - {name: top.Dram, actions: [{name: read, energy: 64}, {name: write, energy: 32}]}
  - {name: top.Rf, actions: [{name: read, energy: 1}, {name: write, energy: 2}]}
  - {name: top.mac, actions: [{name: compute, energy: 3}]}
"""
# By hand, as in test_public_syntax: 240 MACs; Dram reads 240 + 80 and is updated 24 times, in rows of eight words; Rf
# is read 480 + 216 times, filled 240 + 240 and updated 240 times.
PRICED = 40 * 64 + 3 * 32 + 696 * 1 + 720 * 2 + 240 * 3


def message(*texts):
    found = read_timeloop(*texts)
    model = LoopnestModel(found.problem, found.architecture)
    return result_row(model, found.mappings, model.evaluate(found.mappings), 0)["message"]


@pytest.fixture(scope="module")
def plain():
    return costs(PROBLEM, NODES, MAPPING)


# -- tables ------------------------------------------------------------------------------------------------------


def test_the_price_by_hand():
    assert costs(PROBLEM, NODES, MAPPING, ERT) == (PRICED, 80)


@pytest.mark.parametrize("name", ["mac_random", "mult_random", "mac", "mult", "compute"])
def test_names_of_the_multiplication(name):
    assert costs(PROBLEM, NODES, MAPPING, ERT.replace("name: compute", f"name: {name}"))[0] == PRICED


def test_the_first_name_that_timeloop_knows_counts():
    both = ERT.replace("{name: compute, energy: 3}", "{name: compute, energy: 7}, {name: mac_random, energy: 3}")
    assert costs(PROBLEM, NODES, MAPPING, both)[0] == PRICED
    fills = ERT.replace("{name: write, energy: 2}", "{name: write, energy: 2}, {name: fill, energy: 5}")
    assert costs(PROBLEM, NODES, MAPPING, fills)[0] == PRICED + 480 * 3
    random = ERT.replace("name: read", "name: random_read").replace("name: write", "name: random_write")
    assert costs(PROBLEM, NODES, MAPPING, random)[0] == PRICED


def test_an_action_without_a_price_is_said():
    with pytest.warns(InputWarning, match="ERT of 'Rf': none of random_read, read; here such an action costs nothing"):
        energy, _ = costs(PROBLEM, NODES, MAPPING, ERT.replace("{name: read, energy: 1}, ", ""))
    assert energy == PRICED - 696
    with pytest.warns(InputWarning, match="ERT of 'mac': none of mac_random"):
        costs(PROBLEM, NODES, MAPPING, ERT.replace("name: compute", "name: multiply"))


def test_summaries_state_the_dearest_energy():
    text = ERT.replace("ERT:", "ERT_summary:").replace("tables:", "table_summary:")
    text = text.replace("{name: read, energy: 64}", "{name: read, max_energy: 64, min_energy: 1, average_energy: 9}")
    assert costs(PROBLEM, NODES, MAPPING, text)[0] == PRICED


def test_tables_of_the_second_version():
    text = """
ERT:
  version: 0.2
  tables:
    top.Dram: {read: [{arguments: {delta: 0}, energy: 2}, {arguments: {delta: 1}, energy: 64}], write: {energy: 32}}
    top.PE[0..2].Rf: {read: {energy: 1}, write: [{energy: 2}]}
    top.PE[0..2].mac: {mac_random: {energy: 3}}
"""
    assert costs(PROBLEM, NODES, MAPPING, text)[0] == PRICED


# -- components --------------------------------------------------------------------------------------------------


def test_other_components_of_trees_are_left_out(plain):
    tree_map = MAPPING.replace("target: Pe", "target: Dram")
    adder = "      - {name: add, class: intadder, attributes: {datawidth: 8}}\n      - {name: mac"
    for text in (adder, adder.replace("intadder", "address_generator")):
        with pytest.warns(InputWarning, match="'add' is left out: class .* is neither a memory nor a multiplier"):
            assert costs(PROBLEM, TREE.replace("      - {name: mac", text), tree_map) == plain
    with pytest.raises(InputError, match="class 'regfiel' is neither a memory"):
        read_timeloop(PROBLEM, TREE.replace("      - {name: mac", adder.replace("intadder", "regfiel")))
    flat = NODES + "  - !Component {name: add, class: intadder}\n"
    with pytest.raises(InputError, match=r"architecture\.add: class 'intadder' is neither a memory nor a multiplier"):
        read_timeloop(PROBLEM, flat)


def test_one_multiplier(plain):
    second = "  - !Component {name: mac2, class: fpmac, attributes: {width: 8}}\n"
    with pytest.raises(InputError, match=r"\['mac', 'mac2'\] are multipliers, allowed: one"):
        read_timeloop(PROBLEM, NODES + second)


def test_trees_hand_no_sizes_down(plain):
    tree_map = MAPPING.replace("target: Pe", "target: Dram")
    handed = TREE.replace("- name: top\n", "- name: top\n    attributes: {technology: 45nm, datawidth: 8}\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert costs(PROBLEM, handed, tree_map) == plain
    wide = handed.replace("depth: 32, width: 8, word-bits: 8", "depth: 32, width: 64")
    with pytest.warns(InputWarning, match="'datawidth' of its subtree without effect"):
        level = read_timeloop(PROBLEM, wide).architecture.levels[1]
    assert (level.word_bits, level.block_size, level.capacity_words) == (16, 4, 128)


def test_flattened_trees(plain):
    """As Accelergy of v0.3 writes them: whole paths, the deepest first."""
    flat = """
architecture:
  version: 0.3
  local:
  - {name: "top.PE[0..2].Rf", class: regfile, attributes: {depth: 32, width: 8, word-bits: 8}}
  - {name: "top.PE[0..2].mac", class: intmac, attributes: {datawidth: 8}}
  - {name: top.Dram, class: DRAM, attributes: {width: 64, word-bits: 8}}
"""
    tree_map = MAPPING.replace("target: Pe", "target: Dram")
    assert costs(PROBLEM, flat, tree_map) == plain
    rows = flat.replace("PE[0..2].Rf", "Row[0..2].PE[1..2].Rf[0..1]").replace("depth: 32", "depth: 32, meshX: 3")
    rows = rows.replace("PE[0..2].mac", "Row[0..2].PE[1..2].mac[0..1]").replace("{datawidth", "{meshX: 3, datawidth")
    level = read_timeloop(PROBLEM, rows).architecture.levels[0]
    assert (level.fanout_x, level.fanout_y) == (3, 4)


@pytest.mark.parametrize(
    ("attributes", "block", "price"),
    [
        ("width: 8, datawidth: 8", 1, 1.0),
        ("width: 32, datawidth: 8", 4, 1.0),
        ("width: 24, datawidth: 8, block_size: 3", 3, 1.0),
        ("width: 24, datawidth: 8, block_size: 1", 1, 1 / 3),  # Timeloop makes it a row for three instances
        ("width: 24, datawidth: 8, cluster_size: 3", 1, 1 / 3),
    ],
)
def test_how_a_row_is_divided(attributes, block, price):
    text = NODES.replace("width: 8, datawidth: 8", attributes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)
        level = read_timeloop(PROBLEM, text, ERT).architecture.levels[1]
    assert (level.block_size, level.capacity_words) == (block, 32 * block)
    assert level.read_pj == pytest.approx(price)


@pytest.mark.parametrize(
    "attributes",
    [
        "width: 12, datawidth: 8",
        "width: 8",
        "width: 64, datawidth: 8, block_size: 3",
        "width: 64, datawidth: 8, block_size: 2, cluster_size: 2",
        "width: 32, datawidth: 8, block_size: 2",  # rows for two instances, of which there are three
    ],
)
def test_widths_that_do_not_go_with_the_word(attributes):
    with pytest.raises(InputError, match="attributes of 'Rf': width"):
        read_timeloop(PROBLEM, NODES.replace("width: 8, datawidth: 8", attributes))


def test_power_gating_is_said_to_have_no_effect(plain):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dumped = NODES.replace("depth: 32", "depth: 32, has_power_gating: False, power_gated_at: null")
        assert costs(PROBLEM, dumped, MAPPING) == plain
    with pytest.warns(InputWarning, match="attributes of 'Rf': power_gated_at without effect"):
        assert costs(PROBLEM, NODES.replace("depth: 32", "depth: 32, power_gated_at: Dram"), MAPPING) == plain


def test_half_of_the_old_bandwidth_stays_where_one_way_is_stated():
    text = NODES.replace("depth: 32", "depth: 32, bandwidth: 3, read_bandwidth: 100")
    level = read_timeloop(PROBLEM, text).architecture.levels[1]
    assert (level.read_bw, level.write_bw) == (100.0, 1.5)


# -- parallel branches -------------------------------------------------------------------------------------------


def memory(name, indent, tensors, more=""):
    return (
        f"{' ' * indent}- !Component {{name: {name}, class: regfile, attributes: {{depth: 8, width: 8, datawidth: 8"
        f"{more}}}, constraints: {{dataspace: {{keep: [{tensors}]}}}}}}\n"
    )


def machine(inside):
    head, tail = NODES.split("  - !Component {name: Rf")
    return head + inside + "  - !Component {name: mac" + tail.split("{name: mac")[1]


FLAT = "  - !Parallel\n    nodes:\n" + memory("RfA", 4, "A") + memory("RfB", 4, "B") + memory("RfZ", 4, "Z")
NESTED = (
    "  - !Parallel\n    nodes:\n"
    + memory("RfA", 4, "A")
    + "    - !Parallel\n      nodes:\n"
    + memory("RfB", 6, "B")
    + memory("RfZ", 6, "Z")
)


def test_parallel_nodes_in_a_branch():
    mapping = MAPPING.replace("target: Rf,", "target: RfA,")
    assert costs(PROBLEM, machine(NESTED), mapping) == costs(PROBLEM, machine(FLAT), mapping)
    with pytest.raises(InputError, match="tensor 'B' is kept in 0 branches"):
        read_timeloop(PROBLEM, machine(NESTED.replace("keep: [B]", "keep: []")))


def test_what_a_container_gives_stays_in_its_branch():
    own = FLAT.replace("depth: 8,", "depth: 8, energy_scale: 3,", 1)
    box = (
        "  - !Parallel\n    nodes:\n    - !Hierarchical\n      nodes:\n"
        "      - !Container {name: box, attributes: {energy_scale: 3}}\n"
        + memory("RfA", 6, "A")
        + memory("RfB", 4, "B")
        + memory("RfZ", 4, "Z")
    )
    mapping = MAPPING.replace("target: Rf,", "target: RfA,")
    assert costs(PROBLEM, machine(box), mapping) == costs(PROBLEM, machine(own), mapping)


def test_ways_to_pass_a_branch():
    two = "  - !Parallel\n    nodes:\n" + memory("RfA", 4, "A") + memory("RfZ", 4, "Z")
    kept = "constraints: {dataspace: {keep: [B]}}"
    ways = (
        f"!Nothing {{{kept}}}",
        f"!Component {{name: pass, class: nothing, {kept}}}",
        f"!Container {{name: pass, {kept}}}",
    )
    mapping = MAPPING.replace("target: Rf,", "target: RfA,")
    found = {costs(PROBLEM, machine(f"{two}    - {way}\n"), mapping) for way in ways}
    assert len(found) == 1


def test_a_node_may_ask_one_further_in(plain):
    text = NODES.replace("depth: 32", "depth: mac.attributes.words * Pe.spatial.meshX - 4")
    text = text.replace("{width: 8}}", "{width: Rf.attributes.width, words: 3 * 4}}")
    assert costs(PROBLEM, text, MAPPING) == plain
    with pytest.raises(InputError, match="leads back to itself"):
        read_timeloop(PROBLEM, text.replace("words: 3 * 4", "words: Rf.attributes.depth"))


# -- mappings ----------------------------------------------------------------------------------------------------


def test_bypasses_of_a_level_add_up():
    once = "- {target: Rf, type: bypass, keep: [Z], bypass: [A, B]}\n"
    twice = "- {target: Rf, type: bypass, bypass: [A]}\n- {target: Rf, type: datatype, keep: [Z], bypass: [B]}\n"
    back = "- {target: Rf, type: bypass, keep: [Z, A]}\n- {target: Rf, type: bypass, bypass: [A]}\n"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert costs(PROBLEM, NODES, MAPPING + twice) == costs(PROBLEM, NODES, MAPPING + once)
        assert costs(PROBLEM, NODES, MAPPING + once + back) == costs(PROBLEM, NODES, MAPPING + once)
    kept = MAPPING + once + "- {target: Rf, type: bypass, keep: [A, B]}\n"
    assert costs(PROBLEM, NODES, kept) == costs(PROBLEM, NODES, MAPPING)


def test_a_fan_out_may_be_told_that_it_holds_nothing(plain):
    nothing = (
        "- {target: Pe, type: temporal, factors: M=1 N=1 K=1}\n- {target: Pe, type: dataspace, bypass: [A, B, Z]}\n"
    )
    assert costs(PROBLEM, NODES, MAPPING + nothing) == plain
    inside = NODES.replace("{meshX: 3}", "{meshX: 3}, constraints: {temporal: {factors: [K=1]}}")
    assert costs(PROBLEM, inside, MAPPING) == plain
    for asks in ("type: temporal, factors: M=2", "type: dataspace, keep: [A]"):
        with pytest.raises(InputError, match=r"mapping\[3\]: 'Pe' stores nothing, allowed: all factors 1"):
            read_timeloop(PROBLEM, NODES, f"{MAPPING}- {{target: Pe, {asks}}}\n")


def test_keys_that_ask_for_nothing(plain):
    empty = "no_reuse: [], no_link_transfer: [], default_max_factor: null, remainders: null, permutation: MNK"
    assert costs(PROBLEM, NODES, MAPPING.replace("permutation: MNK", empty)) == plain
    more = "- {target: Rf, type: dataspace, keep: [A], no_coalesce: []}\n"
    assert costs(PROBLEM, NODES, MAPPING + more) == plain
    with pytest.raises(InputError, match=r"mapping\[3\].no_coalesce=\['A'\] is not supported"):
        read_timeloop(PROBLEM, NODES, MAPPING + more.replace("[]", "[A]"))
    with pytest.warns(InputWarning, match=r"mapping\[1\].no_link_transfer without effect"):
        costs(PROBLEM, NODES, MAPPING.replace("permutation: MNK", "permutation: MNK, no_link_transfer: [A]"))
    links = NODES.replace("{meshX: 3}", "{meshX: 3}, constraints: {spatial: {no_link_transfer: [A]}}")
    with pytest.warns(InputWarning, match="no_link_transfer without effect"):
        costs(PROBLEM, links, MAPPING)
    with pytest.raises(InputError, match=r"mapping\[0\].factors is {'K': 5.*allowed: text as in M=2 N=4"):
        read_timeloop(PROBLEM, NODES, MAPPING.replace("factors: M=2 N=4 K=5", "factors: {M: 2, N: 4, K: 5}"))
    wished = NODES.replace(
        "datawidth: 8}}\n  - !Component {name: mac",
        "datawidth: 8}, constraints: {temporal: {%s}}}\n  - !Component {name: mac",
    )
    stated = read_timeloop(
        PROBLEM, wished % "factors: [K=2], factors_only: [M=1], default_min_factor: null, remainders: null"
    )
    assert stated.architecture.constraints[0].factors == {"K": ("=", 2), "M": ("=", 1), "N": ("=", 1)}
    entry = "constraints: {targets: [{target: Rf, type: max_overbooked_proportion, proportion: %s}]}\n\n"
    assert costs(PROBLEM, NODES, MAPPING, entry % "null") == plain
    with pytest.raises(InputError, match=r"constraints\[0\].proportion=0.5 is not supported"):
        read_timeloop(PROBLEM, NODES, entry % "0.5")
    with pytest.raises(InputError, match="factors and factors_only differ in K"):
        read_timeloop(PROBLEM, wished % "factors: [K=2], factors_only: [K=5]")


def test_why_a_mapping_is_invalid():
    assert message(PROBLEM, NODES, MAPPING + "- {target: Dram, type: bypass, bypass: [B]}\n") == (
        "mapping: 'Dram' bypasses B, allowed: the outermost memory keeps all tensors"
    )
    full = NODES.replace("depth: 32", "depth: 32, min_utilization: 0.9")
    assert message(PROBLEM, full, MAPPING) == (
        "mapping: tiles of 5 words in 'Rf', allowed: at least 0.9 of its 32 (min_utilization)"
    )


# -- problems ----------------------------------------------------------------------------------------------------


def test_what_data_spaces_may_say_besides(plain):
    ranked = PROBLEM.replace("[[[M]], [[K]]]}", "[[[M]], [[K]]], ranks: [rows, depth], read_write: 'False'}")
    assert costs(ranked, NODES, MAPPING) == plain
    with pytest.raises(InputError, match=r"data-spaces\[2\].read_write is 'maybe', allowed: true or false"):
        read_timeloop(PROBLEM.replace("read_write: true", "read_write: maybe"), NODES)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[M, N, K]", "[M, N, K, M]", "problem.shape.dimensions: 'M' is named twice"),
        ("name: B", "name: A", "problem.shape.data-spaces: 'A' is named twice"),
        (
            "    data_spaces",
            "    coefficients: [{name: M, default: 1}]\n    data_spaces",
            "coefficients: 'M' is named twice",
        ),
        (
            "    data_spaces",
            "    coefficients: [{name: c, default: 1}, {name: c, default: 2}]\n    data_spaces",
            "'c' is named twice",
        ),
    ],
)
def test_names_that_stand_twice(tmp_path, old, new, message):
    path = tmp_path / "problem.yaml"
    path.write_text(PROBLEM.replace(old, new, 1))
    for read in (import_timeloop_problem, read_timeloop_problem):
        with pytest.raises(InputError, match=message):
            read(path)

"""Reads an export as timeloop-model HEAD (4cf6d4c) does, and rejects what that refuses, skips or ignores.

It shares no code with the package's reader. Every rule here was observed by running the binary on small files.
"""

import re
from math import prod

import yaml

from accelgym.costmodels.architecture import Architecture, Compute, LoopNest, StorageLevel, Tensor
from accelgym.costmodels.loopnest import Mappings

MEMORIES = ("DRAM", "SRAM", "regfile", "smartbuffer", "storage")
COMPUTES = ("mac", "compute")
LARGEST = 2**31 - 1
SIZED = {"depth", "entries", "sizeKB"}
MODELLED = SIZED | {
    "width", "word-bits", "block-size", "read_bandwidth", "write_bandwidth", "shared_bandwidth",
    "multiple-buffering", "min-utilization", "meshX",
}  # fmt: skip
PRICING = {
    "technology", "num_banks", "n_banks", "num_ports", "n_ports", "type", "subclass", "latency", "cycle_seconds",
    "global_cycle_seconds", "accelergy_class",
}  # fmt: skip
FACTOR = re.compile(r"([A-Za-z])=(\d+)(?:,(\d+))?")
NAME = re.compile(r"(\w+)(?:\[(\d+)\.\.(\d+)\])?", re.ASCII)


class Refused(Exception):
    """timeloop-model aborts, or reads something else than was meant."""


def need(condition, message):
    if not condition:
        raise Refused(message)


def read_export(text):
    """Returns problem, machine and mapping of an export.

    Raises:
        Refused: The file would not load, or a part of it would have no effect.
    """
    data = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    allowed = {"problem", "architecture", "ERT", "ART", "mapping"}
    need(set(data) <= allowed, f"sections {sorted(set(data) - allowed)} refuse mappings or have no effect")
    need({"problem", "architecture", "ERT", "mapping"} <= set(data), "a section is missing")
    problem = read_problem(data["problem"])
    architecture = read_tree(data["architecture"], read_energies(data["ERT"]))
    loops = read_mapping(data["mapping"], problem, architecture)
    return problem, architecture, Mappings.from_loops(problem, architecture, [loops])


def read_problem(section):
    shape, instance = section["shape"], section["instance"]
    dims = shape["dimensions"]
    for dim in dims:
        need(isinstance(dim, str) and re.fullmatch("[A-Za-z]", dim), f"dimension {dim!r} is not one letter")
    need(len(set(dims)) == len(dims), "a dimension twice")
    factors = {}
    for entry in shape["coefficients"]:
        need(entry["name"] not in dims, "a coefficient named as a dimension")
        factors[entry["name"]] = instance.get(entry["name"], entry["default"])
    tensors = []
    for space in shape["data-spaces"]:
        axes = []
        for axis in space["projection"]:
            need(all(term[0] in dims for term in axis), f"projection {axis}")
            axes.append(tuple((term[0], factors[term[1]] if len(term) > 1 else 1) for term in axis))
        tensors.append(Tensor(space["name"], tuple(axes), space.get("read-write", False) is True))
    for dim in dims:
        need(isinstance(instance[dim], int) and 1 <= instance[dim] <= LARGEST, f"bound {instance[dim]} of {dim}")
    need(set(instance) == set(dims) | set(factors), "keys of the instance")
    return LoopNest(shape["name"], tuple(dims), tuple(instance[dim] for dim in dims), tuple(tensors))


def read_energies(section):
    need(section.get("version") in (0.3, 0.4), "ERT needs a version")
    tables = {}
    for table in section["tables"]:
        actions = tables.setdefault(table["name"].rsplit(".", 1)[-1].split("[")[0], {})
        for action in table["actions"]:
            need(isinstance(action["energy"], float | int), f"energy {action['energy']!r}")
            need(action["name"] not in actions, "the dearest of several rows counts")
            actions[action["name"]] = action["energy"]
    return tables


def split_name(name):
    match = NAME.fullmatch(name)
    need(match, f"name {name!r}: brackets that are no range count as 1, dots part the path")
    return match[1], 1 if match[2] is None else int(match[3]) - int(match[2]) + 1


def components(tree):
    """Yields name, class, attributes and instances, outer to inner."""
    count, seen = 1, set()
    while tree:
        need(len(tree) == 1, "branches abort")
        node = tree[0]
        need(set(node) <= {"name", "local", "subtree"}, "attributes of a subtree are not inherited")
        count *= split_name(node["name"])[1]
        for local in node["local"]:
            name, times = split_name(local["name"])
            need(name not in seen, f"{name} twice")
            seen.add(name)
            yield name, local["class"], local.get("attributes"), count * times
        tree = node.get("subtree")


def read_tree(section, energies):
    need(section.get("version") in (0.3, 0.4), "architecture needs a version")
    need(set(section) == {"version", "subtree"}, "v0.4 nodes are refused")
    found = list(components(section["subtree"]))
    need(set(energies) == {name for name, *_ in found}, "ERT rows that match no component, or are missing")
    meshes, levels = [], []
    for name, kind, attributes, count in found:
        need(attributes is not None or "DRAM" not in kind, f"{name}: a DRAM without attributes is not read")
        mesh = (attributes or {}).get("meshX")
        need(mesh is not None or count == 1, f"{name}: without meshX all instances lie along x")
        mesh = mesh or 1
        need(count % mesh == 0, f"{name}: meshX={mesh} does not divide {count}")
        meshes.append((mesh, count // mesh))
    need(any(x in found[-1][1] for x in COMPUTES), f"class {found[-1][1]} is skipped")
    need(set(found[-1][2]) <= {"datawidth", "meshX"} | PRICING, "attributes of the multiplier")
    for i, (name, kind, attributes, count) in enumerate(found[:-1]):
        need(any(x in kind for x in MEMORIES), f"class {kind} is skipped")
        inner = found[i + 1][3]
        need(inner % count == 0 and meshes[i + 1][0] % meshes[i][0] == 0, f"{name}: meshes do not nest")
        levels.append(read_level(name, kind, attributes, energies[name], meshes[i], meshes[i + 1]))
    actions = energies[found[-1][0]]
    need(set(actions) <= {"compute", "leak"} and "compute" in actions, "an unknown action leaves 1 pJ")
    compute = Compute(found[-1][0], actions["compute"], leakage_pj=actions.get("leak", 0.0))
    return Architecture(section["subtree"][0]["name"], tuple(levels), compute)


def read_level(name, kind, attributes, actions, mesh, inner):
    need(set(attributes) <= MODELLED | PRICING, f"{name}: attributes {sorted(set(attributes) - MODELLED - PRICING)}")
    size = SIZED & set(attributes)
    need(size or "DRAM" in kind or attributes.get("technology") == "DRAM", f"{name}: Assertion 'specified_' failed")
    word, block = attributes["word-bits"], attributes["block-size"]
    need(attributes["width"] % (word * block) == 0, f"{name}: width is no multiple of the blocks")
    need(attributes["width"] == word * block, f"{name}: a cluster")
    words = attributes.get("entries", attributes["depth"] * block if "depth" in attributes else None)
    need({"read", "write", "leak"} <= set(actions) <= {"read", "write", "update", "leak"}, f"{name}: actions {actions}")
    return StorageLevel(
        name,
        capacity_words=words,
        word_bits=word,
        block_size=block,
        read_bw=attributes.get("read_bandwidth"),
        write_bw=attributes.get("write_bandwidth"),
        shared_bw=attributes.get("shared_bandwidth"),
        multiple_buffering=attributes.get("multiple-buffering", 1),
        min_utilization=attributes.get("min-utilization", 0),
        read_pj=actions["read"],
        write_pj=actions["write"],
        update_pj=actions.get("update"),
        leakage_pj=actions["leak"],
        fanout_x=inner[0] // mesh[0],
        fanout_y=inner[1] // mesh[1],
    )


def read_mapping(section, problem, architecture):
    names = [*architecture.level_names, architecture.compute.name]
    temporal, spatial, bypass, seen = {}, [], {}, set()
    for entry in section:
        target, kind = entry["target"], {"datatype": "bypass"}.get(entry["type"], entry["type"])
        need(kind in ("temporal", "spatial", "bypass"), f"type {kind}")
        need(target in architecture.level_names, f"target {target!r}")
        need((target, kind) not in seen, "a second directive replaces the first")
        seen.add((target, kind))
        level = names.index(target)
        if kind == "bypass":
            need(set(entry) <= {"target", "type", "keep", "bypass"}, f"keys {sorted(entry)}")
            for side in ("keep", "bypass"):
                need(isinstance(entry.get(side, []), list), f"{side} is no sequence")
                need(set(entry.get(side, [])) <= set(problem.tensor_names), f"unknown tensor in {side}")
            bypass[target] = entry.get("bypass", [])
            continue
        need(set(entry) <= {"target", "type", "factors", "permutation", "split"}, f"keys {sorted(entry)}")
        loops, order = read_loops(entry, problem)
        if kind == "temporal":
            need("split" not in entry, "split in time has no effect")
            temporal[target] = loops
            continue
        fan = architecture.levels[level]
        need(fan.fanout > 1, f"a spatial directive at {target}, which has no fan-out")
        split = entry.get("split", len(order))
        need(0 <= split <= len(order), f"split {split}")
        along = {"x": order[:split], "y": order[split:]}
        spatial.append(
            {"between": names[level : level + 2]}
            | {side: [loop for loop in loops if loop["dim"] in along[side]] for side in "xy"}
        )
    covers(problem, architecture, temporal, spatial)
    return {"temporal": temporal, "spatial": spatial, "bypass": bypass}


def read_loops(entry, problem):
    """Returns the loops above 1, outer to inner, and the order, innermost first."""
    factors, order = entry["factors"], entry["permutation"]
    need(isinstance(factors, str), "a list of factors is ignored")
    parts = [FACTOR.fullmatch(part) for part in factors.split()]
    need(all(parts), f"factors {factors!r}")
    found = {part[1]: (int(part[2]), int(part[3] or part[2])) for part in parts}
    need(len(found) == len(parts), "the last of a repeated dimension counts")
    need(set(found) == set(problem.dims), f"factors {factors!r}")
    need(all(1 <= residual <= bound <= LARGEST for bound, residual in found.values()), f"factors {factors!r}")
    need(isinstance(order, str), "a list as permutation is ignored")
    need(sorted(order) == sorted(problem.dims), f"permutation {order!r}")
    loops = [
        {"dim": dim, "bound": found[dim][0], "residual": found[dim][1]} for dim in reversed(order) if found[dim][0] > 1
    ]
    return loops, order


def covers(problem, architecture, temporal, spatial):
    """Folds the factors of every dimension, outer to inner, as Timeloop checks them."""
    fans = {fan["between"][0]: fan for fan in spatial}
    reached = dict.fromkeys(problem.dims, 0)
    for level in architecture.levels:
        fan = fans.get(level.name, {"x": [], "y": []})
        for loop in [*temporal.get(level.name, []), *fan["y"], *fan["x"]]:
            reached[loop["dim"]] = reached[loop["dim"]] * loop["bound"] + loop["residual"] - 1
        for side, limit in (("x", level.fanout_x), ("y", level.fanout_y)):
            need(prod(loop["bound"] for loop in fan[side]) <= limit, f"mapped along {side} beyond the mesh")
    for dim, last in reached.items():
        need(last + 1 == problem.bound[dim], f"product of all factors of {dim} is not {problem.bound[dim]}")

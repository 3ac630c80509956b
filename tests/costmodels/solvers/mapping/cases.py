"""Random small problems and machines, and their optimum by trying every tiling, order and bypass."""

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from accelgym.costmodels.architecture import LEAKAGES, Architecture, Compute, Constraint, LoopNest, StorageLevel, Tensor
from accelgym.costmodels.architecture.rules import BYPASSED, FREE, Rules
from accelgym.costmodels.loopnest import LoopnestModel
from accelgym.costmodels.objective import Objective
from accelgym.costmodels.solvers.mapping import MachineTable, MappingSpace, solve

SMALL = st.sampled_from([1, 2, 2, 3, 4, 6])
BLOCK = 16_384


def plain(dims):
    return tuple(((dim, 1),) for dim in dims)


@st.composite
def problems(draw):
    kind = draw(st.sampled_from(["conv", "conv", "grouped", "gemm", "batched", "conv1d", "einsum"]))
    if kind == "gemm":
        return LoopNest.gemm("g", I=draw(SMALL), J=draw(SMALL), L=draw(SMALL))
    if kind == "batched":
        return LoopNest.gemm("g", I=draw(SMALL), J=draw(SMALL), L=draw(SMALL), batch=draw(st.sampled_from([2, 3])))
    stride = st.integers(1, 3)
    if kind == "conv1d":
        return LoopNest.conv1d(
            "c", M=draw(SMALL), P=draw(SMALL), R=draw(SMALL), C=draw(SMALL), stride=draw(stride), dilation=draw(stride)
        )
    if kind == "einsum":
        return draw(einsums())
    groups = draw(st.sampled_from([2, 3])) if kind == "grouped" else 1
    return LoopNest.conv(
        "c",
        N=draw(st.sampled_from([1, 1, 2])),
        K=groups * draw(st.sampled_from([1, 2, 3])),
        C=groups * draw(st.sampled_from([1, 2])),
        P=draw(SMALL),
        Q=draw(st.sampled_from([1, 2, 4])),
        R=draw(st.sampled_from([1, 2, 3])),
        S=draw(st.sampled_from([1, 2, 3])),
        stride=(draw(stride), draw(stride)),
        dilation=(draw(stride), draw(stride)),
        groups=groups,
    )


@st.composite
def einsums(draw):
    """Up to three operands over four dimensions; axes of operands sum at most two of them."""
    names = "ABCD"
    output = draw(st.sets(st.sampled_from(names), min_size=1, max_size=3))
    operands = []
    for i in range(draw(st.integers(1, 3))):
        used = sorted(draw(st.sets(st.sampled_from(names), min_size=1, max_size=4)))
        axes = list(plain(used))
        if len(used) >= 2 and draw(st.booleans()):
            pair = ((used[0], draw(st.integers(1, 3))), (used[1], draw(st.integers(1, 3))))
            axes = [pair, *plain(used[2:])]
        operands.append(Tensor(f"T{i}", tuple(axes)))
    seen = sorted(output.union(*(tensor.dims for tensor in operands)))
    tensors = (*operands, Tensor("O", plain(sorted(output)), read_write=True))
    return LoopNest("e", tuple(seen), tuple(draw(SMALL) for _ in seen), tensors)


@st.composite
def machines(draw, problem):
    depth = draw(st.sampled_from([2, 2, 3, 3, 4]))
    price = st.sampled_from([0.0, 0.5, 1.0, 4.0, 30.0])
    bandwidth = st.sampled_from([None, None, 0.5, 2, 3.5])
    fan = st.sampled_from([1, 1, 2, 3, 4])
    levels = []
    for v in range(depth):
        stores = None
        if v and draw(st.integers(0, 4)) == 0:
            stores = frozenset(draw(st.sets(st.sampled_from(problem.tensor_names))))
        levels.append(
            StorageLevel(
                f"L{v}",
                capacity_words=draw(st.sampled_from([None, 3, 4, 6, 9, 16, 40])) if v else None,
                block_size=draw(st.sampled_from([1, 1, 4])),
                read_bw=draw(bandwidth),
                write_bw=draw(bandwidth),
                shared_bw=draw(bandwidth),
                read_pj=draw(price),
                write_pj=draw(price),
                update_pj=draw(st.one_of(st.none(), price)),
                leakage_pj=draw(st.sampled_from([0.0, 0.0, 0.5, 8.0])),
                fanout_x=draw(fan),
                fanout_y=draw(fan),
                stores=stores,
            )
        )
    compute = Compute(mac_pj=draw(st.sampled_from([0.0, 1.0, 5.0])), leakage_pj=draw(st.sampled_from([0.0, 0.0, 2.0])))
    return Architecture("m", tuple(levels), compute, leakage=draw(st.sampled_from(LEAKAGES)))


@st.composite
def constraints(draw, problem, machine):
    """Orders that are prescribed in part, and limits on single factors."""
    found = []
    for level in machine.levels:
        if draw(st.integers(0, 2)) == 0:
            dims = draw(st.permutations(problem.dims))
            order = tuple(dims[: draw(st.integers(0, len(dims)))])
            limit = {draw(st.sampled_from(problem.dims)): ("<=", 2)} if level is not machine.levels[0] else {}
            found.append(Constraint(level.name, "temporal", limit, order))
    return tuple(found)


@st.composite
def floored(draw, problem, machine):
    """Smallest factors and smallest shares of fan-outs and memories: constraints, and the machine with the latter."""
    found = []
    spare = dict(zip(problem.dims, problem.bounds, strict=True))
    for level in machine.levels:
        dim = draw(st.sampled_from(problem.dims))
        if draw(st.booleans()) and spare[dim] > 1:
            least = draw(st.integers(2, spare[dim]))
            spare[dim] //= least
            found.append(Constraint(level.name, "temporal", {dim: (">=", least)}))
        if draw(st.integers(0, 2)) == 0:
            found.append(Constraint(level.name, "utilization", minimum=draw(st.sampled_from([0.3, 0.5, 1.0]))))
    share = st.sampled_from([0.0, 0.0, 0.5])
    levels = tuple(replace(x, min_utilization=draw(share) if x.capacity_words else 0.0) for x in machine.levels)
    return replace(machine, levels=levels, constraints=tuple(found))


@dataclass
class Case:
    """A problem on a machine, what is minimised, and which bypasses are open."""

    problem: LoopNest
    machine: Architecture
    objective: Objective
    keeps: np.ndarray

    @property
    def rules(self):
        return Rules.build(self.problem, self.machine, bypass=False)

    @property
    def space(self):
        return MappingSpace(self.problem, self.machine, self.rules)

    @property
    def model(self):
        return LoopnestModel(self.problem, self.machine)

    def solve(self, **options):
        return solve(self.space, MachineTable.of([self.machine]), self.objective, self.keeps, **options)

    def value(self, energy, cycles):
        return {Objective.ENERGY: energy, Objective.LATENCY: cycles, Objective.EDP: energy * cycles}[self.objective]


@st.composite
def windows(draw):
    """A sum of two dimensions with loops of both, at several levels; little else."""
    size, step = st.sampled_from([2, 2, 3, 4, 6, 8]), st.integers(1, 3)
    few = st.sampled_from([1, 1, 2])
    sizes = {"M": draw(few), "C": draw(few), "P": draw(size), "R": draw(st.sampled_from([2, 3, 4]))}
    if draw(st.booleans()):
        return LoopNest.conv1d("w", **sizes, stride=draw(step), dilation=draw(step))
    return LoopNest.conv(
        "w",
        K=sizes["M"],
        C=1,
        P=sizes["P"],
        R=sizes["R"],
        Q=draw(few),
        S=2,
        stride=(draw(step), 1),
        dilation=(draw(step), 1),
    )


@st.composite
def cases(draw, most=120_000, constrained=False, problem=None, floors=False):
    """Cases with at most so many tilings times orders times bypasses."""
    problem = draw(problems() if problem is None else problem)
    machine = draw(machines(problem))
    if constrained:
        machine = replace(machine, constraints=draw(constraints(problem, machine)))
    keeps = bypasses(problem, machine, free=draw(st.booleans()) and len(machine.levels) < 4)
    chosen = draw(st.lists(st.integers(0, len(keeps) - 1), min_size=1, max_size=3, unique=True))
    assume(problem.macs > 1)
    case = Case(problem, machine, draw(st.sampled_from(list(Objective))), keeps[chosen])
    while mappings_of(case) > most:
        largest = max(range(len(problem.bounds)), key=problem.bounds.__getitem__)
        bounds = list(case.problem.bounds)
        largest = max(range(len(bounds)), key=bounds.__getitem__)
        bounds[largest] = 2 if bounds[largest] > 2 else 1
        case.problem = replace(case.problem, bounds=tuple(bounds))
    if floors:
        case.machine = draw(floored(case.problem, case.machine))
    return case


def bypasses(problem, machine, *, free):
    """Every choice of what is kept, shape ``(choices, levels, tensors)``."""
    rules = Rules.build(problem, machine, bypass=free).keep
    open_cells = np.argwhere(rules == FREE)
    rows = []
    for choice in itertools.product((True, False), repeat=len(open_cells)):
        keep = rules != BYPASSED
        keep[tuple(open_cells.T)] = choice
        rows.append(keep)
    return np.array(rows)


def chains(case, d):
    """All ordered factorisations of a dimension over the slots that the rules allow, shape ``(chains, slots)``."""
    rules, machine = case.rules, case.machine
    found = []

    def extend(row, left, s):
        if s == len(machine.slots):
            if left == 1:
                found.append(row)
            return
        least = int(rules.floors.factors[s, d])
        options = range(least, min(left, int(rules.most[s, d])) + 1) if rules.open[s, d] else [int(rules.fixed[s, d])]
        for factor in options:
            if left % factor == 0:
                extend((*row, factor), left // factor, s + 1)

    extend((), case.problem.bounds[d], 0)
    table = np.array(found, dtype=np.int64).reshape(-1, len(machine.slots))
    for v in range(len(machine.levels)):
        x, y = machine.slot(v, "x"), machine.slot(v, "y")
        if x is not None and y is not None:
            table = table[(table[:, x] == 1) | (table[:, y] == 1)]
    return table


def orders(case, level):
    """Loop orders of a level as ranks, 0 outermost, of the dimensions that have a loop; shape ``(orders, dims)``."""
    dims = len(case.problem.dims)
    active = [d for d in range(dims) if case.problem.bounds[d] > 1]
    pinned = [d for d in case.rules.pinned[level] if d in active]
    rows = []
    for inner in itertools.permutations([d for d in active if d not in pinned]):
        innermost_first = [*pinned, *inner, *(d for d in range(dims) if d not in active)]
        ranks = np.empty(dims, dtype=np.int64)
        ranks[innermost_first] = np.arange(dims)[::-1]
        rows.append(ranks)
    return np.array(rows)


def mappings_of(case):
    """How many mappings :func:`optimum` tries."""
    tilings = math.prod(len(chains(case, d)) for d in range(len(case.problem.dims)))
    levels = range(len(case.machine.levels) - 1)
    return tilings * math.prod(len(orders(case, v)) for v in levels) * len(case.keeps)


def every_mapping(case, innermost=False):
    """Yields blocks of all mappings: factors and ranks ``(slots, dims, n)``, keeps ``(levels, tensors, n)``."""
    tables = [chains(case, d) for d in range(len(case.problem.dims))]
    depth = len(case.machine.levels)
    ranked = [orders(case, v) for v in range(depth - 1 + innermost)]
    slots = [case.machine.slot(v, "temporal") for v in range(len(ranked))]
    shape = (*map(len, tables), *map(len, ranked), len(case.keeps))
    total = math.prod(shape)
    for begin in range(0, total, BLOCK):
        index = np.unravel_index(np.arange(begin, min(begin + BLOCK, total)), shape)
        n = len(index[0])
        factors = np.stack([table[i].T for table, i in zip(tables, index, strict=False)], axis=1)
        ranks = np.tile(np.arange(len(tables))[None, :, None], (len(case.machine.slots), 1, n))
        for s, table, i in zip(slots, ranked, index[len(tables) :], strict=False):
            ranks[s] = table[i].T
        yield factors, ranks, case.keeps[index[-1]].transpose(1, 2, 0)


def price(case, factors, ranks, keep):
    """Objectives of mappings, ``inf`` where they do not fit."""
    energy, cycles, valid = case.model.score(factors.astype(float), ranks.astype(float), np.ascontiguousarray(keep))
    return np.where(valid & used_enough(case, factors), case.value(energy, cycles), np.inf)


def used_enough(case, factors):
    """Whether mappings use the share of the fan-outs that constraints ask for, counted child by child."""
    good = np.ones(factors.shape[2], dtype=bool)
    for constraint in case.machine.constraints:
        if constraint.kind == "utilization":
            level = case.machine.position(constraint.level)
            last = level + (level == len(case.machine.levels) - 1)
            used = [
                factors[s].prod(axis=0)
                for s, x in enumerate(case.machine.slots)
                if x.kind != "temporal" and x.level < last
            ]
            children = math.prod(x.fanout_x * x.fanout_y for x in case.machine.levels[:last])
            good &= math.prod(used) >= constraint.minimum * children - 1e-9
    return good


def optimum(case, innermost=False):
    """The least objective of all mappings, ``inf`` when none fits."""
    return min((float(price(case, *block).min()) for block in every_mapping(case, innermost)), default=np.inf)

"""The mended model, walked tile by tile over one layer: every element fetched is a member of a Python set."""

import itertools
from math import ceil

from hypothesis import given, settings
from hypothesis import strategies as st

from accelgym.costmodels.maestro import MaestroModel
from accelgym.costmodels.maestro.designs import Dataflow, ResourceDesigns


def spans(extent: int, tile: int) -> list[range]:
    return [range(i, min(i + tile, extent)) for i in range(0, extent, tile)]


def window(outputs: range, kernel: int) -> range:
    return range(outputs.start, outputs.stop + kernel - 1)


def walk(flow: Dataflow, K: int, C: int, Y: int, X: int, R: int, S: int, P: int, k: int) -> dict[str, int]:
    """Cycles and L2 traffic with an unlimited NoC."""
    OY, OX = Y - R + 1, X - S + 1
    tiles = {
        Dataflow.DLA: {"K": spans(K, k), "C": spans(C, P), "Y": spans(OY, 1), "X": spans(OX, 1)},
        Dataflow.EYE: {"C": spans(C, 1), "K": spans(K, k), "Y": spans(OY, P), "X": spans(OX, S)},
        Dataflow.SHI: {"K": spans(K, k), "Y": spans(OY, R), "X": spans(OX, P), "C": spans(C, 1)},
        Dataflow.DPT: {"C": spans(C, k * P), "Y": spans(OY, 1), "X": spans(OX, 1)},
    }[flow]
    order = list(tiles)
    done = {"cycles": 1, "input": 0, "filter": 0, "output": 0}
    last: dict[str, tuple[dict[str, int], set]] = {}
    for at in itertools.product(*(range(len(tiles[d])) for d in order)):
        index = dict(zip(order, at, strict=True))
        tile = {d: tiles[d][i] for d, i in index.items()}
        channels = tile.get("K", range(1))
        rows, cols = window(tile["Y"], R), window(tile["X"], S)
        held = {
            "input": set(itertools.product(tile["C"], rows, cols)),
            "filter": set(itertools.product(channels, tile["C"], range(R), range(S))),
        }
        for tensor, dims in (("input", "CYX"), ("filter", "KC")):
            where = {d: index[d] for d in order if d in dims}
            if tensor not in last:
                fetched = held[tensor]
            else:
                before, elements = last[tensor]
                moved = [d for d in where if where[d] != before[d]]
                # Only a step along a single dimension leaves something of the old tile in use.
                fetched = held[tensor] - elements if len(moved) == 1 and where[moved[0]] > before[moved[0]] else set()
                if len(moved) > 1 or (moved and where[moved[0]] < before[moved[0]]):
                    fetched = held[tensor]
            done[tensor] += len(fetched)
            last[tensor] = (where, held[tensor])
        outputs = len(tile["Y"]) * len(tile["X"])
        done["output"] += outputs * (len(tile["C"]) if flow is Dataflow.DPT else len(channels))
        done["cycles"] += inner_cycles(flow, tile, R * S, P, k)
    return done


def inner_cycles(flow: Dataflow, tile: dict[str, range], kernel: int, P: int, k: int) -> int:
    """Cycles of the PEs on one tile; each PE does one MAC a cycle, and one more cycle brings its first data."""
    if flow is Dataflow.DPT:
        return kernel * min(k, len(tile["C"]))
    macs = kernel * len(tile["K"])
    if flow is Dataflow.DLA:
        assert len(tile["C"]) <= P
        return macs + 1
    if flow is Dataflow.SHI:
        assert len(tile["X"]) <= P
        return macs * len(tile["Y"]) + 1
    free = P // len(tile["Y"])
    return macs * ceil(len(tile["X"]) / free) + 1


@settings(max_examples=120, deadline=None)
@given(
    dataflow=st.sampled_from(list(Dataflow)),
    K=st.integers(1, 6),
    C=st.integers(1, 6),
    OY=st.integers(1, 7),
    OX=st.integers(1, 7),
    R=st.integers(1, 4),
    S=st.integers(1, 4),
    P=st.integers(1, 8),
    k=st.integers(1, 5),
)
def test_the_mended_model_equals_a_walk_over_all_tiles(dataflow, K, C, OY, OX, R, S, P, k):
    depthwise = dataflow is Dataflow.DPT
    layer = {"K": 1 if depthwise else K, "C": C, "Y": OY + R - 1, "X": OX + S - 1, "R": R, "S": S}
    design = ResourceDesigns(**layer, dataflow=dataflow, num_pes=P, buffer_level=k, depthwise=depthwise)
    costs = MaestroModel(compat=False, noc_bw=None).evaluate(design)
    truth = walk(dataflow, *layer.values(), P, k)
    found = {
        "cycles": costs.latency_cycles,
        "input": costs.breakdown["input_l2_reads"],
        "filter": costs.breakdown["filter_l2_reads"],
        "output": costs.breakdown["output_l2_writes"],
    }
    assert {name: int(value) for name, value in found.items()} == truth

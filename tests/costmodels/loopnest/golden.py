"""Reads the Timeloop goldens."""

import gzip
import json
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "golden" / "timeloop"
ENGINE = {"setA": "v3.0.3", "setA_head": "head", "setB": "v3.0.3", "setB_head": "head", "setC_tiny": "v3.0.3"}


@cache
def rows(name):
    with gzip.open(FOLDER / f"{name}.jsonl.gz", "rt") as lines:
        return tuple(json.loads(line) for line in lines)


def mismatches(measured, ours):
    """Names every count of a golden row that differs."""
    wrong = []
    for level, tensors in measured["accesses"].items():
        if ours["accesses"][level].keys() != tensors.keys():
            wrong.append((level, "tensors"))
        for tensor, counts in tensors.items():
            for counter in ("reads", "fills", "updates", "tile_words"):
                mine = ours["accesses"][level][tensor][counter]
                if mine != counts[counter]:
                    wrong.append((level, tensor, counter, mine, counts[counter]))
    for level, cycles in measured["cycles_per_level"].items():
        if ours["cycles_per_level"][level] != cycles:
            wrong.append((level, "cycles", ours["cycles_per_level"][level], cycles))
    for key in ("cycles", "utilized_pes"):
        if ours[key] != measured[key]:
            wrong.append((key, ours[key], measured[key]))
    for part, energy in measured["energy_pJ"].items():
        # The file rounds energies to 1e-3 pJ.
        if abs(ours["energy_pJ"][part] - energy) > 1e-6 * energy + 1e-3:
            wrong.append((part, "energy", ours["energy_pJ"][part], energy))
    return wrong

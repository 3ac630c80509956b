"""Whole networks through the optimal mapper: CPU seconds, and layers proven to 0.1 %.

``OMP_NUM_THREADS=1 python benchmarks/optimal_mapper.py --out results/mapper [--nodes N]``; one process, so that CPU
seconds are those of a core. Goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from accelgym.costmodels.mapper import Settings, read_inputs
from accelgym.experiments.mapper import run_map
from accelgym.experiments.mapper.summary import PROVEN

NETWORKS = ("resnet18", "llama3_8b/prefill_block", "resnet50")
PRESETS = ("tpu_like", "eyeriss", "simba_like")
OBJECTIVES = ("energy", "edp")


def main() -> None:
    """Prints a row per network, machine and objective, and the layers that stay open."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--nodes", type=int)
    parser.add_argument("--networks", nargs="+", default=NETWORKS)
    parser.add_argument("--presets", nargs="+", default=PRESETS)
    parser.add_argument("--objectives", nargs="+", default=OBJECTIVES)
    asked = parser.parse_args()
    for network in asked.networks:
        for preset in asked.presets:
            for objective in asked.objectives:
                inputs = read_inputs([], workload=network, arch=preset, objective=objective)
                folder = asked.out / f"{network.replace('/', '_')}-{preset}-{objective}"
                start = time.process_time()
                found = run_map(inputs, folder, Settings(nodes=asked.nodes), executor="inline")
                spent = time.process_time() - start
                layers = [x for x in found.summary["layers"] if x["same_as"] is None]
                open_layers = [x for x in layers if x.get("largest_gap", 1.0) > PROVEN]
                print(
                    f"{network} | {preset} | {objective} | "
                    f"{len(layers) - len(open_layers)} of {len(layers)} distinct | "
                    f"{found.summary['proven']} of {len(found.summary['layers'])} layers | {spent:.0f} CPU s | "
                    f"{found.summary['value']} | {found.summary['gap']}",
                    flush=True,
                )
                for layer in open_layers:
                    gap = f"{layer['gap']:.2%}" if "gap" in layer else layer["error"]
                    print(f"    {layer['name']}: {gap}", flush=True)


if __name__ == "__main__":
    main()

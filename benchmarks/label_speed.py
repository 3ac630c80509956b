"""Speed of exhaustive labels, and memory: layers x designs per CPU-second, peak resident memory by number of rows.

Run as ``python benchmarks/label_speed.py [--rows N]``. Each size runs in a process of its own; CPU-seconds count
drawing, hashing and writing, too.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

CODE = """
import json, os, resource, sys, time
os.environ["OMP_NUM_THREADS"] = "1"
from accelgym.dse_dataset.recipes.catalogue import preset_spec
from accelgym.dse_dataset.runner import label_dataset
spec = preset_spec(sys.argv[1], rows=int(sys.argv[2]), held_out=[], released="none")
start = time.process_time()
label_dataset(spec, sys.argv[3], executor="inline")
cpu = time.process_time() - start
print(json.dumps([cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 40_000, 100_000])
    parser.add_argument("--preset", nargs="+", default=["airchitect-v2", "capped", "capped-physical"])
    given = parser.parse_args()
    row = "{:<18}{:>10}{:>9}{:>12}{:>15}{:>10}{:>11}"
    print(row.format("preset", "rows", "CPU-s", "rows/CPU-s", "designs/CPU-s", "peak MiB", "bytes/row"))
    for preset in given.preset:
        for rows in given.rows:
            with tempfile.TemporaryDirectory() as folder:
                command = [sys.executable, "-c", CODE, preset, str(rows), f"{folder}/out"]
                ended = subprocess.run(command, capture_output=True, text=True, check=True)
                cpu, peak = json.loads(ended.stdout.splitlines()[-1])
                size = sum(path.stat().st_size for path in Path(folder).rglob("*.parquet"))
            rate = rows / cpu
            shown = (f"{cpu:.1f}", f"{rate:,.0f}", f"{768 * rate:.2e}", f"{peak:.0f}", f"{size / rows:.1f}")
            print(row.format(preset, f"{rows:,}", *shown))


if __name__ == "__main__":
    main()

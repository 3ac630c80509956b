"""Measures the tables that ``accelgym/Datatype-v0`` states its limit on and writes ``envs/accuracy/tables``.

Usage: ``python tools/measure_losses.py [glyph_cnn] [glyph_vit] [text_lm]``
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch

from accelgym.costmodels.files.json_file import write_sealed
from accelgym.envs.accuracy.reference_models import REFERENCE_MODELS, reference_oracle
from accelgym.envs.datatype.losses import layer_fields
from accelgym.envs.datatype.measure import measure_losses

_FOLDER = Path(__file__).parents[1] / "envs" / "accuracy" / "tables"
_EXAMPLES = {"glyph_cnn": 1500, "glyph_vit": 600, "text_lm": 64}


def main(names: list[str]) -> None:
    """Measures the tables of some networks, all by default."""
    torch.set_num_threads(1)
    _FOLDER.mkdir(exist_ok=True)
    for name in names or REFERENCE_MODELS:
        start = time.process_time()
        oracle = reference_oracle(name, _EXAMPLES[name], keep=False)
        table = measure_losses(oracle, name, progress=lambda layer: print(layer, flush=True))
        seconds = time.process_time() - start
        write_sealed(
            _FOLDER / f"{name}.json",
            {
                "provenance": f"tools/measure_losses.py, Python {sys.version.split()[0]}, torch {torch.__version__}",
                "examples": table.examples,
                "value": table.value,
                "metric": oracle.metric,
                "layers": list(table.layers),
                "nests": [[layer_fields(layer) for layer in nests] for nests in table.nests],
                "options": [[option.weight, option.activation, option.group] for option in table.options],
                "losses": {metric: rows.tolist() for metric, rows in table.losses.items()},
            },
        )
        count = len(table.layers) * len(table.options)
        print(f"{name}: {count} assignments in {seconds:.0f} CPU-s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

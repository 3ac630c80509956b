"""Energy from gate-level toggles beside the closed form, by datatype and template; pJ per multiply-add; seconds.

    python benchmarks/synthesis_energy.py [--size 4] [--zeros 0.5] [--cold]

The closed form prices logic by its fitted table; errors here are on layers and operands other than those of the fit.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from accelgym.costmodels.systolic.columns import Hardware, LayerColumns
from accelgym.costmodels.systolic.config import Template, make_config
from accelgym.costmodels.systolic.energy import EnergyLaw
from accelgym.costmodels.systolic.format_kinds import FORMATS
from accelgym.costmodels.systolic.scheduler import Tiling
from accelgym.costmodels.systolic.tiling import tile_terms
from accelgym.costmodels.systolic.traffic import traffic
from accelgym.costmodels.workloads.layer import Layer
from accelgym.hwgen.cache import ContentCache
from accelgym.hwgen.gates.energy import LayerEnergy, measure_energy

LAYERS = (
    Layer.gemm("product", M=32, K=16, C=24),
    Layer.conv("window", K=12, C=8, H=6, R=3, padding=1),
    Layer.gemm("narrow", M=20, K=3, C=30),
)
SEED = 2


def _error(law: EnergyLaw, hardware: Hardware, layer: Layer, measured: LayerEnergy) -> float:
    terms = tile_terms(hardware, LayerColumns.of([layer]), Tiling(**measured.tiling).arrays())
    moved = traffic(hardware, terms)
    closed = float((law.array(moved) + law.control(moved))[0]) + law.clock * measured.cycles
    return closed / measured.logic_pj - 1


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=4, help="rows and columns")
    parser.add_argument("--zeros", type=float, default=0.0, help="share of the inputs set to zero")
    parser.add_argument("--cold", action="store_true", help="use an empty cache")
    arguments = parser.parse_args()
    print("                         logic: closed form over gates      pJ/MAC of gates")
    print("template           types    mean |e|    max |e|   laws |e|   array   logic  toggles  exact  seconds")
    everything: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        store = ContentCache(Path(name)) if arguments.cold else ContentCache()
        for template in Template:
            for types, formats in FORMATS.items():
                size = {"rows": arguments.size, "columns": arguments.size}
                config = make_config(template=template.value, **formats, **size)
                start = time.perf_counter()
                record = measure_energy(config, LAYERS, SEED, zeros=arguments.zeros, cache=store)
                seconds = time.perf_counter() - start
                hardware, laws = Hardware.of([config]), (EnergyLaw.of(config), EnergyLaw.by(config, None))
                fitted, component = (
                    np.array([_error(law, hardware, *pair) for pair in zip(LAYERS, record.layers, strict=True)])
                    for law in laws
                )
                everything += fitted.tolist()
                macs = sum(layer.macs for layer in record.layers)
                array = sum(layer.parts_pj["array"] for layer in record.layers) / macs
                logic = sum(layer.logic_pj for layer in record.layers) / macs
                toggles = float(np.mean([layer.toggle_rate for layer in record.layers]))
                print(
                    f"{template.value:<18} {types:<8} {np.abs(fitted).mean():8.1%} {np.abs(fitted).max():10.1%} "
                    f"{np.abs(component).mean():10.1%} {array:7.2f} {logic:7.2f} {toggles:8.3f} "
                    f"{'yes' if record.exact else 'NO':>6} {seconds:8.1f}",
                    flush=True,
                )
    errors = np.abs(everything)
    print(f"all: {errors.mean():.1%} mean, {errors.max():.1%} max, {np.mean(everything):+.1%} signed")


if __name__ == "__main__":
    main()

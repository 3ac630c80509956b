"""Area by synthesis beside Voyager's published figures: four-part split, datatype ratios, linearity, seconds.

    python benchmarks/synthesis_area.py [--sizes 8 16 32 64] [--cold]

Published figures: TSMC 16 nm, 1 GHz, commercial tools; ratios and shares compare, areas do not.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from accelgym.costmodels.systolic.config import make_config
from accelgym.costmodels.systolic.format_kinds import FORMATS
from accelgym.hwgen.cache import ContentCache
from accelgym.hwgen.synthesis.flow import synthesise
from accelgym.hwgen.synthesis.report import PARTS, SynthesisReport

TYPES = {
    "INT8": FORMATS["int8"],
    "E4M3": FORMATS["e4m3"],
    "Posit8": FORMATS["posit8"],
    "MXINT8": {"psum_type": "int24", "accumulation_type": "bf16", "scale_type": "e8m0"},
}
PUBLISHED_RATIO = {"E4M3": 1.76, "Posit8": 1.92, "MXINT8": 1.14}
PUBLISHED_SHARES = {
    8: (0.027, 0.111, 0.064, 0.148),
    16: (0.109, 0.211, 0.098, 0.250),
    32: (0.440, 0.422, 0.198, 0.465),
    64: (1.783, 0.844, 0.432, 0.869),
}
"""INT8: array, SRAM, address and control, vector unit, mm2."""
DEPTH = 1024


def _report(rows: int, columns: int, store: ContentCache, **types: Any) -> SynthesisReport:
    depths = {f"{name}_buffer_depth": DEPTH for name in ("input", "weight", "accumulation")}
    ports = {"input_port_bits": 8 * rows, "weight_port_bits": 8 * columns, "output_port_bits": 8 * columns}
    return synthesise(make_config(rows=rows, columns=columns, **depths, **ports, **types), cache=store)


def _processing_elements(report: SynthesisReport) -> float:
    return sum(row.area_nand2 for row in report.modules if row.module.startswith("pe_"))


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[8, 16, 32])
    parser.add_argument("--cold", action="store_true", help="use an empty cache")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        store = ContentCache(Path(name)) if arguments.cold else ContentCache()
        print("INT8          NAND2 eq.   " + "  ".join(f"{part:>15}" for part in PARTS) + "   PE    ps  seconds")
        for size in arguments.sizes:
            start = time.perf_counter()
            report = _report(size, size, store)
            seconds = time.perf_counter() - start
            shares = "  ".join(f"{area / report.area_nand2:15.1%}" for area in report.parts.values())
            pe = _processing_elements(report) / size**2
            print(
                f"{size:>2} x {size:<2} {report.area_nand2:16,.0f}   {shares} {pe:6.0f} "
                f"{report.critical_path_ps:5.0f} {seconds:6.1f}"
            )
            if size in PUBLISHED_SHARES:
                area = PUBLISHED_SHARES[size]
                print(f"{'published':>24}   " + "  ".join(f"{part / sum(area):15.1%}" for part in area))
        print("\ntype     PE NAND2 eq.  over INT8  published   array over INT8   ps   (16 x 16)")
        base: tuple[float, float] | None = None
        for kind, types in TYPES.items():
            report = _report(16, 16, store, **types)
            pe, array = _processing_elements(report) / 256, report.parts["array"]
            base = base or (pe, array)
            published = PUBLISHED_RATIO.get(kind, 1.0)
            print(
                f"{kind:<8} {pe:12,.0f} {pe / base[0]:10.2f} {published:10.2f} {array / base[1]:17.2f} "
                f"{report.critical_path_ps:6.0f}"
            )
        for fixed, counted in (("rows", "columns"), ("columns", "rows")):
            print(f"\n{counted} at 8 {fixed}: area over that of the line through the first two points")
            for growing in (False, True):
                _print_linearity(store, fixed, counted, growing)


def _print_linearity(store: ContentCache, fixed: str, counted: str, growing: bool) -> None:
    sizes = (4, 8, 16, 32)
    reports = [_report(**{fixed: 8, counted: size}, store=store, row_psum_widths=growing) for size in sizes]
    label = "growing sums" if growing else "fixed sums"
    for part, pick in _PARTS_OF_A_LINE.items():
        areas = [pick(report) for report in reports]
        slope = (areas[1] - areas[0]) / (sizes[1] - sizes[0])
        found = (f"{n}: {a / (areas[0] + slope * (n - sizes[0])):.4f}" for n, a in zip(sizes, areas, strict=True))
        print(f"{label:<13} {part:<20} {'  '.join(found)}")


_PARTS_OF_A_LINE: dict[str, Callable[[SynthesisReport], float]] = {
    "processing elements": _processing_elements,
    "array": lambda report: report.parts["array"],
    "all": lambda report: report.area_nand2,
}


if __name__ == "__main__":
    main()

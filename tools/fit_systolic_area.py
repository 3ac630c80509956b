"""Fits ``costmodels/systolic/data/area_nand2.yaml`` to synthesis: ``python tools/fit_systolic_area.py``.

Takes some minutes with an empty cache. Prints what it writes and the error on every configuration held out.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import yaml

from accelgym.costmodels.systolic.area import (
    CONTROL_TERMS,
    AreaTable,
    AreaTerms,
    Kind,
    control_features,
    data_path,
    estimate,
)
from accelgym.costmodels.systolic.config import SystolicConfig, Template, make_config
from accelgym.costmodels.systolic.format_kinds import FORMATS
from accelgym.hwgen.arithmetic_rtl import operands
from accelgym.hwgen.synthesis.flow import synthesise
from accelgym.hwgen.synthesis.report import SynthesisReport

CONTROLS = ("tile_loader", "output_drain")
"""Modules that may hold the longest path of the control."""
_SIZED = ("template", "rows", "columns", "depths", "ports", "banks", "latency", "types")
FITTED = (
    ("weight_stationary", 4, 4, (64, 64, 64), (32, 32, 32), 1, 4, "int8"),
    ("weight_stationary", 4, 12, (64, 1024, 256), (64, 32, 64), 2, 8, "int8"),
    ("weight_stationary", 12, 4, (256, 64, 1024), (32, 64, 32), 2, 8, "e4m3"),
    ("weight_stationary", 8, 8, (512, 128, 512), (64, 128, 256), 2, 16, "int4"),
    ("weight_stationary", 16, 8, (128, 256, 128), (128, 16, 64), 1, 8, "bf16"),
    ("output_stationary", 4, 4, (64, 64, 64), (32, 32, 32), 1, 4, "int8"),
    ("output_stationary", 8, 12, (256, 512, 256), (32, 128, 64), 2, 8, "e4m3"),
    ("output_stationary", 12, 6, (128, 64, 1024), (64, 32, 128), 2, 16, "int8"),
    ("output_stationary", 8, 16, (1024, 128, 64), (16, 64, 32), 1, 8, "w4a8"),
)
HELD_OUT = (
    ("weight_stationary", 6, 10, (128, 128, 128), (64, 64, 64), 2, 8, "int8"),
    ("weight_stationary", 16, 16, (256, 256, 256), (64, 64, 64), 2, 8, "e4m3"),
    ("weight_stationary", 10, 3, (512, 64, 64), (16, 32, 16), 1, 6, "posit8"),
    ("output_stationary", 5, 7, (64, 256, 128), (32, 64, 128), 2, 12, "bf16"),
    ("output_stationary", 16, 4, (256, 64, 512), (128, 32, 32), 2, 8, "int4"),
    ("weight_stationary", 24, 12, (1024, 512, 256), (128, 64, 128), 2, 8, "w4a8"),
)


def _config(template: str, rows: int, columns: int, depths: Any, ports: Any, banks: int, latency: int, types: str):
    """Builds a configuration of :data:`FITTED` or :data:`HELD_OUT`."""
    names = ("input", "weight", "accumulation")
    return make_config(
        template=template,
        rows=rows,
        columns=columns,
        **{f"{name}_buffer_depth": depth for name, depth in zip(names, depths, strict=True)},
        **{f"{name}_port_bits": bits for name, bits in zip(("input", "weight", "output"), ports, strict=True)},
        double_buffered_accumulation=banks == 2,
        memory_latency=latency,
        **FORMATS[types],
    )


def _row(report: SynthesisReport, name: str) -> tuple[float, float]:
    """Area of one instance, and its path."""
    rows = [row for row in report.modules if row.module.startswith(name)]
    return sum(row.area_nand2 for row in rows) / sum(row.instances for row in rows), max(row.path_ps for row in rows)


def _kind(config: SystolicConfig) -> Kind:
    """Takes a row of the table from arrays of two and three rows."""
    report, taller = synthesise(config), synthesise(config.model_copy(update={"rows": config.rows + 1}))
    x, w = operands(config)
    pe, x_decoder, w_decoder, adder, accumulator = (
        _row(report, name) for name in ("pe_", "input_decoder", "weight_decoder", "accumulate_add", "accumulator_group")
    )
    elements = config.rows * config.columns
    element = _row(taller, "pe_")[0] * (elements + config.columns) / config.columns - pe[0] * elements / config.columns
    return Kind(
        template=config.template.value,
        input_type=config.input_type,
        weight_type=config.weight_type,
        psum_type=config.psum_type,
        accumulation_type=config.accumulation_type,
        pe_pipeline=config.pe_pipeline,
        input_bits=config.input.bits,
        weight_bits=config.weight.bits,
        psum_bits=config.psum.bits,
        accumulation_bits=config.accumulation.bits,
        input_lane_bits=x.lane_bits,
        weight_lane_bits=w.lane_bits,
        element_area=element,
        last_row_area=config.rows * (pe[0] - element),
        element_path=round(pe[1], 1),
        input_decoder_area=x_decoder[0],
        input_decoder_path=round(x_decoder[1], 1),
        weight_decoder_area=w_decoder[0],
        weight_decoder_path=round(w_decoder[1], 1),
        adder_area=adder[0],
        # From register to register.
        adder_path=round(accumulator[1], 1),
    )


def main() -> None:
    """Synthesises, fits, checks and writes."""
    fo4 = 20.0
    depths = {f"{name}_buffer_depth": 16 for name in ("input", "weight", "accumulation")}
    kinds = []
    for template, types, stages in itertools.product(Template, FORMATS.values(), (1, 2, 3)):
        settings = {"template": template.value, "pe_pipeline": stages, **types}
        if stages > 2 and (types["psum_type"] != "bf16" or template is not Template.WEIGHT_STATIONARY):
            continue
        config = make_config(rows=2, columns=2, **settings, **depths)
        kinds.append(_kind(config))
        print(template.value, types["input_type"], types["weight_type"], stages, kinds[-1].element_area, flush=True)
    vector = _row(synthesise(config), "vector_unit")[0] / config.accumulation_word_bits
    empty = {
        "provenance": "",
        "fitted_configurations": 0,
        "held_out_configurations": 0,
        "area_error_mean": 0.0,
        "area_error_max": 0.0,
        "path_error_mean": 0.0,
        "path_error_max": 0.0,
        "register_bit_area": 6.0,
        "reset_bit_area": 7.5,
        "vector_bit_area": vector,
        "control": dict.fromkeys(CONTROL_TERMS, 0.0),
        "control_path": 0.0,
        "fo4": fo4,
        "kinds": [kind.model_dump() for kind in kinds],
    }
    table = AreaTable.model_validate(empty)

    fitted = [_config(*values) for values in FITTED]
    reports = [synthesise(config) for config in fitted]
    features = control_features(AreaTerms.of(fitted, table), table)
    control = np.array([report.parts["address_control"] for report in reports])
    scale = features.max(axis=0)
    solution = np.linalg.lstsq(features / scale / control[:, None], np.ones(len(control)), rcond=None)[0] / scale
    control_path = float(np.mean([max(_row(report, name)[1] for name in CONTROLS) for report in reports]))
    table = table.model_copy(
        update={
            "control": {name: round(float(value), 4) for name, value in zip(CONTROL_TERMS, solution, strict=True)},
            "control_path": round(control_path, 1),
        }
    )

    held_out = [_config(*values) for values in HELD_OUT]
    truth = [synthesise(config) for config in held_out]
    guess = estimate(AreaTerms.of(held_out, table), table)
    area = guess.total / np.array([report.area_nand2 for report in truth]) - 1
    path = guess.critical_path_ps / np.array([report.critical_path_ps for report in truth]) - 1
    for index, values in enumerate(HELD_OUT):
        parts = {
            part: f"{getattr(guess, part)[index] / truth[index].parts[part] - 1:+.1%}" for part in truth[index].parts
        }
        print(dict(zip(_SIZED, values, strict=True)), f"area {area[index]:+.2%} path {path[index]:+.1%}", parts)
    table = table.model_copy(
        update={
            "provenance": f"{truth[0].tools}, library {truth[0].library}; tools/fit_systolic_area.py",
            "fitted_configurations": len(fitted),
            "held_out_configurations": len(held_out),
            "area_error_mean": round(float(np.abs(area).mean()), 4),
            "area_error_max": round(float(np.abs(area).max()), 4),
            "path_error_mean": round(float(np.abs(path).mean()), 4),
            "path_error_max": round(float(np.abs(path).max()), 4),
        }
    )
    data_path().parent.mkdir(exist_ok=True)
    data_path().write_text(yaml.safe_dump(table.model_dump(), sort_keys=False, width=120))
    print({field: value for field, value in table.model_dump().items() if field != "kinds"})


if __name__ == "__main__":
    main()

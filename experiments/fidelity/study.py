"""Every level of the ladder on the same accelerators."""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.systolic.config import SystolicConfig, make_config
from accelgym.costmodels.systolic.format_kinds import FORMATS
from accelgym.costmodels.systolic.scheduler import NoTilingError, schedule
from accelgym.costmodels.workloads import Layer
from accelgym.envs.hwgen.decoding import Decoder
from accelgym.envs.hwgen.spec import PARAMETER_VALUES
from accelgym.envs.multi_fidelity.levels import LEVELS, simulate
from accelgym.experiments.measured_hardware import SAMPLE, load_measured
from accelgym.experiments.statistics import rank_correlation
from accelgym.hwgen.cache import ContentCache
from accelgym.hwgen.simulator import compile_runtime
from accelgym.hwgen.synthesis.flow import synthesise

__all__ = [
    "ANALYTIC",
    "LAYER",
    "Case",
    "LadderRow",
    "ToolRow",
    "grid_cases",
    "ladder",
    "measured_cases",
    "run_tools",
]

ANALYTIC = tuple(name for name in LEVELS if name not in ("rtl", "synthesis"))
"""Levels that run no tool."""
LAYER = Layer.conv("conv3x3", K=64, C=64, H=14, R=3, padding=1)
"""The layer of the grid: of the size of an inner one of a small network."""


@dataclass(frozen=True)
class Case:
    """A layer on an accelerator, and what is true of it."""

    config: SystolicConfig
    layer: Layer
    cycles: float
    area_nand2: float | None = None
    energy_pj: float | None = None


@dataclass(frozen=True)
class LadderRow:
    """One level against the truth, in one figure."""

    cases: str
    level: str
    figure: str
    designs: int
    """For which the level exists."""
    error: float | None
    """Root mean square of the logarithm of the ratio; ``None`` where the units differ."""
    ratio: float | None
    """Median of level over truth."""
    rank: float
    """Spearman's coefficient."""
    pick: float
    """By how much the design that the level ranks first exceeds the best, relative to it."""
    cpu_s: float
    """Median CPU seconds of a call, nothing kept from an earlier one."""


@dataclass(frozen=True)
class ToolRow:
    """An accelerator that was built."""

    rows: int
    columns: int
    cycles_model: int
    cycles_rtl: int
    area_estimated: float
    area_synthesised: float
    rtl_cpu_s: float
    """Emitting, compiling and simulating; the runtime of the simulator is compiled once and not counted."""
    synthesis_cpu_s: float


def measured_cases(folder: Path = SAMPLE) -> list[Case]:
    """Returns the accelerators of a dataset of preset ``synthesis``, as their Verilog and their gates measure.

    Raises:
        InputError: Another dataset.
    """
    _, arrays = load_measured(folder, ("rtl_cycles", "area_nand2", "energy_pj", *PARAMETER_VALUES))
    columns = {name: column.tolist() for name, column in arrays.items()}
    cases = []
    for values in zip(*columns.values(), strict=True):
        row = dict(zip(columns, values, strict=True))
        config = make_config(
            **{name: row[name] for name in PARAMETER_VALUES if name != "formats"}, **FORMATS[row["formats"]]
        )
        layer = Layer.conv("probe", K=row["K"], C=row["C"], H=row["P"], W=1)
        cases.append(Case(config, layer, row["rtl_cycles"], row["area_nand2"], row["energy_pj"]))
    return cases


def grid_cases(count: int, seed: int = 0, layer: Layer = LAYER) -> list[Case]:
    """Draws accelerators of ``HwGen-v0`` that run a layer; true are the cycles of ``systolic``: those of the Verilog.

    Args:
        count: Of accelerators.
        seed: Of the draws.
        layer: The layer.
    """
    decoder, rng = Decoder(1, 8, 0.4), np.random.default_rng(seed)
    cases: list[Case] = []
    while len(cases) < count:
        config = decoder.config(decoder.space.sample(rng, 1)[0])
        try:
            cases.append(Case(config, layer, schedule(config, layer).cycles))
        except NoTilingError:
            continue
    return cases


def ladder(name: str, cases: Sequence[Case], levels: Sequence[str] = ANALYTIC) -> list[LadderRow]:
    """Evaluates levels on all cases.

    Args:
        name: Of the cases.
        cases: Accelerators with their truth.
        levels: Names of levels.
    """
    rows = []
    truths = {
        "cycles": np.array([case.cycles for case in cases], dtype=np.float64),
        "area": np.array([np.nan if c.area_nand2 is None else c.area_nand2 for c in cases]),
        "energy": np.array([np.nan if c.energy_pj is None else c.energy_pj for c in cases]),
    }
    for level in levels:
        found = np.full((len(cases), 3), np.nan)
        seconds = []
        for row, case in enumerate(cases):
            begin = time.process_time()
            try:
                figures = LEVELS[level].evaluate(case.config, case.layer)
            except InputError:
                continue
            seconds.append(time.process_time() - begin)
            found[row] = [np.nan if x is None else x for x in (figures.cycles, figures.area, figures.energy_pj)]
        for figure, guess in zip(truths, found.T, strict=True):
            known = np.isfinite(guess) & np.isfinite(truths[figure])
            if known.sum() < 2:
                continue
            same = figure == "cycles" or level == "systolic"
            rows.append(_row(name, level, figure, guess[known], truths[figure][known], same, float(np.median(seconds))))
    return rows


def _row(
    cases: str,
    level: str,
    figure: str,
    guess: npt.NDArray[np.float64],
    truth: npt.NDArray[np.float64],
    same_unit: bool,
    cpu_s: float,
) -> LadderRow:
    logs = np.log(guess / truth)
    first = float(truth[guess == guess.min()].mean())
    return LadderRow(
        cases,
        level,
        figure,
        len(guess),
        float(np.sqrt((logs**2).mean())) if same_unit else None,
        float(np.exp(np.median(logs))) if same_unit else None,
        rank_correlation(guess, truth),
        first / float(truth.min()) - 1,
        cpu_s,
    )


def run_tools(cases: Sequence[Case]) -> list[ToolRow]:
    """Builds accelerators from nothing: simulates the layer and synthesises them.

    Raises:
        MissingExtraError: A tool is not installed.
    """
    rows = []
    for case in cases:
        with tempfile.TemporaryDirectory(prefix="accelgym-fidelity-") as name:
            cache = ContentCache(Path(name))
            compile_runtime(cache)
            cycles, rtl_s = _timed(partial(simulate, case.config, case.layer, cache))
            report, synthesis_s = _timed(partial(synthesise, case.config, cache=cache))
        model = LEVELS["systolic"].evaluate(case.config, case.layer)
        rows.append(
            ToolRow(
                case.config.rows,
                case.config.columns,
                int(model.cycles),
                cycles,
                float(model.area or np.nan),
                report.area_nand2,
                rtl_s,
                synthesis_s,
            )
        )
    return rows


def _timed(make: Callable[[], Any]) -> tuple[Any, float]:
    """Returns a result and the CPU seconds of this process and of those that it started."""
    begin = _cpu_seconds()
    result = make()
    return result, _cpu_seconds() - begin


def _cpu_seconds() -> float:
    parts = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(part.ru_utime + part.ru_stime for part in parts)

"""Builds a configuration, runs layers on it and compares outputs and cycles with golden and model."""

from __future__ import annotations

import functools
import itertools
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.systolic.columns import Hardware, LayerColumns
from accelgym.costmodels.systolic.config import SystolicConfig
from accelgym.costmodels.systolic.cycles import layer_cycles
from accelgym.costmodels.systolic.operand_types import OperandTypes
from accelgym.costmodels.systolic.scheduler import Tiling, schedule
from accelgym.costmodels.systolic.tiling import tile_terms
from accelgym.costmodels.workloads.layer import Layer
from accelgym.hwgen.cache import ContentCache, content_key
from accelgym.hwgen.directed_layers import directed_runs
from accelgym.hwgen.emitter import Rtl, emit
from accelgym.hwgen.golden import golden_outputs
from accelgym.hwgen.lint import lint
from accelgym.hwgen.localise import Mismatch, first_mismatch, read_trace
from accelgym.hwgen.memory_needed import require_memory
from accelgym.hwgen.memory_reads import memory_reads
from accelgym.hwgen.program import Program, compile_layer
from accelgym.hwgen.simulator import Job, PortErrors, Protocol, Simulator, build_simulator
from accelgym.hwgen.stimulus import Operands, Stimulus, draw_operands
from accelgym.hwgen.toolchain import tool_versions
from accelgym.hwgen.verification_record import LayerRecord, VerificationRecord

__all__ = ["model_cycles", "model_text", "planned_runs", "verify"]

_MODEL_PACKAGES = ("accelgym.costmodels.systolic", "accelgym.costmodels.datatypes")
_MOST_IDLE = 20
"""Cycles from the configuration of a layer to its start."""
_SILENCE = 128
"""Cycles that are watched behind a layer."""
Codes = npt.NDArray[np.int64]


def model_cycles(config: SystolicConfig, layer: Layer, tiling: Tiling) -> int:
    """Returns the cycles the model predicts."""
    terms = tile_terms(Hardware.of([config]), LayerColumns.of([layer]), tiling.arrays())
    return int(layer_cycles(terms)[0])


@dataclass(frozen=True)
class _Case:
    """A layer with operands, and the ways in which it runs with them."""

    program: Program
    stimulus: Stimulus
    operands: Operands
    golden: Codes
    protocols: tuple[Protocol, ...]

    def jobs(self) -> list[Job]:
        inputs, weights = self.program.input_image(self.operands), self.program.weight_image(self.operands)
        return [Job(self.program, inputs, weights, protocol) for protocol in self.protocols]


@dataclass(frozen=True)
class _Planned:
    """A layer to run with the formats at hand of ``config``."""

    config: SystolicConfig
    layer: Layer
    tiling: Tiling
    rectify: bool
    stimuli: tuple[tuple[Stimulus, tuple[Protocol, ...]], ...]

    @functools.cached_property
    def cycles(self) -> int:
        """Cycles the model predicts."""
        return model_cycles(self.config, self.layer, self.tiling)

    def cases(self, seed: int) -> list[_Case]:
        compiled = compile_layer(self.config, self.layer, self.tiling, rectify=self.rectify)
        program = replace(compiled, cycle_limit=2 * self.cycles + 1000)
        cases = []
        for stimulus, protocols in self.stimuli:
            generator = np.random.default_rng([seed, list(Stimulus).index(stimulus), *self.layer.name.encode()])
            operands = draw_operands(self.config, self.layer, stimulus, generator)
            golden = golden_outputs(self.config, self.layer, program.grid, operands, rectify=self.rectify)
            cases.append(_Case(program, stimulus, operands, golden, protocols))
        return cases


def _locate(config: SystolicConfig, rtl: Rtl, case: _Case, cache: ContentCache) -> dict[str, Any]:
    simulator = build_simulator(config, rtl, cache, trace=True)
    with tempfile.TemporaryDirectory(prefix="accelgym-trace-") as name:
        path = Path(name) / "trace"
        simulator.run(case.jobs()[:1], trace=path)
        steps, psums = read_trace(path.read_bytes(), config)
    found: Mismatch | None = first_mismatch(case.program, case.operands, steps, psums)
    where = {"place": "accumulation or output"} if found is None else {"place": "array", **asdict(found)}
    return {"stimulus": str(case.stimulus), **where}


def verify(
    config: SystolicConfig,
    layers: Sequence[Layer],
    seed: int = 0,
    *,
    types: Sequence[OperandTypes] | None = None,
    tilings: Sequence[Tiling] | None = None,
    rectify: Sequence[bool] | None = None,
    cache: ContentCache | None = None,
    rtl: Rtl | None = None,
    locate: bool = True,
) -> VerificationRecord:
    """Proves a configuration on layers, or takes the record of an earlier proof from the cache.

    Args:
        config: The accelerator.
        layers: Convolutions and matrix products to run, each with every :class:`Stimulus`; directed ones are added.
        seed: Of the operand tensors.
        types: Number formats of each layer; what is open, or None, runs with every format of the accelerator.
        tilings: One a layer; the fastest ones when None.
        rectify: Of each layer, whether its negative outputs become zero; none do when None.
        cache: Where simulators and records are kept.
        rtl: Verilog to check in place of the generated one.
        locate: Look for the processing element behind a wrong output, which compiles a second simulator.

    Raises:
        InputError: A layer has no tile that fits, more than the hardware counts or this machine can hold, or a number
            format that is not of the accelerator; or types or tilings are not one a layer.
        MissingExtraError: A tool is not installed.
        ToolError: The RTL does not compile.
    """
    store = cache or ContentCache()
    design = rtl or emit(config)
    digest = design.digest
    settings = config.model_dump(mode="json")
    given = None if tilings is None else [asdict(tiling) for tiling in tilings]
    runs = planned_runs(config, layers, types, tilings, rectify)
    formats = [(run.input.name, run.weight.name, rectified) for run, _, _, rectified in runs]
    asked = [settings, [asdict(layer) for layer in layers], formats, given, seed, locate]
    # What cannot run is refused before anything is built.
    chosen = [(run, layer, tiling or schedule(run, layer).tiling, rectified) for run, layer, tiling, rectified in runs]
    require_memory([planned[:3] for planned in chosen])

    def key(kind: str, *described: Any) -> str:
        return content_key(kind, digest, tool_versions(), model_text(), json.dumps(described, sort_keys=True))

    def locator(case: _Case) -> dict[str, Any] | None:
        return _locate(case.program.config, design, case, store) if locate else None

    def keep(simulator: Simulator, plan: _Planned, folder: Path) -> None:
        (record,) = _run_layers(simulator, [plan], seed, locator)
        (folder / "layer.json").write_text(json.dumps(asdict(record)))

    def build(folder: Path) -> None:
        complaints = lint(design.files)
        simulator = build_simulator(config, design, store)
        records = []
        for planned in chosen:
            # Kept one by one, so that an interrupted proof goes on where it was.
            run = functools.partial(keep, simulator, _user_run(*planned, seed))
            on, layer, tiling, rectified = planned
            asked = [settings, on.input.name, on.weight.name, asdict(layer), asdict(tiling), rectified, seed, locate]
            entry, _ = store.get_or_build(key("layer", asked), run)
            records.append(LayerRecord.from_json(json.loads((entry / "layer.json").read_text())))
        pairs = {(run.input.name, run.weight.name): run for run, _, _, _ in chosen}
        plans = [plan for index, run in enumerate(pairs.values()) for plan in _directed(run, seed, index == 0)]
        directed = _run_layers(simulator, plans, seed, locator)
        record = VerificationRecord(
            settings, digest, tool_versions(), seed, tuple(map(str, Stimulus)), complaints, tuple(records), directed
        )
        (folder / "record.json").write_text(json.dumps(record.as_json(), indent=1))

    folder, _ = store.get_or_build(key("record", asked), build)
    return VerificationRecord.from_json(json.loads((folder / "record.json").read_text()))


def planned_runs(
    config: SystolicConfig,
    layers: Sequence[Layer],
    types: Sequence[OperandTypes] | None,
    tilings: Sequence[Tiling] | None,
    rectify: Sequence[bool] | None = None,
) -> list[tuple[SystolicConfig, Layer, Tiling | None, bool]]:
    """Returns what to run: layers with the accelerator in each of their formats.

    Raises:
        InputError: Other than one entry a layer, or a number format that is not of the accelerator.
    """
    for name, given in (("types", types), ("tilings", tilings), ("values of rectify", rectify)):
        if given is not None and len(given) != len(layers):
            raise InputError(f"{len(given)} {name} for {len(layers)} layers, allowed: one each")
    runs: list[tuple[SystolicConfig, Layer, Tiling | None, bool]] = []
    for index, layer in enumerate(layers):
        try:
            formats = config.with_every_pair(OperandTypes() if types is None else types[index])
        except InputError as error:
            raise InputError(f"layer {layer.name!r}: {error}") from error
        tiling = None if tilings is None else tilings[index]
        runs += [(run, layer, tiling, rectify is not None and rectify[index]) for run in formats]
    return runs


def _user_run(config: SystolicConfig, layer: Layer, tiling: Tiling, rectify: bool, seed: int) -> _Planned:
    """Runs every stimulus, after the first one without a reset in between."""
    generator = np.random.default_rng([seed, *layer.name.encode()])

    def protocol(index: int) -> Protocol:
        return Protocol(int(index == 0), int(generator.integers(_MOST_IDLE)), silence=_SILENCE)

    stimuli = tuple((stimulus, (protocol(index),)) for index, stimulus in enumerate(Stimulus))
    return _Planned(config, layer, tiling, rectify, stimuli)


def _directed(config: SystolicConfig, seed: int, first: bool) -> list[_Planned]:
    """Runs directed layers, the first of them after a reset."""
    runs = list(directed_runs(config, np.random.default_rng(seed), first=first))
    plans = [_Planned(config, r.layer, r.tiling, r.rectify, ((r.stimulus, r.protocols),)) for r in runs]
    if first and runs:
        start = replace(runs[0].protocols[0], reset=1)
        plans[0] = replace(plans[0], stimuli=((runs[0].stimulus, (start, *runs[0].protocols[1:])),))
    return plans


def _run_layers(
    simulator: Simulator,
    plans: Sequence[_Planned],
    seed: int,
    locate: Callable[[_Case], dict[str, Any] | None],
) -> tuple[LayerRecord, ...]:
    """Runs layers one after the other in one process; the first wrong output of all is located."""
    cases = [plan.cases(seed) for plan in plans]
    jobs = [job for of_plan in cases for case in of_plan for job in case.jobs()]
    results = iter(simulator.run(jobs))
    records: list[LayerRecord] = []
    for plan, of_plan in zip(plans, cases, strict=True):
        cycles = plan.cycles
        reads = memory_reads(plan.config, plan.layer, plan.tiling)
        runs = [(case, run) for case in of_plan for run in itertools.islice(results, len(case.protocols))]
        wrong = [c for c, r in runs if not (r.done and np.array_equal(c.program.outputs(r.outputs), c.golden))]
        surplus = sum(abs(r.input_reads - reads[0]) + abs(r.weight_reads - reads[1]) for _, r in runs)
        record = LayerRecord(
            name=plan.layer.name,
            input_type=plan.config.input.name,
            weight_type=plan.config.weight.name,
            tiling=asdict(plan.tiling),
            rectify=plan.rectify,
            runs=len(runs),
            bit_exact=not wrong,
            # Cycles depend on no data: should a run differ from the model, it is the one to report.
            cycles_rtl=next((run.cycles for _, run in runs if run.cycles != cycles), cycles),
            cycles_model=cycles,
            macs=plan.layer.macs,
            errors=sum((run.errors for _, run in runs), PortErrors(wrong_reads=surplus)),
            mismatch=locate(wrong[0]) if wrong and all(record.bit_exact for record in records) else None,
        )
        records.append(record)
    return tuple(records)


@functools.cache
def model_text() -> str:
    """Returns the code of golden and model: a record is no better than what it was compared with."""
    folders = [Path(__file__).parent, *(Path(str(files(package))) for package in _MODEL_PACKAGES)]
    return content_key(*(path.read_bytes() for folder in folders for path in sorted(folder.glob("*.py"))))

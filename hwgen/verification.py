"""Builds a configuration, runs layers on it and compares outputs and cycles with golden and model."""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.systolic.config import SystolicConfig
from accelgym.costmodels.systolic.cycles import layer_cycles
from accelgym.costmodels.systolic.operand_types import OperandTypes
from accelgym.costmodels.systolic.problem import Hardware, Problem
from accelgym.costmodels.systolic.scheduler import Tiling, schedule
from accelgym.costmodels.systolic.tiling import tile_terms
from accelgym.costmodels.workloads.layer import Layer
from accelgym.hwgen.cache import ContentCache, content_key
from accelgym.hwgen.emitter import Rtl, emit
from accelgym.hwgen.golden import golden_outputs
from accelgym.hwgen.lint import lint
from accelgym.hwgen.localise import Mismatch, first_mismatch, read_trace
from accelgym.hwgen.memory_needed import require_memory
from accelgym.hwgen.program import Program, compile_layer
from accelgym.hwgen.simulator import Job, Simulator, build_simulator
from accelgym.hwgen.stimulus import Operands, Stimulus, draw_operands
from accelgym.hwgen.toolchain import tool_versions

__all__ = ["LayerRecord", "VerificationRecord", "model_cycles", "model_text", "planned_runs", "verify"]

_MODEL_PACKAGES = ("accelgym.costmodels.systolic", "accelgym.costmodels.datatypes")
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LayerRecord:
    """How one layer ran with one pair of number formats."""

    name: str
    input_type: str
    weight_type: str
    tiling: dict[str, Any]
    bit_exact: bool
    """Every output bit of every stimulus is that of the golden."""
    cycles_rtl: int
    cycles_model: int
    macs: int
    stray_accesses: int
    mismatch: dict[str, Any] | None = None
    """Where the first wrong output comes from."""


@dataclass(frozen=True)
class VerificationRecord:
    """What is known about a configuration after its RTL ran."""

    config: dict[str, Any]
    rtl: str
    """SHA-256 of the Verilog."""
    tools: str
    seed: int
    stimuli: tuple[str, ...]
    lint: dict[str, str]
    """Complaints of the two front ends; empty strings when there are none."""
    layers: tuple[LayerRecord, ...]

    @property
    def lints(self) -> bool:
        """No front end complains."""
        return not any(self.lint.values())

    @property
    def bit_exact(self) -> bool:
        """All layers are."""
        return all(layer.bit_exact for layer in self.layers)

    @property
    def cycles_exact(self) -> bool:
        """The model predicts the cycles of all layers."""
        return all(layer.cycles_rtl == layer.cycles_model for layer in self.layers)

    @property
    def verified(self) -> bool:
        """Lint-clean, bit-exact and cycle-exact."""
        return self.lints and self.bit_exact and self.cycles_exact

    def as_json(self) -> dict[str, Any]:
        """Returns the record with its verdicts as JSON data."""
        verdicts = {
            "bit_exact": self.bit_exact,
            "cycles_exact": self.cycles_exact,
            "cycles_rtl": sum(layer.cycles_rtl for layer in self.layers),
            "cycles_model": sum(layer.cycles_model for layer in self.layers),
            "verified": self.verified,
        }
        return {**verdicts, **asdict(self)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> VerificationRecord:
        """Reads back what :meth:`as_json` wrote."""
        values = {name: data[name] for name in ("config", "rtl", "tools", "seed", "lint")}
        layers = tuple(LayerRecord(**layer) for layer in data["layers"])
        return cls(**values, stimuli=tuple(data["stimuli"]), layers=layers)


def model_cycles(config: SystolicConfig, layer: Layer, tiling: Tiling) -> int:
    """Returns the cycles the model predicts."""
    terms = tile_terms(Hardware.of([config]), Problem.of([layer]), tiling.arrays())
    return int(layer_cycles(terms)[0])


@dataclass(frozen=True)
class _Case:
    program: Program
    stimulus: Stimulus
    operands: Operands
    golden: Codes

    def job(self) -> Job:
        return Job(self.program, self.program.input_image(self.operands), self.program.weight_image(self.operands))


def _cases(config: SystolicConfig, layer: Layer, tiling: Tiling, cycles: int, seed: int) -> list[_Case]:
    program = replace(compile_layer(config, layer, tiling), cycle_limit=2 * cycles + 1000)
    cases = []
    for index, stimulus in enumerate(Stimulus):
        generator = np.random.default_rng([seed, index, *layer.name.encode()])
        operands = draw_operands(config, layer, stimulus, generator)
        golden = golden_outputs(config, layer, program.grid, operands)
        cases.append(_Case(program, stimulus, operands, golden))
    return cases


def _locate(config: SystolicConfig, rtl: Rtl, case: _Case, cache: ContentCache) -> dict[str, Any]:
    simulator = build_simulator(config, rtl, cache, trace=True)
    with tempfile.TemporaryDirectory(prefix="accelgym-trace-") as name:
        path = Path(name) / "trace"
        simulator.run([case.job()], trace=path)
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
    cache: ContentCache | None = None,
    rtl: Rtl | None = None,
) -> VerificationRecord:
    """Proves a configuration on layers, or takes the record of an earlier proof from the cache.

    Args:
        config: The accelerator.
        layers: Convolutions and matrix products to run, each with every :class:`Stimulus`.
        seed: Of the operand tensors.
        types: Number formats of each layer; what is open, or None, runs with every format of the accelerator.
        tilings: One a layer; the fastest ones when None.
        cache: Where simulators and records are kept.
        rtl: Verilog to check in place of the generated one.

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
    runs = planned_runs(config, layers, types, tilings)
    formats = [(run.input.name, run.weight.name) for run, _, _ in runs]
    described = json.dumps([settings, [asdict(layer) for layer in layers], formats, given, seed], sort_keys=True)
    # What cannot run is refused before anything is built.
    chosen = [(run, layer, tiling or schedule(run, layer).tiling) for run, layer, tiling in runs]
    require_memory(chosen)

    def build(folder: Path) -> None:
        complaints = lint(design.files)
        simulator = build_simulator(config, design, store)
        records = tuple(
            _verify_layer(run, design, simulator, layer, tiling, seed, store) for run, layer, tiling in chosen
        )
        stimuli = tuple(map(str, Stimulus))
        record = VerificationRecord(settings, digest, tool_versions(), seed, stimuli, complaints, records)
        (folder / "record.json").write_text(json.dumps(record.as_json(), indent=1))

    folder, _ = store.get_or_build(content_key("record", digest, tool_versions(), model_text(), described), build)
    return VerificationRecord.from_json(json.loads((folder / "record.json").read_text()))


def planned_runs(
    config: SystolicConfig,
    layers: Sequence[Layer],
    types: Sequence[OperandTypes] | None,
    tilings: Sequence[Tiling] | None,
) -> list[tuple[SystolicConfig, Layer, Tiling | None]]:
    """Returns what to run: layers with the accelerator in each of their formats.

    Raises:
        InputError: Other than one entry a layer, or a number format that is not of the accelerator.
    """
    for name, given in (("types", types), ("tilings", tilings)):
        if given is not None and len(given) != len(layers):
            raise InputError(f"{len(given)} {name} for {len(layers)} layers, allowed: one each")
    runs: list[tuple[SystolicConfig, Layer, Tiling | None]] = []
    for index, layer in enumerate(layers):
        try:
            formats = config.with_every_pair(OperandTypes() if types is None else types[index])
        except InputError as error:
            raise InputError(f"layer {layer.name!r}: {error}") from error
        runs += [(run, layer, None if tilings is None else tilings[index]) for run in formats]
    return runs


def _verify_layer(
    config: SystolicConfig,
    design: Rtl,
    simulator: Simulator,
    layer: Layer,
    tiling: Tiling,
    seed: int,
    cache: ContentCache,
) -> LayerRecord:
    cycles = model_cycles(config, layer, tiling)
    cases = _cases(config, layer, tiling, cycles, seed)
    runs = simulator.run([case.job() for case in cases])
    exact = [
        run.done and np.array_equal(case.program.outputs(run.outputs), case.golden)
        for run, case in zip(runs, cases, strict=True)
    ]
    return LayerRecord(
        name=layer.name,
        input_type=config.input.name,
        weight_type=config.weight.name,
        tiling=asdict(tiling),
        bit_exact=all(exact),
        # Cycles depend on no data: should a run differ from the model, it is the one to report.
        cycles_rtl=next((run.cycles for run in runs if run.cycles != cycles), cycles),
        cycles_model=cycles,
        macs=layer.macs,
        stray_accesses=sum(run.stray_accesses for run in runs),
        mismatch=None if all(exact) else _locate(config, design, cases[exact.index(False)], cache),
    )


@functools.cache
def model_text() -> str:
    """Returns the code of golden and model: a record is no better than what it was compared with."""
    folders = [Path(__file__).parent, *(Path(str(files(package))) for package in _MODEL_PACKAGES)]
    return content_key(*(path.read_bytes() for folder in folders for path in sorted(folder.glob("*.py"))))

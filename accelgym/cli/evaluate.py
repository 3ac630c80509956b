"""``accelgym evaluate``: a cost model over a file of designs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from accelgym.cli.console import errors
from accelgym.cli.settings import CountingOption, parse_settings
from accelgym.costmodels.errors import InputError, unknown_name

__all__ = ["COMMANDS"]


def evaluate(
    model: Annotated[str, typer.Option(help="Name of the cost model.")],
    source: Annotated[Path, typer.Option("--in", help="Designs: CSV, or JSON lines for loopnest.")],
    target: Annotated[Path, typer.Option("--out", help="File to write, of the same kind.")],
    compat: Annotated[
        bool | None, typer.Option("--compat/--no-compat", help="maestro: with or without its known faults.")
    ] = None,
    counting: CountingOption = None,
    preset: Annotated[
        str | None, typer.Option(help="systolic: convention of a published array, voyager or scalesim.")
    ] = None,
    array: Annotated[
        str | None, typer.Option(metavar="ROWS[xCOLUMNS]", help="systolic, preset voyager: size of the array.")
    ] = None,
    config: Annotated[list[Path] | None, typer.Option(help="systolic: YAML of an accelerator; repeatable.")] = None,
    dataflow: Annotated[
        Path | None, typer.Option(help="maestro: file of directives for the layers of the network --in.")
    ] = None,
    options: Annotated[
        list[str] | None, typer.Option("--option", metavar="KEY=VALUE", help="Option of the cost model; repeatable.")
    ] = None,
) -> None:
    """Evaluates a file of designs with a cost model.

    maestro and physical read CSV with the columns layer_type,K,C,Y,X,R,S,dataflow,num_pes,buffer_level[,noc_bw];
    invalid designs are rows with valid=0 and a reason. With --dataflow, or with a network of MAESTRO (.m) that
    states dataflows, maestro reads a network (a file or a name of the zoo) and writes a row per layer; --option
    num_pes=256 is needed, --option noc_bw=N and values of names in the dataflow (--option KTileSz=4) are optional.
    loopnest reads JSON lines with the keys problem, arch and mapping, optionally id, link_transfers, variant and
    engine (head or v3.0.3), and writes id and result. systolic with --config reads layers
    (name,kind,N,K,C,P,Q,R,S,stride,padding,dilation, optionally groups, input_type,weight_type) and writes a row
    for each of them on each accelerator; --option objective=energy (or edp) chooses schedules by it. With --preset
    voyager it adds cycles and class to model,layer,count,unit,input_shape, weight_shape,stride, with --preset
    scalesim cycles to array_rows,array_cols,dataflow,layer,kind,params,gemm_M, gemm_N,gemm_K.
    """
    choices = parse_settings(options, "--option")
    for name, value in (
        ("compat", compat),
        ("counting", counting),
        ("preset", preset),
        ("array", array),
        ("config", config),
        ("dataflow", dataflow),
    ):
        if value is not None:
            choices[name] = value
    evaluator = _EVALUATORS.get(model, _evaluate_csv)
    if model == "maestro" and (dataflow is not None or source.suffix.lower() == ".m"):
        evaluator = _evaluate_dataflow
    elif model == "maestro" and not source.suffix and not source.exists():
        raise InputError(f"--in {source}: no such file; a network by its name needs --dataflow, a file of directives")
    evaluator(model, source, target, choices)


def _evaluate_csv(model: str, source: Path, target: Path, choices: dict[str, Any]) -> None:
    from accelgym.costmodels.maestro.designs_csv import evaluate_file
    from accelgym.costmodels.models import cost_models

    if model not in cost_models:
        raise unknown_name("cost model", model, sorted({*cost_models, *_EVALUATORS}))
    for name, owner in (
        ("counting", "loopnest"),
        ("preset", "systolic"),
        ("array", "systolic"),
        ("config", "systolic"),
        ("dataflow", "maestro"),
    ):
        if choices.get(name):
            given = choices[name][0] if name == "config" else choices[name]
            raise InputError(f"--{name} {given}: an option of {owner}, not of {model!r}")
    built = cost_models.build(model, **choices)
    _summarise(*evaluate_file(built, source, target), f"{built.name} {built.version}")


def _evaluate_dataflow(model: str, source: Path, target: Path, choices: dict[str, Any]) -> None:
    from accelgym.costmodels.maestro import CONFUCIUX_NOC_BW
    from accelgym.costmodels.maestro.dataflow_file import evaluate_mapped, read_mapped
    from accelgym.costmodels.maestro.designs_csv import write_costs
    from accelgym.costmodels.workloads.layer import MAX_DIM

    if choices.pop("compat", True) is not True:
        raise InputError("--no-compat: dataflow files are evaluated as the program does, its faults included")
    for name in ("counting", "preset", "array", "config"):
        if name in choices:
            raise InputError(f"--{name}: no option of {model!r}")
    dataflow = choices.pop("dataflow", None)
    if "num_pes" not in choices:
        raise InputError("a dataflow needs the number of PEs: --option num_pes=256")
    num_pes, noc_bw = choices.pop("num_pes"), choices.pop("noc_bw", CONFUCIUX_NOC_BW)
    for name, value in choices.items():
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_DIM:
            raise InputError(f"--option {name}={value}: allowed for a name in a dataflow: integers 1..{MAX_DIM}")
    rows, costs = evaluate_mapped(read_mapped(str(source), dataflow, choices), num_pes, noc_bw)
    try:
        write_costs(target, rows, costs)
    except OSError as error:
        raise InputError(f"{target}: cannot be written ({error})") from error
    _summarise(len(rows), int(costs.valid.sum()), f"{costs.model} {costs.version}")


def _evaluate_loopnest(model: str, source: Path, target: Path, choices: dict[str, Any]) -> None:
    from accelgym.costmodels.errors import unknown_name
    from accelgym.costmodels.loopnest import COUNTINGS, ENGINES, LoopnestModel
    from accelgym.costmodels.loopnest.jsonl import evaluate_file

    allowed = {"counting": COUNTINGS, "engine": ENGINES}
    for name, value in choices.items():
        if name not in allowed:
            raise unknown_name(f"option of {model}", name, allowed)
        if value not in allowed[name]:
            raise unknown_name(name, value, allowed[name])
    total, valid = evaluate_file(source, target, **choices)
    _summarise(total, valid, f"{LoopnestModel.name} {LoopnestModel.version}")


def _evaluate_systolic(model: str, source: Path, target: Path, choices: dict[str, Any]) -> None:
    from accelgym.costmodels.systolic.presets import PRESETS, evaluate_table

    preset, configs = choices.pop("preset", None), choices.pop("config", None)
    if (preset is None) == (configs is None):
        raise InputError(f"model {model!r} needs either --config, or --preset with one of: {', '.join(PRESETS)}")
    if preset is not None:
        array = choices.pop("array", None)
        for name in choices:
            raise unknown_name(f"option of preset {preset!r}", name, ("array",))
        _summarise(*evaluate_table(source, target, preset, array), f"{model}, preset {preset}")
        return
    from accelgym.costmodels.systolic.config import load_config
    from accelgym.costmodels.systolic.costs_csv import write_costs
    from accelgym.costmodels.systolic.model import SystolicDesigns, SystolicModel
    from accelgym.hwgen.layer_table import read_layers, read_types

    for name in choices:
        if name != "objective":
            raise unknown_name(f"option of {model}", name, ("objective",))
    layers = read_layers(source)
    designs = SystolicDesigns([load_config(path) for path in configs], layers, read_types(source))
    costs = SystolicModel(**choices).evaluate(designs)
    write_costs(target, [str(path) for path in configs], [layer.name for layer in layers], costs)
    _summarise(costs.valid.size, int(costs.valid.sum()), f"{costs.model} {costs.version}")


def _summarise(total: int, valid: int, model: str) -> None:
    if errors.is_terminal:
        errors.print(f"{total} designs, {valid} valid, {model}")


_EVALUATORS: dict[str, Callable[[str, Path, Path, dict[str, Any]], None]] = {
    "loopnest": _evaluate_loopnest,
    "systolic": _evaluate_systolic,
}
"""Models whose designs are no rows of a CSV."""

COMMANDS = (evaluate,)

"""``accelgym map``: the optimal mapper."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Column, Table

from accelgym.cli.console import errors, out, print_json, print_table, progress_bar
from accelgym.cli.settings import DefineOption, JsonOption, TemplateRootOption, parse_settings

if TYPE_CHECKING:
    from accelgym.experiments.mapper import MapResult

__all__ = ["COMMANDS"]

_PROVEN = 1e-3


def map(
    out_dir: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder for the results; the same command resumes.")
    ],
    files: Annotated[
        list[str] | None,
        typer.Argument(
            help="Timeloop files, v0.3 or v0.4, in any order: architecture, problems, constraints, mapper, components, "
            "variables, ERT, ART; a folder stands for its YAML files. Or a network file: SCALE-Sim or ConfuciuX CSV, "
            "MAESTRO .m, ONNX."
        ),
    ] = None,
    workload: Annotated[
        str | None, typer.Option(metavar="ID", help="Network of the zoo, or a network file, in place of a problem.")
    ] = None,
    arch: Annotated[
        str | None, typer.Option(metavar="PRESET", help="Machine by name, in place of an architecture file.")
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(
            help="energy, delay or edp; several with commas, the most important first. By default the mapper file's "
            "optimization-metrics, or edp."
        ),
    ] = None,
    bypass: Annotated[
        bool | None,
        typer.Option(
            "--bypass/--no-bypass",
            help="Also choose which memory keeps which tensor where constraints leave that open. By default as "
            "timeloop-mapper does with machines from files; presets keep what they may.",
        ),
    ] = None,
    tolerance: Annotated[float, typer.Option(help="Gap at which a layer counts as proven.")] = _PROVEN,
    nodes: Annotated[
        int | None, typer.Option(min=1, help="Most programs a search solves; by size of the map space by default.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(help="Most seconds of a search instead; other machines may then prove less.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Layers searched side by side; one per core.")] = None,
    define: DefineOption = None,
    template_root: TemplateRootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Finds the best mapping of every layer onto a machine, and proves it: timeloop-mapper with an optimum.

    Writes per layer timeloop-mapper.map.yaml, timeloop-mapper.stats.txt, timeloop-mapper.map.txt, timeloop-model.yaml
    (an input for timeloop-model with everything in it) and result.json with the certificate; and of the run map.json,
    layers.csv, map.png and manifest.json. Equal layers are mapped once. Exit code 2 says that an input is bad or that a
    layer has no mapping; the other layers are answered all the same.
    """
    from accelgym.costmodels.mapper import Settings, read_inputs
    from accelgym.experiments.mapper import MapProgress, run_map

    inputs = read_inputs(
        files or [],
        workload=workload,
        arch=arch,
        objective=None if objective is None else [name.strip() for name in objective.split(",")],
        defines=parse_settings(define, "--define"),
        root=template_root,
    )
    chosen = inputs.preset is None if bypass is None else bypass
    settings = Settings(chosen, tolerance, nodes, seconds)
    with progress_bar() as bar:
        row = bar.add_task(inputs.name, total=len(inputs.groups), note="")

        def show(state: MapProgress) -> None:
            bar.update(row, completed=state.done, total=state.total, note=state.note)

        found = run_map(
            inputs,
            out_dir,
            settings,
            workers=workers,
            executor="process" if inputs.network else "inline",
            progress=show,
        )
    if as_json:
        print_json(found.summary | {"folder": str(found.out)})
    else:
        _print(found, tolerance)
    if found.failures:
        for name, error in found.failures.items():
            errors.print(f"error: {name}: {error}" if name not in error else f"error: {error}")
        raise typer.Exit(2)


def _print(found: MapResult, tolerance: float) -> None:
    summary, layers = found.summary, found.summary["layers"]
    if len(layers) == 1 and "error" not in layers[0]:
        nest = (found.out / layers[0]["folder"] / "timeloop-mapper.map.txt").read_text(encoding="utf-8")
        out.print(nest, highlight=False)
    heads = ("MACs", "energy pJ", "cycles", "in use", "gap", "s")
    title = f"{summary['workload']} on {summary['architecture']}: least {', then '.join(summary['metrics'])}"
    columns = (Column(name, justify="right", no_wrap=True) for name in heads)
    table = Table("layer", *columns, title=title, box=SIMPLE_HEAD)
    times = Counter(layer["same_as"] or layer["name"] for layer in layers)
    for layer in layers:
        if layer["same_as"] is None:
            count = times[layer["name"]]
            name = layer["name"] if count == 1 else f"{layer['name']} x{count}"
            table.add_row(name, *_cells(layer, tolerance))
    if len(layers) > 1 and summary["value"] is not None:
        table.add_section()
        total = (f"{summary['energy_pj']:.6g}", f"{summary['cycles']:,}", f"{summary['utilization']:.1%}")
        table.add_row("all", "", *total, f"{summary['gap']:.2%}", f"{summary['seconds']:.1f}")
    print_table(table)
    if len(layers) == 1 and "error" not in layers[0]:
        for proof in layers[0]["proofs"]:
            out.print(f"{proof['metric']}: {proof['value']:.10g}; proved: {proof['proved']}")
    if any(_is_open(layer, tolerance) for layer in layers):
        out.print("* ended at its limit before the gap was closed; --nodes and --seconds set it")
    again = f", {found.skipped} from before" if found.skipped else ""
    distinct = sum(layer["same_as"] is None for layer in layers)
    out.print(
        f"{summary['proven']} of {len(layers)} layers proven to 0.1 %, {distinct} distinct{again}; every iteration "
        f"counted, no link transfers; see {found.out}"
    )


def _cells(layer: dict[str, Any], tolerance: float) -> tuple[str, ...]:
    if "error" in layer:
        return ("", "no mapping", "", "", "", "")
    star = "*" if _is_open(layer, tolerance) else ""
    figures = (f"{layer['energy_pj']:.6g}", f"{layer['cycles']:,}", f"{layer['utilization']:.1%}")
    return (f"{layer['macs']:.3g}", *figures, f"{layer['largest_gap']:.2%}{star}", f"{layer['seconds']:.1f}")


def _is_open(layer: dict[str, Any], tolerance: float) -> bool:
    return "error" not in layer and bool(layer["limited_by"]) and layer["largest_gap"] > tolerance * 1.001


COMMANDS = (map,)

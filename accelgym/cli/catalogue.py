"""``accelgym envs`` and ``accelgym workloads``: what there is."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Annotated

import typer
from rich.box import SIMPLE
from rich.table import Column, Table

from accelgym.cli.console import out, print_json
from accelgym.cli.settings import JsonOption
from accelgym.costmodels.errors import unknown_name

__all__ = ["COMMANDS"]


def envs(
    name: Annotated[str | None, typer.Argument(help="Show this environment's page.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Lists the environments, or shows the page of one."""
    from accelgym.envs.registration import ENVIRONMENTS

    if name is not None:
        found = {entry.id: entry for entry in ENVIRONMENTS} | {e.id.split("/")[1]: e for e in ENVIRONMENTS}
        if name not in found:
            raise unknown_name("env", name, [entry.id for entry in ENVIRONMENTS])
        module, cls = found[name].entry_point.split(":")
        out.print(inspect.getdoc(getattr(import_module(module), cls)), markup=False, highlight=False)
        return
    if as_json:
        print_json([{"id": entry.id, "summary": entry.summary} for entry in ENVIRONMENTS])
        return
    table = Table("id", "what")
    for entry in ENVIRONMENTS:
        table.add_row(entry.id, entry.summary)
    out.print(table)


def workloads(
    name: Annotated[str | None, typer.Argument(help="Show the layers of this workload or network file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Lists the workload zoo, or the layers of one workload or of a network file (CSV, YAML, ONNX)."""
    from accelgym.costmodels.workloads import get_workload, load_workload, workload_names

    if name is None:
        rows = [get_workload(n) for n in workload_names()]
        if as_json:
            print_json([{"name": w.name, "layers": len(w.layers), "macs": w.macs} for w in rows])
            return
        table = Table(Column("name", no_wrap=True), "compute", "layers", "MACs", "parameters", box=SIMPLE)
        for w in rows:
            counts = (str(len(w.compute_layers)), str(len(w.layers)), f"{w.macs:.4g}", f"{w.parameters:.4g}")
            table.add_row(w.name, *counts)
        out.print(table)
        return
    workload = load_workload(name)
    dims = ("N", "K", "C", "P", "Q", "R", "S", "groups")
    if as_json:
        layers = [
            {"name": x.name, "kind": x.kind.value, **{d: getattr(x, d) for d in dims}, "macs": x.macs}
            for x in workload.layers
        ]
        print_json(
            {
                "name": workload.name,
                "source": workload.source,
                "notes": workload.notes,
                "layers": layers,
                "edges": workload.edges,
            }
        )
        return
    columns = ("#", "name", "kind", "N", "K", "C", "P x Q", "R x S", "stride", "groups", "MACs")
    table = Table(*(Column(c, no_wrap=True) for c in columns), box=SIMPLE)
    out.print(f"{workload.name}: {workload.macs:.4g} MACs, {workload.parameters:.4g} parameters; {workload.source}")
    for i, x in enumerate(workload.layers, 1):
        sizes = (str(x.N), str(x.K), str(x.C), f"{x.P}x{x.Q}", f"{x.R}x{x.S}", f"{x.stride[0]}x{x.stride[1]}")
        table.add_row(str(i), x.name, x.op or x.kind.value, *sizes, str(x.groups), f"{x.macs:.4g}")
    out.print(table)


COMMANDS = (envs, workloads)

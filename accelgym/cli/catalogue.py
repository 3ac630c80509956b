"""``accelgym envs``, ``agents`` and ``workloads``: what there is."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Annotated, Any

import typer
from rich.box import SIMPLE
from rich.table import Table

from accelgym.cli.console import out, print_json, print_table
from accelgym.cli.settings import JsonOption

__all__ = ["COMMANDS"]


def envs(
    name: Annotated[str | None, typer.Argument(help="Show this environment's page.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Lists the environments and the tasks of plug-ins, or shows the page of one."""
    from accelgym.envs.audits import default_audit
    from accelgym.envs.registration import documented, task_name
    from accelgym.envs.task import tasks

    pages = documented()
    if name is not None:
        page = pages.get(name) or pages.get(f"accelgym/{name}")
        if page is None:
            shown = tasks.get(task_name(name))
        else:
            module, cls = page[0].split(":")
            shown = getattr(import_module(module), cls)
        out.print(inspect.getdoc(shown), highlight=False)
        audited = default_audit(name) or default_audit(f"accelgym/{name}")
        if audited is not None:
            out.print(f"\nHardness of the default arguments: {audited.words}", highlight=False)
        return
    own = {known: summary for known, (_, summary) in pages.items()}
    found = own | {plugin: _summary(tasks.get, plugin) for plugin in tasks.names() if plugin not in own}
    _list("id", found, as_json)


def agents(
    name: Annotated[str | None, typer.Argument(help="Show what this agent does, and its options.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Lists the agents, those of plug-ins too, or shows the page of one."""
    from accelgym.agents.base import agents as registry
    from accelgym.agents.catalogue import SHIPPED, register_agents

    register_agents()
    if name is not None:
        factory = registry.get(name)
        out.print(inspect.getdoc(getattr(factory, "cls", factory)), highlight=False)
        return
    own = {shipped: summary for shipped, (_, summary) in SHIPPED.items()}
    found = {known: own.get(known) or _summary(registry.get, known) for known in registry.names()}
    _list("name", found, as_json)


def _summary(get: Callable[[str], Any], name: str) -> str:
    """First line of a plug-in's documentation; one that cannot be imported does not hide the others."""
    try:
        return (inspect.getdoc(get(name)) or "").partition("\n")[0]
    except Exception as error:
        return f"cannot be imported: {type(error).__name__}: {error}"


def _list(key: str, found: dict[str, str], as_json: bool) -> None:
    if as_json:
        print_json([{key: name, "summary": summary} for name, summary in found.items()])
        return
    table = Table(key, "what")
    for name, summary in found.items():
        table.add_row(name, summary)
    print_table(table)


def workloads(
    name: Annotated[str | None, typer.Argument(help="Show the layers of this workload or network file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Lists the workload zoo, or the layers of one workload or of a network file (CSV, YAML, ONNX)."""
    from accelgym.costmodels.workloads import get_workload, load_workload, workload_names

    if name is None:
        rows = [(n, get_workload(n)) for n in workload_names()]
        if as_json:
            print_json([{"name": n, "layers": len(w.layers), "macs": w.macs} for n, w in rows])
            return
        table = Table("name", "compute", "layers", "MACs", "parameters", box=SIMPLE)
        for n, w in rows:
            counts = (str(len(w.compute_layers)), str(len(w.layers)), f"{w.macs:.4g}", f"{w.parameters:.4g}")
            table.add_row(n, *counts)
        print_table(table)
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
    table = Table(*columns, box=SIMPLE, collapse_padding=True, pad_edge=False)
    out.print(f"{workload.name}: {workload.macs:.4g} MACs, {workload.parameters:.4g} parameters; {workload.source}")
    for i, x in enumerate(workload.layers, 1):
        sizes = (str(x.N), str(x.K), str(x.C), f"{x.P}x{x.Q}", f"{x.R}x{x.S}", f"{x.stride[0]}x{x.stride[1]}")
        table.add_row(str(i), x.name, x.op or x.kind.value, *sizes, str(x.groups), f"{x.macs:.4g}")
    print_table(table)


COMMANDS = (envs, agents, workloads)

"""Pictures of an assignment: a text table and a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.files.pictures import as_image, empty_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from accelgym.envs.resource_assignment.task import ResourceAssignmentTask

__all__ = ["assignment_figure", "assignment_rows", "draw_assignment", "format_assignment"]

_BAR = 24
_UNITS = {"area": "um2", "power": "mW", "pes": "PEs"}


def assignment_rows(task: ResourceAssignmentTask, options: npt.NDArray[np.integer[Any]]) -> list[dict[str, Any]]:
    """Returns one row per decided slot: its choices, cost and resource.

    Args:
        task: The task.
        options: Flat option per slot, -1 where open.
    """
    table = task.table
    shape = tuple(len(k.values) for k in task.knobs)
    rows = []
    for slot, option in enumerate(options):
        if option < 0:
            continue
        index = np.unravel_index(int(option), shape)
        choices = {k.name: k.values[i] for k, i in zip(task.knobs, index, strict=True)}
        rows.append(
            {
                "slot": task.slot_names[slot],
                **choices,
                "cost": float(table.cost[slot, option]),
                "resource": float(table.resource[slot, option]),
                "valid": bool(table.allowed[slot, option]),
            }
        )
    return rows


def format_assignment(task: ResourceAssignmentTask, options: npt.NDArray[np.integer[Any]]) -> str:
    """Returns the assignment as a table with the budget at the bottom."""
    rows = assignment_rows(task, options)
    table = task.table
    name = max([len(s) for s in task.slot_names])
    knobs = [k.name for k in task.knobs]
    head = f"{'slot':<{name}}  " + "  ".join(f"{k:>12}" for k in knobs)
    lines = [f"{head}  {task.spec.objective.value:>12}  share of the budget"]
    for row in rows:
        share = row["resource"] / table.capacity
        choices = "  ".join(f"{row[k]!s:>12}" for k in knobs)
        cost = f"{row['cost']:>12.5g}" if row["valid"] else f"{'invalid':>12}"
        lines.append(f"{row['slot']:<{name}}  {choices}  {cost}  {_bar(share)} {share:6.2%}")
    used = sum(row["resource"] for row in rows) / table.capacity
    open_slots = table.slots - len(rows)
    state = f", {open_slots} open" if open_slots else ""
    lines.append(f"budget used {used:.2%}{state}{'' if used <= 1 + 1e-9 else '  OVER BUDGET'}")
    return "\n".join(lines)


def assignment_figure(task: ResourceAssignmentTask, options: npt.NDArray[np.integer[Any]]) -> Figure:
    """Draws PEs and buffer per slot over the running budget (extra ``report``)."""
    table = task.table
    rows = assignment_rows(task, options)
    x = np.arange(len(rows))
    figure = empty_figure(9, 5)
    pes, buffers, budget = figure.subplots(3, 1, sharex=True)
    pes.bar(x, [row["num_pes"] for row in rows], color="tab:blue")
    pes.set_ylabel("PEs")
    knob = task.buffer_knob.name
    buffers.bar(x, [row[knob] for row in rows], color="tab:green")
    buffers.set_ylabel(knob.replace("_", " "))
    unit = _UNITS[task.spec.constraint.value] if task.spec.target is None else "cycles"
    spent = np.cumsum([row["resource"] for row in rows])
    budget.step(x, spent, where="mid", color="tab:red", label="spent")
    budget.axhline(table.capacity, color="black", linestyle="--", label="budget")
    budget.set_ylabel(unit)
    budget.set_xlabel("layer")
    budget.set_xlim(-0.5, table.slots - 0.5)
    budget.legend(loc="lower right")
    figure.suptitle(f"{task.workload.name}: {task.spec.objective.value} under a {task.spec.constraint.value} budget")
    return figure


def draw_assignment(task: ResourceAssignmentTask, options: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.uint8]:
    """Returns the figure as an RGB image, shape ``(height, width, 3)``, uint8."""
    return as_image(assignment_figure(task, options))


def _bar(share: float) -> str:
    filled = round(min(max(share, 0.0), 1.0) * _BAR)
    return "#" * filled + "." * (_BAR - filled)

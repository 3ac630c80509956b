"""Pictures of a design: a text table and a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.files.pictures import as_image, empty_figure
from accelgym.costmodels.systolic.area import AreaTerms, estimate

if TYPE_CHECKING:
    from accelgym.envs.hwgen.task import HwGenTask

__all__ = ["draw_design", "format_design"]

_PARTS = ("array", "sram", "address_control", "vector_unit")


def format_design(task: HwGenTask, design: npt.NDArray[np.integer[Any]]) -> str:
    """Returns the choices so far, and area and cycles when all are made.

    Args:
        task: The task.
        design: Value indices, -1 where open.
    """
    lines = []
    for parameter, index in zip(task.space.parameters, design, strict=True):
        lines.append(f"{parameter.name:<26}{'open' if index < 0 else parameter.values[index]}")
    if (design >= 0).all():
        outcome = task.evaluate(design[None].astype(np.int64))
        area = outcome.costs["area_nand2"][0]
        lines.append(f"{'area':<26}{area:,.0f} NAND2, {area / task.spec.area_budget:.1%} of the budget")
        lines.append(f"{'critical path':<26}{outcome.costs['critical_path_ps'][0]:,.0f} ps")
        lines.append(f"{'cycles':<26}{outcome.objective[0]:,.0f}")
        lines.append("feasible" if outcome.feasible[0] else "NOT FEASIBLE")
    return "\n".join(lines)


def draw_design(task: HwGenTask, design: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.uint8]:
    """Draws the area of a finished design in four parts (extra ``report``).

    Args:
        task: The task.
        design: Value indices, -1 where open; nothing is drawn before all are decided.

    Returns:
        RGB image, shape ``(height, width, 3)``, uint8.
    """
    figure = empty_figure(7, 3)
    axes = figure.subplots()
    if (design >= 0).all():
        found = estimate(AreaTerms.of([task.config(design.astype(np.int64))]))
        axes.barh(_PARTS, [float(getattr(found, part)[0]) for part in _PARTS], color="tab:blue")
    axes.axvline(task.spec.area_budget, color="black", linestyle="--", label="budget")
    axes.set_xlabel("NAND2 equivalents")
    axes.legend(loc="lower right")
    axes.set_title(task.workload.name)
    return as_image(figure)

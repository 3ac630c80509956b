"""Scheduling on several accelerators: list schedules, rules, bounds and the optimum by MILP."""

from accelgym.costmodels.solvers.scheduling.bounds import chip_bounds, objective_bound
from accelgym.costmodels.solvers.scheduling.list_schedule import (
    ReadyList,
    Schedules,
    codes_of_order,
    order_of_codes,
    run_schedules,
    worth,
)
from accelgym.costmodels.solvers.scheduling.problem import SchedulingProblem
from accelgym.costmodels.solvers.scheduling.rules import RULES_PER_CHIP, ScheduleDesigns, rule_designs
from accelgym.costmodels.solvers.scheduling.solve import Limits, Reference, solve_schedule

__all__ = [
    "RULES_PER_CHIP",
    "Limits",
    "ReadyList",
    "Reference",
    "ScheduleDesigns",
    "Schedules",
    "SchedulingProblem",
    "chip_bounds",
    "codes_of_order",
    "objective_bound",
    "order_of_codes",
    "rule_designs",
    "run_schedules",
    "solve_schedule",
    "worth",
]

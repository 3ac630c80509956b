"""Tasks as a plug-in package would write them, for tests of the contract."""

import numpy as np

from accelgym.costmodels.certificate import Certificate
from accelgym.envs.space import Parameter, Space
from accelgym.envs.task import Outcome, Task


class Valley(Task):
    """Minimise the distance to a target while the ordered values sum to at most 20; no slots, no costs by slot."""

    space = Space(
        (
            Parameter("x", tuple(range(16))),
            Parameter("y", tuple(range(12))),
            Parameter("z", tuple(range(9))),
            Parameter("colour", ("red", "green", "blue"), ordered=False),
            Parameter("fixed", ("only",), ordered=False),
        )
    )
    env_id = "tests/Valley-v0"
    target = np.array([13, 9, 2, 2, 0])

    def describe(self):
        return {"env": self.env_id}

    def evaluate(self, designs):
        designs = self.space.check(designs)
        away = np.abs(designs - self.target)
        used = designs[:, :3].sum(axis=1)
        feasible = used <= 20
        return Outcome(
            objective=1.0 + away[:, :3].sum(axis=1) + 3.0 * (away[:, 3] > 0),
            feasible=feasible,
            violation=np.where(feasible, 0.0, used / 20 - 1),
            valid=np.ones(len(designs), dtype=bool),
        )

    def reference(self):
        grid = np.stack(np.meshgrid(*map(np.arange, self.space.nvec), indexing="ij"), axis=-1).reshape(-1, 5)
        score = self.evaluate(grid).score
        value = float(score.min())
        design = tuple(grid[score.argmin()].tolist())
        return Certificate(value=value, design=design, lower_bound=value, gap=0.0, method="enumeration")

    def fits(self, designs):
        return designs[:, :3].sum(axis=1) <= 20

    def masks(self, actions, position):
        exists = super().masks(actions, position)
        if position > 2:
            return exists
        left = 20 - actions[:, : min(position, 3)].sum(axis=1)
        return exists & (np.arange(self.num_actions) <= np.maximum(left, 0)[:, None])


class Bare(Task):
    """Two layers, each with a width and a mode, that share a budget; no more than the contract asks for.

    Nothing says which designs fit but their evaluation: masks, samples, repair and lanes are the defaults.
    """

    def __init__(self, budget=9):
        self.budget = budget
        self.space = Space(
            tuple(
                Parameter(f"{layer} {knob}", values, knob == "width", layer, knob)
                for layer in ("first", "second")
                for knob, values in (("width", (1, 2, 3, 5, 8)), ("mode", ("slow", "fast")))
            )
        )

    space = None

    def describe(self):
        return {"task": "bare", "budget": self.budget}

    def evaluate(self, designs):
        designs = self.space.check(designs)
        widths = np.array([1, 2, 3, 5, 8])[designs[:, [0, 2]]]
        used = (widths * (1 + designs[:, [1, 3]])).sum(axis=1)
        time = (np.array([40.0, 24.0]) / widths / (1 + 0.7 * designs[:, [1, 3]])).sum(axis=1)
        return Outcome(
            objective=time,
            feasible=used <= self.budget,
            violation=np.maximum(used / self.budget - 1, 0.0),
            valid=np.ones(len(designs), dtype=bool),
        )

    def reference(self):
        designs = np.stack(np.unravel_index(np.arange(self.space.cardinality), tuple(self.space.nvec)), axis=1)
        score = self.evaluate(designs).score
        best, value = designs[score.argmin()], float(score.min())
        return Certificate(value=value, design=tuple(best.tolist()), lower_bound=value, gap=0.0, method="enumeration")

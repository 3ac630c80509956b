"""A task of one's own: how many bits the weights of every layer get, within a memory."""

import numpy as np

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.solvers import allocate_greedily, minimise_sum
from accelgym.costmodels.workloads import load_workload
from accelgym.envs import Outcome, Parameter, Space, Task, audit
from accelgym.envs.hardness import Landscape, landscape

BITS = (2, 3, 4, 5, 6, 8)


class BitWidths(Task):
    """Chooses bits of weights per layer: least quantisation noise within ``kib`` KiB.

    A layer adds ``4**-bits`` (6 dB a bit) times its share of the work. That ranks choices; it is no accuracy.
    """

    space = Space(())  # Stated by the constructor.

    def __init__(self, workload: str = "alexnet", kib: float = 32 * 1024) -> None:
        layers = [x for x in load_workload(workload).compute_layers if x.weights_are_parameters]
        self.kib, work = float(kib), np.array([x.macs for x in layers], dtype=float)
        self.noise = np.outer(work / work.sum(), 4.0 ** -np.array(BITS))  # (layers, choices)
        self.size = np.outer([x.weight_words for x in layers], BITS) / 8192  # KiB
        self.rest = np.append(np.cumsum(self.size[::-1, 0])[::-1], 0.0)  # the least that layers from one on need
        if not self.rest[0] <= self.kib:
            raise InputError(f"kib is {kib}, allowed: at least {self.rest[0]:.6g}, what {BITS[0]} bits per weight take")
        self.space = Space(tuple(Parameter(f"{x.name}.bits", BITS, group=x.name, knob="bits") for x in layers))
        self.optimum = minimise_sum(self.noise, self.size, self.kib * (1 - 2e-9))  # exact; takes 1e-9 more than given

    def describe(self):
        return {"task": "bit_widths 1", "noise": self.noise.tolist(), "size": self.size.tolist(), "kib": self.kib}

    def evaluate(self, designs):
        rows, layers = self.space.check(designs), np.arange(len(self.space))
        used, valid = self.size[layers, rows].sum(axis=1), np.ones(len(rows), dtype=bool)
        violation = np.maximum(used / self.kib - 1, 0.0)
        return Outcome(self.noise[layers, rows].sum(axis=1), used <= self.kib, violation, valid, {"weights_kib": used})

    def reference(self):
        return self.optimum

    def masks(self, actions, position):  # Not required: without it, agents learn from evaluations what fits.
        used = self.size[np.arange(position), actions[:, :position]].sum(axis=1)
        fits = used[:, None] + self.size[position] + self.rest[position + 1] <= self.kib
        return fits | ~fits.any(axis=1, keepdims=True)


@landscape.register
def tell(task: BitWidths, rng: np.random.Generator) -> Landscape:  # Not required: for the audit, a greedy rule.
    """Bits where they save most noise per KiB; what a layer's bits are worth takes no evaluation."""
    rows = allocate_greedily(task.noise, task.size, task.kib, np.ones(task.size.shape, dtype=bool))
    return Landscape(greedy=rows[None], greedy_evaluations=1)


if __name__ == "__main__":
    print(BitWidths().space.decode(BitWidths().reference().design), audit(BitWidths()), sep="\n")

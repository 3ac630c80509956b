"""An agent of one's own: the cross-entropy method."""

import numpy as np

from accelgym.agents import Agent


class CrossEntropy(Agent):
    """Draws every parameter by its own distribution and moves that towards the best designs drawn.

    Rubinstein, "The cross-entropy method for combinatorial and continuous optimization", 1999.

    Args:
        task: The task to search.
        seed: Seed of the draws.
        batch: Designs per ask.
        elite: How many of them, feasible ones first, the distributions move towards.
        rate: How far.
    """

    name = "cross_entropy"

    def __init__(self, task, *, seed, batch=100, elite=10, rate=0.3):
        super().__init__(task, seed=seed)
        self.batch, self.elite, self.rate = batch, elite, rate
        self.exists = np.arange(task.space.nvec.max()) < task.space.nvec[:, None]
        self.chance = self.exists / task.space.nvec[:, None]  # (parameters, values)

    def ask(self, count):
        drawn = self.rng.random((min(self.batch, count), len(self.task.space), 1))
        designs = (drawn > np.cumsum(self.chance, axis=1)).sum(axis=2)
        # What fits is known without an evaluation; a design that does not is replaced by one nearby that does.
        return self.task.repair(np.minimum(designs, self.task.space.nvec - 1), self.rng)

    def tell(self, designs, outcome):
        best = designs[np.argsort(outcome.score, kind="stable")[: self.elite]]
        share = (best[:, :, None] == np.arange(self.exists.shape[1])).mean(axis=0)
        uniform = self.exists / self.exists.sum(axis=1, keepdims=True)
        # A little of the uniform distribution keeps every value possible.
        self.chance = (1 - self.rate) * self.chance + self.rate * (0.98 * share + 0.02 * uniform)


if __name__ == "__main__":
    from accelgym.agents import agents, search
    from accelgym.envs import make_task

    agents.register(CrossEntropy.name, CrossEntropy)  # The entry point does this for an installed package.
    task = make_task("ResourceAssignment-v0", workload="confuciux/resnet18", budget=0.1)
    for name in ("random", "ga", "cross_entropy"):
        found = search(task, name, budget=2000, seed=0)
        print(f"{name:14} {task.reference().regret(found.best):8.2%} above the optimum")

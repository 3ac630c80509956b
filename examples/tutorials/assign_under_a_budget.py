# %% Assign hardware under a budget
#
# What does area buy? A network runs layer by layer in a pipeline, every layer on its own share of the chip; PEs and
# buffers are assigned under a budget. For every budget the optimum is proved, so the curve is the true trade-off, not
# that of some search.

# %%
from accelgym.agents import search
from accelgym.envs import make_task

budgets = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
tasks = [make_task("ResourceAssignment-v0", workload="confuciux/resnet18", budget=budget) for budget in budgets]
optima = [task.reference().value for task in tasks]

# %% Beside it two agents: the greedy rule probes 144 constant designs, then allocates; the genetic algorithm draws.
found = {name: [search(task, name, budget=1000, seed=0).best for task in tasks] for name in ("greedy", "ga")}
for budget, optimum, *others in zip(budgets, optima, *found.values(), strict=True):
    greedy, genetic = (f"{value / optimum - 1:.2%}" for value in others)
    print(f"budget {budget:4.0%}: optimum {optimum:13,.0f} cycles, greedy {greedy} above, ga {genetic}")

# %% Where the curve is flat the budget does not bind, and comparing agents there says nothing.
import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
axes.plot(budgets, optima, "o-", color="black", label="proved optimum")
axes.plot(budgets, found["greedy"], "x", markersize=9, label="greedy, 1,000 evaluations")
axes.plot(budgets, found["ga"], "s", markersize=5, label="genetic algorithm, 1,000 evaluations")
axes.set(xscale="log", yscale="log", xlabel="share of the area range", ylabel="cycles of all layers")
axes.set_xticks(budgets, [f"{budget:.0%}" for budget in budgets])
axes.set_yticks([2e8, 4e8, 6e8], ["200 M", "400 M", "600 M"])
axes.minorticks_off()
axes.set_title("ResNet-18, MAESTRO's cost model, dataflow after NVDLA")
axes.legend(frameon=False)
axes.grid(alpha=0.2)
figure.savefig("assign_under_a_budget.png", dpi=120)

# %%
# ![Cycles over the area budget: proved optimum, greedy and genetic algorithm](assign_under_a_budget.png)
#
# The greedy rule is as good as optimal: such tasks are *easy* ([hardness](../hardness.md)), good for tests and one-shot
# policies. For a task on which search matters, see [compare agents](compare_agents.md).

# %% Compare agents on a hard task
#
# How far do agents get, and how far *could* they get? A convolution of ResNet-18 is mapped onto Eyeriss, energy-delay
# product minimised. Random search, a greedy rule and hill climbing end more than 5 % above the certified bound: the
# task is hard.

# %%
from accelgym.agents import search
from accelgym.envs import make_task

task = make_task("Mapping-v0", workload="thistle/resnet18", layer=9, architecture="eyeriss_thistle", objective="edp")
certificate = task.reference()  # seconds: branch and bound over geometric programs
print(f"optimum {certificate.value:.4g}, proved to {certificate.gap:.2%}")

# %% Each agent searches the same space with the same number of evaluations, from several seeds.
budget, seeds = 1000, 3
agents = ["random_pruned", "annealing", "ga", "gamma"]
runs = {name: [search(task, name, budget=budget, seed=seed) for seed in range(seeds)] for name in agents}

# %% A run holds every evaluation. The best regret so far, with its median over the seeds:
import numpy as np

curves = {}
for name, found in runs.items():
    best = np.array([run.best_so_far[:budget] for run in found])
    curves[name] = certificate.regret(best)
    print(f"{name:14} {np.median(curves[name][:, -1]):7.2%} above the bound")

# %% The picture has a lower edge that means something: no mapping lies below it.
import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
for name, regrets in curves.items():
    steps = np.arange(1, budget + 1)
    line = axes.plot(steps, np.median(regrets, axis=0), label=name)[0]
    axes.fill_between(steps, regrets.min(axis=0), regrets.max(axis=0), color=line.get_color(), alpha=0.15, linewidth=0)
axes.set(xscale="log", yscale="log", xlabel="evaluations", ylabel="regret to the certified bound", xlim=(5, budget))
axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
axes.set_title("EDP of a 3 x 3 convolution of ResNet-18 on Eyeriss")
axes.legend(frameon=False)
axes.grid(which="both", alpha=0.2)
figure.savefig("compare_agents.png", dpi=120)

# %%
# ![Regret of four agents over evaluations; median of three seeds, bands from least to largest](compare_agents.png)
#
# Three seeds are a demonstration. For a comparison with intervals, tests and a report write a config and run
# `accelgym bench` ([how agents are compared](../benchmark_method.md)).

# %% Size an array for a network
#
# How large should a systolic array be for MobileNetV2, and what does a larger one buy? The model `systolic` gives the
# cycles of the generated Verilog and areas fitted to its synthesis, so a sweep takes no simulation.

# %%
from accelgym.costmodels.systolic.config import SystolicConfig
from accelgym.costmodels.systolic.model import SystolicDesigns, SystolicModel
from accelgym.costmodels.workloads import load_workload

layers = load_workload("mobilenet_v2").compute_layers
shapes = [(4, 4), (8, 4), (8, 8), (16, 4), (16, 8), (16, 16), (32, 4), (32, 32)]
templates = ("weight_stationary", "output_stationary")
configs = [
    SystolicConfig(rows=rows, columns=columns, input_type="int8", weight_type="int8", template=template)
    for template in templates
    for rows, columns in shapes
]
costs = SystolicModel().evaluate(SystolicDesigns(configs, layers))  # (configs, layers), each with its best tiling
cycles, area = costs.latency_cycles.sum(axis=1), costs.area_um2[:, 0] / 1e6
print(f"{len(configs)} accelerators, {len(layers)} layers; valid: {bool(costs.valid.all())}")

# %% A design is worth a look if no other one is both smaller and faster.
best = [i for i in range(len(configs)) if not ((cycles < cycles[i]) & (area <= area[i])).any()]
for i in sorted(best, key=lambda i: area[i]):
    config = configs[i]
    shape = f"{config.rows:2} x {config.columns:2} {config.template}"
    print(f"{shape:26} {area[i]:6.3f} mm2 {cycles[i] / 1e6:8.2f} M cycles")

# %% Depthwise layers, whose filters see one channel each, gain little from a larger array and lose on the largest.
import matplotlib.pyplot as plt
import numpy as np

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
kinds = np.array([config.template for config in configs])
for template in templates:
    left.scatter(area[kinds == template], cycles[kinds == template] / 1e6, s=18, label=template.replace("_", " "))
front = sorted(best, key=lambda i: area[i])
left.step(area[front], cycles[front] / 1e6, where="post", color="black", linewidth=0.8, label="no better one")
left.set(xscale="log", yscale="log", xlabel="area, mm2", ylabel="million cycles", title="MobileNetV2, int8")
left.set_xticks([0.05, 0.1, 0.2, 0.5, 1], ["0.05", "0.1", "0.2", "0.5", "1"])
left.set_yticks([10, 20, 30, 40], ["10", "20", "30", "40"])
left.minorticks_off()
left.legend(frameon=False)
depthwise = np.array([layer.groups > 1 for layer in layers])
squares = [i for i in range(len(configs)) if configs[i].rows == configs[i].columns and kinds[i] == templates[0]]
share = costs.latency_cycles[squares][:, depthwise].sum(axis=1) / 1e6
names = [f"{configs[i].rows} x {configs[i].columns}" for i in squares]
right.bar(names, cycles[squares] / 1e6 - share, label="other layers")
right.bar(names, share, bottom=cycles[squares] / 1e6 - share, label="depthwise layers")
right.set(ylabel="million cycles", title="weight stationary")
right.legend(frameon=False)
figure.savefig("size_an_array.png", dpi=120)

# %%
# ![Left: area and cycles of 16 accelerators; right: cycles of square arrays by kind of layer](size_an_array.png)
#
# A chosen configuration becomes Verilog by `accelgym rtl emit`, and `accelgym rtl verify` proves that its cycles are
# those of the model ([from a YAML file to Verilog](../rtl.md)). `accelgym/HwGen-v0` is this choice as a task, buffers
# and ports included, with its proven optimum.

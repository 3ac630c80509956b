"""A workload of one's own: DS-CNN, which spots keywords in speech on microcontrollers."""

from accelgym.costmodels.workloads import Layer, Workload


def ds_cnn() -> Workload:
    """Returns the network of MLPerf Tiny's keyword spotting (Zhang et al., "Hello Edge", arXiv 1711.07128, 2017).

    49 frames of 10 cepstral coefficients enter as one channel.
    """
    layers = [Layer.conv("stem", K=64, C=1, H=49, W=10, R=10, S=4, stride=2, padding=(5, 1))]
    for block in range(1, 5):
        layers += [
            Layer.conv(f"depthwise{block}", K=64, C=64, H=25, W=5, R=3, padding=1, groups=64),
            Layer.conv(f"pointwise{block}", K=64, C=64, H=25, W=5),
        ]
    layers.append(Layer.gemm("classifier", M=1, K=12, C=64))  # after the mean over all positions
    return Workload.chain("ds_cnn", layers, source="Zhang et al., arXiv 1711.07128, 2017")


if __name__ == "__main__":
    from accelgym.envs import ResourceAssignmentTask

    network = ds_cnn()
    for layer in network.layers:
        print(f"{layer.name:12} {layer.C:2} to {layer.K} channels, {layer.P} x {layer.Q}: {layer.macs:9,} MACs")
    # Any task takes the name once the package is installed; without it, this one takes the object.
    task = ResourceAssignmentTask(workload_object=network, model="physical", dataflow="mix", budget="iot")
    best = task.reference()
    print(f"{network.macs:,} MACs; fastest pipeline within the area: {best.value:,.0f} cycles, {best.method}")

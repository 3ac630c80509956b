"""A cost model of one's own: a roofline with on-chip buffers."""

from dataclasses import dataclass

import numpy as np

from accelgym.costmodels.costs import Costs, Reason
from accelgym.costmodels.maestro.designs import ResourceDesigns


@dataclass(frozen=True)
class RooflineModel:
    """Work bound by the PEs or by the memory, whichever takes longer (Williams et al., CACM 2009).

    Inputs are read again for every tile of output channels, one byte an element. Energies are those of 45 nm (Horowitz,
    ISSCC 2014): 0.23 pJ a multiply-accumulate of bytes, 160 pJ a byte from DRAM. Areas are rough.
    """

    bytes_per_cycle: float = 16.0
    name = "roofline"
    version = "1"
    technology = "horowitz-45nm"

    def evaluate(self, designs: ResourceDesigns) -> Costs:
        """Returns the costs of every design; arrays of the designs' common shape."""
        d = designs
        outputs = (d.Y - d.R + 1) * (d.X - d.S + 1)
        channels = np.where(d.depthwise, d.C, d.K)
        macs = outputs * d.K * d.C * d.R * d.S * 1.0
        tiles = np.ceil(channels / (d.buffer_level * d.num_pes))
        traffic = tiles * d.C * d.Y * d.X + d.K * d.C * d.R * d.S + channels * outputs
        cycles = np.ceil(np.maximum(macs / d.num_pes, traffic / self.bytes_per_cycle))
        energy = 0.23 * macs + 160.0 * traffic
        area = d.num_pes * (400.0 + 20.0 * d.R * d.S * d.buffer_level)
        cycles, energy, area = np.broadcast_arrays(cycles, energy, area)
        valid = outputs * np.ones_like(cycles) > 0
        return Costs(
            latency_cycles=cycles,
            energy_pj=energy,
            area_um2=area,
            power_mw=energy / cycles,  # at 1 GHz
            valid=valid,
            reason=np.where(valid, Reason.OK, Reason.KERNEL_EXCEEDS_INPUT).astype(np.int8),
            model=self.name,
            version=self.version,
            technology=self.technology,
        )


if __name__ == "__main__":
    pes = np.array([1, 4, 16, 64, 256])
    layer = {"K": 64, "C": 64, "Y": 30, "X": 30, "R": 3, "S": 3, "depthwise": False, "dataflow": 0, "buffer_level": 1}
    columns = {name: np.full(pes.shape, value) for name, value in layer.items()}
    found = RooflineModel().evaluate(ResourceDesigns(**columns, num_pes=pes))
    for row in zip(pes, found.latency_cycles, found.energy_pj, found.area_um2, strict=True):
        print("{:4} PEs: {:10,.0f} cycles, {:12,.0f} pJ, {:8,.0f} um2".format(*row))

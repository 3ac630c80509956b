"""The networks of joint tasks: slots with their loop nests, losses by pair of types, and activations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import InputError, unknown_name
from accelgym.costmodels.workloads import Layer, Workload, load_workload
from accelgym.costmodels.workloads.activations import Activations, Edge, activations_of
from accelgym.envs.datatype.losses import NATS, LossTable, measured_networks, measured_table, proxy_table
from accelgym.envs.datatype.options import OPTIONS

__all__ = ["MOST_OPEN", "PAIRS", "JointNetwork", "joint_network", "workload_network"]

PAIRS = tuple((option.weight, option.activation) for option in OPTIONS if option.group is None)
"""Types of weights and activations that a layer chooses from; the columns of :attr:`JointNetwork.losses`."""
MOST_OPEN = 8
"""Activations open at once, at most: the states of the residency program are their subsets."""


@dataclass(frozen=True)
class JointNetwork:
    """What a machine runs."""

    name: str
    label: str
    """``measured``, or ``proxy``: nothing of its losses is an accuracy."""
    nests: tuple[tuple[Layer, ...], ...]
    """Loop nests of each slot: two of an attention of a measured network."""
    losses: npt.NDArray[np.int64]
    """Shape ``(slots, pairs)``, in units of 1e-4; columns as :data:`PAIRS`."""
    activations: Activations

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of what gets types and a mapping of its own."""
        return self.activations.layers


def joint_network(network: str, workload: str | None) -> JointNetwork:
    """Returns a network by name.

    Args:
        network: A shipped network with a measured table.
        workload: In its place a name of the zoo, or a file.

    Raises:
        InputError: No such network, no layer for the array, or too many activations open at once.
    """
    if workload is not None:
        return workload_network(load_workload(workload))
    if network not in measured_networks():
        raise unknown_name("network", network, measured_networks())
    table = measured_table(network)
    found = JointNetwork(
        table.network, table.label, table.nests, _losses(table, "cross_entropy"), _measured_activations(table)
    )
    found.activations.refuse_wider_than(MOST_OPEN, f"network {network!r}")
    return found


def workload_network(workload: Workload) -> JointNetwork:
    """Returns a workload with the proxy's losses.

    Raises:
        InputError: No layer for the array, or too many activations open at once.
    """
    layers = workload.compute_layers
    if not layers:
        raise InputError(f"workload {workload.name!r} has no convolution or GEMM to run on an array")
    activations = activations_of(workload)
    activations.refuse_wider_than(MOST_OPEN, f"workload {workload.name!r}")
    # The proxy is the same for every layer.
    row = _losses(proxy_table(_ANY), "proxy")[0]
    nests = tuple((layer,) for layer in layers)
    return JointNetwork(workload.name, "proxy", nests, np.tile(row, (len(layers), 1)), activations)


_ANY = "alexnet"


def _losses(table: LossTable, metric: str) -> npt.NDArray[np.int64]:
    assert NATS == 1e-4  # The unit of both tables.
    columns = [table.options.index(option) for option in OPTIONS if option.group is None]
    return np.asarray(table.losses[metric][:, columns])


_SKIPS: dict[str, tuple[tuple[str, str], ...]] = {
    "glyph_cnn": (
        ("stem.0", "narrow.project.0"),
        ("narrow.project.0", "residual.shortcut.0"),
        ("residual.second.0", "residual.shortcut.0"),
        ("residual.shortcut.0", "wide.project.0"),
    ),
    "glyph_vit": (("patches.0", "blocks.0.attention.project"),),
    "text_lm": (),
}
"""Readings beside the chain of layers that the blocks below do not give."""
_BREAKS = {("residual.second.0", "residual.shortcut.0")}
"""Neighbours of which the second streams something else: the shortcut reads its block's input, and adds this."""


def _measured_activations(table: LossTable) -> Activations:
    """Activations of a shipped network: a chain with the skips of its blocks (``envs/accuracy/models.py``)."""
    at = {name: i for i, name in enumerate(table.layers)}
    output = [nests[-1].output_words for nests in table.nests]
    skips = [(at[a], at[b]) for a, b in _SKIPS[table.network]]
    for name, number in at.items():
        block, _, part = name.rpartition(".")
        if part == "fc2":
            skips.append((at[f"{block}.attention.project"], number))
            following = f"blocks.{int(block.split('.')[1]) + 1}.attention.project"
            if following in at:
                skips.append((number, at[following]))
    edges: dict[tuple[int, int], Edge] = {}
    for i in range(len(at) - 1):
        if (table.layers[i], table.layers[i + 1]) not in _BREAKS:
            edges[i, i + 1] = Edge(i, i + 1, True, 0)
    for a, b in skips:
        streams = (table.layers[a], table.layers[b]) == ("narrow.project.0", "residual.shortcut.0")
        edges[a, b] = Edge(a, b, streams, 0 if streams else output[a])
    last = len(at) - 1
    words = tuple(output[i] if i != last else 0 for i in range(len(at)))
    # Keys and values of a fused projection are cached in memory.
    leaves = tuple(name.endswith("qkv") or i == last for name, i in at.items())
    return Activations(table.layers, words, tuple(edges[key] for key in sorted(edges)), leaves)

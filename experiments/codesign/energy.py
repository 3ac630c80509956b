"""Energy of a student on an Eyeriss: the best mapping of every layer, each from a problem file."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import yaml

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.architecture.machine import Architecture
from accelgym.costmodels.components.technologies import technology
from accelgym.costmodels.files.timeloop_yaml.document import parse_document
from accelgym.costmodels.files.whole_file import write_whole
from accelgym.costmodels.timeloop import presets
from accelgym.costmodels.timeloop.problem import problem_section
from accelgym.costmodels.timeloop.reader import read_timeloop_data
from accelgym.costmodels.workloads import Layer, Workload
from accelgym.experiments.codesign.space import Machine
from accelgym.experiments.mapper import map_layer
from accelgym.experiments.study_log import StudyLog

__all__ = ["LayerEnergies", "eyeriss"]


@cache
def eyeriss(machine: Machine) -> Architecture:
    """Returns the preset ``eyeriss`` with another array and another global buffer, priced by the same laws."""
    data = parse_document(Path(presets.__file__).parent / "presets" / "eyeriss.yaml")
    prices = technology(data.pop("technology"))
    root = data["architecture"]["subtree"][0]
    buffer = next(level for level in root["local"] if level["name"] == "GlobalBuffer")
    width = buffer["attributes"]["width"]
    buffer["attributes"]["depth"] = machine.buffer_kib * 1024 * 8 // width
    element = root["subtree"][0]
    element["name"] = f"PE[0..{machine.rows * machine.columns - 1}]"
    for level in element["local"]:
        level["attributes"]["meshX"] = machine.columns
    shape = LoopNest.conv("eyeriss", K=1, C=1, P=1, Q=1, R=1, S=1)
    return replace(read_timeloop_data(data, problem=shape, prices=prices).architecture, name=machine.name)


class LayerEnergies:
    """Energies of layers on machines, found once each by ``accelgym.map_layer`` and kept.

    Args:
        folder: ``problems/`` receives a Timeloop problem for each distinct layer, ``energies.jsonl`` the results.
        nodes: Most programs that a proof solves; the mapping found hardly depends on it, the gap does.
    """

    def __init__(self, folder: Path, nodes: int) -> None:
        self.folder, self.nodes = folder / "problems", nodes
        self.folder.mkdir(parents=True, exist_ok=True)
        self._log = StudyLog(folder / "energies.jsonl", ("problem", "machine", "nodes"))

    def of_network(self, workload: Workload, machine: Machine) -> tuple[float, float]:
        """Returns the energy of all layers in pJ, and its largest relative gap to the certified bounds."""
        found = [self.of_layer(layer, machine) for layer in workload.layers]
        energy = sum(pj for pj, _ in found)
        return energy, sum(pj * gap for pj, gap in found) / energy

    def of_layer(self, layer: Layer, machine: Machine) -> tuple[float, float]:
        """Returns the energy of a layer in pJ and the gap of its proof."""
        problem = replace(LoopNest.from_layer(layer), name=_shape_name(layer))
        key = {"problem": problem.name, "machine": machine.name, "nodes": self.nodes}
        row = self._log.find(**key)
        if row is None:
            path = self.folder / f"{problem.name}.yaml"
            if not path.exists():
                write_whole(path, yaml.safe_dump({"problem": problem_section(problem)}, sort_keys=False))
            found = map_layer(path, eyeriss(machine), "energy", nodes=self.nodes)
            row = self._log.add({**key, "energy_pj": found.energy_pj, "gap": found.gap})
        return row["energy_pj"], row["gap"]


def _shape_name(layer: Layer) -> str:
    """Name of a layer by its shape: equal layers share a problem."""
    kind = "gemm" if layer.R == layer.S == 1 else "conv"
    return f"{kind}_K{layer.K}_C{layer.C}_P{layer.P}_Q{layer.Q}_R{layer.R}_S{layer.S}_stride{layer.stride[0]}"

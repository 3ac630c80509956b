"""The files of one mapped layer: those that ``timeloop-mapper`` writes, and what its own programs need."""

from __future__ import annotations

from pathlib import Path

from accelgym.costmodels.errors import InputError, warn_input
from accelgym.costmodels.files.whole_file import write_whole
from accelgym.costmodels.mapper import LayerMapping
from accelgym.costmodels.timeloop import describe_convention, write_map, write_stats, write_timeloop

__all__ = ["MAP_FILE", "NEST_FILE", "STATS_FILE", "TIMELOOP_FILE", "write_layer"]

MAP_FILE, STATS_FILE = "timeloop-mapper.map.yaml", "timeloop-mapper.stats.txt"
NEST_FILE, TIMELOOP_FILE = "timeloop-mapper.map.txt", "timeloop-model.yaml"


def write_layer(folder: Path, layer: LayerMapping, fanouts: tuple[tuple[str, str], ...]) -> None:
    """Writes mapping, statistics, loop nest and an input for ``timeloop-model`` with everything in it.

    Mapping and statistics have the names of the files that were read, so that they go with these.

    Args:
        folder: Where to.
        layer: The layer.
        fanouts: Names of the fan-outs in those files, see :class:`~accelgym.costmodels.mapper.inputs.Machine`.
    """
    mappings, costs = layer.mappings, layer.costs
    how = describe_convention(costs["counting"], costs["link_transfers"], costs["leakage"])
    notes = [
        f"{mappings.problem.name} on {mappings.architecture.name}, found by AccelGym",
        f"{layer.energy_pj:.10g} pJ, {layer.cycles} cycles ({how})",
        *(proof.statement for proof in layer.proofs),
    ]
    write_whole(folder / MAP_FILE, write_map(mappings, fanouts=fanouts, notes=notes))
    write_whole(folder / STATS_FILE, write_stats(costs, mappings.problem, mappings.architecture))
    write_whole(folder / NEST_FILE, layer.loop_nest + "\n")
    try:
        text = write_timeloop(mappings.problem, mappings.architecture, mappings, notes=notes)
    except InputError as error:
        warn_input(f"{folder / TIMELOOP_FILE} is not written: {error}")
        return
    write_whole(folder / TIMELOOP_FILE, text)

"""Statistics and mappings in Timeloop's form: written, read, and equal."""

import numpy as np
import pytest

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.loopnest import LoopnestModel, sample_valid_mappings
from accelgym.costmodels.loopnest.rows import result_row
from accelgym.costmodels.timeloop import (
    compare_stats,
    read_stats,
    read_timeloop,
    stated_counting,
    write_map,
    write_stats,
    write_timeloop,
)
from accelgym.costmodels.timeloop.presets import preset

PROBLEM = LoopNest.conv("conv", K=16, C=8, P=8, Q=8, R=3, S=3)


@pytest.mark.parametrize("name", ["eyeriss", "simba_like", "tpu_like", "nvdla_like", "shidiannao_like"])
@pytest.mark.parametrize("counting", ["closed", "sampled"])
def test_what_is_written_is_read(tmp_path, name, counting):
    machine = preset(name)
    mappings = sample_valid_mappings(PROBLEM, machine, 1, np.random.default_rng(3))
    model = LoopnestModel(PROBLEM, machine, counting=counting)
    result = result_row(model, mappings, model.evaluate(mappings), 0)
    path = tmp_path / "timeloop-mapper.stats.txt"
    path.write_text(write_stats(result, PROBLEM, machine))
    total, differences = compare_stats(read_stats(path), result, PROBLEM, machine)
    assert differences == []
    assert total > 30
    assert stated_counting(path) == (counting, False)
    # Any count that is changed is seen.
    wrong = {**result, "cycles": result["cycles"] + 1}
    assert compare_stats(read_stats(path), wrong, PROBLEM, machine)[1]


def test_statistics_of_timeloop_state_no_counting(tmp_path):
    path = tmp_path / "timeloop-model.stats.txt"
    path.write_text("Buffer and Arithmetic Levels\n----------------------------\n")
    assert stated_counting(path) is None


@pytest.mark.parametrize("name", ["eyeriss", "simba_like", "tpu_like"])
def test_a_mapping_alone_goes_with_the_machine_it_was_found_for(tmp_path, name):
    machine = preset(name)
    mappings = sample_valid_mappings(PROBLEM, machine, 4, np.random.default_rng(5))
    for row in range(4):
        (tmp_path / "machine.yaml").write_text(write_timeloop(PROBLEM, machine))
        (tmp_path / "map.yaml").write_text(write_map(mappings, row, notes=["a\nnote"]))
        found = read_timeloop(tmp_path / "machine.yaml", tmp_path / "map.yaml")
        assert found.mappings.loops(0) == mappings.loops(row)
        for v, level in enumerate(machine.levels):  # a level bypasses just what it may not store
            kept = [level.may_store(tensor) for tensor in PROBLEM.tensor_names]
            assert found.mappings.keep[v, :, 0].tolist() == kept
        assert found.fanouts == tuple((level.name, level.name) for level in machine.levels)


def test_documents_of_one_file_are_joined(tmp_path):
    parts = write_timeloop(PROBLEM, preset("tpu_like")).split("\narchitecture:")
    path = tmp_path / "all.yaml"
    path.write_text(f"{parts[0]}\n---\narchitecture:{parts[1]}")
    assert read_timeloop(path).problem.bounds == PROBLEM.bounds
    path.write_text(f"{parts[0]}\n---\n{parts[0]}\n---\narchitecture:{parts[1]}")
    with pytest.raises(InputError, match="section 'problem' appears in two files"):
        read_timeloop(path)

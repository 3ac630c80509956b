"""The memory-access exercise against Timeloop's counts and against published tables of component energies."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from accelgym.cli import app
from accelgym.costmodels.components import technology
from accelgym.costmodels.errors import InputError
from accelgym.experiments.memory_access import (
    DATAFLOWS,
    component_sweeps,
    dataflow_loops,
    fit_power_law,
    format_accesses,
    memory_accesses,
)

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "timeloop"

# M=8, P=16, R=3, M2=2, P2=4 on timeloop-model 3.0.3: main memory and buffer reads and writes, MACs, pJ.
MEASURED = {
    "ws": (168, 128, 1024, 552, 384, 2910.16),
    "os_untiled_1": (168, 128, 1024, 552, 384, 2910.16),
    "os_untiled_2": (432, 128, 1024, 816, 384, 5119.84),
    "os_tiled_1": (96, 128, 1024, 480, 384, 2307.52),
    "os_tiled_2": (120, 128, 1024, 504, 384, 2508.40),
}
# The same on HEAD, where it differs.
HEAD = {"os_untiled_2": 4868.74, "os_tiled_2": 2458.18}


def row(line):
    return (line.main_reads, line.main_writes, line.buffer_reads, line.buffer_writes, line.macs, line.energy_pj)


@pytest.mark.parametrize("counting", ["closed", "walk", "sampled"])
def test_the_table_of_the_five_dataflows(counting):
    lines = memory_accesses(engine="v3.0.3", counting=counting)
    assert [line.dataflow for line in lines] == list(MEASURED)
    for line in lines:
        assert row(line) == pytest.approx(MEASURED[line.dataflow], rel=1e-9)
    for line in memory_accesses(counting=counting):
        expected = HEAD.get(line.dataflow, MEASURED[line.dataflow][-1])
        assert line.energy_pj == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("sizes", "energies"),
    [
        ({"M": 32, "P": 16, "R": 3, "M2": 4, "P2": 8}, (11640.64, 11640.64, 19274.08, 8024.80, 7790.44)),
        ({"M": 4, "P": 12, "R": 5, "M2": 2, "P2": 6}, (1482.12, 1482.12, 3290.04, 1214.28, 1281.24)),
    ],
)
def test_other_sizes(sizes, energies):
    found = [line.energy_pj for line in memory_accesses(**sizes, engine="v3.0.3")]
    assert found == pytest.approx(energies, rel=1e-9)


@pytest.mark.parametrize(("name", "engine"), [("setA", "v3.0.3"), ("setA_head", "head")])
def test_set_a_is_reproduced(name, engine):
    with gzip.open(GOLDEN / f"{name}.jsonl.gz", "rt") as lines:
        rows = [row for row in map(json.loads, lines) if row["mapping"] in DATAFLOWS]
    assert len(rows) >= 9
    for golden in rows:
        tiles = {"M2": 1, "P2": 1} | golden["sizes"]
        loops = dataflow_loops(golden["mapping"], **tiles)
        for level, key in (("MainMemory", "main"), ("Buffer", "buffer")):
            stated = golden[f"{key}_loops_outer_to_inner"]
            assert [[loop["dim"], loop["bound"]] for loop in loops[level]] == stated
        line = {x.dataflow: x for x in memory_accesses(**tiles, engine=engine)}[golden["mapping"]]
        counts = []
        for level in ("MainMemory", "Buffer"):
            tensors = golden["accesses"][level].values()
            counts += [sum(t["reads"] for t in tensors), sum(t["fills"] + t["updates"] for t in tensors)]
        assert row(line) == pytest.approx((*counts, golden["macs"], golden["energy"]["total"]), rel=1e-9)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"M2": 3}, "M2 is 3, allowed divisors of M=8"),
        ({"P": 0}, "P is 0, allowed integers >= 1"),
        ({"R": 2.5}, "R is 2.5"),
        ({"P": 64}, "dataflow 'ws' with M=8, P=64, .*: a tile exceeds"),
    ],
)
def test_sizes_that_do_not_fit_are_named(sizes, message):
    with pytest.raises(InputError, match=message):
        memory_accesses(**sizes)


def test_the_table_prints():
    lines = memory_accesses(engine="v3.0.3")
    command = [sys.executable, "-m", "accelgym.experiments.memory_access", "--engine", "v3.0.3"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout == format_accesses(lines) + "\n"
    assert result.stdout.splitlines()[3].split() == ["os_untiled_2", "432", "128", "1024", "816", "384", "5119.84"]
    failed = subprocess.run([*command, "--M2", "3"], capture_output=True, text=True, check=False)
    assert failed.returncode == 2
    assert "M2 is 3" in failed.stderr


@pytest.fixture(scope="module")
def sweeps():
    return {(s.component, s.along): s for s in component_sweeps(technology())}


def test_sweeps_hold_the_published_energies(sweeps):
    # Accelergy's Aladdin tables (register file, integer MAC, LPDDR4 at 8 pJ a bit), pJ.
    assert sweeps["regfile", "depth"].sizes == (512, 1024, 2048, 4096, 8192)
    depth = [5.33, 10.44, 21.58, 45.72, 97.71]
    np.testing.assert_allclose(sweeps["regfile", "depth"].energies_pj["read"], depth, atol=6e-3)
    np.testing.assert_allclose(sweeps["regfile", "width"].energies_pj["write"][[0, -1]], [96.7, 115.0], atol=0.06)
    assert sweeps["intmac", "width"].sizes == (2, 4, 8, 16, 32, 64)
    mac = [0.039, 0.146, 0.561, 2.200, 8.716, 34.69]
    np.testing.assert_allclose(sweeps["intmac", "width"].energies_pj["compute"], mac, atol=6e-3)
    np.testing.assert_allclose(sweeps["dram", "width"].energies_pj["read"], 8 * 2 ** np.arange(4, 12))


def test_exponents_are_those_of_the_cacti_runs(sweeps):
    # Exponents fitted to the CACTI 7 runs themselves, 45 nm, one bank.
    widths = sweeps["sram", "width"].laws
    assert widths["read"].exponent == pytest.approx(1.15, abs=0.02)
    assert widths["write"].exponent == pytest.approx(1.30, abs=0.03)
    assert sweeps["sram", "depth"].laws["read"].exponent == pytest.approx(0.720, abs=0.04)
    assert sweeps["dram", "width"].laws["read"].exponent == pytest.approx(1.0, abs=1e-12)
    assert 1.9 < sweeps["intmac", "width"].laws["compute"].exponent < 2.0


def test_a_power_law_is_found_again():
    sizes = np.array([1, 3, 10, 40])
    law = fit_power_law(sizes, 0.7 * sizes**1.3)
    assert (law.coefficient, law.exponent) == pytest.approx((0.7, 1.3))
    assert law.largest_error < 1e-12
    bent = fit_power_law(sizes, 0.7 * sizes**1.3 + 1)
    assert bent.exponent < 1.3
    slope, offset = np.polyfit(np.log(sizes), np.log(0.7 * sizes**1.3 + 1), 1)
    assert (np.log(bent.coefficient), bent.exponent) == pytest.approx((offset, slope))
    with pytest.raises(InputError, match="two or more different"):
        fit_power_law([4, 4], [1.0, 2.0])
    with pytest.raises(InputError, match="positive"):
        fit_power_law([4, 5], [0.0, 2.0])


def test_the_command_draws_and_reports(tmp_path, sweeps):
    arguments = ["technology", "plot", "--out", str(tmp_path / "new")]
    result = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    answer = json.loads(result.stdout)
    picture = Path(answer["picture"])
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert answer["technology"] == "aladdin-cacti-45nm"
    assert answer["sweeps"] == [json.loads(json.dumps(sweep.to_json())) for sweep in sweeps.values()]
    text = CliRunner().invoke(app, arguments, catch_exceptions=False).stdout
    for sweep in sweeps.values():
        for law in sweep.laws.values():
            assert f"{law.exponent:.3f}" in text


def test_the_picture_shows_every_energy(sweeps):
    from accelgym.experiments.memory_access.figure import scaling_figure

    figure = scaling_figure(list(sweeps.values()), "t")
    drawn = [line.get_ydata().tolist() for axes in figure.axes for line in axes.lines]
    for sweep in sweeps.values():
        for energies in sweep.energies_pj.values():
            assert energies.tolist() in drawn

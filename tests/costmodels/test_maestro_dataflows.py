"""Dataflow files: every figure of the program on random mappings and on ConfuciuX's templates, and all refusals."""

import csv
import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from accelgym.cli.root import main
from accelgym.costmodels.costs import Reason
from accelgym.costmodels.errors import InputError, InputWarning
from accelgym.costmodels.maestro.dataflow_file import evaluate_mapped, read_mapped

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "maestro"
DIMS = ("K", "C", "R", "S", "Y", "X")
KERNEL = "TemporalMap(Sz(R),Sz(R)) R; TemporalMap(Sz(S),Sz(S)) S;"
TEMPLATES = {
    "dla": f"SpatialMap(k,k) K; TemporalMap(P,P) C; {KERNEL} TemporalMap(Sz(R),1) Y; TemporalMap(Sz(S),1) X; "
    f"Cluster(P, P); SpatialMap(1,1) C; TemporalMap(Sz(R),1) Y; TemporalMap(Sz(S),1) X; {KERNEL}",
    "eye": f"TemporalMap(1,1) C; TemporalMap(k,k) K; SpatialMap(P,P) Y'; TemporalMap(Sz(S),Sz(S)) X'; {KERNEL} "
    f"Cluster(P, P); TemporalMap(1,1) C; SpatialMap(1,1) Y'; SpatialMap(1,1) X'; {KERNEL}",
    "shi": f"TemporalMap(k,k) K; SpatialMap(Sz(R),Sz(R)) Y'; TemporalMap(P,P) X'; TemporalMap(1,1) C; {KERNEL} "
    f"Cluster(P, P); TemporalMap(1,1) C; TemporalMap(1,1) Y'; SpatialMap(1,1) X'; {KERNEL}",
    "dpt": f"SpatialMap(k,k) C; TemporalMap(Sz(R),1) Y; TemporalMap(Sz(S),1) X; {KERNEL}",
}
"""ConfuciuX's four mappings, written down from their description in ``maestro.mapping``."""


def network(row, dataflow, kind):
    sizes = ", ".join(f"{dim}: {row[dim]}" for dim in DIMS)
    return f"Network n {{\nLayer a {{\nType: {kind}\nDimensions {{ {sizes} }}\nDataflow {{\n{dataflow}\n}}\n}}\n}}\n"


def figure(costs, name):
    return float(np.asarray(getattr(costs, name) if hasattr(costs, name) else costs.breakdown[name])[0])


def rows_of(name, reader):
    with gzip.open(GOLDEN / name, "rt") as file:
        return list(reader(file))


def test_every_figure_of_the_program_on_random_dataflows(tmp_path):
    path = tmp_path / "net.m"
    figures = ("latency_cycles", "input_l2_reads", "filter_l2_reads", "output_l2_writes", "l1_bytes", "l2_bytes")
    for row in rows_of("maestro_dataflows.jsonl.gz", lambda file: map(json.loads, file)):
        path.write_text(network(row, row["dataflow"], row["type"]))
        _, costs = evaluate_mapped(read_mapped(str(path), None), row["num_pes"], row["noc_bw"])
        assert costs.valid[0], row
        for name in figures:
            assert figure(costs, name) == row[name], (name, row)
        for name in ("energy_nj", "area_um2", "power_mw"):
            assert figure(costs, name) == pytest.approx(row[name], rel=6e-6), (name, row)


@pytest.mark.parametrize("table", ["maestro_train.csv.gz", "maestro_noc_bw_train.csv.gz", "maestro_depthwise.csv.gz"])
def test_the_templates_of_confuciux_as_files(tmp_path, table):
    dataflow, path = tmp_path / "flow.m", tmp_path / "net.m"
    rows = [row for row in rows_of(table, csv.DictReader) if row["valid"] == "1"]
    for row in rows[:: max(len(rows) // 60, 1)]:
        dataflow.write_text(f"Dataflow {{ {TEMPLATES[row['dataflow']]} }}")
        path.write_text(network(row, "", row["layer_type"]))
        knobs = {"P": int(row["num_pes"]), "k": int(row["buffer_level"])}
        mapped = read_mapped(str(path), dataflow, knobs)
        _, costs = evaluate_mapped(mapped, knobs["P"], int(row["noc_bw"]))
        assert costs.valid[0], row
        assert figure(costs, "latency_cycles") == int(row["runtime_cycles"]), row
        assert figure(costs, "energy_nj") == pytest.approx(float(row["energy_nj_units"]), rel=6e-6)
        assert figure(costs, "l2_bytes") == int(row["l2_req_bytes"])


ROW = {"K": 8, "C": 4, "R": 3, "S": 3, "Y": 10, "X": 10}
PLAIN = f"SpatialMap(1,1) K; TemporalMap(1,1) C; {KERNEL} TemporalMap(Sz(R),1) Y; TemporalMap(1,1) X';"


@pytest.mark.parametrize(
    ("dataflow", "kind", "message"),
    [
        (PLAIN.replace("SpatialMap", "TemporalMap"), "CONV", ":6:1: no SpatialMap in this level"),
        (
            PLAIN.replace("TemporalMap(1,1) C", "SpatialMap(1,1) C"),
            "CONV",
            ":6:20: SpatialMap of C in a mapping of one",
        ),
        (PLAIN + "Cluster(2, P); TemporalMap(1,1) X';", "CONV", ":6:155: no SpatialMap in this level"),
        (PLAIN + f"Cluster(3, P); SpatialMap(1,1) C; {KERNEL}", "CONV", ":6:140: clusters of 3 do not divide 4 PEs"),
        (PLAIN + f"Cluster(2, L); SpatialMap(1,1) C; {KERNEL}", "CONV", ":6:140: Cluster of type L is not modelled"),
        (PLAIN + f"Cluster(2, P); Cluster(2, P); SpatialMap(1,1) C; {KERNEL}", "CONV", ":6:155: a second Cluster"),
        (PLAIN + f"Cluster(2, P); SpatialMap(1,1) C; SpatialMap(1,1) X'; {KERNEL}", "CONV", ":6:174: a second Spatial"),
        (PLAIN + "Cluster(2, P); SpatialMap(1,1) R;", "CONV", ":6:155: SpatialMap of R is not modelled"),
        (PLAIN + "Cluster(2, P); SpatialMap(1,1) C;", "CONV", ":6:155: no map of R in this level"),
        (PLAIN.replace("(1,1) C", "(2,1) C"), "CONV", ":6:20: the map of C holds 2 channels and moves by 1"),
        (PLAIN.replace("(1,1) X'", "(2,3) X'"), "CONV", ":6:120: the map of X holds 2 outputs and moves by 3"),
        (PLAIN.replace("Sz(R),Sz(R)", "1,1"), "CONV", r":6:40: the map of R is \(1, 1\), allowed.*the whole kernel, 3"),
        (PLAIN.replace("C;", "N;"), "CONV", ":6:20: maps of N are not modelled"),
        (PLAIN.replace("C;", "K;"), "CONV", ":6:20: a second map of K in one level"),
        (PLAIN.replace("1,1) C", "Sz(M),1) C"), "CONV", r":6:35: Sz\(M\): the layer has no dimension M"),
        (PLAIN, "DSCONV", ":6:1: a map of K is not modelled for a depthwise layer"),
        (PLAIN, "TRCONV", ":3:7: the analysis of type TRCONV is not modelled"),
        ("", "CONV", ":2:7: layer 'a' has no Dataflow; give one with --dataflow"),
    ],
)
def test_refusals_name_the_directive(tmp_path, dataflow, kind, message):
    path = tmp_path / "net.m"
    path.write_text(network(ROW | ({"K": 1} if kind == "DSCONV" else {}), dataflow, kind))
    with pytest.raises(InputError, match=f"net.m{message}"):
        evaluate_mapped(read_mapped(str(path), None), 4, 100)


def test_tiles_that_the_program_skips_make_a_row_invalid(tmp_path):
    path = tmp_path / "net.m"
    # Two output rows, a tile of three with a halo of two: the program prints a runtime of 0.
    path.write_text(network(ROW | {"Y": 4}, PLAIN.replace("(Sz(R),1) Y", "(5,3) Y"), "CONV"))
    _, costs = evaluate_mapped(read_mapped(str(path), None), 4, 100)
    assert (costs.valid[0], costs.reason[0]) == (False, Reason.DEGENERATE)
    assert costs.latency_cycles[0] == 0


def test_strides_groups_and_batches(tmp_path):
    net, plain = tmp_path / "net.csv", tmp_path / "plain.csv"
    head = "Layer name,IFMAP Height,IFMAP Width,Filter Height,Filter Width,Channels,Num Filter,Strides,Batch Size\n"
    net.write_text(head + "a,11,11,3,3,4,8,2,3\n")
    plain.write_text(head + "a,7,7,3,3,4,8,1,1\n")
    flow = tmp_path / "flow.m"
    flow.write_text(f"Dataflow {{ {PLAIN} }}")
    with pytest.warns(InputWarning, match="strided layers"):
        rows, costs = evaluate_mapped(read_mapped(str(net), flow), 4, 100)
    _, single = evaluate_mapped(read_mapped(str(plain), flow), 4, 100)
    assert rows[0]["repeat"] == "3"
    assert costs.latency_cycles[0] == 3 * single.latency_cycles[0]
    assert costs.breakdown["output_l2_writes"][0] == 3 * single.breakdown["output_l2_writes"][0]
    assert costs.area_um2[0] == single.area_um2[0]


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr("sys.argv", ["accelgym", "evaluate", "--model", "maestro", *map(str, arguments)])
    try:
        main()
    except SystemExit as error:
        return error.code or 0, capsys.readouterr()
    return 0, capsys.readouterr()


def test_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "250")
    net, flow, out = tmp_path / "net.m", tmp_path / "flow.m", tmp_path / "costs.csv"
    net.write_text(network(ROW, PLAIN, "CONV"))
    flow.write_text(f"Dataflow {{ {PLAIN.replace('SpatialMap(1,1) K', 'SpatialMap(Tile,Tile) K')} }}")
    assert run(monkeypatch, capsys, "--in", net, "--out", out, "--option", "num_pes=4")[0] == 0
    own = out.read_text()
    arguments = ("--in", net, "--dataflow", flow, "--out", out, "--option", "num_pes=4")
    assert run(monkeypatch, capsys, *arguments, "--option", "Tile=1")[0] == 0
    code, said = run(monkeypatch, capsys, *arguments, "--option", "Tile=1", "--option", "noc_bandwidth=8")
    assert code == 0
    assert "'noc_bandwidth' without effect: no name in the file" in " ".join(said.err.split())
    assert out.read_text() == own
    for wrong, message in (
        (arguments, "flow.m:1:23: a size is 'Tile', allowed: integers"),
        ((*arguments[:-2], "--option", "Tile=1"), "needs the number of PEs: --option num_pes=256"),
        ((*arguments, "--option", "Tile=0"), "--option Tile=0: allowed"),
        ((*arguments, "--option", "Tile=1", "--no-compat"), "--no-compat"),
        ((*arguments[:-1], "num_pes=x", "--option", "Tile=1"), "num_pes is 'x', allowed: integers 1..2147483647"),
        (("--in", net, "--dataflow", net, "--out", out, "--option", "num_pes=4"), "states a network; give that with"),
    ):
        code, shown = run(monkeypatch, capsys, *wrong)
        assert code == 2
        assert message in " ".join(shown.err.split())
        assert "2147483647." not in shown.err

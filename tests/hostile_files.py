"""Every reader of files, and ways to spoil what it reads.

:data:`READERS` is the table that a new reader joins: a function that writes a good file, and one that reads it. The
reader either raises an error of this package or returns an answer that its check accepts.
"""

import contextlib
import csv
import gzip
import io
import json
import random
import re
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from accelgym.agents import Trajectory, search
from accelgym.agents.journal import Journal
from accelgym.cli.settings import parse_settings
from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.costs import EXACT_LIMIT
from accelgym.costmodels.errors import AccelGymError, InputError
from accelgym.costmodels.files.json_file import read_sealed, write_sealed
from accelgym.costmodels.files.yaml_source import read_yaml
from accelgym.costmodels.loopnest import LoopnestModel, sample_valid_mappings
from accelgym.costmodels.loopnest.jsonl import evaluate_file
from accelgym.costmodels.loopnest.rows import result_row
from accelgym.costmodels.maestro import MaestroModel
from accelgym.costmodels.maestro.dataflow_file import evaluate_mapped, read_mapped
from accelgym.costmodels.maestro.designs_csv import evaluate_file as evaluate_designs
from accelgym.costmodels.mapper import read_inputs
from accelgym.costmodels.systolic.config import load_config as load_accelerator
from accelgym.costmodels.systolic.config import make_config
from accelgym.costmodels.systolic.model import SystolicDesigns, SystolicModel
from accelgym.costmodels.systolic.presets import evaluate_table
from accelgym.costmodels.timeloop import (
    read_stats,
    read_timeloop,
    stated_counting,
    write_stats,
    write_timeloop,
)
from accelgym.costmodels.timeloop.presets import preset
from accelgym.costmodels.workloads.load import load_workload
from accelgym.dse_dataset.airchitect_csv import check_released
from accelgym.dse_dataset.columns import Column
from accelgym.dse_dataset.recipes.catalogue import load_recipe_spec
from accelgym.dse_dataset.shards import read_shard, write_shard
from accelgym.envs import make_task
from accelgym.envs.external.config import Configuration
from accelgym.experiments import load_config as load_benchmark
from accelgym.experiments.leaderboard import check_submission, read_submission
from accelgym.experiments.leaderboard.submission import FORMAT, package_version
from accelgym.experiments.manifest import load_manifest
from accelgym.hwgen.cache import ContentCache
from accelgym.hwgen.layer_table import read_layers, read_rectify, read_types
from accelgym.hwgen.synthesis.liberty import DEFAULT_LIBRARY, read_library

GOLDEN = Path(__file__).with_name("golden")
PATIENCE_S = 20
"""Processor time of a single input beyond which it counts as a hang."""


@dataclass(frozen=True)
class Reader:
    """One kind of file."""

    name: str
    """Of the file, with the suffix that its reader expects."""
    write: Callable[[Path], object]
    """Writes a good one."""
    read: Callable[[Path], Any]
    accept: Callable[[Any], bool] = lambda answer: True
    """Whether an answer is one; that of a good file always is."""
    sealed: bool = False
    """Whether a spoiled file is either refused or answered as before it was spoiled."""


def _text(content: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(content, encoding="utf-8")


# -- answers ---------------------------------------------------------------------------------------------------


def _are_costs(costs: Any) -> bool:
    good = np.asarray(costs.valid)
    latency, energy = np.asarray(costs.latency_cycles)[good], np.asarray(costs.energy_pj)[good]
    return bool(((latency > 0) & (latency <= EXACT_LIMIT) & (energy >= 0) & (energy <= EXACT_LIMIT)).all())


def _rows_are_costs(text: str) -> bool:
    good = [row for row in csv.DictReader(io.StringIO(text)) if row["valid"] == "1"]
    latencies, energies = ([float(row[name]) for row in good] for name in ("runtime_cycles", "energy_nj"))
    return all(0 < x <= EXACT_LIMIT for x in latencies) and all(0 <= x <= EXACT_LIMIT for x in energies)


def _is_workload(workload: Any) -> bool:
    return 0 <= workload.macs < 2**63 and all(x.macs >= 0 and x.input_words >= 0 for x in workload.layers)


def _lines_are_costs(text: str) -> bool:
    results = [json.loads(line)["result"] for line in text.splitlines()]
    good = [result for result in results if result.get("valid", True)]
    energies = [result["energy_pJ"]["total"] for result in good]
    return all(0 < r["cycles"] <= EXACT_LIMIT for r in good) and all(0 <= e <= EXACT_LIMIT for e in energies)


# -- readers ---------------------------------------------------------------------------------------------------

LAYERS = (
    "name,kind,N,K,C,P,Q,R,S,stride,padding,dilation,groups,input_type,rectify\n"
    "a,conv,1,8,4,6,6,3,3,2x1,1,1,1,int8,1\nb,gemm,1,8,8,4,1,1,1,1,0,1,1,,\nc,dwconv,1,4,4,5,5,3,3,1,1,1,4,,0\n"
)
DESIGNS = (
    "layer_type,K,C,Y,X,R,S,dataflow,num_pes,buffer_level,noc_bw\n"
    "CONV,8,4,10,10,3,3,dla,4,2,16\nDSCONV,1,8,12,12,3,3,dpt,8,3,16\nCONV,16,8,8,8,1,1,eye,16,12,16\n"
)
NETWORK = (
    "Network n {\nLayer a {\nType: CONV\nStride { X: 1, Y: 1 }\nDimensions { K: 8, C: 4, R: 3, S: 3, Y: 10, X: 10 }\n"
    "Dataflow {\nSpatialMap(1,1) K; TemporalMap(1,1) C; TemporalMap(Sz(R),Sz(R)) R; TemporalMap(Sz(S),Sz(S)) S;\n"
    "TemporalMap(Sz(R),1) Y; TemporalMap(Sz(S),1) X;\n}\n}\n}\n"
)
SCALESIM = (
    "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"
    "one,8,8,3,3,4,8,1,\ntwo,6,6,1,1,8,16,2,\n"
)
CONFUCIUX = "K,C,Y,X,R,S,T\n32,3,34,34,3,3,1\n1,32,34,34,3,3,2\n64,32,8,8,1,1,1\n"
PROBLEM = "problem:\n  version: 0.4\n  shape: cnn_layer\n  instance: {N: 1, C: 4, K: 8, P: 6, Q: 6, R: 3, S: 3}\n"
BENCHMARK = (
    "name: small\ndescription: what for\nbudget: 20\nseeds: [0, 3]\nworkers: 1\ntasks:\n"
    "- env: accelgym/ResourceAssignment-v0\n  arguments: {workload: confuciux/alexnet, budget: [0.1, 0.2]}\n"
    "agents: [random, {name: ga, label: g2, options: {population: 8}, budget: 10}]\n"
)
SIMULATOR = """
name: tool
version: "1"
parameters: {rows: [2, 4], columns: {values: [a, b], ordered: false}}
requires: [rows * 2 < 16]
files: {run.cfg: "rows = ${rows * 2} ${columns}"}
command: [tool, "${here}/x", run.cfg, "${rows}"]
environment: {LEVEL: "${rows}"}
outputs:
  cycles: {json: a.b, file: out.json, least: 0.001, most: 5000000}
  area: {regex: "area = ([0-9.]+)", take: last}
objective: cycles * area / rows
constraints: {area: 12.5}
baseline: {rows: 4}
timeout_s: 10
"""
RECIPE = "kind: dataflow\nname: small\nrows: 100\nseed: 3\n"
VOYAGER = "model,layer,count,unit,input_shape,weight_shape,stride\nnet,one,1,matrix,8x8x4,3x3x4x8,1\n"
RELEASED = "K,C,X,Y,R,S,df,ConfigID,rewards\n8,4,10,10,3,3,dla,40,999\n16,8,8,8,1,1,eye,12,77\n"
SETTINGS = "workload=resnet18\nbudget=0.1\nmodel_options.noc_bw=64\nlist=[1, 2, {a: b}]\n"
JINJA = "{% set k = 8 %}\nproblem:\n  shape: gemm_ABZ\n  M: {{ k }}\n  N: {{ k * 2 }}\n  K: 8\n"


def _machine_and_mapping() -> tuple[Any, Any, Any]:
    machine = preset("eyeriss_thistle")
    problem = LoopNest.conv("c", K=4, C=2, P=6, Q=4, R=3, S=3)
    return problem, machine, sample_valid_mappings(problem, machine, 1, np.random.default_rng(0))


def _write_jsonl(path: Path) -> None:
    with gzip.open(GOLDEN / "timeloop" / "setC_tiny.jsonl.gz", "rt") as file:
        rows = [json.loads(file.readline()) for _ in range(2)]
    keys = ("id", "problem", "arch", "mapping", "link_transfers")
    path.write_text("".join(json.dumps({key: row[key] for key in keys if key in row}) + "\n" for row in rows))


def _read_jsonl(path: Path) -> str:
    target = path.with_name("answer.jsonl")
    evaluate_file(path, target)
    return target.read_text()


def _write_timeloop(path: Path) -> None:
    problem, machine, mapping = _machine_and_mapping()
    path.write_text(write_timeloop(problem, machine, mapping))


def _read_and_evaluate(path: Path) -> Any:
    found = read_timeloop(path)
    return found.mappings and LoopnestModel(found.problem, found.architecture).evaluate(found.mappings)


def _write_stats(path: Path) -> None:
    problem, machine, mapping = _machine_and_mapping()
    model = LoopnestModel(problem, machine)
    path.write_text(write_stats(result_row(model, mapping, model.evaluate(mapping), 0), problem, machine))


def _read_stats(path: Path) -> Any:
    return read_stats(path), stated_counting(path)


def _systolic(path: Path) -> Any:
    types = read_types(path)
    read_rectify(path)
    return SystolicModel().evaluate(SystolicDesigns([make_config(rows=4, columns=4)], read_layers(path), types))


def _task() -> Any:
    return make_task("accelgym/ResourceAssignment-v0", workload="confuciux/alexnet", constraint="pes")


IDENTITY = {"task": "t", "agent": "random", "seed": 0, "budget": 20, "options": {}}


def _write_journal(path: Path) -> None:
    search(_task(), "random", budget=20, seed=0, options={"batch": 5}, journal=path)


def _journal(path: Path) -> list[bytes]:
    task = _task()
    identity = IDENTITY | {"task": task.id, "options": {"batch": 5}}
    copy = path.with_name("journal.copy")  # Reading cuts off what is damaged.
    copy.write_bytes(path.read_bytes())
    return [batch.outcome.objective.tobytes() for batch in Journal(copy, identity).replay()]


def _write_manifest(path: Path) -> None:
    data = {"schema": 2, "config": {"name": "n"}, "tasks": {"0123": "title"}, "sessions": []}
    write_sealed(path, data)


def _write_entry(path: Path) -> None:
    folder, _ = ContentCache(path.parent / "cache").get_or_build("ab" * 32, lambda place: _text("x")(place / "value"))
    path.write_bytes((folder / "MANIFEST.json").read_bytes())


def _entry(path: Path) -> Any:
    root = path.parent / "cache"
    folder = root / "ab" / ("ab" * 32)
    folder.mkdir(parents=True, exist_ok=True)
    _text("x")(folder / "value")
    (folder / "MANIFEST.json").write_bytes(path.read_bytes())
    if ContentCache(root).get("ab" * 32) is None:
        raise InputError("an entry that is not whole")
    return "the entry"


def _write_shard(path: Path) -> None:
    columns = (Column("x", "int64", "a number", "input"), Column("y", "float64", "another", "label"))
    write_shard(path, columns, {"x": np.arange(20), "y": np.linspace(0, 1, 20)}, {"shard": 0})


def _write_onnx(path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    node = helper.make_node("MatMul", ["x", "w"], ["y"], name="product")
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [node],
        "g",
        [value("x", TensorProto.FLOAT, [4, 8])],
        [value("y", TensorProto.FLOAT, [4, 6])],
        [helper.make_tensor("w", TensorProto.FLOAT, [8, 6], np.zeros(48))],
    )
    onnx.save(helper.make_model(graph), str(path))


def _write_submission(path: Path) -> None:
    task, arguments = _task(), {"workload": "confuciux/alexnet", "constraint": "pes"}
    names = [parameter.name for parameter in task.space.parameters]
    about = {"id": task.id, "env": "ResourceAssignment-v0", "arguments": arguments, "parameters": names}
    designs = task.sample_feasible(np.random.default_rng(0), 2)
    values = sorted(zip(task.evaluate(designs).objective.tolist(), map(task.space.decode, designs), strict=True))[::-1]
    points = [
        {"evaluations": 3 + 4 * place, "objective": value, "design": list(design.values())}
        for place, (value, design) in enumerate(values)
    ]
    run = {"task": task.id, "agent": "a", "seed": 0, "budget": 20, "evaluations": 9, "cpu_s": 0.5, "points": points}
    head = {
        "format": FORMAT,
        "format_version": 1,
        "accelgym": package_version(),
        "name": "n",
        "agents": {"a": {"x": 1}},
    }
    path.write_text(json.dumps(head | {"tasks": [about], "runs": [run]}, indent=1))


def _submission(path: Path) -> Any:
    found = read_submission(path)
    return found if check_submission(found).passed else None


def _reproduces(submission: Any) -> bool:
    """Whether what was accepted is worth what it says."""
    if submission is None:
        return True
    return all(0 < point.objective < np.inf for run in submission.runs for point in run.points)


def _designs(path: Path) -> str:
    target = path.with_name("costs.csv")
    evaluate_designs(MaestroModel(), path, target)
    return target.read_text()


READERS = [
    Reader("plain.yaml", _text(BENCHMARK), lambda path: read_yaml(path).data),
    Reader("accelerator.yaml", _text("rows: 4\ncolumns: 8\nclock_ghz: 0.5\ninput_type: int8\n"), load_accelerator),
    Reader("layers.csv", _text(LAYERS), _systolic, _are_costs),
    Reader("designs.csv", _text(DESIGNS), _designs, _rows_are_costs),
    Reader("table.csv", _text(VOYAGER), lambda path: evaluate_table(path, path.with_name("o"), "voyager", "16")),
    Reader("released.csv", _text(RELEASED), check_released),
    Reader("scalesim.csv", _text(SCALESIM), lambda path: load_workload(str(path)), _is_workload),
    Reader("confuciux.csv", _text(CONFUCIUX), lambda path: load_workload(str(path)), _is_workload),
    Reader("problem.yaml", _text(PROBLEM), lambda path: load_workload(str(path)), _is_workload),
    Reader("network.m", _text(NETWORK), lambda path: load_workload(str(path)), _is_workload),
    Reader("dataflow.m", _text(NETWORK), lambda p: evaluate_mapped(read_mapped(str(p), None), 64, 16)[1], _are_costs),
    Reader("network.onnx", _write_onnx, lambda path: load_workload(str(path)), _is_workload),
    Reader("designs.jsonl", _write_jsonl, _read_jsonl, _lines_are_costs),
    Reader("timeloop.yaml", _write_timeloop, _read_and_evaluate, lambda costs: costs is None or _are_costs(costs)),
    Reader("template.yaml.jinja2", _text(JINJA), lambda path: read_inputs([path], arch="eyeriss_thistle")),
    Reader("mapper.yaml", _text(PROBLEM), lambda path: read_inputs([path], arch="eyeriss_thistle")),
    Reader("timeloop-mapper.stats.txt", _write_stats, _read_stats),
    Reader("cells.lib", lambda path: path.write_bytes(DEFAULT_LIBRARY.read_bytes()), read_library),
    Reader("benchmark.yaml", _text(BENCHMARK), load_benchmark),
    Reader("recipe.yaml", _text(RECIPE), load_recipe_spec),
    Reader("submission.json", _write_submission, _submission, _reproduces),
    Reader("simulator.yaml", _text(SIMULATOR), lambda path: Configuration(path, Path(sys.executable)).space),
    Reader("settings.txt", _text(SETTINGS), lambda path: parse_settings(_readable(path).splitlines())),
    Reader(
        "trajectory.npz",
        lambda path: search(_task(), "random", budget=9, seed=0).save(path),
        _trajectory := (lambda path: Trajectory.load(path).objective.tobytes()),
        sealed=True,
    ),
    Reader("journal", _write_journal, _journal),
    Reader(
        "best.json", lambda path: write_sealed(path, {"a": [1, 2.5, None], "b": {"c": "d"}}), read_sealed, sealed=True
    ),
    Reader("manifest.json", _write_manifest, lambda path: load_manifest(path.parent), sealed=True),
    Reader("MANIFEST.json", _write_entry, _entry, sealed=True),
    Reader("shard.parquet", _write_shard, lambda path: read_shard(path)[0].to_pydict(), sealed=True),
]


def _readable(path: Path) -> str:
    """What a shell hands over: text."""
    return path.read_bytes().replace(b"\0", b"").decode(errors="replace")


# -- mutators --------------------------------------------------------------------------------------------------

NUMBERS = (
    "-1",
    "0",
    "1e308",
    "1e999",
    "nan",
    "inf",
    "-inf",
    "2147483648",
    "9223372036854775808",
    "9" * 400,
    "9" * 5000,
    "1_000",
    "0x10",
    "010",
    "1:30",
    "\u0664",
    "0.1",
    "1e-400",
    "-0.0",
    "999999999999",
    "true",
    "null",
    "",
)
WORDS = (
    "[" * 200,
    "{a: " * 200,
    "&a [*a]",
    "*missing",
    "<<: *x",
    "!!python/object/apply:os.system ['true']",
    "\0",
    "\x07",
    "=cmd|' /C calc'!A0",
    "[/bad]",
    "<script>",
    "2024-13-45",
    "\ufeff",
    "\u2028",
    "x" * 3000,
    "../../etc/passwd",
    '"',
    "'",
    "\n",
    "\r",
    ",",
    ",,,,",
    ":",
    "{{ 9 ** 9 ** 9 }}",
    "{% for i in range(10 ** 9) %}x{% endfor %}",
    "(" * 500,
)
Mutator = Callable[[random.Random, bytes], bytes]


def _flip(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]


def _cut(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data))]


def _zero_tail(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + bytes(len(data) - at)


def _delete(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + data[at + rng.randrange(1, 40) :]


def _repeat(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data))
    end = at + rng.randrange(1, 80)
    return data[:end] + data[at:]


def _noise(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + rng.randbytes(rng.randrange(1, 20)) + data[at:]


def _line(rng: random.Random, data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines))
    return b"".join(lines)


def _swap(rng: random.Random, data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    rng.shuffle(lines)
    return b"".join(lines)


def _number(rng: random.Random, data: bytes) -> bytes:
    found = list(re.finditer(rb"\d+", data))
    if not found:
        return _word(rng, data)
    match = rng.choice(found)
    return data[: match.start()] + rng.choice(NUMBERS).encode() + data[match.end() :]


def _word(rng: random.Random, data: bytes) -> bytes:
    found = list(re.finditer(rb"\w+", data))
    match = rng.choice(found) if found else None
    at, end = (match.start(), match.end()) if match else (0, 0)
    return data[:at] + rng.choice(WORDS).encode() + data[end:]


def _token(rng: random.Random, data: bytes) -> bytes:
    """Puts one token of the file where another stood."""
    found = list(re.finditer(rb"[\w.]+", data))
    if len(found) < 2:
        return _noise(rng, data)
    here, there = rng.sample(found, 2)
    return data[: here.start()] + there.group() + data[here.end() :]


def _structure(rng: random.Random, data: bytes) -> bytes:
    """Puts a list or a table where a value stood."""
    found = list(re.finditer(rb'(?<=[:,] )("[^"]*"|[\w./]+)', data))
    if not found:
        return _word(rng, data)
    match = rng.choice(found)
    return data[: match.start()] + rng.choice((b"[1]", b'{"a": 1}', b"[]", b"{}", b"[[1, 2]]")) + data[match.end() :]


def _another(rng: random.Random, data: bytes) -> bytes:
    return rng.choice((b"", b"\0" * 64, b"a", b"\xff\xfe\x00\x01", b"{}", b"[]", b"- 1\n", b"PK\x03\x04", b"\n" * 100))


MUTATORS: list[Mutator] = [
    _flip,
    _cut,
    _zero_tail,
    _delete,
    _repeat,
    _noise,
    _line,
    _swap,
    _number,
    _number,
    _word,
    _word,
    _token,
    _structure,
    _another,
]


# -- the run ---------------------------------------------------------------------------------------------------


@dataclass
class Tally:
    """What became of the inputs."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    seconds: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        counted = ", ".join(f"{name} {number}" for name, number in sorted(self.counts.items()))
        return f"{sum(self.counts.values())} inputs: {counted}"


class _Hang(BaseException):
    """An input took too long."""


@contextlib.contextmanager
def _patience(seconds: int):
    def stop(*_: object) -> None:
        raise _Hang

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def spoil(rng: random.Random, data: bytes) -> bytes:
    """Applies one to three mutators."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        data = rng.choice(MUTATORS)(rng, data) if data else _another(rng, data)
    return data


def throw(reader: Reader, folder: Path, inputs: int, seed: int, tally: Tally) -> None:
    """Has a reader read a good file and many spoiled ones; keeps the first lines of what went wrong."""
    path = folder / reader.name
    reader.write(path)
    good = path.read_bytes()
    rng = random.Random(f"{reader.name} {seed}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answer = reader.read(path)
        assert reader.accept(answer), f"{reader.name}: not even the good file is read"
        start = time.process_time()
        for number in range(inputs):
            data = spoil(rng, good)
            path.write_bytes(data)
            verdict, note = _verdict(reader, path, answer)
            tally.counts[verdict] += 1
            if verdict not in ("refused", "read"):
                tally.faults.append(f"{reader.name} input {number}: {verdict}: {note}\n    {data[:300]!r}")
        tally.seconds[reader.name] += time.process_time() - start
    path.write_bytes(good)


def _verdict(reader: Reader, path: Path, good: Any) -> tuple[str, str]:
    try:
        with _patience(PATIENCE_S):
            answer = reader.read(path)
            fine = reader.accept(answer) and (not reader.sealed or _same(answer, good))
    except AccelGymError as error:
        long = len(str(error)) > 5_000
        return ("a message without end", str(error)[:200]) if long else ("refused", "")
    except _Hang:
        return "hang", f"more than {PATIENCE_S} s"
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return "traceback", f"{type(error).__name__}: {str(error)[:200]} at {where.filename}:{where.lineno}"
    return ("read", "") if fine else ("wrong but valid", repr(answer)[:200])


def _same(one: Any, other: Any) -> bool:
    return repr(one) == repr(other)

"""Measurements of the study of number formats."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from accelgym.costmodels.quantization import LayerQuantization
from accelgym.costmodels.systolic.config import make_config
from accelgym.envs.accuracy.oracle import MeasuredOracle
from accelgym.envs.accuracy.proxies import PROXIES, ProxyOracle
from accelgym.envs.accuracy.reference_models import REFERENCE_MODELS, reference_oracle
from accelgym.envs.accuracy.schemes import SCHEMES, uniform
from accelgym.envs.datatype.losses import measured_networks, measured_table
from accelgym.envs.datatype.measure import enumerate_measured, measure_design
from accelgym.envs.datatype.options import HARDWARE
from accelgym.envs.datatype.task import DatatypeTask
from accelgym.experiments.datatypes.front import compare_front
from accelgym.experiments.statistics import rank_correlation
from accelgym.experiments.study_log import Row, StudyLog

__all__ = ["TYPES", "run_study"]

TYPES = (
    *("fp16", "bf16", "int8", "int6", "int5", "int4", "int3"),
    *("e4m3", "e5m2", "e3m4", "e3m2", "e2m3", "e2m1"),
    *("posit8_1", "posit6_1", "nf4_int6"),
)
"""The 16 types, one for all weights and activations of a network."""

_EXAMPLES = {"images": 1000, "text": 100}
_EXACT_EXAMPLES = {"images": 32, "text": 4}
_EXACT: dict[str, tuple[dict[str, Any], LayerQuantization]] = {
    "int8": ({}, uniform("int8")),
    "e4m3": ({"input_type": "e4m3", "weight_type": "e4m3"}, uniform("e4m3")),
    "mxint8": ({"scale_type": "e8m0", "block_size": 16}, uniform("int8", "block")),
}
"""Settings of a 16x16 array and formats whose bits are computed."""
_RANDOM_ASSIGNMENTS = 24
_ENUMERATED_EXAMPLES = 200
_ENUMERATED_OPTIONS = ("int4*int8", "int6*int8", "int8*int8")


def run_study(out: Path, progress: Callable[[str], None]) -> list[Row]:
    """Makes the measurements that are not in a folder yet.

    Args:
        out: The folder; ``measurements.jsonl`` receives them.
        progress: Called with the name of each measurement and its CPU seconds.

    Returns:
        All of them.

    Raises:
        DamagedFileError: The file is of something else.
    """
    log = StudyLog(out / "measurements.jsonl", ("name",))
    for name, measure in _measurements(_Oracles()):
        if log.find(name=name):
            continue
        start = time.process_time()
        row = log.add({"name": name, **measure(), "cpu_seconds": time.process_time() - start})
        progress(f"{name}: {row['cpu_seconds']:.1f} CPU-s")
    return log.rows


class _Oracles:
    """One oracle at a time, so that one network's activations are in memory."""

    def __init__(self) -> None:
        self._name = ""
        self._oracle: MeasuredOracle | None = None

    def get(self, network: str) -> MeasuredOracle:
        if self._name != network or self._oracle is None:
            self._name = network
            self._oracle = reference_oracle(network, _EXAMPLES[REFERENCE_MODELS[network].data], keep=False)
        return self._oracle


def _measurements(oracles: _Oracles) -> Iterator[tuple[str, Callable[[], Row]]]:
    networks = [name for name in REFERENCE_MODELS if name in measured_networks()]
    for network in networks:
        for datatype in ("fp32", *TYPES):
            for scheme in _schemes(datatype):
                yield f"accuracy/{network}/{datatype}/{scheme}", partial(_accuracy, oracles, network, datatype, scheme)
        for hardware in HARDWARE:
            yield f"winner/{network}/{hardware}", partial(_winner, oracles, network, hardware)
            yield f"front/{network}/{hardware}", partial(compare_front, network, hardware)
        yield f"proxies/{network}", partial(_proxies, oracles, network)
        for name in _EXACT:
            yield f"exact/{network}/{name}", partial(_deviation, network, name)
        for name in ("reconstruction", "smoothing"):
            yield f"option/{network}/{name}", partial(_option, network, name)
    if "glyph_cnn" in networks:
        yield "enumeration/glyph_cnn", partial(_enumeration, "glyph_cnn")


def _schemes(datatype: str) -> tuple[str, ...]:
    """Wide types need no scales; posits are fine around 1, not where a block's largest value would be put."""
    if datatype in ("fp32", "fp16", "bf16"):
        return SCHEMES[:1]
    return SCHEMES[:2] if datatype.startswith("posit") else SCHEMES


def _accuracy(oracles: _Oracles, network: str, datatype: str, scheme: str) -> Row:
    oracle = oracles.get(network)
    found = oracle.accuracy(dict.fromkeys(oracle.layer_names, uniform(datatype, scheme)))
    return {
        "value": found.value,
        "standard_error": found.standard_error,
        "cross_entropy": found.cross_entropy,
        "metric": found.metric,
        "examples": found.examples,
    }


def _option(network: str, option: str) -> Row:
    """Reconstruction and smoothing, where they matter most: four bits."""
    settings: dict[str, Any] = {"reconstruction": True} if option == "reconstruction" else {"smoothing": 0.5}
    examples = _EXAMPLES[REFERENCE_MODELS[network].data]
    found: Row = {}
    ways: tuple[tuple[str, dict[str, Any]], ...] = (("plain_", {}), ("", settings))
    for prefix, chosen in ways:
        oracle = reference_oracle(network, examples, keep=False, **chosen)
        for name, formats in (("w4a8", uniform("int4", activations="int8")), ("w4a4", uniform("int4"))):
            found[prefix + name] = oracle.accuracy(dict.fromkeys(oracle.layer_names, formats)).value
    return found


def _winner(oracles: _Oracles, network: str, hardware: str) -> Row:
    oracle = oracles.get(network)
    task = DatatypeTask(network=network, hardware=hardware)
    best = np.array(task.reference().design)
    found = measure_design(task, best, oracle)
    widest = task.designs(task.table.resource.argmin(axis=1)[None])
    energy = task.evaluate(np.stack((best, widest[0]))).costs["energy_pj"]
    return {
        "limit": task.spec.max_loss,
        "table_loss": found.table_loss,
        "measured_loss": found.measured_loss,
        "value": found.value,
        "float_value": found.float_value,
        "meets_floor": found.meets_floor,
        "energy_saved": float(1 - energy[0] / energy[1]),
        "formats": [task.options[i].name for i in task.actions(best[None])[0]],
    }


def _proxies(oracles: _Oracles, network: str) -> Row:
    """Random assignments of the table's formats, measured and guessed."""
    oracle = oracles.get(network)
    table, rng = measured_table(network), np.random.default_rng(0)
    chosen = rng.integers(len(table.options), size=(_RANDOM_ASSIGNMENTS, len(table.layers)))
    # Some of the layers only, so that losses from slight to large occur.
    share = rng.uniform(0.1, 1.0, size=(_RANDOM_ASSIGNMENTS, 1))
    used = rng.random(chosen.shape) < share
    assignments = [
        {table.layers[i]: table.options[row[i]].formats for i in np.flatnonzero(mask)}
        for row, mask in zip(chosen, used, strict=True)
    ]
    start = time.process_time()
    truth = [oracle.accuracy(assignment).cross_entropy for assignment in assignments]
    seconds = time.process_time() - start
    rows = np.where(used, table.losses["cross_entropy"][np.arange(len(table.layers)), chosen], 0)
    found = {"table": rank_correlation(truth, list(rows.sum(axis=1)))}
    calibration = [torch.from_numpy(np.asarray(REFERENCE_MODELS[network].calibration_data()))]
    for name in PROXIES:
        proxy = ProxyOracle(oracle.inference, calibration, name)
        sign = 1 if name == "fisher" else -1
        found[name] = rank_correlation(truth, [sign * proxy.accuracy(a).value for a in assignments])
    return {"rank_correlation": found, "assignments": len(truth), "assignments_per_second": len(truth) / seconds}


def _deviation(network: str, name: str) -> Row:
    settings, formats = _EXACT[name]
    config = make_config(rows=16, columns=16, **settings)
    model = REFERENCE_MODELS[network]
    count = _EXACT_EXAMPLES[model.data]
    oracle = reference_oracle(network, count, keep=False)
    inputs = [torch.from_numpy(np.array(model.test_data(count)[0]))]
    assignment = dict.fromkeys(oracle.layer_names, formats)
    exact, fast, plain = (
        oracle.inference.session(inputs, c).outputs(a)
        for c, a in ((config, assignment), (None, assignment), (None, {}))
    )
    spread = float(plain.std())
    agree = float((exact.argmax(dim=-1) == fast.argmax(dim=-1)).double().mean())
    return {
        "deviation": float((exact - fast).std()) / spread,
        "quantisation": float((fast - plain).std()) / spread,
        "same_class": agree,
    }


def _enumeration(network: str) -> Row:
    """All assignments of three types to the weights of a network's blocks, measured."""
    table = measured_table(network)
    columns = [[o.name for o in table.options].index(name) for name in _ENUMERATED_OPTIONS]
    fewer = replace(
        table,
        options=tuple(table.options[i] for i in columns),
        losses={name: rows[:, columns] for name, rows in table.losses.items()},
    )
    task = DatatypeTask(losses=fewer, slots="block", network=network)
    oracle = reference_oracle(network, _ENUMERATED_EXAMPLES, keep=False)
    start = time.process_time()
    _, objective, losses = enumerate_measured(task, oracle)
    seconds = time.process_time() - start
    limit = task.spec.max_loss
    best = float(np.where(losses <= limit, objective, np.inf).min())
    design = np.array(task.reference().design)
    loss = measure_design(task, design, oracle).measured_loss
    return {
        "designs": len(losses),
        "designs_per_second": len(losses) / seconds,
        "limit": limit,
        "measured_optimum": best,
        "table_optimum": task.reference().value,
        "table_optimum_loss": loss,
    }

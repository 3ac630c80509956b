"""Audits tasks over the environments' arguments: the table of docs/hardness.md.

python benchmarks/hardness.py --out results/hardness    # resumes; writes audits.jsonl and table.md
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from accelgym.envs import audit, make_task
from accelgym.experiments.markdown import markdown_table
from accelgym.experiments.study_log import StudyLog

_RULES = ("constant", "random", "greedy", "climb")


def tasks() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields environments and arguments; first the default ones, which the environments' pages show."""
    for env in ("ResourceAssignment", "NetworkMapping", "HwGen"):
        yield env, {}
    for workload in ("resnet18", "mobilenet_v2"):
        for dataflow in ("dla", "eye", "shi", "mix"):
            for budget in (0.05, 0.5):
                yield (
                    "ResourceAssignment",
                    {"workload": f"confuciux/{workload}", "dataflow": dataflow, "budget": budget},
                )
    for objective in ("energy", "edp"):
        for workload in ("confuciux/resnet50", "confuciux/vgg16"):
            yield "ResourceAssignment", {"workload": workload, "objective": objective, "budget": 0.1}
    for dataflow in ("dla", "mix"):
        yield (
            "ResourceAssignment",
            {"workload": "resnet18", "model": "dataflow_template", "dataflow": dataflow, "budget": 0.05},
        )
    for workload in ("mobilenet_v2", "llama3_8b/prefill_block"):
        yield "ResourceAssignment", {"workload": workload, "model": "physical", "budget": 0.1}
        yield "ResourceAssignment", {"workload": workload, "deployment": "sequential", "budget": 0.5}
    for layer in (1, 2, 3, 6, 9, 11):
        for objective in ("energy", "edp"):
            arguments = {"layer": layer, "architecture": "eyeriss_thistle", "objective": objective}
            yield "Mapping", {"workload": "thistle/resnet18", **arguments}
    for architecture in ("nvdla_like", "gemmini_like", "tpu_like", "simba_like", "eyeriss"):
        for objective in ("energy", "latency"):
            arguments = {"layer": 2, "architecture": architecture, "objective": objective}
            yield "Mapping", {"workload": "thistle/resnet18", **arguments}
    for layer in (1, 5, 11):
        yield "Mapping", {"workload": "thistle/yolo9000", "layer": layer, "objective": "energy", "bypass": True}
    yield "Mapping", {}
    for workload in ("alexnet", "confuciux/resnet18"):
        for objective in ("energy", "latency"):
            arguments = {"architecture": "eyeriss_thistle", "objective": objective}
            yield "NetworkMapping", {"workload": workload, **arguments}
    yield "CoDesign", {}
    for layer in (2, 5, 11):
        yield "CoDesign", {"workload": "thistle/resnet18", "layer": layer, "objective": "energy"}
    for area in ("small", "medium", "large"):
        for workload in ("gpt2/decode_block", "resnet18", "mobilenet_v2"):
            yield "HwGen", {"workload": workload, "area_budget": area}
    yield "Datatype", {}
    for network in ("glyph_cnn", "glyph_vit", "text_lm"):
        yield "Datatype", {"network": network, "objective": "traffic"}
        yield "Datatype", {"network": network, "hardware": "microscaling", "objective": "latency"}
    yield "Datatype", {"metric": "accuracy", "max_loss": 1.0}
    yield "Datatype", {"workload": "resnet18", "max_loss": 0.2}
    yield from (("Joint", arguments) for arguments in _joint())
    for objective in ("makespan", "energy", "edp"):
        yield "MultiAccelerator", {} if objective == "makespan" else {"objective": objective}
    yield "MultiAccelerator", {"workloads": ["alexnet"], "accelerators": ["dla", "eye", "shi"], "batches": 4}
    for batches in (1, 2):
        yield "MultiAccelerator", {"workloads": ["resnet18"], "batches": batches}
    yield "MultiAccelerator", {"workloads": ["resnet18"], "batches": 4, "budget": 0.2}
    for objective in ("makespan", "energy"):
        types = {"accelerators": ["int4", "int8"], "objective": objective}
        yield "MultiAccelerator", {"workloads": ["resnet18"], **types}
    yield "MultiAccelerator", {"workloads": ["squeezenet1_1"]}
    blocks = ["llama3_8b/prefill_block", "llama3_8b/decode_block"]
    yield "MultiAccelerator", {"workloads": blocks, "tick_cycles": 100_000}
    yield "MultiAccelerator", {"workloads": ["resnet18", "vgg16", "alexnet"], "batches": 1}
    three = {"accelerators": ["dla", "eye", "shi"], "objective": "makespan"}
    yield "MultiAccelerator", {"workloads": ["resnet18", "vgg16", "alexnet"], "batches": 1, **three}


def _joint() -> Iterator[dict[str, Any]]:
    """Yields the settings of docs/joint.md: CNNs, transformers, prefill and decode, under tight and loose limits."""
    yield {}
    yield {"max_loss": 0.01, "area_budget": 200_000}
    yield {"objective": "energy", "max_loss": 0.01, "area_budget": 250_000}
    yield {"objective": "latency", "max_loss": 0.1, "area_budget": 1_000_000}
    yield {"network": "glyph_vit", "max_loss": 0.01, "area_budget": 250_000}
    yield {"network": "glyph_vit", "max_loss": 0.1, "area_budget": 1_000_000}
    yield {"network": "text_lm", "objective": "energy", "max_loss": 0.02, "area_budget": 300_000}
    yield {"network": "text_lm", "max_loss": 0.2, "area_budget": 1_000_000}
    yield {"workload": "gpt2/prefill_block?sequence=128", "max_loss": 0.04, "area_budget": 600_000}
    yield {"workload": "gpt2/prefill_block", "objective": "latency", "max_loss": 0.11, "area_budget": 2_000_000}
    yield {"workload": "gpt2/decode_block", "max_loss": 0.04, "area_budget": 400_000}
    yield {"workload": "llama3_2_1b/decode_block", "objective": "latency", "max_loss": 0.06, "area_budget": 1_000_000}
    yield {"workload": "bert_base?layers=2", "max_loss": 0.08, "area_budget": 1_000_000}
    yield {"workload": "resnet18", "max_loss": 0.06, "area_budget": 1_000_000}
    yield {"workload": "resnet18", "objective": "latency", "max_loss": 0.3, "area_budget": 2_000_000}


def main() -> None:
    """Audits what is not there yet, and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", default="", help="environments whose name contains this")
    chosen = parser.parse_args()
    log = StudyLog(chosen.out / "audits.jsonl", ("env", "arguments"))
    for env, arguments in tasks():
        if chosen.only not in env or log.find(env=env, arguments=arguments):
            continue
        start = time.process_time()
        found = audit(make_task(f"accelgym/{env}-v0", **arguments))
        seconds = round(time.process_time() - start, 1)
        log.add({"env": env, "arguments": arguments, **found.to_json(), "cpu_s": seconds})
    found = [log.find(env=env, arguments=arguments) for env, arguments in tasks()]
    (chosen.out / "table.md").write_text(_table([row for row in found if row]))


def _table(rows: list[dict[str, Any]]) -> str:
    heads = "environment, arguments, class, gap, constant, random, greedy (evaluations), climb, flags"
    lines = []
    for row in rows:
        arguments = ", ".join(f"{key}={value}" for key, value in row["arguments"].items()) or "default"
        regrets = ["-" if row[f"{rule}_regret"] is None else f"{row[f'{rule}_regret']:.1%}" for rule in _RULES]
        regrets[2] += f" ({row['greedy_evaluations']:,})" if row["greedy_regret"] is not None else ""
        lines.append([row["env"], arguments, row["hardness"], f"{row['gap']:.2%}", *regrets, ", ".join(row["flags"])])
    return markdown_table(heads.split(", "), lines, left=(0, 1, 2, 8)) + "\n"


if __name__ == "__main__":
    main()

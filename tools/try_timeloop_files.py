"""Tries every Timeloop input below folders and prints which load, which are evaluated and which are refused, and why.

Usage: python tools/try_timeloop_files.py FOLDER... [--define NAME=VALUE] [--all]

An input is a file with a machine, together with the nearest files that hold what it lacks (problem, mapping, tables,
constraints); a template is tried once for every folder beside it that has an ``arch.yaml``. Files that hold only a
problem are counted, and listed when refused or with ``--all``. The output is the table of docs/timeloop_files.md.
"""

from __future__ import annotations

import argparse
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelgym.costmodels.architecture import LoopNest
from accelgym.costmodels.errors import AccelGymError
from accelgym.costmodels.files.timeloop_yaml.document import parse_document
from accelgym.costmodels.files.timeloop_yaml.templates import is_template
from accelgym.costmodels.loopnest import LoopnestModel
from accelgym.costmodels.timeloop import TimeloopInput, read_timeloop, read_timeloop_problem

MACHINES = ("architecture", "arch")
NEEDED = ("problem", "mapping", "ERT", "ART", "architecture_constraints", "mapspace_constraints", "constraints")
GIVEN = ("variables", "globals")
REASONS = {
    "sparse": "sparsity",
    "sparsity": "sparsity",
    "not supported, allowed": "a feature that is not modelled",
    "is not supported": "a feature that is not modelled",
    "several problems": "several problems",
    "a list of": "several problems",
    "Einsums": "several problems",
    "nothing computes": "no multiplier (Accelergy only)",
    "allowed a MAC": "no multiplier (Accelergy only)",
    "no 'problem'": "no problem",
    "libconfig": "libconfig",
    "appears twice": "broken file",
    "not valid YAML": "broken file",
}


@dataclass(frozen=True)
class Found:
    """What became of one input."""

    name: str
    result: str
    detail: str
    kind: str = ""


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--define", action="append", default=[], metavar="NAME=VALUE", help="variable of templates")
    parser.add_argument("--all", action="store_true", help="list files that hold only a problem, too")
    arguments = parser.parse_args()
    print("| input | result | detail |\n| --- | --- | --- |")
    counts: Counter[str] = Counter()
    problems: Counter[str] = Counter()
    for folder in arguments.folders:
        for found in try_folder(folder, dict(pair.split("=", 1) for pair in arguments.define)):
            key = f"{found.result}: {found.kind}" if found.kind else found.result
            only_problem = found.result.startswith("problem")
            (problems if only_problem else counts)[key] += 1
            if arguments.all or not only_problem or found.kind:
                print(f"| `{found.name}` | {found.result} | {found.detail} |", flush=True)
    print()
    for label, counter in (("inputs with a machine", counts), ("problems", problems)):
        print(f"{counter.total()} {label}: {', '.join(f'{n} {key}' for key, n in sorted(counter.items()))}")


def try_folder(root: Path, defines: dict[str, str]) -> Iterator[Found]:
    """Yields what became of every input below a folder."""
    sections = {
        path: _sections(path)
        for path in sorted(root.rglob("*"))
        if path.suffix.lower() in (".yaml", ".yml") and "flattened" not in path.name
    }
    templates = [p for p in sorted(root.rglob("*")) if p.suffix.lower() in (".jinja", ".jinja2") and "yaml" in p.name]
    covered: set[Path] = set()
    for template in templates:
        choices = sorted(p.parent for p in template.parent.rglob("arch.yaml"))
        if "architecture ~" not in template.read_text(encoding="utf-8"):
            covered |= set(choices) and {c / "arch.yaml" for c in choices}
            yield _tried(root, [template], {})
            continue
        for choice in choices:
            covered.add(choice / "arch.yaml")
            yield _tried(root, [template], {"architecture": choice.relative_to(template.parent).as_posix()})
    for path in sorted(root.rglob("*.cfg")):
        yield _tried(root, [path], {})
    for path, names in sections.items():
        if names is None or path in covered:
            continue
        if any(name in names for name in MACHINES):
            for group in _groups(root, path, sections):
                yield _tried(root, group, defines)
        elif "problem" in names:
            yield _problem(root, path)
    for path, names in sections.items():
        if names is None:
            yield Found(_name(root, [path]), "refused", _reason(path), "broken file")


def _sections(path: Path) -> dict[str, Any] | None:
    """Returns the sections of a file, nothing when it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
        if is_template(text):
            return dict.fromkeys(re.findall(r"^(\w+):", text, re.MULTILINE), True)
        return parse_document(path)
    except AccelGymError as error:
        return {} if "a mapping of sections" in str(error) else None
    except (OSError, UnicodeDecodeError):
        return None


def _reason(path: Path) -> str:
    try:
        parse_document(path)
    except AccelGymError as error:
        return _short(str(error), path.parent)
    return ""


def _groups(root: Path, path: Path, sections: dict[Path, dict[str, Any] | None]) -> Iterator[list[Path]]:
    """Yields the files that belong to a machine, once for each mapping."""
    have = {name for name, part in (sections[path] or {}).items() if part}
    group = [path]
    mappings: list[Path] = []
    for needed in (*NEEDED, *GIVEN):
        if needed in have or (needed == "mapping" and mappings):
            continue
        near = _nearest(root, path, needed, sections, have)
        if needed == "mapping":
            mappings = near
        elif near:
            group.append(near[0])
            have |= set(sections[near[0]] or ())
    for mapping in mappings or [None]:  # type: ignore[list-item]
        yield list(dict.fromkeys([*group, mapping] if mapping else group))


def _nearest(
    root: Path, path: Path, needed: str, sections: dict[Path, dict[str, Any] | None], have: set[str]
) -> list[Path]:
    """Returns the files with a section in the nearest folder that has any: beside, or in a folder beside its own.

    Problems may stand further out; another machine's files do not count.
    """
    steps = 3 if needed == "problem" else 2 if path.parent.name in ("arch", "inputs") else 1
    for folder in [path.parent, *path.parent.parents][:steps]:
        if not folder.is_relative_to(root):
            break
        beside = folder == path.parent
        found = [
            other
            for other, names in sections.items()
            if names
            and needed in names
            and not any(machine in names for machine in MACHINES)
            and not set(names) & (have - {"version"})
            and (other.parent == folder or (not beside and other.parent.parent == folder and needed != "ERT"))
        ]
        if found:
            return found
    return []


def _tried(root: Path, paths: Sequence[Path], defines: dict[str, str]) -> Found:
    name = _name(root, paths) + "".join(f" {key}={value}" for key, value in defines.items())
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            found = read_timeloop(*paths, defines=defines, root=root)
            detail = _evaluated(found) if found.mappings is not None else f"{len(found.architecture.levels)} memories"
        except AccelGymError as error:
            message = str(error)
            if "no 'problem'" in message:
                return _machine(name, paths, defines, root)
            kind = next((kind for mark, kind in REASONS.items() if mark in message), "other")
            return Found(name, "refused", _short(message, root), kind)
    result = "evaluated" if found.mappings is not None else "loaded"
    if said:
        detail += "; " + _short(f"{len(said)} warnings, first: {said[0].message}", root)
    return Found(name, result, detail)


def _machine(name: str, paths: Sequence[Path], defines: dict[str, str], root: Path) -> Found:
    """Reads a machine that comes without a problem for a small convolution."""
    shape = LoopNest.conv("conv", K=4, C=4, P=4, Q=4, R=3, S=3)
    try:
        found = read_timeloop(*paths, defines=defines, problem=shape, root=root)
    except AccelGymError as error:
        kind = next((kind for mark, kind in REASONS.items() if mark in str(error)), "other")
        return Found(name, "refused", _short(f"no problem; {error}", root), kind)
    return Found(name, "loaded", f"{len(found.architecture.levels)} memories, for a problem from elsewhere")


def _evaluated(found: TimeloopInput) -> str:
    assert found.mappings is not None
    costs = LoopnestModel(found.problem, found.architecture).evaluate(found.mappings)
    if not costs.valid[0]:
        return f"invalid mapping, reason {costs.reason[0]}"
    return f"{costs.latency_cycles[0]:.0f} cycles, {costs.energy_pj[0]:.6g} pJ"


def _problem(root: Path, path: Path) -> Found:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            problem = read_timeloop_problem(path, root=root)
        except AccelGymError as error:
            message = str(error)
            kind = next((kind for mark, kind in REASONS.items() if mark in message), "other")
            return Found(_name(root, [path]), "problem refused", _short(message, root), kind)
    return Found(_name(root, [path]), "problem read", f"{problem.macs:,} MACs")


def _name(root: Path, paths: Sequence[Path]) -> str:
    return " ".join(path.relative_to(root).as_posix() for path in paths)


def _short(message: str, root: Path) -> str:
    text = message.replace(f"{root}/", "").replace("|", "/")
    return text if len(text) <= 200 else f"{text[:197]}..."


if __name__ == "__main__":
    main()

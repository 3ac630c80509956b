"""From files in any order to the layers, the machine and the metrics of a mapper run."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.architecture.machine import Architecture
from accelgym.costmodels.errors import InputError, InputWarning, unknown_name, warn_input
from accelgym.costmodels.files.plain import as_path
from accelgym.costmodels.files.timeloop_yaml.document import (
    SUFFIXES,
    Sections,
    as_table,
    list_files,
    merge_documents,
    naming,
    parse_documents,
)
from accelgym.costmodels.files.timeloop_yaml.expressions import Scope
from accelgym.costmodels.mapper.metrics import DEFAULT, check_metrics, read_metrics
from accelgym.costmodels.timeloop.presets import preset
from accelgym.costmodels.timeloop.problem import read_problem
from accelgym.costmodels.timeloop.reader import SECTIONS, is_section, read_timeloop_data
from accelgym.costmodels.workloads import Workload, load_workload
from accelgym.costmodels.workloads.importers import FILE_SUFFIXES, split_kind
from accelgym.costmodels.workloads.importers.einsum import Access, layer_from_accesses

__all__ = ["Machine", "MapInputs", "own_names", "read_inputs"]

_MACHINE = ("architecture", "arch")
_ADDED = ("variables", "globals", "components", "compound_components")
"""Sections that several files may hold, besides constraints."""


@dataclass(frozen=True)
class Machine:
    """The machine for one layer, and the names by which its files call the directions of a fan-out."""

    architecture: Architecture
    fanouts: tuple[tuple[str, str], ...] = ()
    """See :class:`~accelgym.costmodels.timeloop.TimeloopInput`; empty for a preset."""


@dataclass
class MapInputs:
    """What is mapped onto what, and what is minimised."""

    name: str
    """Of the network, or of the problem."""
    layers: tuple[LoopNest, ...]
    """In order; equal ones are there as often as they occur."""
    metrics: tuple[str, ...]
    preset: str | None
    """Name of the machine, where it is a preset."""
    sections: Mapping[str, Any]
    """Timeloop's sections that describe the machine, where it comes from files."""
    network: bool
    """Whether the layers are those of a network, or several problems; else it is one problem."""
    own_problem: Mapping[str, Any] = field(default_factory=dict)
    """The ``problem`` section beside the machine's, whose names its constraints must use."""
    _said: set[tuple[str, ...]] = field(default_factory=set)

    @property
    def groups(self) -> dict[LoopNest, list[int]]:
        """Positions of equal layers by their first one, in order."""
        found: dict[LoopNest, list[int]] = {}
        for i, problem in enumerate(self.layers):
            found.setdefault(replace(problem, name=""), []).append(i)
        return {self.layers[same[0]]: same for same in found.values()}

    def machine(self, problem: LoopNest) -> Machine:
        """Builds the machine for a layer: attributes may depend on its bounds, constraints bind where they apply.

        Raises:
            InputError: An error in the machine's files.

        Warns:
            InputWarning: What has no effect, once for layers with the same dimensions.
        """
        if self.preset is not None:
            return Machine(preset(self.preset))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            if self.own_problem:
                files = self.sections.files if isinstance(self.sections, Sections) else {}
                found = read_timeloop_data(Sections({**self.sections, "problem": self.own_problem}, files))
            else:
                found = read_timeloop_data(self.sections, problem=problem)
        first = problem.dims not in self._said
        self._said.add(problem.dims)
        for warning in caught:
            if not issubclass(warning.category, InputWarning):
                warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
            elif first:
                warn_input(str(warning.message))
        return Machine(found.architecture, found.fanouts)


def read_inputs(
    files: Sequence[str | Path],
    *,
    workload: str | None = None,
    arch: str | None = None,
    objective: str | Sequence[str] | None = None,
    defines: Mapping[str, Any] | None = None,
    root: Path | None = None,
) -> MapInputs:
    """Reads what a mapper needs.

    Timeloop's files are told by their sections, and may hold several YAML documents; those that describe the machine
    are joined. Several problems are the layers of a network. A network file (CSV, ``.m``, ONNX) stands for its
    convolutions and matrix products.

    Args:
        files: Files, or folders of YAML files.
        workload: A network by name or file, in place of a problem.
        arch: Name of a preset, in place of an architecture.
        objective: A metric, or several; else the ``mapper`` section says, else it is the energy-delay product.
        defines: Values of the variables of files that are Jinja templates.
        root: Folder below which templates may include files.

    Raises:
        InputError: A file of unknown kind, a section that two files hold, two machines, a problem beside a network, or
            an error in a file.

    Warns:
        InputWarning: What has no effect.
    """
    documents, networks = _sort(files, defines, root)
    if workload is not None:
        if _is_timeloop(workload):
            documents += _documents(list_files(workload), defines, root)
        else:
            networks.append(workload)
    problems = [(where, sections["problem"]) for where, sections in documents if sections.get("problem")]
    for where, sections in documents:
        if sections.get("mapping"):
            warn_input(f"{where}: section 'mapping' is left out: the mapper finds its own")
    merged = _merge(documents)
    with naming(merged, "mapper"):
        mapper = as_table(merged.pop("mapper", None), "mapper")
        if objective is None:
            metrics = read_metrics(mapper) if mapper else DEFAULT
    if objective is not None:
        metrics = check_metrics([objective] if isinstance(objective, str) else objective, "objective")
    _require_one_machine(documents, merged, arch)
    if arch is not None:
        preset(arch)  # An unknown name is said before any work.
    name, layers = _layers(problems, networks, merged)
    if arch is not None:
        layers = tuple(own_names(layer) for layer in layers)
    own = {} if len(problems) != 1 or networks or arch is not None else problems[0][1]
    return MapInputs(name, layers, metrics, arch, merged, bool(networks) or len(problems) > 1, own)


def own_names(problem: LoopNest) -> LoopNest:
    """Returns a convolution or matrix product under the names that presets know; any other problem as it is."""
    accesses = [Access(tensor.name, tensor.axes, tensor.read_write) for tensor in problem.tensors]
    try:
        return LoopNest.from_layer(layer_from_accesses(problem.name, problem.bound, accesses))
    except InputError:
        return problem


Documents = list[tuple[str, Sections]]


def _sort(
    files: Iterable[str | Path], defines: Mapping[str, Any] | None, root: Path | None
) -> tuple[Documents, list[str]]:
    """Returns documents of Timeloop files with their origin, and network files."""
    documents: Documents = []
    networks = []
    for file in files:
        kind, path = split_kind(str(file))
        suffix = as_path(path.partition("?")[0], "file").suffix.lower()
        if kind not in (None, "timeloop") or suffix in FILE_SUFFIXES - set(SUFFIXES):
            networks.append(str(file))
        elif suffix in SUFFIXES or Path(path).is_dir():
            documents += _documents(list_files(path), defines, root)
        else:
            known = ", ".join(sorted({*FILE_SUFFIXES, *SUFFIXES}))
            what = "no such file" if not Path(path).exists() else f"a file of unknown kind, allowed: {known}"
            raise InputError(f"{path}: {what}")
    return documents, networks


def _documents(paths: Iterable[Path], defines: Mapping[str, Any] | None, root: Path | None) -> Documents:
    found: Documents = []
    for path in paths:
        for sections in parse_documents(path, defines, root):
            for section in sections:
                if not is_section(section):
                    raise unknown_name(f"section in {path}", section, SECTIONS)
            found.append((str(path), sections))
    return found


def _is_timeloop(workload: str) -> bool:
    return Path(workload).suffix.lower() in SUFFIXES or Path(workload).is_dir()


def _merge(documents: Documents) -> Sections:
    """Joins the sections of all documents but problems and mappings.

    Raises:
        InputError: A section that cannot be joined stands in two files; both are named.
    """
    seen: dict[str, str] = {}
    for where, sections in documents:
        for section, value in sections.items():
            if value in (None, [], {}) or section in ("problem", "mapping", *_MACHINE):
                continue
            if section in seen and section not in _ADDED and "constraints" not in section:
                raise InputError(f"section {section!r} stands in {seen[section]} and in {where}, allowed: one of them")
            seen.setdefault(section, where)
    machines = [where for where, sections in documents for name in _MACHINE if sections.get(name)]
    if len(machines) > 1:
        raise InputError(f"two machines: {machines[0]} and {machines[1]} describe an architecture, allowed: one")
    left_out = ("problem", "mapping")
    return merge_documents(
        Sections({k: v for k, v in sections.items() if k not in left_out}, sections.files) for _, sections in documents
    )


def _require_one_machine(documents: Documents, merged: Mapping[str, Any], arch: str | None) -> None:
    stated = next((where for where, sections in documents if any(sections.get(name) for name in _MACHINE)), None)
    if arch is not None and stated is not None:
        raise InputError(f"two machines: --arch {arch} and the architecture in {stated}, allowed: one")
    if arch is None and stated is None:
        raise InputError("no architecture: a file with a section 'architecture', or --arch PRESET")
    if arch is not None:
        others = [name for name in merged if name not in ("variables", "globals")]
        if others:
            raise InputError(f"section {others[0]!r} belongs to a machine from files, --arch {arch} is a preset")


def _layers(
    problems: list[tuple[str, Any]], networks: list[str], merged: Mapping[str, Any]
) -> tuple[str, tuple[LoopNest, ...]]:
    if networks and problems:
        raise InputError(f"network {networks[0]!r} and problem {problems[0][0]}: allowed one of the two")
    if len(networks) > 1:
        raise InputError(f"two networks: {networks[0]!r} and {networks[1]!r}, allowed: one")
    if networks:
        workload: Workload = load_workload(networks[0])
        layers = tuple(LoopNest.from_layer(layer) for layer in workload.compute_layers)
        if not layers:
            raise InputError(f"workload {workload.name!r} has no convolution or matrix product to map")
        return workload.name, layers
    if not problems:
        raise InputError("nothing to map: a file with a section 'problem', a network file, or --workload")
    scope = Scope({**as_table(merged.get("globals"), "globals"), **as_table(merged.get("variables"), "variables")})
    found = []
    for where, section in problems:
        try:
            found.append((where, read_problem(section, scope)))
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
    if len(found) == 1:
        return found[0][1].name, (found[0][1],)
    names = _names([(Path(where).stem, problem.name) for where, problem in found])
    return Path(found[0][0]).parent.name or "problems", tuple(
        replace(problem, name=name) for name, (_, problem) in zip(names, found, strict=True)
    )


def _names(pairs: list[tuple[str, str]]) -> list[str]:
    """Names of several problems: of their files, where these differ, else numbered."""
    stems = [stem for stem, _ in pairs]
    names = stems if len(set(stems)) == len(stems) else [name for _, name in pairs]
    counts, numbers, result = Counter(names), Counter[str](), []
    for name in names:
        numbers[name] += 1
        result.append(name if counts[name] == 1 else f"{name}_{numbers[name]}")
    return result

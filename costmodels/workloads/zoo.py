"""The workload zoo: networks by name, described by the files under ``data/`` and extended by plug-ins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache, partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from accelgym.costmodels.errors import InputError, shown
from accelgym.costmodels.registry import Registry
from accelgym.costmodels.workloads.workload import Workload

if TYPE_CHECKING:
    from accelgym.costmodels.workloads.spec import NetworkSpec, Published

__all__ = ["WorkloadInfo", "get_workload", "workload_info", "workload_names"]

_DATA = Path(__file__).resolve().parent / "data"
_PACKAGE = "accelgym.costmodels.workloads"

# Folder under data/ -> (module and class of its description files, prefix of the workload names).
_FAMILIES = {
    "cnn": ("cnn_table:CnnTable", ""),
    "encoder": ("transformer:EncoderSpec", ""),
    "decoder": ("transformer:DecoderSpec", ""),
    "bottleneck_encoder": ("bottleneck_encoder:BottleneckEncoderSpec", ""),
    "state_space": ("state_space:MambaSpec", ""),
    "vision_state_space": ("state_space:VisionMambaSpec", ""),
    "diffusion": ("diffusion:UNetSpec", ""),
    "thistle": ("layer_list:LayerList", "thistle/"),
}


@dataclass(frozen=True)
class WorkloadInfo:
    """Description of a workload, which is not expanded for it."""

    name: str
    source: str
    """Where the shapes come from."""
    notes: str = ""
    """Deviations and conventions."""
    published: Published | None = None
    """Counts printed elsewhere, at the default parameters."""
    parameters: Mapping[str, int] = field(default_factory=dict)
    """Parameters the name may carry, with their defaults."""


@dataclass(frozen=True)
class _Shipped:
    """One name of the zoo: a description file and one of its variants."""

    name: str
    path: Path
    model: str
    variant: str

    @property
    def spec(self) -> NetworkSpec:
        return _load(self.model, self.path)


def get_workload(name: str, **parameters: int) -> Workload:
    """Returns a workload by name.

    The name may carry parameters: ``llama3_8b/decode?batch=4&context=4096``. The workload's own name states
    every parameter that differs from its default, in alphabetical order, so that equal workloads have equal
    names. Workloads are immutable and cached.

    Args:
        name: One of :func:`workload_names`, optionally with a query.
        **parameters: Further parameters; see :func:`workload_info` for those a workload has.

    Raises:
        InputError: Unknown name or parameter, a value that is no integer >= 1 or out of the network's range.
    """
    base, query = _split(name)
    given = dict(query)
    for key, value in parameters.items():
        if key in given:
            raise InputError(f"workload {name!r}: {key} is given both in the name and as an argument")
        given[key] = value
    for key, value in given.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise InputError(f"workload {base!r}: {key} is {value!r}, allowed: integers >= 1")
    return _build(base, tuple(sorted(given.items())))


def workload_names() -> list[str]:
    """Returns the names of all workloads, plug-ins included, sorted."""
    return _registry().names()


def workload_info(name: str) -> WorkloadInfo:
    """Returns source, published counts and parameters of a workload; a query in the name is ignored.

    Raises:
        InputError: Unknown name.
    """
    base, _ = _split(name)
    shipped = _shipped().get(base)
    if shipped is not None:
        spec = shipped.spec
        # The published counts are those of the whole network.
        published = None if "block" in shipped.variant else spec.published
        return WorkloadInfo(base, spec.source, spec.notes, published, spec.parameters(shipped.variant))
    return WorkloadInfo(base, get_workload(base).source)


def _split(name: str) -> tuple[str, list[tuple[str, int]]]:
    base, mark, query = name.partition("?")
    if not mark:
        return base, []
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True)
    except ValueError:
        raise InputError(f"workload {name!r}: {query!r} is no query, allowed: key=value&key=value") from None
    keys = [key for key, _ in pairs]
    for key, text in pairs:
        if keys.count(key) > 1:
            raise InputError(f"workload {name!r}: {key} is given twice")
        if not (text.isascii() and text.isdigit() and len(text) < 12):
            raise InputError(f"workload {name!r}: {key} is {shown(text)}, allowed: integers >= 1")
    return base, [(key, int(text)) for key, text in pairs]


@lru_cache(maxsize=256)
def _build(base: str, given: tuple[tuple[str, int], ...]) -> Workload:
    factory = _registry().get(base)
    try:
        return factory(**dict(given))
    except TypeError as error:
        # A plug-in's factory tells its parameters by its signature only.
        if given and "keyword argument" in str(error):
            raise InputError(f"workload {base!r}: {error}") from error
        raise


def _expand(shipped: _Shipped, **given: int) -> Workload:
    spec = shipped.spec
    defaults = spec.parameters(shipped.variant)
    for key in given:
        if key not in defaults:
            allowed = ", ".join(f"{k} (default {v})" for k, v in defaults.items()) or "none"
            raise InputError(f"workload {shipped.name!r}: unknown parameter {key!r}, allowed: {allowed}")
    query = "&".join(f"{key}={value}" for key, value in sorted(given.items()) if value != defaults[key])
    name = f"{shipped.name}?{query}" if query else shipped.name
    try:
        return spec.build(name, shipped.variant, {**defaults, **given})
    except InputError as error:
        if given:
            raise InputError(f"workload {name!r}: {str(error).removeprefix(f'workload {name!r}: ')}") from error
        raise InputError(f"{shipped.path}: {error}") from error


def _expand_csv(path: Path, label: str, **given: int) -> Workload:
    if given:
        raise InputError(f"workload {label!r}: unknown parameter {sorted(given)[0]!r}, allowed: none")
    from accelgym.costmodels.workloads.importers.maestro_csv import import_maestro_csv

    return import_maestro_csv(path, name=label, source=f"ConfuciuX (Kao et al., MICRO 2020), model file {path.name}")


@cache
def _registry() -> Registry[Workload]:
    registry: Registry[Workload] = Registry("workload", "accelgym.workloads")
    for name, shipped in _shipped().items():
        registry.register(name, partial(_expand, shipped))
    for path in sorted((_DATA / "confuciux").glob("*.csv")):
        name = f"confuciux/{path.stem}"
        registry.register(name, partial(_expand_csv, path, name))
    return registry


@cache
def _shipped() -> dict[str, _Shipped]:
    entries = {}
    for folder, (model, prefix) in _FAMILIES.items():
        variants = _model(model).variants
        for path in sorted((_DATA / folder).glob("*.yaml")):
            for variant in variants:
                name = prefix + path.stem + (f"/{variant}" if variant else "")
                entries[name] = _Shipped(name, path, model, variant)
    return entries


def _model(model: str) -> type[NetworkSpec]:
    module, _, name = model.partition(":")
    found: type[NetworkSpec] = getattr(import_module(f"{_PACKAGE}.{module}"), name)
    return found


@cache
def _load(model: str, path: Path) -> NetworkSpec:
    # pydantic and PyYAML are imported with the first network, not with the package.
    from accelgym.costmodels.files.strict_model import load_spec

    return load_spec(_model(model), path)

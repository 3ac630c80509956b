"""Recipes by kind, presets by name, and the files that ask for others."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from accelgym.costmodels.errors import shown, unknown_name
from accelgym.costmodels.files.strict_model import load_spec
from accelgym.costmodels.files.yaml_source import read_yaml
from accelgym.dse_dataset.recipes.base import Recipe, RecipeSpec

__all__ = [
    "KINDS",
    "PRESETS",
    "build_recipe",
    "kind_of",
    "load_recipe_spec",
    "preset_spec",
    "recipe_title",
    "spec_from",
]

_PACKAGE = "accelgym.dse_dataset.recipes"

KINDS: dict[str, tuple[str, str, str]] = {
    "accelerator": ("accelerator", "AcceleratorSpec", "AcceleratorRecipe"),
    "dataflow": ("dataflow", "DataflowSpec", "DataflowRecipe"),
    "mapping": ("mapping", "MappingSpec", "MappingRecipe"),
    "resource": ("resource", "ResourceSpec", "ResourceRecipe"),
    "search": ("search", "SearchSpec", "SearchRecipe"),
    "synthesis": ("synthesis", "SynthesisSpec", "SynthesisRecipe"),
}
"""Module, specification and recipe of each kind."""

_HELD_OUT = ["resnet50", "mobilenet_v2", "bert_base"]

PRESETS: dict[str, dict[str, Any]] = {
    "airchitect-v2": {
        "kind": "resource",
        "rows": 100_000,
        "sampler": "airchitect",
        # Shares of dla, eye and shi in the released file.
        "dataflow_weights": [13_025, 48_169, 40_362],
        "released": "config_id",
        "held_out": _HELD_OUT,
    },
    "capped": {
        "kind": "resource",
        "rows": 100_000,
        "sampler": "log-uniform",
        "model_options": {"compat": False, "noc_bw": None},
        "objectives": ["latency", "energy", "edp"],
        "caps": ["none", "area", "power"],
        "held_out": _HELD_OUT,
    },
    "capped-physical": {
        "kind": "resource",
        "rows": 20_000,
        "sampler": "log-uniform",
        "model": "physical",
        "objectives": ["latency", "energy", "edp"],
        "caps": ["none", "area", "power"],
        "held_out": _HELD_OUT,
    },
    "dataflow": {
        "kind": "dataflow",
        "rows": 2_000,
        "networks": ["resnet50", "bert_base", "gpt2/prefill_block"],
        "held_out": ["mobilenet_v2"],
    },
    "accelerators": {
        "kind": "accelerator",
        "rows": 1_000,
        "networks": ["resnet50", "bert_base"],
        "blocks": ["gpt2/prefill_block"],
        "block_share": 0.1,
        "held_out": ["resnet18"],
    },
    "searched": {
        "kind": "search",
        "rows": 300,
        "env": "accelgym/ResourceAssignment-v0",
        "vary": {
            "workload": ["confuciux/mobilenet_v2", "confuciux/resnet18", "confuciux/vgg16", "resnet18", "bert_base"],
            "model": ["maestro", "physical"],
            "dataflow": ["dla", "eye", "shi", "mix"],
            "objective": ["latency", "energy", "edp"],
            "constraint": ["area", "power"],
            "budget": [0.02, 0.05, 0.1, 0.2, 0.5],
        },
        "agent": "ga",
        "budget": 2_000,
    },
    "synthesis": {"kind": "synthesis", "rows": 200},
    "mappings": {
        "kind": "mapping",
        "rows": 4_000,
        "networks": ["resnet18", "resnet50", "vgg16", "bert_base", "gpt2/prefill_block", "thistle/resnet18"],
        "held_out": ["thistle/yolo9000"],
    },
}
"""Arguments of the shipped datasets, by name."""


def _named(kind: str, position: int) -> Any:
    if kind not in KINDS:
        raise unknown_name("kind of dataset", kind, KINDS)
    return getattr(import_module(f"{_PACKAGE}.{KINDS[kind][0]}"), KINDS[kind][position])


def spec_from(data: Mapping[str, Any]) -> RecipeSpec:
    """Returns the specification that plain data states.

    Raises:
        InputError: An unknown kind or key, or a bad value.
    """
    model: type[RecipeSpec] = _named(str(data.get("kind")), 1)
    return model.parse(data)


def preset_spec(name: str, /, **changes: Any) -> RecipeSpec:
    """Returns a preset's specification.

    Args:
        name: One of :data:`PRESETS`.
        **changes: Keys to change, inside mappings key by key; ``None`` leaves one as it is.

    Raises:
        InputError: No such preset, or a bad value.
    """
    if name not in PRESETS:
        raise unknown_name("preset", name, PRESETS)
    return spec_from(_merged({"name": name, **PRESETS[name]}, changes))


def _merged(given: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Returns arguments with changes, inside mappings key by key; ``None`` leaves one as it is."""
    merged = dict(given)
    for key, value in changes.items():
        old = merged.get(key)
        if value is not None:
            merged[key] = _merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def kind_of(preset: str | None, config: Path | None) -> str:
    """Returns the kind of a preset or of a file.

    Raises:
        InputError: No such preset, or the file does not say.
    """
    if preset is not None:
        if preset not in PRESETS:
            raise unknown_name("preset", preset, PRESETS)
        return str(PRESETS[preset]["kind"])
    assert config is not None
    source = read_yaml(config)
    kind = source.data.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise source.error(("kind",), f"is {shown(kind)}, allowed: {', '.join(KINDS)}")
    return kind


def load_recipe_spec(path: Path, /, **changes: Any) -> RecipeSpec:
    """Reads a specification from YAML; the key ``kind`` says which recipe it is for.

    Args:
        path: The file.
        **changes: Keys to change; ``None`` leaves one as it is.

    Raises:
        InputError: Naming file, line and key.
    """
    model: type[RecipeSpec] = _named(kind_of(None, path), 1)
    found = load_spec(model, path)
    return model.parse(_merged(found.model_dump(), changes)) if changes else found


def recipe_title(preset: str) -> str:
    """Returns in a sentence what a row of a preset asks."""
    title: str = _named(PRESETS[preset]["kind"], 2).title
    return title


def build_recipe(spec: RecipeSpec) -> Recipe:
    """Returns the recipe of a specification.

    Raises:
        InputError: What it asks for is not possible.
    """
    recipe: Recipe = _named(spec.kind, 2)(spec)
    return recipe

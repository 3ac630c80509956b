"""A user's network: an exported program or a factory of modules, with weights in safetensors."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from accelgym.costmodels.errors import InputError, shown
from accelgym.costmodels.quantization import LayerQuantization
from accelgym.envs.accuracy.network import TracedNetwork
from accelgym.envs.accuracy.oracle import Accuracy, MeasuredOracle

__all__ = ["CallableOracle", "load_function", "load_network", "user_oracle"]

_FEWEST = 2


def user_oracle(
    module: str,
    weights: Path | None,
    inputs: npt.NDArray[np.generic],
    targets: npt.NDArray[np.int64],
    *,
    calibration: int = 256,
    **options: Any,
) -> MeasuredOracle:
    """Builds the oracle of a user's network and data.

    Args:
        module: ``FILE.pt2``, as ``torch.export.save`` writes it; or ``package:factory``, called without arguments.
        weights: Weights in safetensors, under the module's own names; the module's where None.
        inputs: Examples.
        targets: Their classes, or the tokens that follow.
        calibration: Examples set aside for scales, at most half of all: the first ones; accuracy is that of the rest.
        **options: As for :class:`MeasuredOracle`.

    Raises:
        InputError: A module that cannot be loaded, made or exported; weights or data that do not fit it.
    """
    if len(targets) < _FEWEST:
        raise InputError(f"{len(targets)} examples, allowed: at least {_FEWEST}, half of them for calibration")
    aside = max(1, min(calibration, len(targets) // 2))
    loaded = _load_filled(module, weights)
    example = torch.from_numpy(np.array(inputs[:_FEWEST], dtype=_dtype(inputs)))
    network = TracedNetwork(loaded, (example,), module)
    try:
        return MeasuredOracle(
            network, [inputs[aside:]], targets[aside:], [inputs[:aside]], batch=options.pop("batch", 1000), **options
        )
    except (RuntimeError, IndexError) as error:
        first = str(error).strip().split("\n", 1)[0]
        raise InputError(f"module {module!r} does not run on inputs of shape {inputs.shape[1:]}: {first}") from error


def load_network(module: str, weights: Path | None) -> torch.nn.Module:
    """Returns a user's network, ready to be called.

    Args:
        module: As for :func:`user_oracle`.
        weights: Likewise.

    Raises:
        InputError: A module that cannot be loaded or made, or weights that do not fit it.
    """
    loaded = _load_filled(module, weights)
    return loaded.module() if isinstance(loaded, torch.export.ExportedProgram) else loaded


def _load_filled(module: str, weights: Path | None) -> torch.nn.Module | torch.export.ExportedProgram:
    loaded = _load(module)
    if weights is not None:
        _fill(loaded, _read_weights(weights), weights, module)
    return loaded


def load_function(name: str) -> Callable[..., Any]:
    """Returns what ``package:name`` stands for.

    Raises:
        InputError: It cannot be imported, or is not callable.
    """
    package, _, attribute = name.partition(":")
    try:
        found = getattr(import_module(package), attribute)
    except Exception as error:  # A user's module may raise anything.
        raise InputError(f"{name!r} cannot be imported: {type(error).__name__}: {error}") from error
    if not callable(found):
        raise InputError(f"{name!r} is {shown(found)}, allowed: a function")
    return found  # type: ignore[no-any-return]


def _load(module: str) -> torch.nn.Module | torch.export.ExportedProgram:
    if module.endswith(".pt2"):
        return _program(Path(module))
    if ":" not in module:
        raise InputError(f"module {module!r}, allowed: FILE.pt2 or package:factory")
    try:
        made = load_function(module)()
    except InputError:
        raise
    except Exception as error:  # A user's factory may raise anything.
        raise InputError(f"module {module!r}: its factory failed: {type(error).__name__}: {error}") from error
    if not isinstance(made, torch.nn.Module):
        raise InputError(f"module {module!r}: its factory returned {shown(made)}, allowed: a torch.nn.Module")
    return made.eval()


def _program(path: Path) -> torch.export.ExportedProgram:
    """Loads an exported program, unless something in it would have to be unpickled."""
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if "custom_obj" in name or ('"use_pickle": true' in _text(archive, name)):
                    raise InputError(f"{path}: {name} holds pickled objects, which are not read")
        return torch.export.load(path)
    except InputError:
        raise
    except Exception as error:  # Damaged files raise many classes.
        first = str(error).strip().split("\n", 1)[0]
        raise InputError(f"{path}: no program of torch.export: {type(error).__name__}: {first}") from error


def _text(archive: zipfile.ZipFile, name: str) -> str:
    return archive.read(name).decode(errors="replace") if name.endswith("config.json") else ""


def _read_weights(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: no safetensors file: {error}") from error


def _fill(
    module: torch.nn.Module | torch.export.ExportedProgram, state: dict[str, Tensor], path: Path, name: str
) -> None:
    own = module.state_dict if isinstance(module, torch.export.ExportedProgram) else module.state_dict()
    for key, value in own.items():
        if key not in state:
            raise InputError(f"{path}: {key!r} is missing, module {name!r} has {len(own)} tensors")
        if state[key].shape != value.shape:
            raise InputError(
                f"{path}: {key!r} has shape {tuple(state[key].shape)}, allowed: that of module {name!r}, "
                f"{tuple(value.shape)}"
            )
    for key in state:
        if key not in own:
            raise InputError(f"{path}: {key!r} is not of module {name!r}")
    with torch.no_grad():
        for key, value in own.items():
            value.copy_(state[key])


def _dtype(array: npt.NDArray[np.generic]) -> type[np.generic]:
    return np.float32 if np.issubdtype(array.dtype, np.floating) else np.int64


class CallableOracle:
    """An accuracy that a user's own function finds.

    Args:
        name: Of the function, for messages.
        function: Takes ``{layer: formats}``, plain data as of ``LayerQuantization.model_dump``; returns the accuracy in
            percent, or a mapping with ``value`` and optionally ``cross_entropy``, ``standard_error`` and ``examples``.
        layer_names: Layers that formats are assigned to.
    """

    def __init__(self, name: str, function: Callable[[dict[str, Any]], Any], layer_names: Sequence[str]) -> None:
        self.name, self.function, self.layer_names = name, function, tuple(layer_names)

    def accuracy(self, assignment: Mapping[str, LayerQuantization]) -> Accuracy:
        """Asks the function.

        Raises:
            InputError: It fails, or what it returns is no finite number.
        """
        plain = {layer: formats.model_dump(mode="json") for layer, formats in assignment.items()}
        try:
            found = self.function(plain)
        except Exception as error:  # A user's function may raise anything.
            raise InputError(f"{self.name!r} failed: {type(error).__name__}: {error}") from error
        given = dict(found) if isinstance(found, Mapping) else {"value": found}
        numbers = {"value": None, "cross_entropy": float("nan"), "standard_error": 0.0, "examples": 0} | given
        value = numbers["value"]
        if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not np.isfinite(value):
            raise InputError(
                f"{self.name!r} returned {shown(found)}, allowed: a finite number, or a mapping with 'value'"
            )
        try:
            rest = (float(numbers["cross_entropy"]), float(numbers["standard_error"]), int(numbers["examples"]))
        except (TypeError, ValueError) as error:
            raise InputError(f"{self.name!r} returned {shown(found)}: {error}") from error
        return Accuracy(float(value), "top1_percent", *rest, 0.0)

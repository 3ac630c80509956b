"""``accelgym accuracy``: what number formats cost a network in accuracy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from accelgym.cli.console import print_table
from accelgym.costmodels.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from accelgym.costmodels.quantization import LayerQuantization
    from accelgym.envs.accuracy.oracle import AccuracyOracle, MeasuredOracle

__all__ = ["COMMANDS"]


def accuracy(
    module: Annotated[
        str | None, typer.Option(help="FILE.pt2 of torch.export, or package:factory of a torch.nn.Module.")
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="Weights in safetensors.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="Examples: .npz, a folder of images by class, or CIFAR-10's .bin.")
    ] = None,
    network: Annotated[
        str | None, typer.Option(help="A network that ships with the project, in place of a module and data.")
    ] = None,
    types: Annotated[
        str, typer.Option(help="Number formats, each for all weights (a scale a channel) and activations.")
    ] = "int8,e4m3,int4",
    spec: Annotated[
        list[Path] | None, typer.Option(help="YAML file of formats by layer (QuantizationSpec), in place of --types.")
    ] = None,
    script: Annotated[
        str | None, typer.Option(help="package:function of {layer: formats} that finds the accuracy in our place.")
    ] = None,
    examples: Annotated[int | None, typer.Option(min=1, help="Test examples of a shipped network.")] = None,
    calibration: Annotated[int, typer.Option(min=1, help="Examples of --data set aside for scales.")] = 256,
    reconstruct: Annotated[bool, typer.Option(help="Round weights so that layers change least.")] = False,
    smoothing: Annotated[float | None, typer.Option(help="Moves outliers of activations into weights, 0..1.")] = None,
) -> None:
    """Measures the accuracy of a network in number formats, on its test data."""
    _require()
    options: dict[str, Any] = {"reconstruction": reconstruct, "smoothing": smoothing}
    oracle = _oracle(module, weights, data, network, examples, calibration, options)
    chosen = _assignments(oracle, types, spec or [])
    asked = oracle if script is None else _scripted(script, oracle)
    table = Table("formats", "value", "standard error", "cross-entropy", "CPU s", title=f"{oracle.metric}")
    for name, assignment in chosen.items():
        found = asked.accuracy(assignment)
        table.add_row(
            name,
            f"{found.value:.3f}",
            f"{found.standard_error:.3f}",
            f"{found.cross_entropy:.4f}",
            "cached" if found.cached else f"{found.cpu_seconds:.2f}",
        )
    print_table(table)


def _require() -> None:
    try:
        import safetensors  # noqa: F401
        import torch  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("measuring accuracy", str(error.name), "agents") from error


def _oracle(
    module: str | None,
    weights: Path | None,
    data: Path | None,
    network: str | None,
    examples: int | None,
    calibration: int,
    options: dict[str, Any],
) -> MeasuredOracle:
    if (network is None) == (module is None):
        raise InputError("--network or --module: one of them, and only one, says what is measured")
    if network is not None:
        from accelgym.envs.accuracy.reference_models import reference_oracle

        if weights is not None or data is not None:
            raise InputError("--weights and --data go with --module: a shipped network has its own")
        return reference_oracle(network, examples, **options)
    if data is None:
        raise InputError("--data is missing: the examples that --module is measured on")
    from accelgym.envs.accuracy.user_data import read_labelled
    from accelgym.envs.accuracy.user_model import user_oracle

    inputs, targets = read_labelled(data)
    return user_oracle(str(module), weights, inputs, targets, calibration=calibration, **options)


def _scripted(script: str, oracle: MeasuredOracle) -> AccuracyOracle:
    from accelgym.envs.accuracy.user_model import CallableOracle, load_function

    return CallableOracle(script, load_function(script), oracle.layer_names)


def _assignments(oracle: MeasuredOracle, types: str, specs: list[Path]) -> dict[str, dict[str, LayerQuantization]]:
    from accelgym.costmodels.files.strict_model import load_spec
    from accelgym.costmodels.quantization import QuantizationSpec
    from accelgym.envs.accuracy.schemes import uniform

    names = oracle.layer_names
    found: dict[str, dict[str, LayerQuantization]] = {"fp32": {}}
    for path in specs:
        try:
            found[path.stem] = load_spec(QuantizationSpec, path).assignment(names)
        except InputError as error:
            text = str(error)
            raise InputError(text if text.startswith(str(path)) else f"{path}: {text}") from error
    if not specs:
        found |= {name: dict.fromkeys(names, uniform(name, "channel")) for name in types.split(",") if name}
    return found


COMMANDS = (accuracy,)

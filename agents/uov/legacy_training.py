"""Training of the faithful mode, in the two stages of AIrchitect v2's release.

Stage 1 trains the encoder by a contrast between equal labels and by the absolute error of the predicted best objective,
stage 2 the decoder on a frozen encoder. Adam at one rate, batches of 128 without the rest, 60 epochs each, no
validation: all as released, but for rows that are no layers, which are left out here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import Tensor, nn

from accelgym.agents.checkpoint import read_checkpoint, write_checkpoint
from accelgym.agents.uov.checkpoint import SCHEMA
from accelgym.agents.uov.legacy_losses import LegacyOrdinalCode, focal_loss, supervised_contrast
from accelgym.agents.uov.legacy_network import LegacyDecoder, LegacyEncoder, legacy_indices
from accelgym.agents.uov.legacy_policy import LegacyPolicy, legacy_schema, save_legacy
from accelgym.agents.uov.problem import Examples, released_examples, released_inputs, released_split
from accelgym.agents.uov.training import TrainingProgress
from accelgym.agents.uov.training_log import TrainingLog
from accelgym.agents.uov.training_state import load_state, save_state, training_card, training_folder, training_identity
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.strict_model import Count, StrictModel, parse_fields
from accelgym.dse_dataset.airchitect_csv import LEVELS, PES, ReleasedRows, read_released

__all__ = ["LegacyData", "LegacySettings", "load_legacy_data", "train_legacy"]

_ENCODER, _STATE = "an encoder of a legacy policy", "a legacy training"

Losses = Callable[[Tensor], dict[str, Tensor]]


class LegacySettings(StrictModel):
    """What the release has as arguments, with its defaults; its published weights are ``attention`` and ``classes``."""

    seed: int = Field(default=0, ge=0, lt=2**32)
    decoder: Literal["attention", "layers"] = "attention"
    head: Literal["classes", "uov"] = "classes"
    """``classes``: one for each pair of PEs and buffer. ``uov``: buckets of PEs alone, encoded as released."""
    buckets: int = Field(default=16, ge=1, le=PES)
    """Of ``uov``."""
    batch: Count = 128
    rate: float = Field(default=1e-4, gt=0)
    contrastive_epochs: Count = 60
    """Of stage 1."""
    epochs: Count = 60
    """Of stage 2."""

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        """Validates keyword arguments.

        Raises:
            InputError: Names the key, the value and what is allowed.
        """
        return parse_fields(cls, data, "setting of --legacy")


@dataclass(frozen=True)
class LegacyData:
    """The released file as its own code reads it."""

    indices: npt.NDArray[np.int64]
    """Of the training rows, shape ``(rows, 7)``."""
    labels: npt.NDArray[np.int64]
    """Class of each: ``(PEs - 1) * 12 + buffer level - 1``."""
    log_rewards: npt.NDArray[np.float32]
    """Logarithm of the label's cycles, standardised over the whole file, test rows too."""
    inputs: Mapping[str, npt.NDArray[Any]]
    test: tuple[npt.NDArray[np.int64], Examples]
    """Indices of the test rows, and the rows with their landscapes."""
    provenance: Mapping[str, Any]


def load_legacy_data(path: Path, share: float = 1.0) -> LegacyData:
    """Reads AIrchitect v2's file of convolutions with the split of its code.

    Args:
        path: The file.
        share: Of the training rows to learn from, the first ones.

    Raises:
        InputError: A folder of a dataset, another file, or a row that the release's tables do not hold.
        MissingExtraError: scikit-learn is not installed.
    """
    if path.is_dir():
        raise InputError(
            f"{path}: is a folder of a dataset; --legacy learns AIrchitect v2's released file of convolutions alone: "
            "its tables hold no other inputs, no caps and no other knobs"
        )
    rows = read_released(path)
    inputs = released_inputs(rows)
    indices = legacy_indices(inputs, str(path), rows.lines, {"Y": "X", "X": "Y", "dataflow": "df"})
    logs = np.log(np.maximum(rows.rewards, 1).astype(np.float64))
    split = released_split(rows)
    train = split["train"][: max(1, round(share * len(split["train"])))]
    return LegacyData(
        indices=indices[train],
        labels=((rows.num_pes - 1) * LEVELS + rows.buffer_level - 1)[train],
        log_rewards=((logs - logs.mean()) / max(logs.std(), 1e-9))[train].astype(np.float32),
        inputs={name: values[train] for name, values in inputs.items()},
        test=(indices[split["test"]], released_examples(_some(rows, split["test"]))),
        provenance={"rows": len(rows.lines) + len(rows.illegal), "file": path.name, "share": share},
    )


def _some(rows: ReleasedRows, places: npt.NDArray[np.int64]) -> ReleasedRows:
    names = ("dataflow", "num_pes", "buffer_level", "rewards", "lines")
    return replace(rows, layers=rows.layers.take(places), **{name: getattr(rows, name)[places] for name in names})


def train_legacy(
    data: LegacyData,
    settings: LegacySettings,
    out: Path,
    *,
    stages: tuple[int, ...] = (1, 2),
    threads: int = 1,
    report: Callable[[TrainingProgress], None] | None = None,
) -> LegacyPolicy | None:
    """Trains in a folder as :func:`accelgym.agents.uov.training.train` does; killed, it goes on from the last epoch.

    Args:
        data: What to learn.
        settings: How.
        out: Folder.
        stages: Those to run; 2 alone needs the encoder of stage 1 in the folder.
        threads: Of torch, while training.
        report: Called every few steps.

    Returns:
        The policy after stage 2, ``None`` after stage 1.

    Raises:
        InputError: The folder holds another training, no encoder, or there are fewer rows than a batch.
    """
    if len(data.labels) < settings.batch:
        raise InputError(f"batch is {settings.batch}, allowed: at most the {len(data.labels)} rows to learn from")
    schema = legacy_schema(data.inputs, settings.head, settings.decoder)
    rows = {"train": len(data.labels), "test": len(data.test[0])}
    identity = training_identity(schema, settings, data.provenance, rows)
    with training_folder(out, identity, threads) as log, torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        outputs = PES * LEVELS if settings.head == "classes" else settings.buckets
        encoder, decoder = LegacyEncoder(), LegacyDecoder(outputs, attention=settings.decoder == "attention")
        run = _Run(settings, out, identity, log, report, len(data.labels))
        parameters: dict[str, npt.NDArray[Any]] = {}
        for stage in stages:
            if stage == 1:
                _train_encoder(run, data, encoder)
            else:
                _train_decoder(run, data, encoder, decoder)
                for name, module in (("encoder", encoder), ("decoder", decoder)):
                    parameters |= {f"{name}.{k}": v.numpy() for k, v in module.state_dict().items()}
    if not parameters:
        return None
    policy = LegacyPolicy(schema, settings.buckets, parameters, training_card(identity))
    save_legacy(out / "policy.safetensors", policy)
    return policy


def _train_encoder(run: _Run, data: LegacyData, encoder: LegacyEncoder) -> None:
    target = run.out / "encoder.safetensors"
    if target.exists():
        return
    indices, labels, rewards = map(torch.from_numpy, (data.indices, data.labels, data.log_rewards))

    def losses(rows: Tensor) -> dict[str, Tensor]:
        features, predicted = encoder(indices[rows])
        contrast = supervised_contrast(features, labels[rows])
        return {"contrast": contrast, "predictor": (predicted - rewards[rows]).abs().mean()}

    run.stage(1, encoder, losses)
    arrays = {name: value.numpy() for name, value in encoder.state_dict().items()}
    write_checkpoint(target, _ENCODER, SCHEMA, {"identity": run.identity}, arrays)
    run.state(1).unlink(missing_ok=True)


def _train_decoder(run: _Run, data: LegacyData, encoder: LegacyEncoder, decoder: LegacyDecoder) -> None:
    path = run.out / "encoder.safetensors"
    if not path.exists():
        raise InputError(f"{path}: is missing; train stage 1 first")
    arrays = read_checkpoint(path, _ENCODER, SCHEMA)[1]
    encoder.load_state_dict({name: torch.from_numpy(np.array(arrays[name])) for name in encoder.state_dict()})
    encoder.eval()
    with torch.no_grad():  # Frozen and without dropout: a row's features are the same in every epoch.
        features = torch.cat([encoder(part)[0] for part in torch.split(torch.from_numpy(data.indices), 4096)])
    labels = torch.from_numpy(data.labels)
    code = LegacyOrdinalCode(PES, run.settings.buckets)
    vectors = torch.from_numpy(code.encode(data.labels // LEVELS))

    def losses(rows: Tensor) -> dict[str, Tensor]:
        outputs = decoder(features[rows])
        if run.settings.head == "uov":
            return {"focal": focal_loss(outputs, vectors[rows])}
        return {"cross_entropy": nn.functional.cross_entropy(outputs, labels[rows])}

    run.stage(2, decoder, losses)


@dataclass(frozen=True)
class _Run:
    """Epochs of either stage, and the state that survives a kill."""

    settings: LegacySettings
    out: Path
    identity: dict[str, Any]
    log: TrainingLog
    report: Callable[[TrainingProgress], None] | None
    rows: int

    def state(self, stage: int) -> Path:
        """The file of a stage under way."""
        return self.out / f"stage{stage}.state.safetensors"

    def stage(self, stage: int, module: nn.Module, losses: Losses) -> None:
        """Trains a module in place, from the last whole epoch."""
        epochs = self.settings.contrastive_epochs if stage == 1 else self.settings.epochs
        parameters = dict(module.named_parameters())
        optimiser = torch.optim.Adam(parameters.values(), lr=self.settings.rate, fused=True)
        module.train()
        for epoch in range(load_state(self.state(stage), _STATE, parameters, optimiser), epochs):
            began = time.process_time()
            row = {"stage": stage, "epoch": epoch + 1, **self._epoch(stage, epoch, epochs, optimiser, losses)}
            about = {"identity": self.identity, "stage": stage, "epochs": epoch + 1}
            save_state(self.state(stage), _STATE, about, parameters, optimiser)
            steps = self.rows // self.settings.batch
            self.log.add(row, cpu_s=time.process_time() - began, step=(epoch + 1) * steps)

    def _epoch(
        self, stage: int, epoch: int, epochs: int, optimiser: torch.optim.Optimizer, losses: Losses
    ) -> dict[str, float]:
        generator = torch.Generator().manual_seed(1_000_003 * self.settings.seed + 1_009 * stage + epoch)
        batch, steps = self.settings.batch, self.rows // self.settings.batch
        order = torch.randperm(self.rows, generator=generator)[: steps * batch]
        sums: dict[str, float] = {}
        for place, rows in enumerate(torch.split(order, batch)):
            found = losses(rows)
            loss = torch.stack(list(found.values())).sum()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            for name, value in found.items():
                sums[name] = sums.get(name, 0.0) + float(value.detach())
            if self.report is not None and place % 10 == 0:
                done = epoch * steps + place + 1
                self.report(TrainingProgress(stage, done, epochs * steps, float(loss.detach())))
        return {name: value / steps for name, value in sums.items()}

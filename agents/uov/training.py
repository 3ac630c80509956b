"""The two stages of the training: representations first, then decisions."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from accelgym.agents.checkpoint import read_checkpoint, write_checkpoint
from accelgym.agents.uov import network
from accelgym.agents.uov.checkpoint import POLICY, SCHEMA, save_policy
from accelgym.agents.uov.features import Tokeniser
from accelgym.agents.uov.losses import contrastive_loss, knob_loss, regret_to_go, same_answer, soft_labels
from accelgym.agents.uov.policy import Policy
from accelgym.agents.uov.problem import Examples, Problem
from accelgym.agents.uov.scores import score_designs
from accelgym.agents.uov.settings import TrainingSettings
from accelgym.agents.uov.torch_operations import TorchOperations
from accelgym.agents.uov.training_log import TrainingLog
from accelgym.agents.uov.training_state import load_state, save_state, training_card, training_folder, training_identity
from accelgym.costmodels.errors import InputError

__all__ = ["TrainingProgress", "initial_policy", "train"]

_WRONG = 3.0
"""Log-regret that every other value than the label counts as where designs are not enumerated."""
_WARM_UP = 0.05
_SCORED = 2_000
"""Rows of the validation split that are scored after an epoch."""
_OPS = TorchOperations()
_ENCODER, _STATE = "an encoder of a UOV policy", "a UOV training"
_FIXED = ("features.", "best.mean", "best.deviation")
"""Beginnings of the names of parameters that follow from the data and are not trained."""


@dataclass(frozen=True)
class TrainingProgress:
    """How far a training is."""

    stage: int
    step: int
    steps: int
    loss: float


Report = Callable[[TrainingProgress], None]


def initial_policy(problem: Problem, settings: TrainingSettings) -> Policy:
    """Returns an untrained policy whose scales are those of the training split."""
    empty = Policy(problem.schema, settings.size, settings.head, settings.buckets, settings.residues, {})
    train = problem.splits["train"]
    outputs = [code.table.shape[1] for code in empty.codes]
    shape = empty.tokeniser.shape
    parameters: dict[str, npt.NDArray[Any]] = dict(
        network.initial_parameters(settings.size, shape, problem.schema.sizes, outputs, settings.seed)
    )
    features = _features(empty.tokeniser, problem, train)
    deviation = features.std(axis=0, dtype=np.float64)
    parameters |= {
        "features.mean": features.mean(axis=0, dtype=np.float64).astype(np.float32),
        "features.scale": np.where(deviation > 1e-6, 1.0 / np.maximum(deviation, 1e-6), 0.0).astype(np.float32),
        "features.low": features.min(axis=0),
        "features.high": features.max(axis=0),
        "best.mean": np.float32(train.log_best.mean()).reshape(1),
        "best.deviation": np.float32(max(train.log_best.std(), 1e-6)).reshape(1),
    }
    return Policy(problem.schema, settings.size, settings.head, settings.buckets, settings.residues, parameters)


def train(
    problem: Problem,
    settings: TrainingSettings,
    out: Path,
    *,
    stages: tuple[int, ...] = (1, 2),
    threads: int = 1,
    report: Report | None = None,
) -> Policy:
    """Trains a policy in a folder; the same call goes on after a kill, from the last whole epoch, to the same result.

    Stage 1 trains the encoder by a contrast between rows and by predicting the best objective, and leaves
    ``encoder.safetensors``. Stage 2 trains all of it to decide, and leaves ``policy.safetensors``.

    Args:
        problem: What to learn.
        settings: How.
        out: Folder; also holds ``manifest.json``, ``metrics.jsonl`` and, with the package tensorboard, ``tensorboard``.
        stages: Those to run; 2 alone needs the encoder of stage 1 in the folder, unless that has no epochs.
        threads: Of torch, while training.
        report: Called every few steps.

    Returns:
        The policy after the last stage.

    Raises:
        InputError: The folder holds another training, or no encoder.
    """
    rows = {name: len(part) for name, part in problem.splits.items()}
    identity = training_identity(problem.schema, settings, problem.provenance, rows)
    with training_folder(out, identity, threads) as log:
        policy = initial_policy(problem, settings)
        for stage in stages:
            policy = _Stage(problem, settings, policy, out, stage, identity, log, report).train()
    return policy


class _Stage:
    """One stage: batches, losses, and the state that survives a kill."""

    def __init__(
        self,
        problem: Problem,
        settings: TrainingSettings,
        policy: Policy,
        out: Path,
        stage: int,
        identity: dict[str, Any],
        log: TrainingLog,
        report: Report | None,
    ) -> None:
        self.problem, self.settings, self.policy, self.out = problem, settings, policy, out
        self.stage, self.identity, self.log, self.report = stage, identity, log, report
        self.epochs = settings.contrastive_epochs if stage == 1 else settings.epochs
        self.target = out / ("encoder.safetensors" if stage == 1 else "policy.safetensors")
        self.state = out / f"stage{stage}.state.safetensors"
        train = problem.splits["train"]
        self.features = torch.from_numpy(policy.scaled(_features(policy.tokeniser, problem, train)))
        self.regret = None if train.regret is None else torch.from_numpy(train.regret)
        self.labels = torch.from_numpy(train.labels)
        scale = float(policy.parameters["best.deviation"][0])
        best = (train.log_best - float(policy.parameters["best.mean"][0])) / scale
        self.best = torch.from_numpy(best.astype(np.float32))
        self.tables = [
            (torch.from_numpy(c.table.T.astype(np.float32)), torch.from_numpy(c.offset.astype(np.float32)))
            for c in policy.codes
        ]
        self.steps_per_epoch = math.ceil(len(train) / settings.batch)

    def train(self) -> Policy:
        """Returns the policy after the stage, read from the folder if it is there already."""
        if self.target.exists():
            return self._policy(read_checkpoint(self.target, _ENCODER if self.stage == 1 else POLICY, SCHEMA)[1])
        arrays = dict(self.policy.parameters)
        if self.stage == 2 and self.settings.contrastive_epochs:
            encoder = self.out / "encoder.safetensors"
            if not encoder.exists():
                raise InputError(f"{encoder}: is missing; train stage 1 first, or set contrastive_epochs to 0")
            _, arrays = read_checkpoint(encoder, _ENCODER, SCHEMA)
        self.parameters = {
            name: torch.from_numpy(np.array(array)).requires_grad_() for name, array in self._trained(arrays)
        }
        self.fixed = {name: array for name, array in arrays.items() if name.startswith(_FIXED)}
        self.optimiser = torch.optim.AdamW(
            self.parameters.values(), lr=self.settings.rate, weight_decay=self.settings.decay
        )
        start = load_state(self.state, _STATE, self.parameters, self.optimiser)
        for epoch in range(start, self.epochs):
            began = time.process_time()
            losses = self._epoch(epoch)
            row = {"stage": self.stage, "epoch": epoch + 1, **losses, **self._validate()}
            about = {"identity": self.identity, "stage": self.stage, "epochs": epoch + 1}
            save_state(self.state, _STATE, about, self.parameters, self.optimiser)
            self.log.add(row, cpu_s=time.process_time() - began, step=(epoch + 1) * self.steps_per_epoch)
        policy = self._policy(self._arrays())
        if self.stage == 1:
            write_checkpoint(self.target, _ENCODER, SCHEMA, {"identity": self.identity}, policy.parameters)
        else:
            save_policy(self.target, policy)
        self.state.unlink(missing_ok=True)
        return policy

    # -- steps ---------------------------------------------------------------------------------------------------

    def _epoch(self, epoch: int) -> dict[str, float]:
        generator = torch.Generator().manual_seed(1_000_003 * self.settings.seed + 1_009 * self.stage + epoch)
        order = torch.randperm(len(self.labels), generator=generator)
        total = self.epochs * self.steps_per_epoch
        sums: dict[str, float] = {}
        for place, rows in enumerate(torch.split(order, self.settings.batch)):
            step = epoch * self.steps_per_epoch + place
            for group in self.optimiser.param_groups:
                group["lr"] = self.settings.rate * _schedule(step / total)
            losses = self._losses(rows, generator)
            loss = torch.stack(list(losses.values())).sum()
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self.parameters.values(), 1.0)
            self.optimiser.step()
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + float(value.detach())
            if self.report is not None and place % 10 == 0:
                self.report(TrainingProgress(self.stage, step + 1, total, float(loss.detach())))
        return {name: value / self.steps_per_epoch for name, value in sums.items()}

    def _losses(self, rows: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        s, p = self.settings, self.parameters
        encoded = network.encode(_OPS, p, s.size, self.features[rows])
        predicted = network.predict_log_best(_OPS, p, encoded)
        losses = {"predictor": s.predictor_weight * (predicted - self.best[rows]).abs().mean()}
        regret = self._regret(rows)
        labels = self.labels[rows]
        if self.stage == 1:
            positive = (
                (labels[:, None] == labels[None]).all(-1)
                if regret is None
                else same_answer(regret, labels, s.contrast_tolerance)
            )
            losses["contrast"] = contrastive_loss(network.embed(p, encoded), positive, s.contrast_temperature)
            return losses
        chosen, to_go = self._to_go(regret, labels, generator)
        knobs = range(len(self.tables))
        memory = network.remember(p, s.size, encoded)
        outputs = network.decode(_OPS, p, s.size, memory, [chosen[..., k] for k in knobs], list(knobs))
        for knob in knobs:
            table, offset = self.tables[knob]
            target = soft_labels(to_go[knob], labels[:, knob], s.temperature, s.own_label)
            losses[f"knob/{self.problem.schema.knobs[knob].name}"] = knob_loss(
                outputs[knob] @ table + offset,
                to_go[knob],
                target,
                s.regret_weight,
                masked=self.problem.schema.capped,
            )
        return losses

    def _regret(self, rows: Tensor) -> Tensor | None:
        return None if self.regret is None else self.regret[rows].float()

    def _to_go(self, regret: Tensor | None, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, list[Tensor]]:
        """Returns designs to condition on, shape ``(rows, prefixes, knobs)``, and the regret to go of each knob."""
        if regret is None:
            sizes = self.problem.schema.sizes
            found = [_WRONG * (torch.arange(n) != labels[:, k, None])[:, None].float() for k, n in enumerate(sizes)]
            return labels[:, None], found
        others = self.settings.prefixes - 1
        chosen = labels[:, None]
        if others:
            # A wide temperature: also prefixes that the policy should rather not choose have a best continuation.
            weights = torch.exp(-regret.flatten(1) / 0.1)
            drawn = torch.multinomial(weights, others, replacement=True, generator=generator)
            parts = torch.unravel_index(drawn, regret.shape[1:])
            chosen = torch.cat([chosen, torch.stack(parts, dim=-1)], dim=1)
        return chosen, regret_to_go(regret, chosen)

    # -- parameters ----------------------------------------------------------------------------------------------

    def _trained(self, arrays: dict[str, npt.NDArray[Any]]) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        return ((name, array) for name, array in sorted(arrays.items()) if not name.startswith(_FIXED))

    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        return {name: value.detach().numpy() for name, value in self.parameters.items()} | self.fixed

    def _policy(self, arrays: dict[str, npt.NDArray[Any]]) -> Policy:
        s = self.settings
        card = training_card(self.identity)
        return Policy(self.problem.schema, s.size, s.head, s.buckets, s.residues, arrays, card)

    def _validate(self) -> dict[str, float]:
        held = self.problem.splits.get("validation")
        if held is None or held.regret is None or self.stage == 1:
            return {}
        held = held.take(slice(0, _SCORED))
        policy = self._policy(self._arrays())
        feasible = held.feasible if self.problem.schema.capped else None
        found = score_designs(held, policy.propose(held.arrays, feasible).designs)
        return {f"validation/{name}": value for name, value in found.to_json().items() if name != "rows"}


def _schedule(done: float) -> float:
    return min(done / _WARM_UP, 0.5 + 0.5 * math.cos(math.pi * done)) + 1e-3


def _features(tokeniser: Tokeniser, problem: Problem, examples: Examples) -> npt.NDArray[np.float32]:
    return tokeniser(examples.arrays, examples.feasible if problem.schema.capped else None)

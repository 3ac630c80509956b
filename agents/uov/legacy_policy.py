"""The faithful mode: AIrchitect v2 as released, whose answers depend on the rows that are asked together.

The exception to the rule that an answer depends on nothing but its row; see
:mod:`~accelgym.agents.uov.legacy_network`. It needs torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from accelgym.agents.checkpoint import read_checkpoint, write_checkpoint
from accelgym.agents.uov.checkpoint import LEGACY, SCHEMA
from accelgym.agents.uov.legacy_losses import LegacyOrdinalCode
from accelgym.agents.uov.legacy_network import LegacyDecoder, LegacyEncoder
from accelgym.agents.uov.problem import Examples, released_schema
from accelgym.agents.uov.schema import Arrays, Schema
from accelgym.agents.uov.scores import score_designs
from accelgym.costmodels.errors import InputError
from accelgym.dse_dataset.airchitect_csv import LEVELS, PES

__all__ = [
    "BATCH",
    "LegacyPolicy",
    "legacy_schema",
    "load_legacy",
    "save_legacy",
    "score_legacy",
]

IntArray = npt.NDArray[np.int64]

BATCH = 1000
"""Rows that are answered together: the batch in which the release reads its test rows."""


def legacy_schema(arrays: Arrays, head: str, decoder: str) -> Schema:
    """Returns the schema of a legacy policy.

    Args:
        arrays: Inputs of the training rows.
        head: ``classes`` names PEs and buffer together, ``uov`` the PEs alone, as the release trains it.
        decoder: ``attention`` over the batch, or ``layers``.
    """
    known = released_schema(arrays)
    knobs = known.knobs if head == "classes" else tuple(k for k in known.knobs if k.name == "num_pes")
    facts = {**known.facts, "mode": "legacy", "depends_on_batch": decoder == "attention"}
    return replace(known, name="airchitect-v2-legacy", knobs=knobs, facts=facts)


@dataclass(frozen=True)
class LegacyPolicy:
    """Parameters with all that gives them a meaning.

    Attributes:
        schema: See :func:`legacy_schema`.
        buckets: Of the head ``uov``; not read otherwise.
        parameters: Arrays by name, those of the encoder and of the decoder.
        card: What it was trained on, as plain data.
    """

    schema: Schema
    buckets: int
    parameters: Mapping[str, npt.NDArray[Any]]
    card: Mapping[str, Any] = field(default_factory=dict)

    @property
    def depends_on_batch(self) -> bool:
        """Whether an answer depends on the rows that it is asked with."""
        return bool(self.schema.facts["depends_on_batch"])

    @property
    def code(self) -> LegacyOrdinalCode | None:
        """How the head's outputs are decoded; ``None`` for classes."""
        return None if len(self.schema.knobs) > 1 else LegacyOrdinalCode(PES, self.buckets)

    @cached_property
    def _modules(self) -> tuple[LegacyEncoder, LegacyDecoder]:
        outputs = PES * LEVELS if self.code is None else self.buckets
        encoder, decoder = LegacyEncoder(), LegacyDecoder(outputs, attention=self.depends_on_batch)
        for name, module in (("encoder", encoder), ("decoder", decoder)):
            state = {key: self.parameters.get(f"{name}.{key}") for key in module.state_dict()}
            missing = [key for key, array in state.items() if array is None]
            if missing:
                raise InputError(f"a legacy policy lacks the parameter '{name}.{missing[0]}'")
            module.load_state_dict({key: torch.from_numpy(np.array(array)) for key, array in state.items()})
            module.eval()
        return encoder, decoder

    def features(self, indices: IntArray) -> Tensor:
        """Returns what the encoder makes of each row, which depends on the row alone; shape ``(rows, 128)``.

        Args:
            indices: Of :func:`~accelgym.agents.uov.legacy_network.legacy_indices`.
        """
        with torch.inference_mode():
            return torch.cat([self._modules[0](part)[0] for part in torch.split(torch.from_numpy(indices), 4096)])

    def outputs(self, features: Tensor, batch: int = BATCH) -> npt.NDArray[np.float32]:
        """Returns the outputs of the head, shape ``(rows, outputs)``.

        Args:
            features: Of :meth:`features`.
            batch: Rows that are answered together, in order; the last ones may be fewer.
        """
        decoder = self._modules[1]
        with torch.inference_mode():
            if batch == 1:
                return decoder(features[:, None])[:, 0].numpy()  # type: ignore[no-any-return]
            return torch.cat([decoder(part) for part in torch.split(features, batch)]).numpy()

    def propose(self, indices: IntArray, batch: int = BATCH) -> IntArray:
        """Returns the most likely design of each row, value indices of shape ``(rows, knobs)``.

        Args:
            indices: Of :func:`~accelgym.agents.uov.legacy_network.legacy_indices`.
            batch: See :meth:`outputs`.
        """
        return self._designs(self.outputs(self.features(indices), batch))

    def _designs(self, outputs: npt.NDArray[np.float32]) -> IntArray:
        if self.code is not None:
            return np.minimum(self.code.decode(outputs), PES - 1).astype(np.int64)[:, None]
        chosen = outputs.argmax(axis=1)
        return np.stack([chosen % LEVELS, chosen // LEVELS], axis=1)


def save_legacy(path: Path, policy: LegacyPolicy) -> None:
    """Writes a legacy policy."""
    about = {"schema": policy.schema.to_json(), "buckets": policy.buckets, "card": dict(policy.card)}
    write_checkpoint(path, LEGACY, SCHEMA, about, policy.parameters)


def load_legacy(path: Path) -> LegacyPolicy:
    """Reads a legacy policy.

    Raises:
        InputError: No legacy policy, or one whose description or parameters are incomplete.
    """
    about, arrays = read_checkpoint(path, LEGACY, SCHEMA)
    try:
        policy = LegacyPolicy(Schema.from_json(about["schema"]), about["buckets"], arrays, about["card"])
        assert policy._modules
    except (KeyError, RuntimeError, InputError) as error:
        raise InputError(f"{path}: its description or its parameters are incomplete: {error}") from error
    return policy


def score_legacy(policy: LegacyPolicy, indices: IntArray, examples: Examples) -> dict[int, dict[str, float]]:
    """Scores the answers to some rows by the batch in which they are asked: the release's own 1000, 128, one by one.

    ``exact`` is the share of labels met, ``pes`` and ``buffer`` those of each knob, ``pes_within_5`` what the release
    calls accuracy of its ordinal head; regret as in :class:`~accelgym.agents.uov.scores.PolicyScore`. A policy that
    names PEs alone is scored on these.

    Args:
        policy: The policy.
        indices: Of the rows.
        examples: Their labels and landscapes.
    """
    found, features = {}, policy.features(indices)
    for batch in (BATCH, 128, 1) if policy.depends_on_batch else (BATCH,):
        designs = policy._designs(policy.outputs(features, batch))
        off = np.abs(designs[:, -1] - examples.labels[:, -1])
        scores = {"rows": len(designs), "pes": (off == 0).mean(), "pes_within_5": (off <= 5).mean()}
        if policy.code is None:
            off = np.abs(designs[:, 0] - examples.labels[:, 0])
            regret = score_designs(examples, designs[:, None])
            scores |= {"exact": regret.canonical, "buffer": (off == 0).mean(), "buffer_within_1": (off <= 1).mean()}
            scores |= {name: getattr(regret, name) for name in ("optimal", "geomean", "p99", "worst", "infeasible")}
        found[batch] = {name: float(value) for name, value in scores.items()}
    return found

"""Losses: soft labels that know ties, expected log-regret, and a contrast between rows by the regret of swapping."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["contrastive_loss", "knob_loss", "regret_to_go", "same_answer", "soft_labels"]

_TIE = 1e-5
"""Logarithm of a ratio up to which a design counts as the best: below the smallest regret that is kept, above 0."""
_LARGEST = 3.0
"""Expected regret counts a design as at most 20 times the best, so that no row outweighs all others."""
_NEVER = -1e9


def regret_to_go(regret: Tensor, chosen: Tensor) -> list[Tensor]:
    """Returns what each value of each knob still costs when all later knobs are chosen best.

    Args:
        regret: Log-regret of each design, ``inf`` where infeasible; shape ``(rows, *sizes)``.
        chosen: Designs whose values the later knobs are conditioned on, shape ``(rows, prefixes, knobs)``.

    Returns:
        For each knob shape ``(rows, prefixes, values)``; ``inf`` where no completion is feasible.
    """
    rows, prefixes, knobs = chosen.shape
    each = torch.arange(rows)[:, None]
    found = []
    for knob in range(knobs):
        least = regret.flatten(knob + 2).amin(-1) if knob + 1 < knobs else regret
        index = (each, *(chosen[..., i] for i in range(knob)))
        found.append(least[index] if knob else least[:, None].expand(rows, prefixes, -1))
    return found


def soft_labels(to_go: Tensor, label: Tensor, temperature: float, own: float) -> Tensor:
    """Returns what a head learns to say: all values that tie alike, worse ones less by their regret.

    Args:
        to_go: Of :func:`regret_to_go` for one knob, shape ``(rows, prefixes, values)``.
        label: The data's own value, shape ``(rows,)``.
        temperature: Log-regret at which a value is ``1 / e`` as likely as the best.
        own: Share that goes to the data's own value wherever it is among the best; it breaks ties as the data does.
    """
    least = to_go.amin(-1, keepdim=True)
    known = torch.isfinite(least)
    beyond = torch.where(known, to_go - torch.where(known, least, 0.0), 0.0)
    labels = torch.softmax(torch.where(torch.isfinite(beyond), -beyond / temperature, _NEVER), -1)
    place = label[:, None, None].expand(-1, to_go.shape[1], 1)
    share = own * (beyond.gather(-1, place) <= _TIE).to(labels.dtype)
    return (labels * (1.0 - share)).scatter_add(-1, place, share)


def knob_loss(logits: Tensor, to_go: Tensor, labels: Tensor, weight: float, *, masked: bool) -> Tensor:
    """Returns cross-entropy to soft labels plus the expected log-regret of what the head says, the mean over rows.

    Args:
        logits: Shape ``(rows, prefixes, values)``.
        to_go: Likewise.
        labels: Likewise.
        weight: Of the expected log-regret.
        masked: Whether infeasible values are known and masked, as they then will be when the policy is asked.
    """
    if masked:
        logits = torch.where(torch.isfinite(to_go), logits, _NEVER)
    log_p = torch.log_softmax(logits, -1)
    cross = -(labels * log_p).sum(-1)
    least = to_go.amin(-1, keepdim=True)
    beyond = torch.nan_to_num(to_go - least, nan=0.0, posinf=_LARGEST).clamp(max=_LARGEST)
    expected = (log_p.exp() * beyond).sum(-1)
    return (cross + weight * expected).mean()


def same_answer(regret: Tensor, labels: Tensor, tolerance: float) -> Tensor:
    """Returns which pairs of rows may swap their designs at hardly any loss, bool of shape ``(rows, rows)``.

    Equal labels are no such thing: of the many designs that tie for a row, a label is one.

    Args:
        regret: Log-regret of each design, shape ``(rows, *sizes)``.
        labels: Best design of each row, shape ``(rows, knobs)``.
        tolerance: Largest log-regret of either swap.
    """
    swapped = regret[(slice(None), *labels.T)]
    allowed = swapped <= tolerance
    return allowed & allowed.T


def contrastive_loss(vectors: Tensor, positive: Tensor, temperature: float) -> Tensor:
    """Supervised contrastive loss (Khosla et al., NeurIPS 2020, ``L_out``) on vectors of length 1.

    Args:
        vectors: Shape ``(rows, length)``, normalised here.
        positive: Pairs to pull together, bool of shape ``(rows, rows)``; the diagonal is left out.
        temperature: Of the similarities.
    """
    unit = torch.nn.functional.normalize(vectors, dim=-1)
    itself = torch.eye(len(unit), dtype=torch.bool)
    similarity = (unit @ unit.T / temperature).masked_fill(itself, _NEVER)
    log_p = torch.log_softmax(similarity, -1)
    pairs = positive & ~itself
    count = pairs.sum(-1)
    loss = -torch.where(pairs, log_p, 0.0).sum(-1) / count.clamp(min=1)
    return loss[count > 0].mean() if bool((count > 0).any()) else loss.sum() * 0.0

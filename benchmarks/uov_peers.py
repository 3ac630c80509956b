"""What stands beside the UOV policy in its tables: simple predictors, and the literature's two other ways.

A peer learns from the training rows of a problem and returns designs for other rows, shape ``(rows, top, knobs)``.
Peers see logarithms of the numbers among the inputs and a column for each category, not which designs are feasible.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.neighbors import NearestNeighbors
from torch import nn

from accelgym.agents.uov.problem import Examples, Problem

__all__ = ["PEERS"]

Designs = npt.NDArray[np.int64]
_INFEASIBLE = np.log(10.0)
_FEW = 16


def features(problem: Problem, examples: Examples) -> npt.NDArray[np.float32]:
    """Plain features, shape ``(rows, features)``."""
    columns = []
    for entry in problem.schema.inputs:
        values = examples.arrays[entry.name]
        if entry.kind == "category":
            columns += [values.astype(str) == value for value in entry.values]
        else:
            numbers = np.nan_to_num(values.astype(np.float64), posinf=1e18)
            columns.append(np.log2(np.maximum(numbers, 0.0) + 1e-3))
    return np.stack(columns, axis=1).astype(np.float32)


def scaled(problem: Problem, examples: Examples) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Features of the training rows and of others, centred and scaled."""
    near, far = features(problem, problem.splits["train"]), features(problem, examples)
    mean, deviation = near.mean(axis=0), near.std(axis=0)
    deviation[deviation == 0] = 1.0
    return (near - mean) / deviation, (far - mean) / deviation


def constant(problem: Problem, examples: Examples, seed: int) -> Designs:
    """The design with the least mean log-regret on the training rows."""
    regret = problem.splits["train"].regret
    assert regret is not None
    flat = regret.reshape(len(regret), -1).astype(np.float32)
    best = int(np.where(np.isfinite(flat), flat, _INFEASIBLE).mean(axis=0).argmin())
    design = np.array(np.unravel_index(best, problem.schema.sizes))
    return np.tile(design, (len(examples), 1, 1))


def gradient_boosting(problem: Problem, examples: Examples, seed: int) -> Designs:
    """A tree ensemble for each knob: classes up to 16 values, a rounded number above."""
    near, far = features(problem, problem.splits["train"]), features(problem, examples)
    heads = []
    for knob, labels in zip(problem.schema.knobs, problem.splits["train"].labels.T, strict=True):
        if len(np.unique(labels)) == 1:
            heads.append(np.full(len(far), labels[0]))
        elif knob.levels <= _FEW:
            tree = HistGradientBoostingClassifier(random_state=seed, early_stopping=False)
            heads.append(tree.fit(near, labels).predict(far))
        else:
            tree = HistGradientBoostingRegressor(random_state=seed, early_stopping=False)
            heads.append(np.clip(np.rint(tree.fit(near, labels).predict(far)), 0, knob.levels - 1))
    return np.stack(heads, axis=1).astype(np.int64)[:, None]


def neighbours(problem: Problem, examples: Examples, seed: int) -> Designs:
    """The label of the nearest of five training rows; all five as its further designs."""
    near, far = scaled(problem, examples)
    found = NearestNeighbors(n_neighbors=min(5, len(near))).fit(near).kneighbors(far, return_distance=False)
    labels = problem.splits["train"].labels
    flat = np.ravel_multi_index(tuple(labels.T), problem.schema.sizes)[found]
    votes = (flat[:, :, None] == flat[:, None, :]).sum(axis=2).argmax(axis=1)
    order = np.argsort(np.arange(found.shape[1])[None] != votes[:, None], axis=1, kind="stable")
    return labels[np.take_along_axis(found, order, axis=1)]


def random_five(problem: Problem, examples: Examples, seed: int) -> Designs:
    """Five random designs among the feasible ones."""
    rng = np.random.default_rng(seed)
    feasible = examples.feasible
    assert feasible is not None
    draws = rng.random((len(examples), feasible[0].size)) - ~feasible.reshape(len(examples), -1)
    best = np.argpartition(-draws, 5, axis=1)[:, :5]
    return np.stack(np.unravel_index(best, problem.schema.sizes), axis=-1)


def _fit(model: nn.Module, rows: int, loss: Callable[[torch.Tensor], torch.Tensor], seed: int, epochs: int) -> None:
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        for batch in torch.randperm(rows, generator=generator).split(128):
            optimiser.zero_grad()
            loss(batch).backward()
            optimiser.step()


def classifier(problem: Problem, examples: Examples, seed: int) -> Designs:
    """AIrchitect v1's way (Samajdar et al., 2021): a class for every design, cross-entropy to the label."""
    torch.manual_seed(seed)
    near, far = (torch.from_numpy(x) for x in scaled(problem, examples))
    labels = torch.from_numpy(np.ravel_multi_index(tuple(problem.splits["train"].labels.T), problem.schema.sizes))
    classes = int(np.prod(problem.schema.sizes))
    model = nn.Sequential(
        nn.Linear(near.shape[1], 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, classes)
    )
    _fit(model, len(near), lambda b: nn.functional.cross_entropy(model(near[b]), labels[b]), seed, 15)
    with torch.no_grad():
        best = model(far).topk(5, dim=1).indices.numpy()
    return np.stack(np.unravel_index(best, problem.schema.sizes), axis=-1)


class _Latent(nn.Module):
    """A variational autoencoder over designs, and a predictor of log-regret from latent point and row."""

    def __init__(self, sizes: tuple[int, ...], inputs: int, latent: int = 4) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(sum(sizes), 128), nn.ReLU(), nn.Linear(128, 2 * latent))
        self.decoder = nn.Sequential(nn.Linear(latent, 128), nn.ReLU(), nn.Linear(128, sum(sizes)))
        self.predictor = nn.Sequential(
            nn.Linear(latent + inputs, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 1)
        )


def latent_search(problem: Problem, examples: Examples, seed: int) -> Designs:
    """VAESA's way (Huang et al., ISCA 2023): gradient descent on a predicted cost in a learned latent space.

    Five starts and 40 steps a row; the designs decoded from the five end points, the best predicted one first.
    """
    torch.manual_seed(seed)
    sizes = problem.schema.sizes
    near, far = (torch.from_numpy(x) for x in scaled(problem, examples))
    regret = torch.from_numpy(problem.splits["train"].regret).flatten(1)
    model = _Latent(sizes, near.shape[1])

    def loss(batch: torch.Tensor) -> torch.Tensor:
        flat = torch.randint(regret.shape[1], (len(batch),))
        values = torch.unravel_index(flat, sizes)
        hot = torch.cat([nn.functional.one_hot(v, n).float() for v, n in zip(values, sizes, strict=True)], dim=1)
        mean, log_variance = model.encoder(hot).chunk(2, dim=1)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        parts = model.decoder(z).split(list(sizes), dim=1)
        again = sum(nn.functional.cross_entropy(p, v) for p, v in zip(parts, values, strict=True))
        divergence = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(dim=1).mean()
        cost = regret[batch, flat].float().clamp(max=4.0)
        predicted = model.predictor(torch.cat([z, near[batch]], dim=1))[:, 0]
        return again + 0.01 * divergence + (predicted - cost).abs().mean()

    _fit(model, len(near), loss, seed, 30)
    rows = far.repeat_interleave(5, dim=0)
    z = torch.randn(len(rows), 4).requires_grad_()
    for _ in range(40):
        predicted = model.predictor(torch.cat([z, rows], dim=1)).sum()
        (gradient,) = torch.autograd.grad(predicted, z)
        z = (z - 0.1 * gradient / gradient.norm(dim=1, keepdim=True).clamp(min=1e-6)).detach().requires_grad_()
    with torch.no_grad():
        cost = model.predictor(torch.cat([z, rows], dim=1)).view(-1, 5)
        designs = torch.stack([p.argmax(dim=1) for p in model.decoder(z).split(list(sizes), dim=1)], dim=1)
        order = cost.argsort(dim=1)
        return designs.view(-1, 5, len(sizes)).gather(1, order[..., None].expand(-1, -1, len(sizes))).numpy()


PEERS: dict[str, Callable[[Problem, Examples, int], Any]] = {
    "constant": constant,
    "gradient boosting": gradient_boosting,
    "5 nearest neighbours": neighbours,
    "random": random_five,
    "classifier (AIrchitect v1)": classifier,
    "latent search (VAESA)": latent_search,
}

"""Knowledge distillation: a student learns from labels and from a frozen teacher's logits."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from accelgym.experiments.codesign.images import ImageTask
from accelgym.experiments.codesign.space import Student, Training
from accelgym.experiments.codesign.students import ResidualStudent

__all__ = ["distillation_loss", "train_student"]

_BATCH = 40
_DECAY = 5e-4


def distillation_loss(logits: Tensor, teacher: Tensor, labels: Tensor, temperature: float, mixing: float) -> Tensor:
    """Returns ``(1 - a) CE + a T^2 KL(teacher || student)``, both softened by ``T`` (Hinton et al., 2015, section 2).

    Args:
        logits: Of the student, ``(n, classes)``.
        teacher: Of the teacher, ``(n, classes)``.
        labels: Classes, ``(n,)``.
        temperature: ``T``.
        mixing: ``a``, 0 to 1.
    """
    hard = F.cross_entropy(logits, labels)
    soft = F.kl_div(
        F.log_softmax(logits / temperature, dim=1),
        F.log_softmax(teacher / temperature, dim=1),
        log_target=True,
        reduction="batchmean",
    )
    return (1 - mixing) * hard + mixing * temperature**2 * soft


def train_student(task: ImageTask, student: Student, training: Training, seed: int) -> dict[str, float]:
    """Trains a student with AdamW on a one-cycle schedule; returns its accuracy on ``validation`` and ``test`` images.

    Args:
        task: Images and the teacher's logits.
        student: The network.
        training: How.
        seed: Of weights and the order of images.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = ResidualStudent(student, task.channels, task.classes)
    images, labels = task.images["train"], task.labels["train"]
    steps = training.epochs * -(-len(images) // _BATCH)
    optimiser = torch.optim.AdamW(model.parameters(), lr=training.rate, weight_decay=_DECAY)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, training.rate, total_steps=steps, pct_start=0.2)
    model.train()
    for _ in range(training.epochs):
        order = torch.randperm(len(images), generator=generator)
        for part in order.split(_BATCH):  # type: ignore[no-untyped-call]
            loss = distillation_loss(
                model(images[part]), task.logits[part], labels[part], training.temperature, training.mixing
            )
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            plan.step()
    model.eval()
    found = {}
    with torch.no_grad():
        for name in ("validation", "test"):
            parts = task.images[name].split(500)  # type: ignore[no-untyped-call]
            answers = torch.cat([model(x).argmax(1) for x in parts])
            found[name] = float((answers == task.labels[name]).double().mean())
    return found

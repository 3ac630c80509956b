"""Students: residual networks of the CIFAR kind, as PyTorch modules and as layers for the mapper."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from accelgym.costmodels.workloads import Layer, Workload
from accelgym.experiments.codesign.space import Student

__all__ = ["ResidualStudent", "student_workload"]


class _Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut without parameters (option A of He et al., 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(outputs)
        self.stride, self.outputs = stride, outputs

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.second_norm(self.second(F.relu(self.first_norm(self.first(x)))))
        shortcut = x[:, :, :: self.stride, :: self.stride]
        missing = self.outputs - shortcut.shape[1]
        if missing > 0:
            shortcut = F.pad(shortcut, (0, 0, 0, 0, 0, missing))
        return F.relu(out + shortcut[:, : self.outputs])


class ResidualStudent(nn.Module):
    """Stem, three stages, average, classifier.

    Args:
        student: Blocks and channels.
        inputs: Channels of the images.
        classes: Number of classes.
    """

    def __init__(self, student: Student, inputs: int, classes: int) -> None:
        super().__init__()
        width = student.channels[0]
        self.stem = nn.Conv2d(inputs, width, 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        blocks: list[nn.Module] = []
        for stage, (count, channels) in enumerate(zip(student.blocks, student.channels, strict=True)):
            for number in range(count):
                blocks.append(_Block(width, channels, 2 if stage and not number else 1))
                width = channels
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        x = self.blocks(F.relu(self.norm(self.stem(images))))
        logits: Tensor = self.head(torch.mean(x, dim=(2, 3)))
        return logits


def student_workload(student: Student, inputs: int, size: int, classes: int) -> Workload:
    """Returns the convolutions and the classifier of a student for one image.

    Args:
        student: Blocks and channels.
        inputs: Channels of the images.
        size: Their height and width.
        classes: Number of classes.
    """
    width = student.channels[0]
    layers = [Layer.conv("stem", K=width, C=inputs, H=size, R=3, padding=1)]
    for stage, (count, channels) in enumerate(zip(student.blocks, student.channels, strict=True)):
        for number in range(count):
            stride = 2 if stage and not number else 1
            name = f"stage{stage + 1}.block{number + 1}"
            layers.append(Layer.conv(f"{name}.conv1", K=channels, C=width, H=size, R=3, stride=stride, padding=1))
            size, width = (size + stride - 1) // stride, channels
            layers.append(Layer.conv(f"{name}.conv2", K=channels, C=channels, H=size, R=3, padding=1))
    layers.append(Layer.gemm("head", M=1, K=classes, C=width))
    return Workload.chain("student", layers)

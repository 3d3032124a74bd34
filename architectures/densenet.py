"""DenseNet-121 for small images.

Huang et al., "Densely Connected Convolutional Networks", CVPR 2017 (the bottleneck variant with
compression 0.5: DenseNet-BC, blocks of 6, 12, 24 and 16 layers, growth 32), with a stem that keeps
the size of small images: one 3x3 convolution without stride or pooling, as the paper has it for
CIFAR, and as the usual CIFAR port has it (kuangliu/pytorch-cifar). 6,956,298 parameters for RGB
images of 10 classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from architectures.layers import NORMS, AvgPool2, Size, make_norm
from architectures.network import GlobalAverage, Network, check_side, draw_he
from bench.plugin import Architecture, DatasetSpec, param

_BLOCKS = (6, 12, 24, 16)
_LEAST_SIDE = 2 ** (len(_BLOCKS) - 1)


@dataclass(frozen=True)
class DenseNetParams:
    """What can be set of a DenseNet."""

    growth: int = param(32, help="channels that each layer adds", min=1, max=1024)
    norm: str = param("batch", help="normalisation before each ReLU", choices=NORMS)


class DenseNet(Architecture):
    """DenseNet-121 with the stem of small images."""

    name = "densenet"
    members: ClassVar[Mapping[str, Mapping[str, Any]]] = {"densenet121": {}}
    Params = DenseNetParams

    @classmethod
    def build(cls, spec: DatasetSpec, params: DenseNetParams) -> Network:
        """Return a network with convolutions drawn as in the authors' code (normal, fan-out).

        Convolutions have biases only where there is no norm; the classifier's starts at zero.

        Raises:
            BenchError: if a side is under 8 pixels, which three halvings would use up, or the
                norm cannot be had.
        """
        check_side("densenet121", spec, _LEAST_SIDE)
        size, channels, norm = (spec.height, spec.width), 2 * params.growth, params.norm
        layers: list[nn.Module] = [_conv(spec.channels, channels, 3, norm)]
        for i, depth in enumerate(_BLOCKS):
            if i:
                layers.append(Transition(channels, channels // 2, size, norm))
                size, channels = (size[0] // 2, size[1] // 2), channels // 2
            for _ in range(depth):
                layers.append(DenseLayer(channels, params.growth, size, norm))
                channels += params.growth
        layers += [make_norm(norm, channels, size), nn.ReLU(), GlobalAverage()]
        network = Network(nn.Sequential(*layers), channels, spec.num_classes)
        draw_he(network.features, "fan_out")
        nn.init.zeros_(network.classifier.bias)
        return network

    @classmethod
    def per_sample(cls, params: DenseNetParams) -> bool:
        """True unless the norm is ``batch``, which is the default."""
        return params.norm != "batch"


class DenseLayer(nn.Module):
    """Norm, ReLU, 1x1 convolution, norm, ReLU, 3x3 convolution; appended to its input.

    Args:
        channels: of the input.
        growth: channels to add; the 1x1 convolution has four times as many.
        size: height and width of the maps.
        norm: one of :data:`NORMS`.
    """

    def __init__(self, channels: int, growth: int, size: Size, norm: str) -> None:
        super().__init__()
        self.norm1 = make_norm(norm, channels, size)
        self.conv1 = _conv(channels, 4 * growth, 1, norm)
        self.norm2 = make_norm(norm, 4 * growth, size)
        self.conv2 = _conv(4 * growth, growth, 3, norm)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, channels, H, W)`` to ``(N, channels + growth, H, W)``."""
        # Not in place: without a norm, the first is the input itself.
        out = self.conv1(F.relu(self.norm1(x)))
        return torch.cat([x, self.conv2(F.relu(self.norm2(out)))], dim=1)


class Transition(nn.Module):
    """Norm, ReLU, 1x1 convolution and 2x2 average pooling between two dense blocks.

    Args:
        in_channels: of the input.
        channels: of the output.
        size: height and width of the input; an odd last row or column is left out.
        norm: one of :data:`NORMS`.
    """

    def __init__(self, in_channels: int, channels: int, size: Size, norm: str) -> None:
        super().__init__()
        self.norm = make_norm(norm, in_channels, size)
        self.pool = AvgPool2()
        self.conv = _conv(in_channels, channels, 1, norm)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, in_channels, H, W)`` to ``(N, channels, H // 2, W // 2)``."""
        # A 1x1 convolution and average pooling can change places: pooling first is four times
        # cheaper and gives the same numbers to rounding.
        out: Tensor = self.conv(self.pool(F.relu(self.norm(x))))
        return out


def _conv(in_channels: int, channels: int, kernel: int, norm: str) -> nn.Conv2d:
    return nn.Conv2d(in_channels, channels, kernel, padding=kernel // 2, bias=norm == "none")

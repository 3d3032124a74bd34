"""Wide residual networks: ``wrn16-2``.

Zagoruyko and Komodakis, "Wide Residual Networks", BMVC 2016: blocks of two 3x3 convolutions in
pre-activation order (norm, ReLU, convolution; He et al., "Identity Mappings in Deep Residual
Networks", ECCV 2016), in three groups of 16, 32 and 64 channels, widened by a factor. ``wrn16-2``
has 691,674 parameters for RGB images of 10 classes (the paper's table: 0.7 million).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from architectures.layers import NORMS, Size, make_norm
from architectures.network import GlobalAverage, Network, draw_he
from bench.plugin import Architecture, DatasetSpec, param

_CHANNELS = (16, 32, 64)
# The paper's nets are 6n + 4 deep, with n blocks in each group.
_DEPTHS = (10, 16, 22, 28, 40)


@dataclass(frozen=True)
class WideResNetParams:
    """What can be set of a wide ResNet; depth and factor come from the name."""

    depth: int = param(16, help="convolutions of 3x3 and classifier, counted", choices=_DEPTHS)
    widen: int = param(2, help="the factor that multiplies 16, 32 and 64 channels", min=1, max=256)
    norm: str = param("batch", help="normalisation before each ReLU", choices=NORMS)


class WideResNet(Architecture):
    """Wide ResNets; wrn16-2 has 16 layers, twice as wide."""

    name = "wide-resnet"
    members: ClassVar[Mapping[str, Mapping[str, Any]]] = {"wrn16-2": {"depth": 16, "widen": 2}}
    Params = WideResNetParams

    @classmethod
    def build(cls, spec: DatasetSpec, params: WideResNetParams) -> Network:
        """Return a network with convolutions drawn as in the authors' code (normal, fan-in).

        Groups two and three halve by stride, which rounds up. Convolutions have biases only where
        there is no norm; the classifier's bias starts at zero. There is no dropout.

        Raises:
            BenchError: if the norm cannot be had.
        """
        size, channels = (spec.height, spec.width), _CHANNELS[0]
        layers: list[nn.Module] = [_conv(spec.channels, channels, 3, 1, params.norm)]
        for group, base in enumerate(_CHANNELS):
            for i in range((params.depth - 4) // 6):
                stride = 2 if group > 0 and i == 0 else 1
                layers.append(WideBlock(channels, base * params.widen, size, stride, params.norm))
                size = _strided(size, stride)
                channels = base * params.widen
        layers += [make_norm(params.norm, channels, size), nn.ReLU(), GlobalAverage()]
        network = Network(nn.Sequential(*layers), channels, spec.num_classes)
        draw_he(network.features, "fan_in")
        nn.init.zeros_(network.classifier.bias)
        return network

    @classmethod
    def per_sample(cls, params: WideResNetParams) -> bool:
        """True unless the norm is ``batch``, which is the default."""
        return params.norm != "batch"


class WideBlock(nn.Module):
    """Norm, ReLU, 3x3 convolution, twice, added to a shortcut.

    Where the number of channels changes, the shortcut is a 1x1 convolution of what the first
    convolution sees, else the input itself.

    Args:
        in_channels: of the input.
        channels: of the output.
        size: height and width of the input.
        stride: of the first convolution.
        norm: one of :data:`NORMS`.
    """

    def __init__(self, in_channels: int, channels: int, size: Size, stride: int, norm: str) -> None:
        super().__init__()
        self.norm1 = make_norm(norm, in_channels, size)
        self.conv1 = _conv(in_channels, channels, 3, stride, norm)
        self.norm2 = make_norm(norm, channels, _strided(size, stride))
        self.conv2 = _conv(channels, channels, 3, 1, norm)
        self.project = (
            _conv(in_channels, channels, 1, stride, norm) if in_channels != channels else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, in_channels, *size)`` to ``(N, channels, H', W')``."""
        # Not in place: without a norm, this is the input itself.
        active = F.relu(self.norm1(x))
        out: Tensor = self.conv2(F.relu(self.norm2(self.conv1(active))))
        shortcut: Tensor = x if self.project is None else self.project(active)
        return out + shortcut


def _conv(in_channels: int, channels: int, kernel: int, stride: int, norm: str) -> nn.Conv2d:
    bias = norm == "none"
    return nn.Conv2d(in_channels, channels, kernel, stride, padding=kernel // 2, bias=bias)


def _strided(size: Size, stride: int) -> Size:
    return -(-size[0] // stride), -(-size[1] // stride)

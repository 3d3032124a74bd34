"""ResNet-10 and ResNet-18 for small images, and their average-pooling variants.

He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, with a stem that keeps the
size of small images. The ``_ap`` variants replace every strided convolution by one of stride 1 and
2x2 average pooling (Zhao et al., "Dataset Condensation with Gradient Matching", ICLR 2021; Kim et
al., "Dataset Condensation via Efficient Synthetic-Data Parameterization", ICML 2022). ``resnet18``
with its defaults has 11,173,962 parameters for RGB images of 10 classes.

The released code of IDC and DiM starts from 32 channels on CIFAR: there, it is ``width=32``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from architectures.layers import NORMS, AvgPool2, Size, make_norm
from bench.plugin import Architecture, BenchError, DatasetSpec, param

_BLOCKS = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2)}


@dataclass(frozen=True)
class ResNetParams:
    """What can be set of a ResNet; depth and average pooling come from the name."""

    depth: int = param(18, help="convolutions and classifier, counted", choices=tuple(_BLOCKS))
    average_pool: bool = param(False, help="average pooling in place of strided convolution")
    width: int = param(64, help="channels of the first stage, doubled at each later one", min=1)
    norm: str = param("batch", help="normalisation after each convolution", choices=NORMS)


class ResNet(Architecture):
    """ResNet-10 and ResNet-18; with ``_ap``, average pooling instead of strides."""

    name = "resnet"
    members: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "resnet10": {"depth": 10, "average_pool": False},
        "resnet10_ap": {"depth": 10, "average_pool": True},
        "resnet18": {"depth": 18, "average_pool": False},
        "resnet18_ap": {"depth": 18, "average_pool": True},
    }
    Params = ResNetParams

    @classmethod
    def build(cls, spec: DatasetSpec, params: ResNetParams) -> ResNetwork:
        """Return a network with convolutions drawn as in He et al. (normal, fan-out).

        Raises:
            BenchError: if halving leaves nothing of images that small, or the norm cannot be had.
        """
        return ResNetwork(spec, params)

    @classmethod
    def per_sample(cls, params: ResNetParams) -> bool:
        """True unless the norm is ``batch``, which is the default."""
        return params.norm != "batch"


class ResNetwork(nn.Module):
    """A stem, four stages of basic blocks, global average pooling and a linear classifier.

    The stem of images up to 64 pixels keeps their size (3x3, stride 1); up to 128 it halves, above
    that it quarters, as in the field's code. Stages two to four halve. Convolution weights are
    normal with variance ``2 / (k * k * out_channels)``, their biases (only where there is no norm)
    zero; norms start as the identity; the classifier has PyTorch's default initialisation.

    Args:
        spec: gives channels, height, width and the number of classes.
        params: the family's parameters.

    Raises:
        BenchError: as :meth:`ResNet.build`.
    """

    def __init__(self, spec: DatasetSpec, params: ResNetParams) -> None:
        super().__init__()
        layers, size = _stem(spec, params)
        channels = params.width
        for stage, blocks in enumerate(_BLOCKS[params.depth]):
            for block in range(blocks):
                shrink, width = stage > 0 and block == 0, params.width * 2**stage
                layers.append(BasicBlock(channels, width, size, shrink, params))
                size = _halved(size, params) if shrink else size
                channels = width
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(channels, spec.num_classes)
        for module in self.features.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def embed(self, x: Tensor) -> Tensor:
        """Map images ``(N, C, H, W)`` to the classifier's input ``(N, 8 * width)``."""
        features: Tensor = self.features(x)
        return features.mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Map images ``(N, C, H, W)`` to logits ``(N, num_classes)``."""
        logits: Tensor = self.classifier(self.embed(x))
        return logits


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with norms, added to a shortcut.

    Args:
        in_channels: of the input.
        channels: of the output.
        size: height and width of the input.
        shrink: whether the output is half as high and wide.
        params: gives the norm and the way to halve.
    """

    def __init__(
        self, in_channels: int, channels: int, size: Size, shrink: bool, params: ResNetParams
    ) -> None:
        super().__init__()
        pool = shrink and params.average_pool
        stride = 2 if shrink and not pool else 1
        out = _halved(size, params) if shrink else size
        self.conv1 = _conv(in_channels, channels, 3, stride, params)
        self.norm1 = make_norm(params.norm, channels, size if pool else out)
        self.pool = AvgPool2() if pool else nn.Identity()
        self.conv2 = _conv(channels, channels, 3, 1, params)
        self.norm2 = make_norm(params.norm, channels, out)
        self.shortcut = nn.Sequential()
        if shrink or in_channels != channels:
            # A 1x1 convolution and average pooling can change places; this order is four times
            # cheaper than that of the field's code and gives the same numbers to rounding.
            self.shortcut.append(AvgPool2() if pool else nn.Identity())
            self.shortcut.append(_conv(in_channels, channels, 1, stride, params))
            self.shortcut.append(make_norm(params.norm, channels, out))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, in_channels, *size)`` to ``(N, channels, H', W')``."""
        out = F.relu(self.norm1(self.conv1(x)), inplace=True)
        out = self.norm2(self.conv2(self.pool(out)))
        out += self.shortcut(x)
        return F.relu(out, inplace=True)


def _stem(spec: DatasetSpec, params: ResNetParams) -> tuple[list[nn.Module], Size]:
    size, side, pool = (spec.height, spec.width), max(spec.height, spec.width), params.average_pool
    stride = 2 if side > 128 and not pool else 1
    size = _halved(size, params) if stride == 2 else size
    layers = [
        _conv(spec.channels, params.width, 7 if side > 128 else 3, stride, params),
        make_norm(params.norm, params.width, size),
        nn.ReLU(inplace=True),
    ]
    for _ in range((side > 64) + (side > 128 and pool)):
        layers.append(AvgPool2() if pool else nn.MaxPool2d(3, 2, padding=1))
        size = _halved(size, params)
    return layers, size


def _conv(
    in_channels: int, channels: int, kernel: int, stride: int, params: ResNetParams
) -> nn.Module:
    bias = params.norm == "none"
    return nn.Conv2d(in_channels, channels, kernel, stride, padding=kernel // 2, bias=bias)


def _halved(size: Size, params: ResNetParams) -> Size:
    """Strides round up, pooling rounds down."""
    extra = 0 if params.average_pool else 1
    half = (size[0] + extra) // 2, (size[1] + extra) // 2
    if 0 in half:
        raise BenchError(
            f"resnet{params.depth}_ap cannot take images that small: it would halve a side of one "
            "pixel; use sides of at least 8, or the variant without _ap"
        )
    return half

"""The residual blocks of ResNets: basic (two 3x3) and bottleneck (1x1, 3x3, 1x1)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from architectures.layers import NORMS, AvgPool2, Size, make_norm
from bench.plugin import BenchError, param

DEPTHS = (10, 18, 34, 50)
STEMS = ("auto", "small", "mid", "large")


@dataclass(frozen=True)
class ResNetParams:
    """What can be set of a ResNet; depth and average pooling come from the name."""

    depth: int = param(18, help="convolutions and classifier, counted", choices=DEPTHS)
    average_pool: bool = param(False, help="average pooling in place of strided convolution")
    width: int = param(
        64, help="channels of the first stage, doubled at each later one", min=1, max=1024
    )
    norm: str = param("batch", help="normalisation after each convolution", choices=NORMS)
    stem: str = param(
        "auto",
        help="first layers: small keeps the size of images, mid halves it, large quarters it "
        "after a 7x7 convolution; auto chooses by the size",
        choices=STEMS,
    )


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with norms, added to a shortcut.

    Args:
        in_channels: of the input.
        width: of the convolutions, and so of the output.
        size: height and width of the input.
        shrink: whether the output is half as high and wide.
        params: gives the norm and the way to halve.
    """

    expansion = 1

    def __init__(
        self, in_channels: int, width: int, size: Size, shrink: bool, params: ResNetParams
    ) -> None:
        super().__init__()
        pool = shrink and params.average_pool
        stride = 2 if shrink and not pool else 1
        out = halved(size, params) if shrink else size
        self.conv1 = conv(in_channels, width, 3, stride, params)
        self.norm1 = make_norm(params.norm, width, size if pool else out)
        self.pool = AvgPool2() if pool else nn.Identity()
        self.conv2 = conv(width, width, 3, 1, params)
        self.norm2 = make_norm(params.norm, width, out)
        self.shortcut = _shortcut(in_channels, width, out, shrink, params)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, in_channels, *size)`` to ``(N, width, H', W')``."""
        out = F.relu(self.norm1(self.conv1(x)), inplace=True)
        out = self.norm2(self.conv2(self.pool(out)))
        out += self.shortcut(x)
        return F.relu(out, inplace=True)


class Bottleneck(nn.Module):
    """Convolutions of 1x1, 3x3 and 1x1 with norms, added to a shortcut; the last widens by 4.

    The 3x3 convolution halves, as in the field's code; He et al. halve in the first one.

    Args:
        in_channels: of the input.
        width: of the first two convolutions; the output has ``4 * width`` channels.
        size: height and width of the input.
        shrink: whether the output is half as high and wide.
        params: gives the norm and the way to halve.
    """

    expansion = 4

    def __init__(
        self, in_channels: int, width: int, size: Size, shrink: bool, params: ResNetParams
    ) -> None:
        super().__init__()
        pool = shrink and params.average_pool
        stride = 2 if shrink and not pool else 1
        out, channels = halved(size, params) if shrink else size, self.expansion * width
        self.conv1 = conv(in_channels, width, 1, 1, params)
        self.norm1 = make_norm(params.norm, width, size)
        self.conv2 = conv(width, width, 3, stride, params)
        self.norm2 = make_norm(params.norm, width, size if pool else out)
        self.pool = AvgPool2() if pool else nn.Identity()
        self.conv3 = conv(width, channels, 1, 1, params)
        self.norm3 = make_norm(params.norm, channels, out)
        self.shortcut = _shortcut(in_channels, channels, out, shrink, params)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, in_channels, *size)`` to ``(N, 4 * width, H', W')``."""
        out = F.relu(self.norm1(self.conv1(x)), inplace=True)
        out = F.relu(self.norm2(self.conv2(out)), inplace=True)
        out = self.norm3(self.conv3(self.pool(out)))
        out += self.shortcut(x)
        return F.relu(out, inplace=True)


def _shortcut(
    in_channels: int, channels: int, out: Size, shrink: bool, params: ResNetParams
) -> nn.Sequential:
    shortcut = nn.Sequential()
    if shrink or in_channels != channels:
        pool = shrink and params.average_pool
        # A 1x1 convolution and average pooling can change places; this order is four times
        # cheaper than that of the field's code and gives the same numbers to rounding.
        shortcut.append(AvgPool2() if pool else nn.Identity())
        shortcut.append(conv(in_channels, channels, 1, 2 if shrink and not pool else 1, params))
        shortcut.append(make_norm(params.norm, channels, out))
    return shortcut


def conv(
    in_channels: int, channels: int, kernel: int, stride: int, params: ResNetParams
) -> nn.Module:
    """Return a convolution that keeps the size at stride 1; it has a bias only without norms."""
    bias = params.norm == "none"
    return nn.Conv2d(in_channels, channels, kernel, stride, padding=kernel // 2, bias=bias)


def halved(size: Size, params: ResNetParams) -> Size:
    """Return half a size: strides round up, pooling rounds down.

    Raises:
        BenchError: if nothing would be left.
    """
    extra = 0 if params.average_pool else 1
    half = (size[0] + extra) // 2, (size[1] + extra) // 2
    if 0 in half:
        raise BenchError(
            f"resnet{params.depth}_ap cannot take images that small: it would halve a side of one "
            "pixel; use sides of at least 8, or the variant without _ap"
        )
    return half

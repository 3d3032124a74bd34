"""Building blocks that the families share: normalisation, pooling and their shapes."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.plugin import BenchError

NORMS = ("instance", "batch", "group", "layer", "none")
GROUPS = 4
Size = tuple[int, int]


def make_norm(kind: str, channels: int, size: Size) -> nn.Module:
    """Return an affine normalisation layer for ``(N, channels, *size)`` maps.

    Args:
        kind: one of :data:`NORMS`. ``instance`` is group normalisation with one channel per group,
            the field's habit; ``group`` has 4 groups; ``layer`` normalises, scales and shifts over
            ``(C, H, W)``; ``none`` is the identity.
        channels: of the maps.
        size: height and width of the maps.

    Raises:
        BenchError: if the channels do not divide into groups, or if a group holds a single value,
            which normalisation would turn into zero whatever the image shows.

    On a CPU ``nn.GroupNorm`` is by far the fastest form of instance normalisation (forward and
    backward of 16 x 128 x 32 x 32 on one core: 1.5 ms, against 5.1 for ``F.instance_norm`` and
    5.6 to 19 for compositions of simpler operations).
    """
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    if kind == "none":
        return nn.Identity()
    groups = {"instance": channels, "group": GROUPS, "layer": 1}[kind]
    if channels % groups:
        raise BenchError(
            f"norm = 'group' with {channels} channels: they do not divide into {GROUPS} groups; "
            f"choose a width that is a multiple of {GROUPS}"
        )
    if channels // groups * size[0] * size[1] == 1:
        raise BenchError(
            f"norm = '{kind}' would see maps of 1x1 and turn them all into zero: "
            "choose larger images, fewer halvings or another norm"
        )
    if kind == "layer":
        return nn.LayerNorm((channels, *size))
    return nn.GroupNorm(groups, channels)


class AvgPool2(nn.Module):
    """Average pooling over 2x2 squares; an odd last row or column is left out.

    The same numbers as ``nn.AvgPool2d(2)``. PyTorch's CPU kernel is scalar code that takes a tenth
    of ConvNet-3's time; there, two rows at a time are multiplied with a constant matrix instead,
    which takes 0.36 to 0.4 of the time, forward and backward (16 x 128 maps of 32, 16 and 8).
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, C, H, W)`` to ``(N, C, H // 2, W // 2)``."""
        n, channels, height, width = x.shape
        plain = x.device.type != "cpu" or torch.compiler.is_compiling()
        if plain or height % 2 or width % 2:
            return F.avg_pool2d(x, 2)
        pairs = torch.eye(width // 2, dtype=x.dtype, device=x.device).repeat_interleave(2, dim=0)
        two_rows = x.reshape(-1, 2 * width)
        pooled = two_rows @ torch.cat([pairs, pairs]).mul_(0.25)
        return pooled.view(n, channels, height // 2, width // 2)

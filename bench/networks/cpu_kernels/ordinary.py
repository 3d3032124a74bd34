"""PyTorch's own convolution as maps: no faster itself, but its second derivatives are."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# Multiplications, below which Python takes longer to hand them on than second derivatives save.
_LEAST = 2**26


def fits(x: Tensor, weight: Tensor, stride: tuple[int, int]) -> bool:
    """Return whether a convolution of ``(N, C, H, W)`` is large enough for maps of its own."""
    return x.numel() * weight[:, 0].numel() >= _LEAST * stride[0] * stride[1]


@dataclass(frozen=True)
class Ordinary:
    """A convolution in one group.

    Attributes:
        stride: of height and width.
        padding: of height and width.
        dilation: of height and width.
    """

    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]

    def outputs(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """See :class:`bench.networks.cpu_kernels.convolution.Maps`."""
        shift = None if bias is None else bias.to(x.dtype)
        return torch.conv2d(x, weight.to(x.dtype), shift, self.stride, self.padding, self.dilation)

    def on_input(self, slope: Tensor, weight: Tensor, shape: torch.Size) -> Tensor:
        """See :class:`bench.networks.cpu_kernels.convolution.Maps`."""
        return self._gradients(slope, slope.new_empty(shape), weight.to(slope.dtype), 0)

    def on_weight(self, x: Tensor, slope: Tensor, shape: torch.Size) -> Tensor:
        """See :class:`bench.networks.cpu_kernels.convolution.Maps`."""
        return self._gradients(slope, x, x.new_empty(shape), 1).float()

    def _gradients(self, slope: Tensor, x: Tensor, weight: Tensor, which: int) -> Tensor:
        found: Tensor = torch.ops.aten.convolution_backward(
            slope, x, weight, None, self.stride, self.padding, self.dilation,
            False, (0, 0), 1, (which == 0, which == 1, False),
        )[which]  # fmt: skip
        return found

"""Convolutions of few input channels as one matrix product, on a CPU.

The first convolution of most networks has one or three input channels, too few for the ways in
which PyTorch's convolutions are fast. All values that an output sees are laid out as a column
instead (``im2col``), with a one below for the bias; outputs and gradients are PyTorch's own matrix
products.
"""

from __future__ import annotations

import ctypes
import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.networks.cpu_kernels.library import kernel_of, pointers, sizes

# More values a column, or fewer outputs, and PyTorch's own convolution is faster.
_MOST_VALUES = 32
_LEAST_OUTPUTS = 64


def fits(weight: Tensor) -> bool:
    """Return whether kernels ``(K, C, height, width)`` of stride 1 are faster this way."""
    return weight[0].numel() <= _MOST_VALUES and len(weight) >= _LEAST_OUTPUTS


@dataclass(frozen=True)
class Shallow:
    """Convolutions of stride 1.

    Attributes:
        kernels: the compiled library.
        padding: of height and width.
    """

    kernels: ctypes.CDLL
    padding: tuple[int, int]

    def outputs(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """See :class:`bench.networks.cpu_kernels.convolution.Maps`."""
        columns = self._columns(x, weight.shape, with_ones=bias is not None)
        matrix = weight.flatten(1)
        if bias is not None:
            matrix = torch.cat([matrix, bias[:, None]], 1)
        products = torch.bmm(matrix.to(x.dtype).expand(len(x), -1, -1), columns)
        return products.view(len(x), len(weight), *self._sides(x, weight.shape))

    def on_input(self, slope: Tensor, weight: Tensor, shape: torch.Size) -> Tensor:
        """See :class:`bench.networks.cpu_kernels.convolution.Maps`."""
        matrix = weight.flatten(1).to(slope.dtype).mT.expand(len(slope), -1, -1)
        columns = torch.bmm(matrix, slope.flatten(2)).float()
        return F.fold(columns, shape[2:], weight.shape[2:], padding=self.padding).to(slope.dtype)

    def on_weight(self, x: Tensor, slope: Tensor, shape: torch.Size) -> Tensor:
        """See :class:`bench.networks.cpu_kernels.convolution.Maps`."""
        columns = self._columns(x, shape, with_ones=False)
        products = torch.bmm(columns, slope.flatten(2).mT)
        return products.sum(0, dtype=torch.float32).mT.reshape(shape)

    def _columns(self, x: Tensor, shape: torch.Size, *, with_ones: bool) -> Tensor:
        """Lay out ``(N, C * height * width of a kernel [+ 1], H' * W')``."""
        x = x.contiguous()
        columns = x.new_empty(
            len(x), shape[1:].numel() + with_ones, math.prod(self._sides(x, shape))
        )
        kernel_of(self.kernels, "columns", x.dtype)(
            *pointers(x, columns), *sizes(*x.shape, *shape[2:], *self.padding),
            int(with_ones), torch.get_num_threads(),
        )  # fmt: skip
        return columns

    def _sides(self, x: Tensor, shape: torch.Size) -> tuple[int, int]:
        """Return height and width of the convolved maps, for kernels of a shape."""
        down, across = (x.shape[i] + 2 * self.padding[i - 2] - shape[i] + 1 for i in (2, 3))
        return down, across

"""Convolutions of few input channels as one matrix product, on a CPU.

The first convolution of most networks has one or three input channels, too few for the ways in
which PyTorch's convolutions are fast. All values that an output sees are laid out as a column
instead (``im2col``), with a one below for the bias; outputs and gradients are PyTorch's own matrix
products.
"""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.native.call import pointers, sizes

# More values a column, or fewer outputs, and PyTorch's own convolution is faster.
_MOST_VALUES = 32
_LEAST_OUTPUTS = 64


def fits(x: Tensor, weight: Tensor, padding: Any) -> bool:
    """Whether a convolution of stride 1 is faster this way.

    Args:
        x: ``(N, C, H, W)``.
        weight: ``(K, C, height, width)``.
        padding: of height and width; a name such as ``same`` is left to PyTorch.
    """
    few = weight[0].numel() <= _MOST_VALUES and len(weight) >= _LEAST_OUTPUTS
    return few and x.dim() == 4 and isinstance(padding, tuple)


def convolve(
    kernels: ctypes.CDLL,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    padding: tuple[int, int],
) -> Tensor:
    """Return ``F.conv2d(x, weight, bias, padding=padding)``; twice differentiable and more.

    Args:
        kernels: the compiled library.
        x: float32 or bfloat16 ``(N, C, H, W)`` on the CPU; the result has its dtype.
        weight: float32 ``(K, C, height, width)``.
        bias: float32 ``(K,)``, or ``None``.
        padding: of height and width.
    """
    result: Tensor = _Convolution.apply(kernels, x, weight, bias, padding)[0]
    return result


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        kernels: ctypes.CDLL,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        padding: tuple[int, int],
    ) -> tuple[Tensor, Tensor]:
        columns = _columns(kernels, x, weight, padding, with_ones=bias is not None)
        matrix = weight.flatten(1)
        if bias is not None:
            matrix = torch.cat([matrix, bias[:, None]], 1)
        products = torch.bmm(matrix.to(x.dtype).expand(len(x), -1, -1), columns)
        return products.view(len(x), len(weight), *_outputs(x, weight, padding)), columns

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        _, x, weight, bias, ctx.padding = inputs
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(x, weight, bias, output[1])

    @staticmethod
    def backward(ctx: Any, slope: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, columns = ctx.saved_tensors
        if torch.is_grad_enabled():  # a second derivative is wanted
            return None, *_differentiable(x, weight, bias, ctx.padding, slope), None
        slope = slope.flatten(2)
        on_x = on_weight = on_bias = None
        if ctx.needs_input_grad[1]:
            matrix = weight.flatten(1).to(x.dtype).mT.expand(len(x), -1, -1)
            parts = torch.bmm(matrix, slope).float()
            on_x = F.fold(parts, x.shape[2:], weight.shape[2:], padding=ctx.padding).to(x.dtype)
        if any(ctx.needs_input_grad[2:4]):
            total = torch.bmm(columns, slope.mT).sum(0, dtype=torch.float32).mT
            on_weight = total[:, : weight[0].numel()].reshape(weight.shape)
            on_bias = None if bias is None else total[:, -1]
        return None, on_x, on_weight, on_bias, None


def _columns(
    kernels: ctypes.CDLL, x: Tensor, weight: Tensor, padding: tuple[int, int], with_ones: bool
) -> Tensor:
    """Lay out ``(N, C * height * width of a kernel [+ 1], outputs of a map)``."""
    x = x.contiguous()
    down, across = _outputs(x, weight, padding)
    columns = x.new_empty(len(x), weight[0].numel() + with_ones, down * across)
    kernel = kernels.columns_float32 if x.dtype == torch.float32 else kernels.columns_bfloat16
    kernel(
        *pointers(x, columns), *sizes(*x.shape, *weight.shape[2:], *padding),
        int(with_ones), torch.get_num_threads(),
    )  # fmt: skip
    return columns


def _outputs(x: Tensor, weight: Tensor, padding: tuple[int, int]) -> tuple[int, int]:
    """Return height and width of the convolved maps."""
    height, width = (x.shape[i] + 2 * padding[i - 2] - weight.shape[i] + 1 for i in (2, 3))
    return height, width


def _differentiable(
    x: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, int], slope: Tensor
) -> tuple[Tensor | None, ...]:
    """Return the gradients by PyTorch's own convolution, which goes on being differentiable."""
    shift = None if bias is None else bias.to(x.dtype)
    y = torch.conv2d(x, weight.to(x.dtype), shift, (1, 1), padding)
    inputs = (x, weight, bias)
    wanted = [t for t in inputs if t is not None and t.requires_grad]
    found = iter(torch.autograd.grad(y, wanted, slope, create_graph=True))
    return tuple(next(found) if t is not None and t.requires_grad else None for t in inputs)

"""Operations that architectures name as one, so that a faster one can take their place."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import handle_torch_function, has_torch_function_unary


def norm_relu_pool(x: Tensor, weight: Tensor, bias: Tensor, eps: float = 1e-5) -> Tensor:
    """Normalise each map, cut off what is negative and average over 2x2 squares.

    All that follows the convolution in a block of a ConvNet.

    Args:
        x: float ``(N, C, H, W)``.
        weight: scale per channel, ``(C,)``.
        bias: shift per channel, ``(C,)``.
        eps: added to the variance.

    Returns:
        ``(N, C, H // 2, W // 2)`` in the dtype of ``x``; an odd last row or column is left out.
    """
    if has_torch_function_unary(x):
        result: Tensor = handle_torch_function(norm_relu_pool, (x,), x, weight, bias, eps)
        return result
    return one_by_one(x, weight, bias, eps)


def one_by_one(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """Return :func:`norm_relu_pool` by PyTorch's own operations, whatever takes its place."""
    return average_pool2(F.relu(F.group_norm(x, x.shape[1], weight, bias, eps), inplace=True))


def average_pool2(x: Tensor) -> Tensor:
    """Average over 2x2 squares; an odd last row or column is left out.

    The same numbers as ``F.avg_pool2d(x, 2)``. PyTorch's CPU kernel is scalar code that takes a
    tenth of ConvNet-3's time; there, two rows at a time are multiplied with a constant matrix
    instead, which takes 0.36 to 0.4 of the time, forward and backward (16 x 128 maps of 32, 16
    and 8).

    Args:
        x: ``(N, C, H, W)``.
    """
    n, channels, height, width = x.shape
    plain = x.device.type != "cpu" or torch.compiler.is_compiling()
    if plain or height % 2 or width % 2:
        return F.avg_pool2d(x, 2)
    pairs = torch.eye(width // 2, dtype=x.dtype, device=x.device).repeat_interleave(2, dim=0)
    pooled = x.reshape(-1, 2 * width) @ torch.cat([pairs, pairs]).mul_(0.25)
    return pooled.view(n, channels, height // 2, width // 2)

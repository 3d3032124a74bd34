"""3x3 convolutions in a third of the multiplications, on a CPU, in float32.

A. Lavin and S. Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016: F(4x4, 3x3).
The products are PyTorch's own batched matrix products; only the transforms around them are ours.
Rounding errors are about 1e-5 of the largest output, where a direct convolution's are 4e-7.
"""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor

from bench.native.call import pointers, sizes

_TILE = 4
_VALUES = 36
# Below these the transforms cost more than the products save.
_LEAST_CHANNELS = 16
_LEAST_TILES = 16
_MOST_WASTE = 1.6


def fits(x: Tensor, weight: Tensor, padding: tuple[int, ...]) -> bool:
    """Whether a convolution of stride 1 is faster this way.

    Args:
        x: ``(N, C, H, W)``.
        weight: ``(K, C, 3, 3)``, else the answer is no.
        padding: of height and width.
    """
    if weight.shape[2:] != (3, 3) or tuple(padding) != (1, 1) or x.dim() != 4:
        return False
    n, _, height, width = x.shape
    tiles = _tiles(height, width)
    wasted = tiles * _TILE * _TILE > _MOST_WASTE * height * width
    return min(weight.shape[:2]) >= _LEAST_CHANNELS and n * tiles >= _LEAST_TILES and not wasted


def convolve(kernels: ctypes.CDLL, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return ``F.conv2d(x, weight, bias, padding=1)``; twice differentiable and more.

    Args:
        kernels: the compiled library.
        x: float32 ``(N, C, H, W)`` on the CPU.
        weight: float32 ``(K, C, 3, 3)``.
        bias: float32 ``(K,)``, or ``None``.
    """
    result: Tensor = _Convolution.apply(kernels, x, weight, bias)
    return result


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(kernels: ctypes.CDLL, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        outputs, inputs = weight.shape[:2]
        return _product(kernels, x, _transformed(kernels, weight, inputs, outputs, 0), bias)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], _: Tensor) -> None:
        ctx.kernels, x, weight = inputs[:3]
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        _, on_x, on_weight, on_bias = ctx.needs_input_grad
        return (
            None,
            _InputGradient.apply(ctx.kernels, slope, weight) if on_x else None,
            _WeightGradient.apply(ctx.kernels, x, slope) if on_weight else None,
            slope.sum((0, 2, 3)) if on_bias else None,
        )


class _InputGradient(torch.autograd.Function):
    """A convolution with the kernels turned by half a turn and their two channels swapped."""

    @staticmethod
    def forward(kernels: ctypes.CDLL, slope: Tensor, weight: Tensor) -> Tensor:
        outputs, inputs = weight.shape[:2]
        return _product(kernels, slope, _transformed(kernels, weight, outputs, inputs, 1), None)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], _: Tensor) -> None:
        ctx.kernels, slope, weight = inputs
        ctx.save_for_backward(slope, weight)

    @staticmethod
    def backward(ctx: Any, onto: Tensor) -> tuple[Tensor | None, ...]:
        slope, weight = ctx.saved_tensors
        _, on_slope, on_weight = ctx.needs_input_grad
        return (
            None,
            _Convolution.apply(ctx.kernels, onto, weight, None) if on_slope else None,
            _WeightGradient.apply(ctx.kernels, onto, slope) if on_weight else None,
        )


class _WeightGradient(torch.autograd.Function):
    @staticmethod
    def forward(kernels: ctypes.CDLL, x: Tensor, slope: Tensor) -> Tensor:
        inputs, outputs = x.shape[1], slope.shape[1]
        tiles = _spread(kernels.winograd_input, x)
        products = torch.bmm(tiles.mT, _spread(kernels.winograd_gradient, slope))
        made = x.new_empty(outputs, inputs, 3, 3)
        kernels.winograd_weight_gradient(
            *pointers(products, made), *sizes(outputs, inputs), torch.get_num_threads()
        )
        return made

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], _: Tensor) -> None:
        ctx.kernels, x, slope = inputs
        ctx.save_for_backward(x, slope)

    @staticmethod
    def backward(ctx: Any, onto: Tensor) -> tuple[Tensor | None, ...]:
        x, slope = ctx.saved_tensors
        _, on_x, on_slope = ctx.needs_input_grad
        return (
            None,
            _InputGradient.apply(ctx.kernels, slope, onto) if on_x else None,
            _Convolution.apply(ctx.kernels, x, onto, None) if on_slope else None,
        )


def _product(kernels: ctypes.CDLL, x: Tensor, matrices: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve with transformed kernels ``(36, C, K)``."""
    n, _, height, width = x.shape
    products = torch.bmm(_spread(kernels.winograd_input, x), matrices)
    made = x.new_empty(n, matrices.shape[2], height, width)
    shift = None if bias is None else bias.contiguous()
    kernels.winograd_output(
        *pointers(products, shift, made), *sizes(*made.shape), torch.get_num_threads()
    )
    return made


def _spread(kernel: Any, x: Tensor) -> Tensor:
    """Transform maps ``(N, C, H, W)`` into tiles ``(36, N * tiles, C)``."""
    x = x.contiguous()
    n, channels, height, width = x.shape
    tiles = x.new_empty(_VALUES, n * _tiles(height, width), channels)
    kernel(*pointers(x, tiles), *sizes(*x.shape), torch.get_num_threads())
    return tiles


def _transformed(
    kernels: ctypes.CDLL, weight: Tensor, rows: int, columns: int, turned: int
) -> Tensor:
    matrices = weight.new_empty(_VALUES, rows, columns)
    weight = weight.contiguous()
    kernels.winograd_weight(
        *pointers(weight, matrices), *sizes(*weight.shape[:2]), turned, torch.get_num_threads()
    )
    return matrices


def _tiles(height: int, width: int) -> int:
    return -(-height // _TILE) * -(-width // _TILE)
